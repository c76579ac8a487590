//! Floods of first packets: whoever talks already does not notice.

use std::{collections::HashMap, net::IpAddr, ops::Range};

use caracal_abi::{FlowKey, Hook, Ip4, Ip6, Reason, program};
use caracal_datapath::{Entry, Loader, Place};
use caracal_harness::{Crowd, End, Frame, tcp};
use caracal_integration::Stage;

/// Who talks already.
const ESTABLISHED: Range<u32> = 0..50_000;
/// Who floods.
const FLOOD: Range<u32> = 1_000_000..3_000_000;
/// As many as begin at once without throwing each other out.
const AT_ONCE: usize = 2000;
const SERVER: u16 = 80;
/// The wrapper's packets are no shorter.
const DATA: [u8; 64] = [7; 64];

/// A pod with a server, and everybody outside.
struct Flooded<'a> {
    stage: &'a Stage<'a>,
    crowd: Crowd,
}

impl Flooded<'_> {
    fn each_family(body: impl Fn(Flooded<'_>) + Sync) {
        let sized = |it| Loader { flow_entries: Some(1 << 18), new_flow_entries: Some(1 << 14), ..it };
        Stage::each_family_with(sized, |stage| body(Flooded { stage, crowd: Crowd::new() }));
    }

    /// Everybody sends the server a packet.
    fn ask(&mut self, who: Range<u32>, flags: u8) {
        let Stage { plane, eth0, b, outside, .. } = self.stage;
        let packet = Frame::new(outside, b.ip).tcp(1, SERVER, flags, &DATA);
        self.crowd.send(plane, program::FROM_NET, eth0.ifindex, &packet, End::Source, who);
    }

    /// The server sends everybody a packet.
    fn answer(&mut self, who: Range<u32>, flags: u8) {
        let Stage { plane, b, outside, .. } = self.stage;
        let packet = Frame::new(b, outside.ip).tcp(SERVER, 1, flags, &DATA);
        self.crowd.send(plane, program::FROM_POD, b.ifindex, &packet, End::Destination, who);
    }

    /// Handshakes, as many at once as there is room for.
    fn establish(&mut self, who: Range<u32>) {
        for begin in who.clone().step_by(AT_ONCE) {
            let some = begin..who.end.min(begin + u32::try_from(AT_ONCE).unwrap());
            self.ask(some.clone(), tcp::SYN);
            self.answer(some.clone(), tcp::SYN | tcp::ACK);
            self.ask(some, tcp::ACK);
        }
    }

    /// How many packets each direction in the main table has seen.
    fn packets(&self) -> HashMap<FlowKey<IpAddr>, u64> {
        fn seen<A: Copy + Into<IpAddr>>(entries: Vec<(Place, Entry<A>)>) -> HashMap<FlowKey<IpAddr>, u64> {
            let main = entries.into_iter().filter(|(place, _)| *place == Place::Main).map(|(_, entry)| entry);
            let key = |FlowKey { src, dst, sport, dport, protocol, .. }: FlowKey<A>| {
                FlowKey::new(src.into(), dst.into(), sport, dport, protocol)
            };
            main.map(|(found, flow)| (key(found), flow.packets)).collect()
        }
        let pinned = self.stage.plane.pinned();
        if self.stage.b.ip.is_ipv4() {
            seen::<Ip4>(pinned.flows4().unwrap().placed().unwrap())
        } else {
            seen::<Ip6>(pinned.flows6().unwrap().placed().unwrap())
        }
    }

    fn new_flows(&self) -> u64 {
        [Hook::FromNet, Hook::FromPod].map(|hook| self.stage.plane.count_at(hook, Reason::NewFlow).packets).iter().sum()
    }

    /// Fails unless a packet each way is of a flow that is known, for everybody.
    fn everybody_goes_on(&mut self, who: Range<u32>) {
        let (before, new_flows) = (self.packets(), self.new_flows());
        assert_eq!(before.len(), 2 * who.len());
        self.ask(who.clone(), tcp::ACK);
        self.answer(who, tcp::ACK);
        let after = self.packets();
        assert_eq!(after.len(), before.len());
        assert!(before.iter().all(|(key, packets)| after[key] == packets + 1));
        assert_eq!(self.new_flows(), new_flows);
    }
}

#[test]
fn no_established_flow_is_lost_in_a_flood_of_two_million_first_packets() {
    Flooded::each_family(|mut it| {
        it.establish(ESTABLISHED);
        it.everybody_goes_on(ESTABLISHED);
        let before = it.new_flows();
        it.ask(FLOOD, tcp::SYN);
        assert_eq!(it.new_flows() - before, FLOOD.len() as u64, "each was a flow of its own");
        it.everybody_goes_on(ESTABLISHED);
        assert_eq!(it.stage.plane.count_at(Hook::FromNet, Reason::FlowTableFull).packets, 0);
    });
}

#[test]
fn a_flood_that_is_answered_does_not_fill_the_main_table() {
    const FLOOD: Range<u32> = 1_000_000..1_400_000;

    Flooded::each_family(|mut it| {
        it.establish(ESTABLISHED);
        for begin in FLOOD.step_by(AT_ONCE) {
            let some = begin..begin + u32::try_from(AT_ONCE).unwrap();
            it.ask(some.clone(), tcp::SYN);
            // The server repeats what nobody confirms, and gives up.
            it.answer(some.clone(), tcp::SYN | tcp::ACK);
            it.answer(some.clone(), tcp::SYN | tcp::ACK);
            it.answer(some, tcp::RST);
        }
        it.everybody_goes_on(ESTABLISHED);
        // Who is there after all and confirms gets in.
        it.ask(FLOOD.end..FLOOD.end + 1, tcp::SYN);
        it.answer(FLOOD.end..FLOOD.end + 1, tcp::SYN | tcp::ACK);
        assert_eq!(it.packets().len(), 2 * ESTABLISHED.len());
        it.ask(FLOOD.end..FLOOD.end + 1, tcp::ACK);
        assert_eq!(it.packets().len(), 2 * ESTABLISHED.len() + 2);
    });
}

#[test]
fn pods_that_flood_the_outside_throw_out_nobody_either() {
    const FLOOD: Range<u32> = 1_000_000..1_500_000;

    Flooded::each_family(|mut it| {
        it.establish(ESTABLISHED);
        let Stage { plane, a, outside, .. } = it.stage;
        let packet = Frame::new(a, outside.ip).tcp(4000, 1, tcp::SYN, &DATA);
        it.crowd.send(plane, program::FROM_POD, a.ifindex, &packet, End::Destination, FLOOD);
        it.everybody_goes_on(ESTABLISHED);
    });
}
