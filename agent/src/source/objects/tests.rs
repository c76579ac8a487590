//! What is read of each kind, and what is told of those that cannot be read.

use std::sync::Arc;

use super::*;
use crate::model::{
    Endpoint, Hints, Labels, NamedPort, Pod, Protocol, Service, ServicePort, ServiceType, Target,
    policy::{Direction, IpBlock, Peer, PortOrName, Selector},
};

/// Reads YAML as JSON, which is what the API server sends.
fn read_text(kind: Kind, yaml: &str) -> Result<Object, String> {
    let value: serde_json::Value = serde_norway::from_str(yaml).unwrap();
    let from_json = read_json(kind, &value.to_string(), &mut Names::default());
    let from_yaml = read(kind, serde_norway::Deserializer::from_str(yaml), &mut Names::default());
    assert_eq!(from_json.as_ref().ok(), from_yaml.as_ref().ok(), "{yaml}");
    from_json
}

fn body(kind: Kind, yaml: &str) -> Body {
    read_text(kind, yaml).unwrap_or_else(|error| panic!("{error}: {yaml}")).body
}

macro_rules! body {
    ($kind:ident, $yaml:expr) => {
        match body(Kind::$kind, $yaml) {
            Body::$kind(body) => Arc::unwrap_or_clone(body),
            other => panic!("{other:?}"),
        }
    };
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().copied().collect()
}

#[test]
fn a_pod_is_read() {
    let pod = body!(
        Pod,
        "{metadata: {name: p, namespace: shop, labels: {app: web}, deletionTimestamp: '2026-01-01T00:00:00Z'},
          spec: {nodeName: n1, serviceAccountName: web, hostNetwork: false,
                 containers: [{ports: [{name: http, containerPort: 80}, {containerPort: 81}]}, {ports: null}],
                 initContainers: [{restartPolicy: Always, ports: [{name: dns, containerPort: 53, protocol: UDP}]},
                                  {ports: [{name: once, containerPort: 1}]}]},
          status: {phase: Running, podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}],
                   conditions: [{type: PodScheduled, status: 'True'}, {type: Ready, status: 'False'}]}}"
    );
    let ports = [
        NamedPort { name: "http".into(), protocol: Protocol::Tcp, port: 80 },
        NamedPort { name: "dns".into(), protocol: Protocol::Udp, port: 53 },
    ];
    let expected = Pod {
        node: Some("n1".into()),
        addresses: ["10.1.0.1".parse().unwrap(), "fd00::1".parse().unwrap()].into(),
        labels: labels(&[("app", "web")]),
        service_account: Some("web".into()),
        ports: ports.into(),
        is_terminating: true,
        is_ready: Some(false),
        ..Pod::default()
    };
    assert_eq!(pod, expected);
    let bare = body!(Pod, "{metadata: {name: p, labels: null, annotations: null}, spec: null, status: {podIP: ''}}");
    assert_eq!(bare, Pod::default());
    let ended = body!(Pod, "{metadata: {name: p}, status: {phase: Succeeded, podIP: 10.1.0.1}}");
    assert!(ended.has_ended && !ended.owns_addresses() && ended.addresses.len() == 1);
}

