//! What aya does not wrap: batch operations on maps, detaching a link at once, a namespace's cookie.

use std::{
    ffi::CString,
    io,
    net::{Ipv4Addr, UdpSocket},
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use aya_obj::generated::{bpf_attr, bpf_attr__bindgen_ty_3 as BatchAttr, bpf_cmd};

/// Detaches the link pinned at `pin`, now. Removing its last pin would do that too, but some time later.
pub(crate) fn detach_pinned_link(pin: &Path) -> io::Result<()> {
    let path = CString::new(pin.as_os_str().as_bytes())?;
    // SAFETY: all zeroes is a value of this union of integers.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.__bindgen_anon_4.pathname = address(path.as_ptr());
    // SAFETY: the path lives until the call returns.
    let fd = unsafe { bpf(bpf_cmd::BPF_OBJ_GET, &mut attr)? };
    // SAFETY: the kernel just made it for us.
    let link = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: as above.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.link_detach.link_fd = link.as_raw_fd().unsigned_abs();
    // SAFETY: the command reads a number.
    unsafe { bpf(bpf_cmd::BPF_LINK_DETACH, &mut attr) }.map(drop)
}

/// The number by which programs know the network namespace of the calling thread. Kernels before 5.14 have none.
pub(crate) fn netns_cookie() -> io::Result<u64> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut cookie = 0_u64;
    let mut length = libc::socklen_t::try_from(size_of_val(&cookie)).map_err(io::Error::other)?;
    let fd = socket.as_raw_fd();
    // SAFETY: the kernel writes at most `length` bytes, the size of the number.
    let result =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, SO_NETNS_COOKIE, (&raw mut cookie).cast(), &raw mut length) };
    if result == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}

/// include/uapi/asm-generic/socket.h
const SO_NETNS_COOKIE: libc::c_int = 71;

/// # Safety
/// The addresses in `attr` must be valid for what `command` does with them.
pub(crate) unsafe fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: the kernel reads and writes `attr` within the size given; the addresses in it are the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_int, &raw mut *attr, size_of::<bpf_attr>()) };
    // Taken before anything else can change errno.
    let error = io::Error::last_os_error();
    if result < 0 { Err(error) } else { i32::try_from(result).map_err(io::Error::other) }
}

/// What one batch call did.
pub(crate) struct Batch {
    /// Entries handled.
    pub count: usize,
    /// Whether the kernel has seen the whole map.
    pub finished: bool,
}

/// Where a batch look-up goes on, opaque to us. A hash's cursor is a `u32`; the kernel copies no more than the key's
/// size for other types.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    position: [u64; 8],
    started: bool,
}

/// Reads entries into `keys` and `values`, which have the same length.
pub(crate) fn lookup_batch<K, V>(
    map: BorrowedFd<'_>,
    cursor: &mut Cursor,
    keys: &mut [K],
    values: &mut [V],
) -> io::Result<Batch> {
    assert_eq!(keys.len(), values.len());
    let (count, keys, values) = (keys.len(), address(keys.as_mut_ptr()), address(values.as_mut_ptr()));
    // SAFETY: both buffers hold `count` entries of the sizes the caller's types have, which it checked against the map.
    unsafe { next_batch(map, cursor, count, keys, values) }
}

/// Reads up to `room` entries of these sizes, and says how many there were.
pub(crate) fn count_batch(
    map: BorrowedFd<'_>,
    cursor: &mut Cursor,
    room: u32,
    key_size: u32,
    value_size: u32,
) -> io::Result<Batch> {
    let room = room as usize;
    let [mut keys, mut values] = [key_size, value_size].map(|size| vec![0_u8; room * size as usize]);
    // SAFETY: both buffers hold `room` entries of the sizes that the caller has from the map.
    unsafe { next_batch(map, cursor, room, address(keys.as_mut_ptr()), address(values.as_mut_ptr())) }
}

/// Reads on from the cursor.
///
/// # Safety
///
/// At `keys` and `values` there is room for `count` entries of the map.
unsafe fn next_batch(
    map: BorrowedFd<'_>,
    cursor: &mut Cursor,
    count: usize,
    keys: u64,
    values: u64,
) -> io::Result<Batch> {
    let mut attr = batch_attr(map, count);
    let previous = cursor.position;
    if cursor.started {
        attr.in_batch = address(previous.as_ptr());
    }
    attr.out_batch = address(cursor.position.as_mut_ptr());
    (attr.keys, attr.values) = (keys, values);
    // SAFETY: as the caller says.
    let result = unsafe { call(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr) };
    cursor.started = true;
    finish(result, &attr, Some(libc::ENOENT))
}

/// Removes an entry and reads what it was.
pub(crate) fn lookup_and_delete<K, V>(map: BorrowedFd<'_>, key: &K, value: &mut V) -> io::Result<()> {
    // SAFETY: all zeroes is a value of this union of integers.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd().unsigned_abs();
    attr.__bindgen_anon_2.key = address(key);
    attr.__bindgen_anon_2.__bindgen_anon_1.value = address(std::ptr::from_mut(value));
    // SAFETY: both are of the sizes that the caller compared with the map's.
    unsafe { bpf(bpf_cmd::BPF_MAP_LOOKUP_AND_DELETE_ELEM, &mut attr) }.map(drop)
}

/// Writes entries; stops at the first that fails.
pub(crate) fn update_batch<K, V>(map: BorrowedFd<'_>, keys: &[K], values: &[V]) -> io::Result<Batch> {
    assert_eq!(keys.len(), values.len());
    let mut attr = batch_attr(map, keys.len());
    attr.keys = address(keys.as_ptr());
    attr.values = address(values.as_ptr());
    // SAFETY: as in `lookup_batch`; the kernel only reads them.
    let result = unsafe { call(bpf_cmd::BPF_MAP_UPDATE_BATCH, &mut attr) };
    finish(result, &attr, None)
}

/// Removes entries; stops at the first that fails, be it for not being there.
pub(crate) fn delete_batch<K>(map: BorrowedFd<'_>, keys: &[K]) -> io::Result<Batch> {
    let mut attr = batch_attr(map, keys.len());
    attr.keys = address(keys.as_ptr());
    // SAFETY: as in `update_batch`.
    let result = unsafe { call(bpf_cmd::BPF_MAP_DELETE_BATCH, &mut attr) };
    // Here "no such entry" comes with the number of those removed before it.
    finish(result, &attr, Some(libc::ENOENT))
}

fn batch_attr(map: BorrowedFd<'_>, count: usize) -> BatchAttr {
    BatchAttr {
        in_batch: 0,
        out_batch: 0,
        keys: 0,
        values: 0,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        map_fd: map.as_raw_fd().unsigned_abs(),
        elem_flags: 0,
        flags: 0,
    }
}

pub(crate) fn address<T>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

/// # Safety
/// The addresses in `attr` must be valid for what `command` does with them.
unsafe fn call(command: bpf_cmd, batch: &mut BatchAttr) -> io::Result<()> {
    // SAFETY: all zeroes is a value of this union of integers.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.batch = *batch;
    // SAFETY: the caller's promise.
    let result = unsafe { bpf(command, &mut attr) };
    // SAFETY: written as `batch` above, and by the kernel as such.
    *batch = unsafe { attr.batch };
    result.map(drop)
}

fn finish(result: io::Result<()>, attr: &BatchAttr, end: Option<i32>) -> io::Result<Batch> {
    let count = attr.count as usize;
    match result {
        Ok(()) => Ok(Batch { count, finished: false }),
        Err(error) if error.raw_os_error() == end => Ok(Batch { count, finished: true }),
        Err(error) => Err(error),
    }
}
