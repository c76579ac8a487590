//! Many different tuples, made where the packets are: user space would take a second for what this does in a millisecond.

use aya_ebpf::{
    EbpfContext,
    bindings::{__sk_buff, TC_ACT_SHOT},
    btf_maps::Array,
    macros::{btf_map, classifier},
    programs::TcContext,
};

use crate::{UNDER_TEST, restore_bytes};

/// Which end of the packet is somebody else each time, and who is next: [`SOURCE`] or not, and a number.
#[btf_map]
static SCATTER: Array<[u32; 2], 1> = Array::new();

/// The packet comes from everybody; else it goes to everybody.
const SOURCE: u32 = 0;

const ETHERNET: usize = 14;

/// Writes the head of the packet back, gives it the address and port of the next somebody, and calls the program under test.
/// Everybody has a number, by which address and port are the same each time. Checksums are not kept right.
#[classifier]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn scatter(ctx: TcContext) -> i32 {
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    if scatter_head(skb).is_none() {
        return TC_ACT_SHOT;
    }
    // SAFETY: the map is a program array.
    unsafe { UNDER_TEST.tail_call(&ctx, 0) };
    TC_ACT_SHOT
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "it is made to be a port")]
fn scatter_head(skb: *mut __sk_buff) -> Option<()> {
    let (data, _) = restore_bytes(skb)?;
    let state = SCATTER.get_ptr_mut(0)?;
    // SAFETY: an array's slot; tests run on one CPU.
    let [end, next] = unsafe { &mut *state };
    let number = *next;
    *next = number.wrapping_add(1);
    // Bijective, and neighbours are far apart.
    let mixed = number.wrapping_mul(0x9e37_79b1);
    let port = 1024 + (((mixed & 3) << 13) | (mixed >> 20));
    // SAFETY: `restore_bytes` has compared: the head is longer than this.
    let version = unsafe { *((data + ETHERNET) as *const u8) } >> 4;
    let is_source = *end == SOURCE;
    let (address, ports) = if version == 4 {
        (if is_source { 12 } else { 16 }, 20)
    } else {
        // The last word of it.
        (if is_source { 20 } else { 36 }, 40)
    };
    let ports = ports + if is_source { 0 } else { 2 };
    // Unicast everywhere: 128.0.0.0 to 191.255.255.255.
    let address_word = if version == 4 { 0x8000_0000 | (mixed >> 2) } else { mixed };
    // SAFETY: the same.
    unsafe { *((data + ETHERNET + address) as *mut u32) = address_word.to_be() };
    // SAFETY: the same.
    unsafe { *((data + ETHERNET + ports) as *mut u16) = (port as u16).to_be() };
    Some(())
}