#[test]
fn a_node_is_read() {
    let node = body!(
        Node,
        "{metadata: {name: n, labels: {topology.kubernetes.io/zone: z}},
          spec: {podCIDR: 10.1.0.0/24, podCIDRs: null, taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]},
          status: {addresses: [{type: Hostname, address: n}, {type: InternalIP, address: 192.0.2.1},
                               {type: ExternalIP, address: 198.51.100.1}], images: [{names: [x]}]}}"
    );
    assert_eq!(node.pod_cidrs, ["10.1.0.0/24".parse().unwrap()]);
    assert_eq!(node.internal_ips, ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(node.external_ips, ["198.51.100.1".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!((node.zone.as_deref(), node.is_leaving), (Some("z"), true));
}

#[test]
fn a_service_is_read() {
    let service = body!(
        Service,
        "{metadata: {name: s, labels: {service.kubernetes.io/service-proxy-name: other},
                     annotations: {lb.projectcalico.org/external-traffic-strategy: maglev, example.org/x: [1]}},
          spec: {type: LoadBalancer, clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00::1'], externalIPs: [192.0.2.7],
                 loadBalancerSourceRanges: [' 192.0.2.0/24 '], selector: {app: web}, internalTrafficPolicy: Cluster,
                 externalTrafficPolicy: Local, sessionAffinity: ClientIP, healthCheckNodePort: 30000,
                 sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}, publishNotReadyAddresses: true,
                 ports: [{name: http, port: 80, targetPort: web, nodePort: 30080},
                         {name: dns, port: 53, protocol: UDP, targetPort: 5353}, {name: same, port: 7, targetPort: 0}]},
          status: {loadBalancer: {ingress: [{ip: 198.51.100.1}, {ip: 198.51.100.2, ipMode: Proxy},
                                            {ip: 198.51.100.3, ipMode: VIP}, {hostname: example.org}]}}}"
    );
    let port = |name: &str, protocol, port, node_port, target| ServicePort {
        name: name.into(),
        protocol,
        port,
        node_port,
        target,
    };
    let expected = Service {
        kind: ServiceType::LoadBalancer,
        cluster_ips: ["10.96.0.1".parse().unwrap(), "fd00::1".parse().unwrap()].into(),
        external_ips: ["192.0.2.7".parse().unwrap()].into(),
        balancer_ips: ["198.51.100.1".parse().unwrap(), "198.51.100.3".parse().unwrap()].into(),
        source_ranges: ["192.0.2.0/24".parse().unwrap()].into(),
        ports: [
            port("http", Protocol::Tcp, 80, Some(30080), Target::Name("web".into())),
            port("dns", Protocol::Udp, 53, None, Target::Number(5353)),
            port("same", Protocol::Tcp, 7, None, Target::Number(7)),
        ]
        .into(),
        selector: Some(labels(&[("app", "web")])),
        external_is_local: true,
        affinity_seconds: Some(5),
        health_port: Some(30000),
        publishes_not_ready: true,
        proxy_name: Some("other".into()),
        annotations: labels(&[("lb.projectcalico.org/external-traffic-strategy", "maglev")]),
        ..Service::default()
    };
    assert_eq!(service, expected);
    let headless =
        body!(Service, "{metadata: {name: s}, spec: {clusterIP: None, sessionAffinity: ClientIP, ports: null}}");
    assert!(headless.is_headless && headless.cluster_ips.is_empty());
    assert_eq!(headless.affinity_seconds, Some(10_800));
}

#[test]
fn a_slice_is_read() {
    let slice = body!(
        EndpointSlice,
        "{metadata: {name: s-1, labels: {kubernetes.io/service-name: s},
                     annotations: {endpoints.kubernetes.io/last-change-trigger-time: '2026-01-01T00:00:00Z'}},
          addressType: IPv4, ports: [{name: '', port: 80}, {name: none}, {name: zero, port: 0}, {name: null, port: 7, protocol: SCTP}],
          endpoints: [{addresses: [10.1.0.1, 10.1.0.2], nodeName: n1, zone: z, hints: {forZones: [{name: z}], forNodes: null}},
                      {addresses: [10.1.0.3], conditions: {ready: false, serving: true, terminating: true}},
                      {addresses: [10.1.0.4], conditions: {ready: false}},
                      {addresses: []}, {addresses: ['fd00::1']}, {addresses: [nonsense]}]}"
    );
    let endpoint = |address: &str, ready, serving, terminating| Endpoint {
        address: address.parse().unwrap(),
        ready,
        serving,
        terminating,
        node: None,
        zone: None,
        hints: None,
    };
    let first = Endpoint {
        node: Some("n1".into()),
        zone: Some("z".into()),
        hints: Some(Hints { zones: ["z".into()].into(), nodes: [].into() }.into()),
        ..endpoint("10.1.0.1", true, true, false)
    };
    let second = endpoint("10.1.0.3", false, true, true);
    assert_eq!(*slice.endpoints, [first, second, endpoint("10.1.0.4", false, false, false)]);
    let ports: Vec<(&str, u16)> = slice.ports.iter().map(|port| (&*port.name, port.port)).collect();
    assert_eq!(ports, [("", 80), ("", 7)]);
    assert_eq!(slice.service.as_deref(), Some("s"));
    let names =
        body!(EndpointSlice, "{metadata: {name: f}, addressType: FQDN, endpoints: [{addresses: [example.org]}]}");
    assert!(names.endpoints.is_empty() && names.service.is_none());
    let empty = body!(EndpointSlice, "{metadata: {name: f}, addressType: IPv6, endpoints: null, ports: null}");
    assert!(empty.endpoints.is_empty());
}

