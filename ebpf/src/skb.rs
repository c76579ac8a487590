//! The packet as the kernel hands it over: the only place that touches `__sk_buff` and packet memory.

use core::marker::PhantomData;

use aya_ebpf::{
    EbpfContext,
    bindings::__sk_buff,
    helpers::{bpf_l4_csum_replace, bpf_skb_adjust_room, bpf_skb_change_tail, bpf_skb_load_bytes},
    programs::TcContext,
};
use caracal_logic::{Bytes, Kind, Packet, Wire, headers};

/// Headers that are not in the linear part of the packet are pulled there, up to this many bytes: Ethernet, IPv6, the
/// extension headers people really send, TCP with options.
const HEADERS: u32 = 192;

/// A packet at a tc hook.
#[derive(Clone, Copy)]
pub struct Skb<'a> {
    raw: *mut __sk_buff,
    context: PhantomData<&'a TcContext>,
}

impl<'a> Skb<'a> {
    #[inline(always)]
    pub fn new(ctx: &'a TcContext) -> Self {
        Self { raw: ctx.as_ptr().cast(), context: PhantomData }
    }

    /// The interface of the hook.
    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        // SAFETY: the kernel's context outlives the program's run.
        unsafe { (*self.raw).ifindex }
    }

    /// Bytes on the wire, Ethernet header included; for a GSO packet, of all its segments together.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        // SAFETY: as in `ifindex`.
        unsafe { (*self.raw).len }
    }

    /// Whether the Ethernet destination is neither the interface's nor everybody's: a switch did not know better, or
    /// somebody listens to everything.
    #[inline(always)]
    pub fn is_for_another(&self) -> bool {
        const PACKET_OTHERHOST: u32 = 3;
        // SAFETY: as in `ifindex`.
        unsafe { (*self.raw).pkt_type == PACKET_OTHERHOST }
    }

    /// Bytes of payload in each segment of a GSO packet; zero for any other.
    #[inline(always)]
    pub fn gso_size(&self) -> u32 {
        // SAFETY: as in `ifindex`.
        unsafe { (*self.raw).gso_size }
    }

    /// For helpers.
    #[inline(always)]
    pub fn raw(&self) -> *mut __sk_buff {
        self.raw
    }

    /// Bytes before the payload.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "headers are short")]
    pub fn headers_len<A>(&self, packet: &Packet<A>) -> u32 {
        let transport = match packet.kind {
            Kind::Tcp => self.read::<headers::Tcp>(packet.l4).map_or(0, headers::Tcp::header_len),
            Kind::Udp => size_of::<headers::Udp>(),
            _ => 0,
        };
        (packet.l4 + transport) as u32
    }

    /// Whether a VLAN tag was taken off the packet and is kept beside it.
    #[inline(always)]
    fn has_vlan_tag(&self) -> bool {
        // SAFETY: as in `ifindex`.
        unsafe { (*self.raw).vlan_present != 0 }
    }

    /// What the Ethernet header says it carries; nothing that we know for a packet with a VLAN tag, in the header or beside
    /// it.
    #[inline(always)]
    pub fn ether_type(&self) -> Option<u16> {
        const TAGGED: u16 = 0x8100;
        if self.has_vlan_tag() {
            return Some(TAGGED);
        }
        Some(self.read::<headers::Ethernet>(0)?.ether_type.get())
    }

    /// Makes the headers linear, if they are not. Every pointer into the packet is void afterwards.
    #[inline(always)]
    pub fn pull_headers(&self) -> bool {
        let wanted = if self.len() < HEADERS { self.len() } else { HEADERS };
        let (data, end) = self.linear();
        if end - data >= wanted as usize {
            return true;
        }
        // SAFETY: `raw` is the context of this run.
        unsafe { aya_ebpf::helpers::bpf_skb_pull_data(self.raw, wanted) == 0 }
    }

    /// Adds `change`, a ones' complement difference, to what the checksum at `offset` covers. Every pointer into the packet
    /// is void afterwards.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "headers are short")]
    pub fn change_l4_checksum(&self, offset: usize, change: u16, flags: u64) -> Option<()> {
        // SAFETY: `raw` is the context of this run. No size in the flags: the change is a sum already.
        let changed = unsafe { bpf_l4_csum_replace(self.raw, offset as u32, 0, u64::from(change), flags) };
        (changed == 0).then_some(())
    }

    /// Adds `change` to what the NIC has summed up over the whole packet, if it has.
    #[inline(always)]
    pub fn change_whole_sum(&self, change: u16) {
        // SAFETY: `raw` is the context of this run. It refuses where there is no such sum, and then there is nothing to do.
        let _ = unsafe { aya_ebpf::helpers::bpf_csum_update(self.raw, change.into()) };
    }

    /// Copies `len` bytes of the packet, if there is room for as many and one more.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "it was a u32")]
    pub fn load<const W: usize>(&self, offset: u32, into: &mut [u32; W], len: u32) -> Option<()> {
        const { assert!((W * size_of::<u32>()).is_power_of_two(), "the verifier is told by a mask") };
        if len as usize >= W * size_of::<u32>() {
            return None;
        }
        let mut masked = u64::from(len);
        // SAFETY: changes the one register it may change. The compiler would leave a plain mask out where it knows better than
        // the verifier.
        unsafe {
            core::arch::asm!(
                "{len} &= {mask}",
                len = inout(reg) masked,
                mask = const W * size_of::<u32>() - 1,
                options(pure, nomem, nostack),
            );
        }
        if masked == 0 {
            return None;
        }
        // SAFETY: `raw` is the context of this run, and the room was compared.
        let loaded = unsafe { bpf_skb_load_bytes(self.raw.cast(), offset, into.as_mut_ptr().cast(), masked as u32) };
        (loaded == 0).then_some(())
    }

    /// Makes the packet no longer than this. Every pointer into the packet is void afterwards.
    #[inline(always)]
    pub fn cut(&self, len: u32) -> Option<()> {
        // SAFETY: `raw` is the context of this run.
        (unsafe { bpf_skb_change_tail(self.raw, len, 0) } == 0).then_some(())
    }

    /// Makes room behind the Ethernet header. Every pointer into the packet is void afterwards.
    #[inline(always)]
    #[expect(clippy::cast_possible_wrap, reason = "headers are short")]
    pub fn make_room(&self, len: u32, mode: u32) -> Option<()> {
        // SAFETY: `raw` is the context of this run.
        (unsafe { bpf_skb_adjust_room(self.raw, len as i32, mode, 0) } == 0).then_some(())
    }

    /// Where the linear part begins and ends.
    ///
    /// The fields are 32 bits wide in the context, and pointers in the register the verifier has them loaded into.
    /// Read as plain fields they are extended to 64 bits, and the compiler does that with an instruction of its own
    /// wherever it keeps them for later, after which they are plain numbers to the verifier. So the loads are written
    /// out.
    #[inline(always)]
    fn linear(&self) -> (usize, usize) {
        const DATA: usize = core::mem::offset_of!(__sk_buff, data);
        const DATA_END: usize = core::mem::offset_of!(__sk_buff, data_end);
        let (data, end): (usize, usize);
        // SAFETY: two loads from the context; it changes only by helpers, which the compiler knows to write memory.
        unsafe {
            core::arch::asm!(
                "{data} = *(u32 *)({raw} + {data_at})",
                "{end} = *(u32 *)({raw} + {end_at})",
                raw = in(reg) self.raw,
                data = out(reg) data,
                end = lateout(reg) end,
                data_at = const DATA,
                end_at = const DATA_END,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        (data, end)
    }

    /// A pointer to a `T` at `offset`, if all of it is inside the linear part.
    #[inline(always)]
    pub fn writable<T>(&self, offset: usize) -> Option<*mut T> {
        let (data, end) = self.linear();
        let start = data + offset;
        // SAFETY: packets do not lie at address zero. Known, it spares a check that the reference made of it is one.
        unsafe { core::hint::assert_unchecked(start != 0) };
        // Pointers are compared, not lengths: this is the comparison the verifier learns the bound from.
        if start + size_of::<T>() > end { None } else { Some(start as *mut T) }
    }
}

impl Bytes for Skb<'_> {
    #[inline(always)]
    fn read<T: Wire>(&self, offset: usize) -> Option<&T> {
        let header = self.writable::<T>(offset)?;
        // SAFETY: in bounds as just checked, and any bytes are a `T`. The address may be less aligned than `T` asks
        // for; the load instructions this becomes do not mind, and `read_unaligned` would become a load per byte.
        Some(unsafe { &*header })
    }
}
