//! What users of host-local rely on, behaviour by behaviour: the real binary, in every version of the specification.
//! What is done here beyond that is in `beyond_host_local.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use binary::{answer, start};
use serde_json::json;
use site::{Site, every_version};

#[path = "support/binary.rs"]
mod binary;
#[path = "support/site.rs"]
mod site;

/// Code of a configuration that makes no sense.
const INVALID: u64 = 7;
/// Code of addresses that are not to be had.
const NO_ADDRESS: u64 = 101;

#[test]
fn an_ipv4_address_is_given_and_taken_back() {
    every_version(|site| {
        let conf = site.pool(&["10.1.2.0/24"]);
        assert_eq!(site.add("a", &conf), ["10.1.2.2/24"]);
        assert_eq!(site.held(), ["10.1.2.2"]);
        site.del("a", "eth0", &conf);
        assert_eq!(site.held(), [] as [String; 0]);
    });
}

#[test]
fn an_ipv6_address_is_given_and_taken_back() {
    every_version(|site| {
        let conf = site.pool(&["2001:db8:1::/64"]);
        assert_eq!(site.add("a", &conf), ["2001:db8:1::2/64"]);
        site.del("a", "eth0", &conf);
        assert_eq!(site.held(), [] as [String; 0]);
    });
}

#[test]
fn every_range_set_gives_one_in_order() {
    every_version(|site| {
        let conf = site.pool(&["2001:db8:1::/64", "10.1.2.0/24"]);
        assert_eq!(site.add("a", &conf), ["2001:db8:1::2/64", "10.1.2.2/24"]);
        assert_eq!(site.add("b", &conf), ["2001:db8:1::3/64", "10.1.2.3/24"]);
        site.del("a", "eth0", &conf);
        assert_eq!(site.held(), ["10.1.2.3", "2001:db8:1::3"]);
    });
}

