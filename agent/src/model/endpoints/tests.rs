use super::*;
use crate::model::{NamedPort, Protocol};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

fn pod(addresses: &[&str], http: u16) -> Pod {
    Pod {
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        labels: labels(&[("app", "web"), ("tier", "front")]),
        ports: [NamedPort { name: "http".into(), protocol: Protocol::Tcp, port: http }].into(),
        is_ready: Some(true),
        node: Some("n1".into()),
        ..Pod::default()
    }
}

fn port(name: &str, protocol: Protocol, target: Target) -> ServicePort {
    ServicePort { name: name.into(), protocol, port: 80, node_port: None, target }
}

fn service(ports: &[ServicePort]) -> Service {
    Service {
        cluster_ips: ["10.96.0.1".parse().unwrap(), "fd00:96::1".parse().unwrap()].into(),
        ports: ports.into(),
        selector: Some(labels(&[("app", "web")])),
        ..Service::default()
    }
}

fn http() -> ServicePort {
    port("http", Protocol::Tcp, Target::Name("http".into()))
}

/// Slices as `port names and numbers: addresses and conditions`.
fn slices(service: &Service, pods: &[(&str, Pod)]) -> Vec<String> {
    let pods: Vec<(Name, Arc<Pod>)> =
        pods.iter().map(|(name, pod)| (Name::new("shop", *name), Arc::new(pod.clone()))).collect();
    let other = (Name::new("other", "web"), Arc::new(pod(&["10.9.9.9"], 1)));
    let (node, zone) = ("n1".into(), "z1".into());
    let pods = pods.iter().chain([&other]).map(|(name, pod)| (name, pod));
    let selectable = Selectable::new(pods, [(&node, &zone)]);
    let slices = selectable.slices(&Name::new("shop", "web"), service);
    slices.iter().map(|(name, slice)| format!("{} {}", name.name, shown(slice))).collect()
}

fn shown(slice: &EndpointSlice) -> String {
    assert_eq!(slice.service.as_deref(), Some("web"));
    let ports: Vec<String> =
        slice.ports.iter().map(|port| format!("{}/{} {}", port.name, port.protocol, port.port)).collect();
    let endpoints = slice.endpoints.iter().map(|endpoint| {
        assert_eq!(endpoint.zone.as_deref(), endpoint.node.as_ref().map(|_| "z1"));
        let conditions =
            [(endpoint.ready, "ready"), (endpoint.serving, "serving"), (endpoint.terminating, "terminating")];
        let conditions: Vec<&str> = conditions.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        format!("{} {}", endpoint.address, conditions.join("+"))
    });
    format!("{}: {}", ports.join(", "), endpoints.collect::<Vec<_>>().join(", "))
}

#[test]
fn pods_that_are_selected_are_endpoints_in_each_family() {
    let pods = [
        ("a", pod(&["10.1.0.1", "fd00::1"], 8080)),
        ("b", pod(&["10.1.0.2", "fd00::2"], 8080)),
        ("c", Pod { labels: labels(&[("app", "api")]), ..pod(&["10.1.0.3"], 8080) }),
    ];
    let expected = [
        "web.ipv4-0 http/TCP 8080: 10.1.0.1 ready+serving, 10.1.0.2 ready+serving",
        "web.ipv6-1 http/TCP 8080: fd00::1 ready+serving, fd00::2 ready+serving",
    ];
    assert_eq!(slices(&service(&[http()]), &pods), expected);
    let v4_only = Service { cluster_ips: ["10.96.0.1".parse().unwrap()].into(), ..service(&[http()]) };
    assert_eq!(slices(&v4_only, &pods), expected[..1]);
    let headless = Service { cluster_ips: [].into(), is_headless: true, ..service(&[http()]) };
    assert_eq!(slices(&headless, &pods), expected);
}

#[test]
fn conditions_are_those_of_the_pods() {
    let pods = [
        ("a", Pod { is_ready: Some(false), ..pod(&["10.1.0.1"], 1) }),
        ("b", Pod { is_terminating: true, ..pod(&["10.1.0.2"], 1) }),
        ("c", Pod { is_terminating: true, is_ready: Some(false), ..pod(&["10.1.0.3"], 1) }),
        ("d", Pod { has_ended: true, ..pod(&["10.1.0.4"], 1) }),
        ("e", Pod { is_ready: None, node: None, ..pod(&["10.1.0.5"], 1) }),
        ("f", pod(&[], 1)),
        ("g", Pod { host_network: true, ..pod(&["10.1.0.7"], 1) }),
    ];
    let told = slices(&service(&[http()]), &pods);
    let expected = "web.ipv4-0 http/TCP 1: 10.1.0.1 , 10.1.0.2 serving+terminating, 10.1.0.3 terminating, \
                    10.1.0.5 ready+serving, 10.1.0.7 ready+serving";
    assert_eq!(told, [expected]);
    let told = slices(&Service { publishes_not_ready: true, ..service(&[http()]) }, &pods[..3]);
    let expected =
        "web.ipv4-0 http/TCP 1: 10.1.0.1 ready, 10.1.0.2 ready+serving+terminating, 10.1.0.3 ready+terminating";
    assert_eq!(told, [expected]);
}

#[test]
fn ports_have_the_number_that_each_pod_has_for_them() {
    let ports =
        [http(), port("dns", Protocol::Udp, Target::Number(53)), port("none", Protocol::Tcp, Target::Name("x".into()))];
    let pods = [("a", pod(&["10.1.0.1"], 8080)), ("b", pod(&["10.1.0.2"], 9090)), ("c", pod(&["10.1.0.3"], 8080))];
    let expected = [
        "web.ipv4-0 http/TCP 8080, dns/UDP 53: 10.1.0.1 ready+serving, 10.1.0.3 ready+serving",
        "web.ipv4-1 http/TCP 9090, dns/UDP 53: 10.1.0.2 ready+serving",
    ];
    assert_eq!(slices(&service(&ports), &pods), expected);
    let udp = port("http", Protocol::Udp, Target::Name("http".into()));
    assert_eq!(slices(&service(&[udp]), &pods[..1]), ["web.ipv4-0 : 10.1.0.1 ready+serving"], "another protocol");
}

#[test]
fn services_that_select_nothing_get_no_endpoints() {
    let pods = [("a", pod(&["10.1.0.1"], 8080))];
    assert!(slices(&Service { selector: None, ..service(&[http()]) }, &pods).is_empty());
    assert!(slices(&Service { kind: ServiceType::ExternalName, ..service(&[http()]) }, &pods).is_empty());
    let both = Some(labels(&[("app", "web"), ("tier", "back")]));
    assert!(slices(&Service { selector: both, ..service(&[http()]) }, &pods).is_empty());
}