#[test]
fn a_network_policy_is_read() {
    let policy = body!(
        NetworkPolicy,
        "{metadata: {name: p, namespace: shop}, spec: {podSelector: {}, policyTypes: [Ingress, Egress],
          ingress: [{}, {from: null, ports: [{port: http}, {port: 80, endPort: 90, protocol: UDP}]}],
          egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}},
                         {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]}]}}"
    );
    assert!(policy.unknown.is_empty(), "{:?}", policy.unknown);
    assert_eq!(policy.spec.policy_types, [Direction::Ingress, Direction::Egress]);
    assert!(policy.spec.ingress[0].from.is_empty() && policy.spec.ingress[0].ports.is_empty());
    let [http, range] = &policy.spec.ingress[1].ports[..] else { panic!("{policy:?}") };
    assert_eq!((&http.port, http.protocol), (&Some(PortOrName::Name("http".to_owned())), Protocol::Tcp));
    assert_eq!((&range.port, range.end_port), (&Some(PortOrName::Number(80)), Some(90)));
    let web = Selector { match_labels: [("app".to_owned(), "web".to_owned())].into(), ..Selector::default() };
    let block = IpBlock { cidr: "10.0.0.0/8".parse().unwrap(), except: vec!["10.1.0.0/16".parse().unwrap()] };
    let expected = [
        Peer { ip_block: Some(block), ..Peer::default() },
        Peer { namespace_selector: Some(Selector::default()), pod_selector: Some(web), ip_block: None },
    ];
    assert_eq!(policy.spec.egress[0].to, expected);
}

#[test]
fn what_an_api_server_would_complete_is_completed() {
    let namespace = body!(Namespace, "{metadata: {name: shop, labels: {team: red}}}");
    assert_eq!(namespace.labels, labels(&[("kubernetes.io/metadata.name", "shop"), ("team", "red")]));
    let types = |spec: &str| {
        let yaml = format!("{{metadata: {{name: n}}, spec: {spec}}}");
        body!(NetworkPolicy, &yaml).spec.policy_types
    };
    let (ingress, egress) = (Direction::Ingress, Direction::Egress);
    assert_eq!(types("{podSelector: {}}"), [ingress]);
    assert_eq!(types("{egress: [{}]}"), [ingress, egress]);
    assert_eq!(types("{egress: [{}], policyTypes: [Egress]}"), [egress]);
}

#[test]
fn what_a_policy_says_that_is_not_known_is_kept_by_its_path() {
    let policy = body!(
        NetworkPolicy,
        "{metadata: {name: p, managedFields: []}, status: {x: 1},
          spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}, {serviceSelector: {a: b}}]}], hosts: [x]}}"
    );
    assert_eq!(policy.unknown, ["spec.ingress.0.from.1.serviceSelector", "spec.hosts"]);
    let cluster = body!(
        ClusterNetworkPolicy,
        "{metadata: {name: p}, spec: {tier: Admin, priority: 5, subject: {namespaces: {}},
          egress: [{action: Accept, to: [{planets: [mars]}], protocols: [{icmp: {}}]}]}}"
    );
    assert_eq!(cluster.unknown, ["spec.egress.0.to.0.planets", "spec.egress.0.protocols.0.icmp"]);
    let calico = body!(
        GlobalNetworkPolicy,
        "{apiVersion: projectcalico.org/v3, metadata: {name: p},
          spec: {selector: all(), egress: [{action: Allow, destination: {domains: [example.org]}}]}}"
    );
    assert_eq!(calico.unknown, ["spec.egress.0.destination.domains"]);
}

