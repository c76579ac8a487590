use super::*;

fn spec(subnet: &str) -> RangeSpec {
    RangeSpec { subnet: subnet.parse().unwrap(), start: None, end: None, gateway: None, exclude: Vec::new() }
}

fn range(subnet: &str) -> Range {
    Range::new(&spec(subnet)).unwrap()
}

fn between(subnet: &str, start: &str, end: &str) -> Range {
    Range::new(&RangeSpec { start: Some(ip(start)), end: Some(ip(end)), ..spec(subnet) }).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn gateways(set: &RangeSet) -> Unavailable {
    Unavailable { reserved: set.ranges().iter().map(Range::gateway).collect(), ..Unavailable::default() }
}

#[test]
fn what_is_left_out_is_filled_in() {
    let v4 = range("10.1.2.0/24");
    assert_eq!((v4.to_string().as_str(), v4.gateway()), ("10.1.2.1-10.1.2.254", ip("10.1.2.1")));
    let v6 = range("fd00::/64");
    assert_eq!((v6.to_string().as_str(), v6.gateway()), ("fd00::1-fd00::ffff:ffff:ffff:ffff", ip("fd00::1")));
    assert_eq!(range("10.1.2.0/30").to_string(), "10.1.2.1-10.1.2.2");
}

#[test]
fn impossible_ranges_name_their_field() {
    let bad = |change: fn(&mut RangeSpec)| {
        let mut spec = spec("10.1.2.0/24");
        change(&mut spec);
        let InvalidRange { field, reason } = Range::new(&spec).unwrap_err();
        format!("{field}: {reason}")
    };
    assert_eq!(
        bad(|s| s.subnet = "10.1.2.3/24".parse().unwrap()),
        "subnet: 10.1.2.3/24 has host bits set; did you mean 10.1.2.0/24?"
    );
    for subnet in ["10.1.2.0/31", "10.1.2.0/32", "fd00::/127", "fd00::/128"] {
        let InvalidRange { field, reason } = Range::new(&spec(subnet)).unwrap_err();
        assert_eq!(field, "subnet");
        assert!(reason.starts_with(&format!("{subnet} is too small")), "{reason}");
    }
    for outside in ["10.1.3.1", "10.1.2.0", "10.1.2.255", "fd00::1"] {
        let expected = format!("{outside} is not a usable address of 10.1.2.0/24");
        let with = |start, end| Range::new(&RangeSpec { start, end, ..spec("10.1.2.0/24") }).unwrap_err();
        assert_eq!(with(Some(ip(outside)), None), InvalidRange { field: "rangeStart", reason: expected.clone() });
        assert_eq!(with(None, Some(ip(outside))), InvalidRange { field: "rangeEnd", reason: expected });
    }
    assert_eq!(
        bad(|s| (s.start, s.end) = (Some(ip("10.1.2.9")), Some(ip("10.1.2.8")))),
        "rangeEnd: comes before rangeStart 10.1.2.9"
    );
    assert_eq!(bad(|s| s.gateway = Some(ip("fe80::1"))), "gateway: fe80::1 is not of the same family as 10.1.2.0/24");
}

#[test]
fn a_gateway_may_be_outside_of_the_subnet() {
    let range = Range::new(&RangeSpec { gateway: Some(ip("10.9.9.9")), ..spec("10.1.2.0/24") }).unwrap();
    assert_eq!(range.gateway(), ip("10.9.9.9"));
}

#[test]
fn sets_hold_one_family_without_overlap() {
    assert_eq!(RangeSet::new(vec![]), Err(InvalidSet::Empty));
    assert_eq!(RangeSet::new(vec![range("10.0.0.0/24"), range("fd00::/64")]), Err(InvalidSet::MixedFamilies));
    let (one, other) = (range("10.0.0.0/24"), between("10.0.0.0/16", "10.0.0.254", "10.0.2.0"));
    let overlap = RangeSet::new(vec![one.clone(), other.clone()]).unwrap_err();
    assert_eq!(overlap.to_string(), "10.0.0.254-10.0.2.0 overlaps 10.0.0.1-10.0.0.254");
    // The same numbers in the other family are other addresses.
    assert!(!range("::a00:0/120").overlaps(&range("10.0.0.0/24")));
}

#[test]
fn picks_go_round_through_all_ranges_and_skip_gateways() {
    let set = RangeSet::new(vec![
        between("10.0.0.0/24", "10.0.0.1", "10.0.0.3"),
        between("10.0.1.0/24", "10.0.1.7", "10.0.1.8"),
    ])
    .unwrap();
    let unavailable = gateways(&set);
    let mut last = None;
    let mut picked = Vec::new();
    for _ in 0..5 {
        last = set.pick(last, &unavailable);
        picked.push(last.unwrap().to_string());
    }
    assert_eq!(picked, ["10.0.0.2", "10.0.0.3", "10.0.1.7", "10.0.1.8", "10.0.0.2"]);
    // A cursor from an older configuration counts as none.
    assert_eq!(set.pick(Some(ip("192.0.2.1")), &unavailable), Some(ip("10.0.0.2")));
    assert_eq!(set.size(), 5);
}

#[test]
fn picks_avoid_what_is_taken_and_take_the_coolest_last() {
    let set = RangeSet::new(vec![between("10.0.0.0/24", "10.0.0.2", "10.0.0.5")]).unwrap();
    let mut unavailable = gateways(&set);
    unavailable.taken.insert(ip("10.0.0.2"));
    unavailable.cooling = vec![ip("10.9.9.9"), ip("10.0.0.4"), ip("10.0.0.3")];
    assert_eq!(set.pick(None, &unavailable), Some(ip("10.0.0.5")));
    unavailable.taken.insert(ip("10.0.0.5"));
    assert_eq!(set.pick(None, &unavailable), Some(ip("10.0.0.4")));
    unavailable.taken.insert(ip("10.0.0.4"));
    assert_eq!(set.pick(None, &unavailable), Some(ip("10.0.0.3")));
    unavailable.taken.insert(ip("10.0.0.3"));
    assert_eq!(set.pick(None, &unavailable), None);
}

#[test]
fn excluded_addresses_are_not_picked_nor_counted() {
    let exclude = vec!["10.0.0.3/32".parse().unwrap(), "10.0.0.6/31".parse().unwrap()];
    let range = Range::new(&RangeSpec { exclude, ..spec("10.0.0.0/28") }).unwrap();
    assert!(range.excludes(ip("10.0.0.7")) && range.contains(ip("10.0.0.7")) && !range.excludes(ip("10.0.0.8")));
    let set =
        RangeSet::new(vec![range]).unwrap().excluding(&["10.0.0.8/29".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    assert_eq!(set.size(), 4);
    let mut unavailable = gateways(&set);
    let next = |last: &str, unavailable: &Unavailable| set.pick(Some(ip(last)), unavailable).unwrap().to_string();
    assert_eq!(next("10.0.0.2", &unavailable), "10.0.0.4");
    assert_eq!(next("10.0.0.5", &unavailable), "10.0.0.2");
    assert_eq!(next("10.0.0.7", &unavailable), "10.0.0.2", "given out before it was excluded");
    unavailable.taken = ["10.0.0.2", "10.0.0.4", "10.0.0.5"].map(ip).into();
    unavailable.cooling = vec![ip("10.0.0.6"), ip("10.0.0.3")];
    assert_eq!(set.pick(None, &unavailable), None, "not even when there is no other");
}

#[test]
fn exclusions_that_cannot_be_meant_are_refused() {
    let refused = |subnet: &str, exclude: &str| {
        let spec = RangeSpec { exclude: vec![exclude.parse().unwrap()], ..spec(subnet) };
        let InvalidRange { field, reason } = Range::new(&spec).unwrap_err();
        format!("{field}: {reason}")
    };
    assert_eq!(refused("10.0.0.0/24", "10.0.1.1/32"), "exclude: 10.0.1.1/32 is not in 10.0.0.0/24");
    assert_eq!(refused("10.0.0.0/24", "fd00::1/128"), "exclude: fd00::1/128 is not in 10.0.0.0/24");
    assert_eq!(refused("10.0.0.0/24", "10.0.0.0/24"), "exclude: leaves no address of 10.0.0.1-10.0.0.254");
    let half: IpNetwork = "fd00::8000:0:0:0/65".parse().unwrap();
    let range = Range::new(&RangeSpec { exclude: vec![half], ..spec("fd00::/64") }).unwrap();
    assert_eq!(RangeSet::new(vec![range]).unwrap().size(), (1 << 63) - 1);
}

#[test]
fn a_slash_64_is_not_walked_and_the_end_of_all_addresses_is_an_end() {
    let set = RangeSet::new(vec![range("fd00::/64")]).unwrap();
    let unavailable = gateways(&set);
    assert_eq!(set.pick(None, &unavailable), Some(ip("fd00::2")));
    assert_eq!(set.pick(Some(ip("fd00::8000:0:0:1")), &unavailable), Some(ip("fd00::8000:0:0:2")));
    assert_eq!(set.pick(Some(ip("fd00::ffff:ffff:ffff:ffff")), &unavailable), Some(ip("fd00::2")));
    let top = RangeSet::new(vec![range("ffff:ffff:ffff:ffff::/64")]).unwrap();
    let last = ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_eq!(top.pick(Some(last), &gateways(&top)), Some(ip("ffff:ffff:ffff:ffff::2")));
    assert_eq!(RangeSet::new(vec![range("::/0")]).unwrap().size(), u128::MAX);
}
