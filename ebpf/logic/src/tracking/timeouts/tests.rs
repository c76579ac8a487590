use caracal_abi::Ip4;
use proptest::{
    array::uniform17,
    prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest},
};

use super::*;

fn flow(seen: u8, packets: u64) -> Flow<Ip4> {
    Flow { seen, packets, via: Via::Peer as u8, ..Flow::default() }
}

#[test]
fn numbers_names_and_defaults_agree() {
    for (number, timeout) in Timeout::ALL.into_iter().enumerate() {
        assert_eq!(timeout as usize, number, "{timeout:?}");
        assert_eq!(Timeouts::default().get(timeout), timeout.default_seconds());
        assert_eq!(Timeout::ALL.iter().filter(|other| other.name() == timeout.name()).count(), 1, "{timeout:?}");
    }
    let changed = Timeouts::default().with(Timeout::Udp, 7);
    assert_eq!((changed.get(Timeout::Udp), changed.get(Timeout::UdpStream)), (7, 120));
    assert_eq!(changed.map(|_, seconds| seconds * 2).get(Timeout::Udp), 14);
}

#[test]
fn the_life_of_a_connection() {
    let of = |one: (u8, u64), other: (u8, u64)| Timeout::of(TCP, &flow(one.0, one.1), &flow(other.0, other.1));
    assert_eq!(of((SYN, 1), (0, 0)), Timeout::TcpSynSent);
    assert_eq!(of((SYN, 3), (SYN | ACK, 2)), Timeout::TcpSynRecv);
    assert_eq!(of((SYN | ACK, 2), (SYN | ACK, 1)), Timeout::TcpEstablished);
    assert_eq!(of((ACK, 9), (0, 0)), Timeout::TcpUnacknowledged);
    assert_eq!(of((ACK, 9), (ACK, 1)), Timeout::TcpEstablished);
    assert_eq!(of((SYN | ACK | FIN, 9), (SYN | ACK, 5)), Timeout::TcpFinWait);
    assert_eq!(of((SYN | ACK | FIN, 9), (SYN | ACK | FIN, 5)), Timeout::TcpTimeWait);
    assert_eq!(of((SYN, 1), (RST | ACK, 1)), Timeout::TcpClose);
    assert_eq!(of((SYN, 1), (SYN, 1)), Timeout::TcpSynRecv, "both ask at once");
}

#[test]
fn what_user_space_wants_reset_is_over() {
    let [mut one, other] = [flow(SYN | ACK, 5), flow(SYN | ACK, 5)];
    one.via = Via::Reset as u8;
    assert_eq!(Timeout::of(TCP, &one, &other), Timeout::TcpClose);
    assert_eq!(Timeout::of(TCP, &other, &one), Timeout::TcpClose);
    assert!(State::of(&other, &one).is_over());
}

#[test]
fn a_question_and_its_answer_are_no_stream() {
    let of = |one, other| Timeout::of(UDP, &flow(0, one), &flow(0, other));
    assert_eq!([of(1, 0), of(50, 0), of(1, 1)], [Timeout::Udp; 3]);
    assert_eq!([of(2, 1), of(1, 2), of(u64::MAX, 1)], [Timeout::UdpStream; 3]);
}

#[test]
fn the_life_of_an_association() {
    let of = |one: (u8, u64), other: (u8, u64)| Timeout::of(SCTP, &flow(one.0, one.1), &flow(other.0, other.1));
    assert_eq!(of((SYN, 1), (0, 0)), Timeout::SctpCookieWait);
    assert_eq!(of((SYN, 1), (SYN | ACK, 1)), Timeout::SctpCookieEchoed);
    assert_eq!(of((SYN | ACK, 2), (SYN | ACK, 1)), Timeout::SctpEstablished);
    assert_eq!(of((ACK, 1), (0, 0)), Timeout::SctpHeartbeatSent);
    assert_eq!(of((SYN | ACK | FIN, 3), (ACK, 1)), Timeout::SctpShutdown);
    assert_eq!(of((SYN | ACK, 3), (RST, 1)), Timeout::SctpClosed);
}

#[test]
fn other_protocols_have_one_time() {
    for (protocol, expected) in [(ICMP, Timeout::Icmp), (ICMPV6, Timeout::Icmp), (47, Timeout::Generic)] {
        for (one, other) in [(1, 0), (1, 1), (9, 9)] {
            assert_eq!(Timeout::of(protocol, &flow(0, one), &flow(0, other)), expected);
        }
    }
}

#[test]
fn a_reset_shortens_a_life_until_its_sender_goes_on() {
    let seen = super::super::seen_after(SYN | ACK, RST | ACK);
    assert_eq!(Timeout::of(TCP, &flow(seen, 5), &flow(ACK, 5)), Timeout::TcpClose);
    let seen = super::super::seen_after(seen, ACK);
    assert_eq!(Timeout::of(TCP, &flow(seen, 6), &flow(ACK, 5)), Timeout::TcpEstablished);
}

#[test]
fn who_opens_a_connection_has_not_ended_it() {
    let after = super::super::seen_after;
    assert_eq!(after(SYN | ACK | FIN, SYN), SYN | ACK);
    assert_eq!(after(ACK | FIN | RST, SYN | ACK), SYN | ACK);
    assert_eq!(after(ACK | FIN, ACK), ACK | FIN);
    // Of a packet that says both, the worse is believed.
    assert_eq!(after(ACK | FIN, SYN | RST), SYN | ACK | FIN | RST);
}

fn flows() -> impl Strategy<Value = Flow<Ip4>> {
    let via = prop_oneof![4 => Just(Via::Peer), 1 => Just(Via::Reset), 1 => Just(Via::Host)];
    (any::<u8>(), 0..4_u64, via).prop_map(|(seen, packets, via)| Flow { via: via as u8, ..flow(seen, packets) })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 20 } else { 20_000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn when_time_is_up_one_direction_shows_it(
        protocol in prop_oneof![Just(ICMP), Just(TCP), Just(UDP), Just(SCTP), Just(47)],
        (one, other) in (flows(), flows()),
        times in uniform17(1..20_u32),
        idle in 0..25_u32,
    ) {
        let timeouts = Timeouts(times);
        if idle > timeouts.get(Timeout::of(protocol, &one, &other)) {
            let shown = [one, other].map(|flow| timeouts.may_be_over(protocol, &flow, idle));
            assert!(shown[0] || shown[1]);
        }
        // What goes by the host may have no other direction.
        if one.via == Via::Host as u8 && idle > timeouts.get(Timeout::of(protocol, &one, &Flow::default())) {
            assert!(timeouts.may_be_over(protocol, &one, idle));
        }
    }
}