#[test]
fn a_cluster_policy_is_read() {
    let policy = body!(
        ClusterNetworkPolicy,
        "{metadata: {name: p}, spec: {tier: Baseline, priority: 1000,
          subject: {pods: {namespaceSelector: {}, podSelector: {}}},
          ingress: [{name: a, action: Deny, from: [{namespaces: {}}],
                     protocols: [{tcp: {destinationPort: {number: 80}}}, {udp: {destinationPort: {range: {start: 1, end: 9}}}},
                                 {destinationNamedPort: web}, {sctp: {}}]}],
          egress: [{action: Pass, to: [{networks: [0.0.0.0/0, '::/0']}, {nodes: {}}, {domainNames: ['*.example.org']}]}]}}"
    );
    assert!(policy.unknown.is_empty(), "{:?}", policy.unknown);
    assert_eq!(policy.spec.ingress[0].protocols.len(), 4);
    assert_eq!(policy.spec.egress[0].to[0].networks.len(), 2);
}

#[test]
fn policies_of_calico_are_read_by_both_apis() {
    let v3 = "{apiVersion: projectcalico.org/v3, metadata: {name: deny-all, namespace: shop},
               spec: {tier: default, order: 10.5, selector: app == 'web', types: [Ingress, Egress], doNotTrack: false,
                      preDNAT: true, applyOnForward: true, serviceAccountSelector: x,
                      ingress: [{action: Allow, ipVersion: 4, protocol: TCP, notProtocol: 47,
                                 source: {nets: [10.0.0.0/8], notNets: [10.1.0.0/16], selector: has(a), notSelector: b,
                                          namespaceSelector: global(), ports: [80, '8000:8080', http], notPorts: [22],
                                          serviceAccounts: {names: [s], selector: c}},
                                 destination: {services: {name: s, namespace: n}}},
                                {action: Log, protocol: ICMP, icmp: {type: 8, code: 0}, notICMP: {type: 3},
                                 metadata: {annotations: {a: b}}, http: {methods: [GET], paths: [{exact: /a}, {prefix: /b}]}},
                                {action: Pass}, {action: Deny}], egress: null, performanceHints: [AssumeNeededOnEveryNode]}}";
    let v1 = v3.replace("projectcalico.org/v3", "crd.projectcalico.org/v1").replace("deny-all", "default.deny-all");
    let (new, old) =
        (read_text(Kind::CalicoNetworkPolicy, v3).unwrap(), read_text(Kind::CalicoNetworkPolicy, &v1).unwrap());
    assert_eq!(new, old);
    assert_eq!(new.name.to_string(), "shop/deny-all");
    let Body::CalicoNetworkPolicy(policy) = new.body else { panic!("{new:?}") };
    assert!(policy.unknown.is_empty(), "{:?}", policy.unknown);
    let state = serde_json::to_value(&policy.spec).unwrap();
    assert_eq!(state["ingress"][0]["source"]["ports"].to_string(), "[80,{\"first\":8000,\"last\":8080},\"http\"]");
    let prefixed = read_text(Kind::GlobalNetworkPolicy, &v3.replace("deny-all", "default.x")).unwrap();
    assert_eq!(&*prefixed.name.name, "default.x", "by this API it is a name like any other");
}