#[test]
fn the_single_subnet_of_old_configurations_is_the_first_set() {
    every_version(|site| {
        let conf = site.conf(json!({"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "gateway": "10.1.2.254"}));
        let answer = answer(start("ADD", "a", "eth0", "", &conf));
        assert_eq!(answer.document["ips"][0]["address"], "10.1.2.9/24");
        assert_eq!(answer.document["ips"][0]["gateway"], "10.1.2.254");
        let mixed = site.conf(json!({"subnet": "10.1.2.0/24", "ranges": [[{"subnet": "fd00::/64"}]]}));
        assert_eq!(site.add("b", &mixed), ["10.1.2.10/24", "fd00::2/64"]);
    });
}

#[test]
fn the_runtimes_ranges_come_first() {
    every_version(|site| {
        let mut conf = site.conf(json!({"subnet": "10.1.2.0/24", "ranges": [[{"subnet": "fd00::/64"}]]}));
        conf["runtimeConfig"] = json!({"ipRanges": [[{"subnet": "10.9.0.0/24"}], [{"subnet": "10.8.0.0/24"}]]});
        assert_eq!(site.add("a", &conf), ["10.9.0.2/24", "10.8.0.2/24", "10.1.2.2/24", "fd00::2/64"]);
    });
}

#[test]
fn a_full_range_falls_over_to_the_next_of_its_set() {
    every_version(|site| {
        let conf = site.conf(json!({"ranges": [[{"subnet": "10.1.2.0/30"}, {"subnet": "10.1.4.0/30"}]]}));
        assert_eq!(site.add("a", &conf), ["10.1.2.2/30"]);
        assert_eq!(site.add("b", &conf), ["10.1.4.2/30"]);
    });
}

#[test]
fn turns_go_on_from_the_last_and_wrap() {
    every_version(|site| {
        let conf = site.pool(&["10.1.2.0/29"]);
        for (container, ip) in [("a", "10.1.2.2/29"), ("b", "10.1.2.3/29")] {
            assert_eq!(site.add(container, &conf), [ip]);
            site.del(container, "eth0", &conf);
        }
        let ips: Vec<_> = ["c", "d", "e", "f"].iter().flat_map(|container| site.add(container, &conf)).collect();
        assert_eq!(ips, ["10.1.2.4/29", "10.1.2.5/29", "10.1.2.6/29", "10.1.2.2/29"]);
    });
}

#[test]
fn turns_go_round_through_all_ranges_of_a_set() {
    every_version(|site| {
        let ranges = json!([[{"subnet": "10.1.2.0/29", "rangeEnd": "10.1.2.3"}, {"subnet": "10.1.4.0/29", "rangeEnd": "10.1.4.2"}]]);
        let conf = site.conf(json!({"ranges": ranges}));
        let mut ips = Vec::new();
        for _ in 0..4 {
            ips.extend(site.add("a", &conf));
            site.del("a", "eth0", &conf);
        }
        assert_eq!(ips, ["10.1.2.2/29", "10.1.2.3/29", "10.1.4.2/29", "10.1.2.2/29"]);
    });
}

#[test]
fn network_broadcast_and_gateway_are_never_given() {
    every_version(|site| {
        let conf = site.conf(json!({"ranges": [[{"subnet": "10.1.2.0/29", "gateway": "10.1.2.4"}]]}));
        let ips: Vec<_> = (0..5).flat_map(|i| site.add(&format!("c{i}"), &conf)).collect();
        assert_eq!(ips, ["10.1.2.1/29", "10.1.2.2/29", "10.1.2.3/29", "10.1.2.5/29", "10.1.2.6/29"]);
        assert_eq!(site.refused("more", "", &conf).0, NO_ADDRESS);
    });
}

#[test]
fn an_exhausted_set_says_so_and_gives_nothing() {
    every_version(|site| {
        let conf = site.pool(&["10.1.2.0/24", "10.1.4.0/30"]);
        site.add("a", &conf);
        let (code, msg) = site.refused("b", "", &conf);
        let expected = "no IP addresses available in range set 10.1.4.1-10.1.4.2: 1 in use of 1, 0 cooling";
        assert_eq!((code, msg.as_str()), (NO_ADDRESS, expected));
        assert_eq!(site.held(), ["10.1.2.2", "10.1.4.2"], "the other set's address is not kept");
        site.del("b", "eth0", &conf);
        site.del("a", "eth0", &conf);
        assert_eq!(site.add("b", &conf)[1], "10.1.4.2/30");
    });
}

#[test]
fn the_default_gateway_is_the_first_address_and_one_outside_is_allowed() {
    every_version(|site| {
        let ranges = json!([[{"subnet": "10.1.2.0/24"}], [{"subnet": "fd00::/64", "gateway": "fd11::9"}]]);
        let conf = site.conf(json!({"ranges": ranges}));
        let answer = answer(start("ADD", "a", "eth0", "", &conf));
        let gateways: Vec<_> = answer.document["ips"].as_array().unwrap().iter().map(|ip| &ip["gateway"]).collect();
        assert_eq!(gateways, ["10.1.2.1", "fd11::9"]);
    });
}

#[test]
fn ranges_that_cannot_be_are_refused_by_field() {
    let cases = [
        (json!([[{"subnet": "10.1.2.3/24"}]]), "ipam.ranges[0][0].subnet: 10.1.2.3/24 has host bits set"),
        (json!([[{"subnet": "10.1.2.0/31"}]]), "ipam.ranges[0][0].subnet: 10.1.2.0/31 is too small"),
        (json!([[{"subnet": "10.1.2.0/32"}]]), "ipam.ranges[0][0].subnet: 10.1.2.0/32 is too small"),
        (json!([[{"subnet": "fd00::/127"}]]), "ipam.ranges[0][0].subnet: fd00::/127 is too small"),
        (json!([[{"subnet": "fd00::/128"}]]), "ipam.ranges[0][0].subnet: fd00::/128 is too small"),
        (
            json!([[{"subnet": "10.1.2.0/24", "rangeStart": "10.1.3.1"}]]),
            "ipam.ranges[0][0].rangeStart: 10.1.3.1 is not",
        ),
        (
            json!([[{"subnet": "10.1.2.0/24", "rangeEnd": "10.1.1.255"}]]),
            "ipam.ranges[0][0].rangeEnd: 10.1.1.255 is not",
        ),
        (
            json!([[{"subnet": "10.1.2.0/24", "rangeStart": "10.1.2.9", "rangeEnd": "10.1.2.8"}]]),
            "ipam.ranges[0][0].rangeEnd: comes before rangeStart 10.1.2.9",
        ),
        (json!([[{"subnet": "10.1.2.0/24"}, {"subnet": "fd00::/64"}]]), "ipam.ranges[0]: mixes IPv4 and IPv6"),
        (
            json!([[{"subnet": "10.1.2.0/24"}, {"subnet": "10.1.2.0/25"}]]),
            "ipam.ranges[0]: 10.1.2.1-10.1.2.126 overlaps",
        ),
        (
            json!([[{"subnet": "10.1.2.0/24"}], [{"subnet": "10.1.0.0/16"}]]),
            "ipam.ranges[1]: 10.1.0.1-10.1.255.254 overlaps",
        ),
        (json!([]), "ipam.ranges: is missing"),
        (json!([[]]), "ipam.ranges[0]: must not be empty"),
        (json!([[{"rangeStart": "10.1.2.3"}]]), "ipam.ranges[0][0].subnet: is missing"),
    ];
    every_version(|site| {
        for (ranges, expected) in &cases {
            let (code, msg) = site.refused("a", "", &site.conf(json!({"ranges": ranges})));
            assert_eq!((code, msg.starts_with(expected)), (INVALID, true), "{msg}");
        }
        assert_eq!(site.held(), [] as [String; 0]);
    });
}

#[test]
fn several_addresses_of_a_family_need_a_version_that_can_tell_them() {
    for version in ["0.1.0", "0.2.0"] {
        let site = Site::new(version);
        let answer = answer(start("ADD", "a", "eth0", "", &site.pool(&["10.1.2.0/24", "10.1.4.0/24"])));
        assert_eq!(answer.document["code"], 1);
        assert_eq!(site.held(), [] as [String; 0]);
    }
}

#[test]
fn requested_addresses_are_honoured_wherever_they_are_asked_for() {
    every_version(|site| {
        let mut conf = site.pool(&["10.1.2.0/24", "fd00::/64"]);
        assert_eq!(site.add_to("a", "eth0", "IgnoreUnknown=1;IP=10.1.2.88", &conf), ["10.1.2.88/24", "fd00::2/64"]);
        let both = "IP=fd00::99/64,10.1.2.99";
        assert_eq!(site.add_to("b", "eth0", both, &conf), ["10.1.2.99/24", "fd00::99/64"]);
        conf["args"] = json!({"cni": {"ips": ["10.1.2.77/24"]}});
        assert_eq!(site.add_to("c", "eth0", both, &conf), ["10.1.2.77/24", "fd00::3/64"]);
        conf["runtimeConfig"] = json!({"ips": ["10.1.2.66", "fd00::66/64"]});
        assert_eq!(site.add_to("d", "eth0", both, &conf), ["10.1.2.66/24", "fd00::66/64"]);
    });
}

#[test]
fn requests_that_cannot_be_met_leave_nothing_behind() {
    every_version(|site| {
        let conf = site.pool(&["10.1.2.0/24", "10.1.4.0/24"]);
        site.add_to("holder", "eth0", "IP=10.1.4.9", &conf);
        let before = site.held();
        let left_over = "is in no range, or its range set serves another requested address";
        for (ips, expected) in [
            ("10.1.2.9,10.1.4.9", "requested IP address 10.1.4.9 is in use".to_owned()),
            ("10.1.2.9,10.1.4.1", "requested IP address 10.1.4.1 is a gateway".to_owned()),
            ("10.1.2.9,10.1.5.9", format!("requested IP address 10.1.5.9 {left_over}")),
            ("10.1.2.9,10.1.2.10", format!("requested IP address 10.1.2.10 {left_over}")),
            ("10.1.2.0", format!("requested IP address 10.1.2.0 {left_over}")),
            ("10.1.2.255", format!("requested IP address 10.1.2.255 {left_over}")),
        ] {
            assert_eq!(site.refused("a", &format!("IP={ips}"), &conf), (NO_ADDRESS, expected));
            assert_eq!(site.held(), before);
        }
        let (code, msg) = site.refused("a", "IP=10.1.2", &conf);
        assert_eq!((code, msg.starts_with("CNI_ARGS: IP: \"10.1.2\": ")), (INVALID, true), "{msg}");
        assert_eq!(site.add("a", &conf)[0], "10.1.2.3/24", "and nothing stands in its own way");
    });
}

#[test]
fn a_second_add_is_refused_and_the_first_stays() {
    every_version(|site| {
        let conf = site.pool(&["10.1.2.0/24"]);
        site.add("a", &conf);
        let (code, msg) = site.refused("a", "", &conf);
        assert_eq!((code, msg.starts_with("a:eth0 has addresses already")), (100, true), "{msg}");
        assert_eq!(site.held(), ["10.1.2.2"]);
        assert_ne!(site.check("a", &conf), Some(false));
    });
}

#[test]
fn interfaces_of_a_container_are_apart() {
    every_version(|site| {
        let conf = site.pool(&["10.1.2.0/24"]);
        assert_eq!(site.add_to("a", "eth0", "", &conf), ["10.1.2.2/24"]);
        assert_eq!(site.add_to("a", "eth1", "", &conf), ["10.1.2.3/24"]);
        site.del("a", "eth0", &conf);
        assert_eq!(site.held(), ["10.1.2.3"]);
    });
}

#[test]
fn what_was_never_given_can_be_taken_back() {
    every_version(|site| {
        let conf = site.pool(&["10.1.2.0/24"]);
        site.del("unknown", "eth0", &conf);
        site.add("a", &conf);
        site.del("unknown", "eth0", &conf);
        site.del("a", "eth0", &conf);
        site.del("a", "eth0", &conf);
        assert_eq!(site.held(), [] as [String; 0]);
    });
}

#[test]
fn the_first_use_of_a_directory_is_no_news() {
    every_version(|site| {
        let conf = site.pool(&["10.1.2.0/24"]);
        for verb in ["ADD", "DEL"] {
            assert_eq!(answer(start(verb, "a", "eth0", "", &conf)).stderr, "");
        }
    });
}

#[test]
fn white_space_around_a_container_in_host_locals_files_is_none() {
    every_version(|site| {
        site.host_local("10.1.2.2", " a\t\r\neth0 \n");
        let conf = site.pool(&["10.1.2.0/24"]);
        assert_ne!(site.check("a", &conf), Some(false));
        assert_eq!(site.add("b", &conf), ["10.1.2.3/24"]);
        site.del("a", "eth0", &conf);
        assert_eq!(site.held(), ["10.1.2.3"]);
        assert!(!site.dir.path().join("host-local/10.1.2.2").exists());
        // In the environment the specification does not allow it.
        let answer = answer(start("ADD", " a ", "eth0", "", &conf));
        assert_eq!(answer.document["code"], 4);
    });
}

#[test]
fn files_of_the_old_format_are_recognised() {
    every_version(|site| {
        site.host_local("10.1.2.2", "a");
        let conf = site.pool(&["10.1.2.0/24"]);
        assert_ne!(site.check("a", &conf), Some(false));
        site.add("b", &conf);
        assert_ne!(site.check("a", &conf), Some(false));
        site.del("a", "eth7", &conf);
        assert_eq!(site.held(), ["10.1.2.3"]);
    });
}

#[test]
fn routes_are_passed_on() {
    every_version(|site| {
        let routes = json!([{"dst": "0.0.0.0/0"}, {"dst": "192.168.0.0/16", "gw": "1.1.1.1"}, {"dst": "::/0"}]);
        let conf = site.conf(json!({"subnet": "10.1.2.0/24", "routes": routes}));
        assert_eq!(answer(start("ADD", "a", "eth0", "", &conf)).document["routes"], routes);
    });
}

#[test]
fn resolver_settings_come_from_a_file_that_must_be_there() {
    every_version(|site| {
        let file = site.dir.path().join("resolv.conf");
        let conf = site.conf(json!({"subnet": "10.1.2.0/24", "resolvConf": file}));
        let (code, msg) = site.refused("a", "", &conf);
        assert_eq!((code, msg.starts_with("ipam.resolvConf: ")), (5, true), "{msg}");
        assert_eq!(site.held(), [] as [String; 0]);
        fs::write(&file, "nameserver 192.0.2.3\ndomain a.example\nsearch b.example\noptions ndots:2\n").unwrap();
        let dns = json!({"nameservers": ["192.0.2.3"], "domain": "a.example", "search": ["b.example"], "options": ["ndots:2"]});
        assert_eq!(answer(start("ADD", "a", "eth0", "", &conf)).document["dns"], dns);
    });
}

#[test]
fn the_store_is_where_it_shall_be() {
    every_version(|site| {
        let dir = site.dir.path().join("deep/elsewhere");
        let conf = site.conf(json!({"subnet": "10.1.2.0/24", "dataDir": dir}));
        site.add("a", &conf);
        assert!(dir.join("net/10.1.2.2").exists());
        assert_eq!(site.held(), [] as [String; 0]);
    });
}

#[test]
fn check_fails_without_a_reservation() {
    every_version(|site| {
        let conf = site.pool(&["10.1.2.0/24"]);
        assert_ne!(site.check("a", &conf), Some(true));
        site.add("a", &conf);
        assert_ne!(site.check("a", &conf), Some(false));
        site.del("a", "eth0", &conf);
        assert_ne!(site.check("a", &conf), Some(true));
    });
}
