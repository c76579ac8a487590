//! Walk 12: routes that lead nowhere.

use std::net::IpAddr;

use caracal_lab::{Site, wait_until};

use super::{DIRECT, MASQUERADE, PATIENCE, builder};

#[test]
fn walk_12_routes_to_nowhere_drop_and_those_that_refuse_answer() {
    for (name, args) in [("walk-12-nowhere", &DIRECT[..]), ("walk-12-nowhere-masq", &MASQUERADE)] {
        let cluster = builder(name, 1, args).start().unwrap();
        let node = cluster.node("n1");
        let a = node.pod("a").unwrap();
        // The host's answers: of unreachable networks and of what is forbidden.
        let cases: [(_, _, Option<(u8, u8)>); 6] = [
            ("blackhole", "198.51.100.0/24", None),
            ("unreachable", "203.0.113.0/24", Some((3, 1))),
            ("prohibit", "192.0.2.0/24", Some((3, 13))),
            ("blackhole", "2001:db8:1::/48", None),
            ("unreachable", "2001:db8:2::/48", Some((1, 0))),
            ("prohibit", "2001:db8:3::/48", Some((1, 1))),
        ];
        for (kind, network, answer) in cases {
            node.run("ip", ["route", "add", kind, network]).unwrap();
            let first = network.split('/').next().unwrap();
            let to = first.strip_suffix(".0").map_or_else(|| format!("{first}7"), |net| format!("{net}.7"));
            let to: IpAddr = to.parse().unwrap();
            let before = cluster.counted("n1", "no_route").unwrap();
            let error = a.ping(to).unwrap_err();
            assert_eq!(error.icmp(), answer, "{kind}: {error}");
            let dropped = cluster.counted("n1", "no_route").unwrap() - before;
            assert_eq!(dropped, u64::from(answer.is_none()), "{kind} {network}");
        }
        cluster.end().unwrap();
    }
}

#[test]
fn walk_12_where_nobody_answers_for_the_next_hop_the_way_is_found_when_somebody_does() {
    let cluster = super::with_outside("walk-12-arp", 1, &DIRECT);
    let a = cluster.node("n1").pod("a").unwrap();
    let outside = cluster.client("outside");
    for (absent, prefix) in [("172.31.0.200", 16), ("fd00:1ab::200", 48)] {
        let to: IpAddr = absent.parse().unwrap();
        assert!(a.ping(to).is_err());
        outside.run("ip", ["address", "add", &format!("{absent}/{prefix}"), "dev", "eth0", "nodad"]).unwrap();
        wait_until("the neighbour", PATIENCE, || a.ping(to).is_ok()).unwrap();
    }
    cluster.end().unwrap();
}
