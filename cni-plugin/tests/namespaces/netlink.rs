//! The kernel's own words: reasons, tolerated failures, listings that change while they are made.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use caracal_cni_plugin::netlink::{
    Batch, RouteSpec, Socket, addresses_of, device_towards, link_by_index, link_by_name, link_up, route_add, routes_of,
};
use nix::errno::Errno;

use crate::node::{Node, conf};

fn route(dst: &str) -> RouteSpec {
    RouteSpec::new(dst.parse().unwrap(), 1)
}

#[test]
fn a_refusal_says_what_and_why() {
    let _node = Node::enter();
    let mut socket = Socket::open().unwrap();
    let nowhere = RouteSpec { index: 4711, ..route("10.9.0.0/16") };
    let batch = Batch::from_iter([link_up(1), route_add(&nowhere), link_up(4712)]);
    let said = socket.execute(&batch).unwrap_err().to_string();
    assert!(said.starts_with("adding route to 10.9.0.0/16 over link number 4711: No such device"), "{said}");
    let multicast = RouteSpec { gateway: Some("224.0.0.1".parse().unwrap()), ..route("10.9.0.0/16") };
    let error = socket.execute(&Batch::from_iter([route_add(&multicast)])).unwrap_err();
    assert!(error.is(Errno::EINVAL));
    assert!(error.to_string().ends_with("(Nexthop has invalid gateway)"), "{error}");
}

#[test]
fn tolerated_failures_are_told_and_the_rest_is_done() {
    let _node = Node::enter();
    let mut socket = Socket::open().unwrap();
    let there = route_add(&route("10.9.0.0/16")).or(Errno::EEXIST);
    let batch = Batch::from_iter([there.clone(), there.clone(), route_add(&route("10.8.0.0/16")), there]);
    assert_eq!(socket.execute(&batch).unwrap(), [1, 3]);
    let destinations: Vec<_> = routes_of(&mut socket, 1).unwrap().iter().map(|route| route.dst.to_string()).collect();
    assert!(destinations.contains(&"10.8.0.0/16".to_owned()), "{destinations:?}");
    assert_eq!(socket.execute(&Batch::default()).unwrap(), [] as [usize; 0]);
}

#[test]
fn links_addresses_and_routes_read_back() {
    let node = Node::enter();
    let pod = node.pod("a");
    let result = pod.call("ADD", &conf("1.1.0", &["10.1.0.0/24", "fd00::/64"])).ok();
    let mut socket = Socket::open().unwrap();
    let host = link_by_name(&mut socket, result["interfaces"][0]["name"].as_str().unwrap()).unwrap().unwrap();
    assert_eq!(link_by_index(&mut socket, host.index).unwrap(), Some(host.clone()));
    assert_eq!(link_by_name(&mut socket, "nothing").unwrap(), None);
    assert_eq!(link_by_index(&mut socket, 4711).unwrap(), None);
    for (ip, expected) in [("10.1.0.2", Some(host.index)), ("fd00::2", Some(host.index)), ("198.51.100.1", None)] {
        assert_eq!(device_towards(&mut socket, ip.parse().unwrap()).unwrap(), expected, "{ip}");
    }
    let (addresses, routes) = pod.run(|| {
        let mut socket = Socket::open().unwrap();
        let index = link_by_name(&mut socket, "eth0").unwrap().unwrap().index;
        (addresses_of(&mut socket, index).unwrap(), routes_of(&mut socket, index).unwrap())
    });
    for address in ["10.1.0.2/32", "fd00::2/128"] {
        assert!(addresses.contains(&address.parse().unwrap()), "{addresses:?}");
    }
    for (dst, gateway) in [("0.0.0.0/0", "169.254.1.1"), ("::/0", "fe80::1")] {
        let gateway: IpAddr = gateway.parse().unwrap();
        let found = routes.iter().any(|route| route.dst == dst.parse().unwrap() && route.gateway == Some(gateway));
        assert!(found, "{dst}: {routes:?}");
    }
}

#[test]
fn a_listing_is_whole_although_it_changes_all_the_time() {
    let node = Node::enter();
    let mut socket = Socket::open().unwrap();
    // More than fits one datagram, so that changes come in between.
    let many: Batch = (0..600u16).map(|i| route_add(&route(&format!("10.{}.{}.0/24", i / 250, i % 250)))).collect();
    socket.execute(&many).unwrap();
    let (pod, conf) = (node.pod("a"), conf("1.1.0", &["10.250.0.0/24"]));
    let done = AtomicBool::new(false);
    // A thread starts in the namespaces of the one that starts it.
    thread::scope(|scope| {
        let changing = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                pod.call("ADD", &conf).ok();
                pod.call("DEL", &conf).ok();
            }
        });
        for _ in 0..100 {
            let routes = routes_of(&mut socket, 1).unwrap();
            assert_eq!(routes.iter().filter(|route| route.dst.prefix() == 24).count(), 600);
        }
        done.store(true, Ordering::Relaxed);
        changing.join().unwrap();
    });
}
