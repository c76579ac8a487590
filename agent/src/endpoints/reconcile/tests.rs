use caracal_datapath::abi::Mac;

use super::*;

const POD_MAC: Mac = Mac([6, 0, 0, 0, 0, 1]);
const HOST_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn known(id: &str, ifindex: u32, addresses: &[&str]) -> Known {
    let record = Record {
        host_ifindex: Some(ifindex),
        host_mac: HOST_MAC.to_string(),
        pod_mac: POD_MAC.to_string(),
        addresses: ips(addresses),
        complete: true,
        ..Record::default()
    };
    Known { network: "net".to_owned(), attachment: format!("{id}:eth0").parse().unwrap(), record }
}

fn chained(mut known: Known) -> Known {
    known.record.chained = true;
    known
}

fn endpoint(ifindex: u32) -> Endpoint {
    Endpoint { ifindex, pod_mac: POD_MAC, host_mac: HOST_MAC, ..Endpoint::default() }
}

fn link(index: u32, kind: &str) -> (u32, Link) {
    let link = Link {
        index,
        name: String::new(),
        kind: kind.to_owned(),
        mac: Some(HOST_MAC),
        mtu: 1500,
        peer: None,
        peer_nsid: None,
        is_up: true,
        is_operational: true,
    };
    (index, link)
}

/// Two pods as they should be: one of ours, one of another plugin's.
fn right() -> Seen {
    let endpoints = [("10.1.0.2", 7), ("fd00::2", 7), ("10.1.0.3", 8)];
    Seen {
        endpoints: endpoints.iter().map(|(ip, index)| (ip.parse().unwrap(), endpoint(*index))).collect(),
        owners: [7].into(),
        pins: [7, 8].into(),
        known: vec![known("a", 7, &["10.1.0.2", "fd00::2"]), chained(known("b", 8, &["10.1.0.3"]))],
        links: [link(7, VETH), link(8, VETH)].into(),
    }
}

fn after(change: impl FnOnce(&mut Seen)) -> Vec<Mending> {
    let mut seen = right();
    change(&mut seen);
    mendings(&seen)
}

fn missing(seen: &Seen, position: usize, addresses: &[&str]) -> Mending {
    Mending::Missing(Box::new(seen.known[position].clone()), ips(addresses))
}

#[test]
fn what_is_right_is_left_alone_whatever_its_flags_are() {
    assert_eq!(after(|_| {}), []);
    assert_eq!(after(|seen| seen.endpoints.values_mut().for_each(|it| it.flags = Endpoint::QUEUED)), []);
}

#[test]
fn of_links_that_are_gone_nothing_stays() {
    assert_eq!(after(|seen| drop(seen.links.remove(&7))), [Mending::Gone(7)], "its DEL is still to come");
    let orphan = Mending::Orphan(Box::new(right().known[1].clone()));
    assert_eq!(after(|seen| drop(seen.links.remove(&8))), [Mending::Gone(8), orphan.clone()]);
    let all_but_the_record = |seen: &mut Seen| {
        seen.links.remove(&8);
        seen.pins.remove(&8);
        seen.endpoints.retain(|_, endpoint| endpoint.ifindex != 8);
    };
    assert_eq!(after(all_but_the_record), [orphan]);
    let leave: [fn(&mut Seen); 2] = [|seen| seen.pins.extend([9]), |seen| seen.owners.extend([9])];
    for leave in leave {
        assert_eq!(after(leave), [Mending::Gone(9)]);
    }
}

#[test]
fn what_is_missing_or_altered_is_put_back() {
    let ip: IpAddr = "fd00::2".parse().unwrap();
    let table: [fn(&mut Seen, &IpAddr); 5] = [
        |seen, ip| seen.endpoints.retain(|known, _| known != ip),
        |seen, ip| seen.endpoints.get_mut(ip).unwrap().ifindex = 9,
        |seen, ip| seen.endpoints.get_mut(ip).unwrap().ifindex = 8,
        |seen, ip| seen.endpoints.get_mut(ip).unwrap().pod_mac = HOST_MAC,
        |seen, ip| seen.endpoints.get_mut(ip).unwrap().host_mac = POD_MAC,
    ];
    for change in table {
        let mut found = after(|seen| change(seen, &ip));
        found.retain(|mending| *mending != Mending::Gone(9));
        assert_eq!(found, [missing(&right(), 0, &["fd00::2"])]);
    }
}

#[test]
fn an_add_that_runs_is_left_alone() {
    assert_eq!(
        after(|seen| {
            seen.known[0].record.complete = false;
            seen.endpoints.clear();
            seen.known.truncate(1);
        }),
        []
    );
}

#[test]
fn an_address_that_another_living_pod_has_by_now_is_not_taken_from_it() {
    let reused = |seen: &mut Seen| {
        seen.known.push(chained(known("c", 9, &["10.1.0.3"])));
        seen.links.extend([link(9, VETH)]);
        seen.endpoints.insert("10.1.0.3".parse().unwrap(), endpoint(9));
    };
    assert_eq!(after(reused), []);
    let mut gone = right();
    reused(&mut gone);
    gone.links.remove(&9);
    let third = Mending::Orphan(Box::new(gone.known[2].clone()));
    assert_eq!(mendings(&gone), [Mending::Gone(9), missing(&gone, 1, &["10.1.0.3"]), third]);
}

#[test]
fn a_pod_whose_record_is_lost_goes_on_and_what_is_no_pod_goes() {
    let add = |kind: &'static str| {
        after(move |seen| {
            seen.endpoints.insert("10.1.0.9".parse().unwrap(), endpoint(9));
            seen.links.extend([link(9, kind)]);
        })
    };
    assert_eq!(add(VETH), []);
    assert_eq!(add(""), [Mending::Stray(9)]);
}

#[test]
fn a_removal_of_a_link_that_is_attached_again_is_not_worked_off() {
    let removal = |host_ifindex| Removal { host_ifindex, ..Removal::default() };
    let known = [known("a", 7, &[]), Known { record: Record::default(), ..known("b", 0, &[]) }];
    assert!(is_attached(&removal(Some(7)), &known));
    assert!(!is_attached(&removal(Some(9)), &known));
    assert!(!is_attached(&removal(None), &known));
}