#[test]
fn labels_of_calicos_objects_are_found_where_its_storage_has_them() {
    let set = body!(
        GlobalNetworkSet,
        "{apiVersion: crd.projectcalico.org/v1, spec: {nets: [192.0.2.0/24, '2001:db8::/32']},
          metadata: {name: s, labels: {a: b}, annotations: {projectcalico.org/metadata: '{\"labels\":{\"c\":\"d\"},\"uid\":\"1\"}'}}}"
    );
    assert_eq!((set.labels, set.nets.len()), (labels(&[("a", "b"), ("c", "d")]), 2));
    let host = body!(
        HostEndpoint,
        "{metadata: {name: h, labels: {hep: redis-host}}, spec: {node: n1, interfaceName: eth0, expectedIPs: [192.0.2.1],
          profiles: [p], ports: [{name: redis, protocol: TCP, port: 6379}]}}"
    );
    assert_eq!((host.labels, &*host.node, host.ports[0].port), (labels(&[("hep", "redis-host")]), "n1", 6379));
}

#[test]
fn calicos_configuration_is_read() {
    let felix = body!(FelixConfiguration, "{metadata: {name: default}, spec: {bpfEnabled: true, x: {y: [1]}}}");
    assert_eq!(felix.settings["bpfEnabled"], true);
    let pool = body!(
        IpPool,
        "{metadata: {name: p}, spec: {cidr: 10.1.0.0/16, vxlanMode: CrossSubnet, natOutgoing: true, blockSize: 26}}"
    );
    assert_eq!((pool.block_size, pool.nat_outgoing, pool.disabled), (Some(26), true, false));
    let tier = body!(Tier, "{metadata: {name: t}, spec: {order: 1, defaultAction: Pass}}");
    assert_eq!(tier.order, Some(1.0));
    let installation = body!(
        Installation,
        "{metadata: {name: default}, spec: {kubernetesProvider: AKS, calicoNetwork: {linuxDataplane: BPF, mtu: 1400,
          nodeAddressAutodetectionV4: {canReach: 192.0.2.1}, nodeAddressAutodetectionV6: {cidrs: ['fd00::/8']},
          ipPools: [{cidr: 10.1.0.0/16, encapsulation: VXLAN, natOutgoing: Enabled}]}}}"
    );
    let network = installation.calico_network;
    assert_eq!(network.autodetection_v4.unwrap().can_reach.as_deref(), Some("192.0.2.1"));
    let networks = body!(ServiceCidr, "{metadata: {name: kubernetes}, spec: {cidrs: [10.96.0.0/12]}}");
    assert_eq!(networks.cidrs.len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_by_field() {
    let cases = [
        (Kind::Pod, "{}", "missing field `metadata`"),
        (Kind::Pod, "{metadata: {}}", "metadata: missing field `name`"),
        (Kind::Pod, "{metadata: {name: ''}}", "metadata.name: invalid value: string \"\""),
        (Kind::Pod, "{metadata: {name: a/b}}", "metadata.name: invalid value: string \"a/b\""),
        (Kind::Pod, "{metadata: {name: a, namespace: ''}}", "metadata.namespace: invalid value"),
        (Kind::Pod, "{metadata: {name: a, labels: {b: [1]}}}", "metadata.labels.b: invalid type: sequence"),
        (
            Kind::Pod,
            "{metadata: {name: a}, status: {podIP: nowhere}}",
            "status.podIP: \"nowhere\" is not an IP address",
        ),
        (Kind::Pod, "{metadata: {name: a}, status: {podIPs: [{ip: 1.2.3.256}]}}", "status.podIPs[0].ip: invalid"),
        (
            Kind::Pod,
            "{metadata: {name: a}, spec: {containers: [{ports: [{containerPort: 65536}]}]}}",
            "spec.containers[0].ports[0].containerPort: invalid value: integer `65536`",
        ),
        (Kind::Node, "{metadata: {name: a}, spec: {podCIDRs: [10.0.0.0/33]}}", "spec.podCIDRs[0]: "),
        (Kind::Node, "{metadata: {name: a}, spec: text}", "spec: invalid type"),
        (Kind::Service, "{metadata: {name: a}, spec: {type: Magic}}", "spec.type: unknown variant `Magic`"),
        (Kind::Service, "{metadata: {name: a}, spec: {ports: [{port: -1}]}}", "spec.ports[0].port: invalid value"),
        (Kind::Service, "{metadata: {name: a}, spec: {ports: [{port: 1e99}]}}", "spec.ports[0].port: "),
        (
            Kind::Service,
            "{metadata: {name: a}, spec: {loadBalancerSourceRanges: [all]}}",
            "spec.loadBalancerSourceRanges[0]: invalid value: string \"all\", expected a network",
        ),
        (Kind::EndpointSlice, "{metadata: {name: a}}", "missing field `addressType`"),
        (Kind::EndpointSlice, "{metadata: {name: a}, addressType: IPv5}", "addressType: unknown variant `IPv5`"),
        (
            Kind::NetworkPolicy,
            "{metadata: {name: a}, spec: {ingress: [{from: [{ipBlock: {cidr: x}}]}]}}",
            "spec.ingress[0].from[0].ipBlock.cidr: ",
        ),
        (
            Kind::NetworkPolicy,
            "{metadata: {name: a}, spec: {ingress: [{ports: [{port: 0}]}]}}",
            "spec.ingress[0].ports[0].port: invalid value: integer `0`, expected a port from 1 to 65535",
        ),
        (
            Kind::NetworkPolicy,
            "{metadata: {name: a}, spec: {podSelector: {matchExpressions: [{key: a, operator: Like}]}}}",
            "spec.podSelector.matchExpressions[0].operator: unknown variant `Like`",
        ),
        (
            Kind::ClusterNetworkPolicy,
            "{metadata: {name: a}, spec: {tier: Admin, priority: 70000, subject: {}}}",
            "spec.priority: ",
        ),
        (
            Kind::GlobalNetworkPolicy,
            "{metadata: {name: a}, spec: {ingress: [{action: allow}]}}",
            "spec.ingress[0].action: unknown variant `allow`",
        ),
        (
            Kind::GlobalNetworkPolicy,
            "{metadata: {name: a}, spec: {ingress: [{action: Deny, source: {ports: ['9:1']}}]}}",
            "spec.ingress[0].source.ports[0]: invalid value: string \"9:1\"",
        ),
        (Kind::GlobalNetworkSet, "{metadata: {name: a}, spec: {nets: [10.0.0.0/8, 10]}}", "spec.nets[1]: "),
        (
            Kind::NetworkSet,
            "{metadata: {name: a, annotations: {projectcalico.org/metadata: '{'}}, spec: {}}",
            "metadata.annotations.projectcalico.org/metadata: not metadata as JSON",
        ),
        (
            Kind::IpPool,
            "{metadata: {name: a}, spec: {cidr: 10.0.0.0/8, vxlanMode: Sometimes}}",
            "spec.vxlanMode: unknown variant",
        ),
        (Kind::Tier, "{metadata: {name: a}}", "missing field `spec`"),
    ];
    for (kind, yaml, expected) in cases {
        let error = read_text(kind, yaml).expect_err(yaml);
        assert!(error.starts_with(expected), "{yaml}\n{error}\n{expected}");
    }
}

#[test]
fn json_that_is_none_is_told() {
    let deep = format!("{{\"metadata\":{{\"name\":\"a\",\"x\":{}}}}}", "[".repeat(100_000));
    for text in ["", "{", "null", "7", "\"text\"", "[]", "{\"metadata\":{\"name\":\"a\"}} {", "\u{0}", &deep] {
        for kind in Kind::ALL {
            let read = read_json(kind, text, &mut Names::default());
            assert!(
                read.as_ref().is_err_and(|error| !error.is_empty()) || text.ends_with(" {"),
                "{kind:?} {text}: {read:?}"
            );
        }
    }
}
