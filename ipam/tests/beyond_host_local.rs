//! What host-local's users get here beside what they know: exclusions, rest, STATUS and GC.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use binary::{answer, start};
use serde_json::json;
use site::every_version;

#[path = "support/binary.rs"]
mod binary;
#[expect(dead_code, reason = "other tests ask for more")]
#[path = "support/site.rs"]
mod site;

/// Code of a configuration that makes no sense.
const INVALID: u64 = 7;
/// Code of addresses that are not to be had.
const NO_ADDRESS: u64 = 101;

#[test]
fn excluded_addresses_are_never_given_also_not_by_name() {
    every_version(|site| {
        let ranges = json!([[{"subnet": "10.1.2.0/29", "exclude": ["10.1.2.2"]}], [{"subnet": "fd00::/64"}]]);
        let conf = site.conf(json!({"ranges": ranges, "exclude": ["10.1.2.4/31", "fd00::/112"]}));
        let ips: Vec<_> = ["a", "b"].iter().flat_map(|container| site.add(container, &conf)).collect();
        assert_eq!(ips, ["10.1.2.3/29", "fd00::1:0/64", "10.1.2.6/29", "fd00::1:1/64"]);
        let (code, msg) = site.refused("c", "", &conf);
        let full = "no IP addresses available in range set 10.1.2.1-10.1.2.6: 2 in use of 2, 0 cooling";
        assert_eq!((code, msg.as_str()), (NO_ADDRESS, full));
        site.del("a", "eth0", &conf);
        for (ips, excluded) in [("10.1.2.2", "10.1.2.2"), ("fd00::1:7,10.1.2.5", "10.1.2.5"), ("fd00::7", "fd00::7")] {
            let expected = format!("requested IP address {excluded} is excluded");
            assert_eq!(site.refused("c", &format!("IP={ips}"), &conf), (NO_ADDRESS, expected));
        }
        let (code, msg) = site.refused("c", "", &site.conf(json!({"subnet": "10.1.2.0/24", "exclude": ["10.1.2"]})));
        assert_eq!((code, msg.starts_with("ipam.exclude[0]: ")), (INVALID, true), "{msg}");
    });
}

#[test]
fn addresses_that_came_back_rest_as_long_as_there_are_others() {
    every_version(|site| {
        let conf = site.pool(&["10.1.2.0/29"]);
        site.add_to("a", "eth0", "IP=10.1.2.6", &conf);
        site.del("a", "eth0", &conf);
        let ips: Vec<_> = (0..5).flat_map(|i| site.add(&format!("c{i}"), &conf)).collect();
        assert_eq!(ips, ["10.1.2.2/29", "10.1.2.3/29", "10.1.2.4/29", "10.1.2.5/29", "10.1.2.6/29"]);
    });
}

#[test]
fn status_says_that_no_address_is_left_and_gc_brings_back_what_nobody_uses() {
    every_version(|site| {
        let mut conf = site.pool(&["10.1.2.0/30"]);
        site.add("a", &conf);
        let status = answer(start("STATUS", "", "", "", &conf)).document;
        conf["cni.dev/valid-attachments"] = json!([]);
        let gc = answer(start("GC", "", "", "", &conf));
        if site.version < "1.1.0" {
            assert_eq!((&status["code"], &gc.document["code"]), (&json!(1), &json!(1)));
            assert_eq!(site.held(), ["10.1.2.2"]);
            return;
        }
        let full = "no IP addresses available in range set 10.1.2.1-10.1.2.2: 1 in use of 1, 0 cooling";
        assert_eq!((&status["code"], &status["msg"]), (&json!(50), &json!(full)));
        assert_eq!((gc.exit, site.held()), (0, Vec::new()));
        assert_eq!(answer(start("STATUS", "", "", "", &conf)).exit, 0);
    });
}
