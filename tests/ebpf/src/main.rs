//! Programs that only tests and benchmarks load.

#![no_std]
#![no_main]
#![expect(clippy::inline_always, reason = "BPF functions return scalars only")]

mod scatter;

use aya_ebpf::{
    EbpfContext,
    bindings::{__sk_buff, TC_ACT_SHOT, TC_ACT_UNSPEC, xdp_action::XDP_PASS},
    btf_maps::{Array, ProgramArray},
    macros::{btf_map, cgroup_sock_addr, classifier, xdp},
    programs::{SockAddrContext, TcContext, XdpContext},
};

/// Words of the packet's head that [`restore`] writes back.
const HEAD_WORDS: usize = 24;

/// Source port of the first of several flows: the lower ones mean something.
const FIRST_PORT: u32 = 1024;

/// The head of the packet as it was.
#[btf_map]
static HEAD: Array<[u32; HEAD_WORDS], 1> = Array::new();

/// How many flows to go through in turn, and which is next.
#[btf_map]
static FLOWS: Array<[u32; 2], 1> = Array::new();

/// The program under test.
#[btf_map]
static UNDER_TEST: ProgramArray<1> = ProgramArray::new();

/// Does nothing: what attaching a program costs by itself.
#[classifier]
fn empty(_: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// Writes the head of the packet back and calls the program under test.
///
/// `BPF_PROG_TEST_RUN` repeats on the packet as the last pass left it; a program that changes packets would be timed
/// on its own output.
#[classifier]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn restore(ctx: TcContext) -> i32 {
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    if restore_head(skb).is_none() {
        return TC_ACT_SHOT;
    }
    // SAFETY: the context of this run.
    unsafe { (*skb).mark = 0 };
    // SAFETY: the map is a program array.
    unsafe { UNDER_TEST.tail_call(&ctx, 0) };
    TC_ACT_SHOT
}

#[inline(always)]
fn restore_head(skb: *mut __sk_buff) -> Option<()> {
    let (data, end) = restore_bytes(skb)?;
    let flows = FLOWS.get_ptr_mut(0)?;
    // SAFETY: an array's slot; benchmarks run on one CPU.
    let [count, next] = unsafe { &mut *flows };
    if *count > 1 {
        *next = if *next + 1 >= *count { 0 } else { *next + 1 };
        set_source_port(data, end, FIRST_PORT + *next);
    }
    Some(())
}

/// Where the packet begins and ends, whose first bytes are what they were.
#[inline(always)]
fn restore_bytes(skb: *mut __sk_buff) -> Option<(usize, usize)> {
    let head = HEAD.get(0)?;
    // SAFETY: the context of this run.
    let data = unsafe { (*skb).data as usize };
    // SAFETY: the same.
    let end = unsafe { (*skb).data_end as usize };
    let packet = data as *mut [u32; HEAD_WORDS];
    if data + size_of::<[u32; HEAD_WORDS]>() > end {
        return None;
    }
    // SAFETY: in bounds as just compared.
    let packet = unsafe { &mut *packet };
    for (word, restored) in packet.iter_mut().zip(head) {
        // Volatile, for as a whole it would become a loop over bytes that costs more than most programs under test.
        // SAFETY: a reference is valid.
        unsafe { (&raw mut *word).write_volatile(*restored) };
    }
    Some((data, end))
}

/// Behind a plain IPv4 or IPv6 header.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "there are fewer flows than ports")]
fn set_source_port(data: usize, end: usize, port: u32) {
    const ETHERNET: usize = 14;
    if data + ETHERNET + 1 > end {
        return;
    }
    // SAFETY: in bounds as just compared.
    let version = unsafe { *((data + ETHERNET) as *const u8) } >> 4;
    let at = data + ETHERNET + if version == 4 { 20 } else { 40 };
    if at + 2 <= end {
        // SAFETY: in bounds as just compared.
        unsafe { *(at as *mut u16) = (port as u16).to_be() };
    }
}

/// Lets every packet pass.
#[xdp]
fn pass_xdp(_: XdpContext) -> u32 {
    XDP_PASS
}

/// Lets every connection be made.
#[cgroup_sock_addr(connect4)]
fn pass_connect4(_: SockAddrContext) -> i32 {
    1
}

/// Lets no connection be made.
#[cgroup_sock_addr(connect4)]
fn refuse_connect4(_: SockAddrContext) -> i32 {
    0
}

/// The helpers these programs call are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses programs that can come here.
    loop {}
}
