//! Every kind that the agent reads: what is created, changed and deleted arrives, while the agent runs.

use caracal_cluster::{Agent, Bed, Kinds};

/// Something that the agent must know of an object: `VALUE` in its YAML is first one, then the other.
struct Case {
    kind: &'static str,
    yaml: &'static str,
    values: [&'static str; 2],
}

/// Rows with `GROUP` are for both of Calico's.
const CASES: [Case; 16] = [
    Case {
        kind: "Node",
        yaml: "{apiVersion: v1, kind: Node, metadata: {name: n7, labels: {zone: VALUE}}}",
        values: ["zone-one", "zone-two"],
    },
    Case {
        kind: "Namespace",
        yaml: "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: VALUE}}}",
        values: ["red-team", "blue-team"],
    },
    Case {
        kind: "Pod",
        yaml: "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: default}, \
               spec: {nodeName: n1, containers: [{name: c, image: c}]}, \
               status: {phase: Running, podIP: VALUE, podIPs: [{ip: VALUE}]}}",
        values: ["10.244.1.71", "10.244.1.72"],
    },
    Case {
        kind: "Service",
        yaml: "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: default}, \
               spec: {clusterIP: 10.96.0.70, externalIPs: [VALUE], ports: [{port: 80}]}}",
        values: ["198.51.100.71", "198.51.100.72"],
    },
    Case {
        kind: "EndpointSlice",
        yaml: "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, \
               metadata: {name: a, namespace: default, labels: {kubernetes.io/service-name: a}}, \
               addressType: IPv4, ports: [{port: 80}], endpoints: [{addresses: [VALUE]}]}",
        values: ["10.244.1.73", "10.244.1.74"],
    },
    Case {
        kind: "NetworkPolicy",
        yaml: "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a, namespace: default}, \
               spec: {podSelector: {matchLabels: {app: VALUE}}, policyTypes: [Ingress]}}",
        values: ["first-app", "second-app"],
    },
    Case {
        kind: "ServiceCIDR",
        // What it says cannot be changed; it is replaced.
        yaml: "{apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: {name: VALUE}, spec: {cidrs: [10.97.0.0/16]}}",
        values: ["first-range", "second-range"],
    },
    Case {
        kind: "ClusterNetworkPolicy",
        yaml: "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: a}, \
               spec: {tier: Admin, priority: 1, subject: {namespaces: {matchLabels: {team: VALUE}}}, ingress: []}}",
        values: ["green-team", "white-team"],
    },
    Case {
        kind: "IPPool",
        yaml: "{apiVersion: GROUP, kind: IPPool, metadata: {name: a}, spec: {cidr: VALUE}}",
        values: ["10.81.0.0/16", "10.82.0.0/16"],
    },
    Case {
        kind: "Tier",
        yaml: "{apiVersion: GROUP, kind: Tier, metadata: {name: a}, spec: {order: VALUE}}",
        values: ["4711", "4712"],
    },
    Case {
        kind: "GlobalNetworkPolicy",
        yaml: "{apiVersion: GROUP, kind: GlobalNetworkPolicy, metadata: {name: a}, \
               spec: {selector: has(VALUE), types: [Ingress], ingress: [{action: Allow}]}}",
        values: ["first-key", "second-key"],
    },
    Case {
        kind: "NetworkPolicy of Calico",
        yaml: "{apiVersion: GROUP, kind: NetworkPolicy, metadata: {name: a, namespace: default}, \
               spec: {selector: has(VALUE), types: [Egress], egress: [{action: Deny}]}}",
        values: ["third-key", "fourth-key"],
    },
    Case {
        kind: "GlobalNetworkSet",
        yaml: "{apiVersion: GROUP, kind: GlobalNetworkSet, metadata: {name: a}, spec: {nets: [VALUE]}}",
        values: ["203.0.113.0/26", "203.0.113.64/26"],
    },
    Case {
        kind: "NetworkSet",
        yaml: "{apiVersion: GROUP, kind: NetworkSet, metadata: {name: a, namespace: default}, spec: {nets: [VALUE]}}",
        values: ["203.0.113.128/26", "203.0.113.192/26"],
    },
    Case {
        kind: "HostEndpoint",
        yaml: "{apiVersion: GROUP, kind: HostEndpoint, metadata: {name: a}, \
               spec: {node: n1, interfaceName: eth0, expectedIPs: [VALUE]}}",
        values: ["192.0.2.71", "192.0.2.72"],
    },
    Case {
        kind: "Installation",
        yaml: "{apiVersion: operator.tigera.io/v1, kind: Installation, metadata: {name: default}, \
               spec: {calicoNetwork: {nodeAddressAutodetectionV4: {canReach: VALUE}}}}",
        values: ["192.0.2.73", "192.0.2.74"],
    },
];

#[test]
fn objects_of_kubernetes_are_seen_to_come_change_and_go() {
    let bed = Bed::start("core", &[Kinds::CLUSTER_POLICY]).unwrap();
    let agent = bed.follow().unwrap();
    agent.wait_until_ready().unwrap();
    for case in CASES.iter().filter(|case| !case.yaml.contains("GROUP") && !case.yaml.contains("tigera")) {
        case.play(&bed, &agent, "");
    }
    bed.end().unwrap();
}

#[test]
fn objects_of_calico_are_seen_to_come_change_and_go() {
    let bed = Bed::start("calico", &[Kinds::CALICO, Kinds::CALICO_OPERATOR]).unwrap();
    let agent = bed.follow().unwrap();
    agent.wait_until_ready().unwrap();
    for case in CASES.iter().filter(|case| case.yaml.contains("GROUP") || case.yaml.contains("tigera")) {
        case.play(&bed, &agent, "projectcalico.org/v3");
    }
    bed.end().unwrap();
}

#[test]
fn objects_as_calico_stores_them_are_seen_to_come_change_and_go() {
    let bed = Bed::start("stored", &[Kinds::CALICO_STORED]).unwrap();
    let agent = bed.follow().unwrap();
    agent.wait_until_ready().unwrap();
    for case in CASES.iter().filter(|case| case.yaml.contains("GROUP")) {
        case.play(&bed, &agent, "crd.projectcalico.org/v1");
    }
    bed.end().unwrap();
}

impl Case {
    fn play(&self, bed: &Bed, agent: &Agent, group: &str) {
        let [first, second] = self.values;
        let yaml = |value: &str| self.yaml.replace("GROUP", group).replace("VALUE", value);
        let knows = |value: &str, is_known: bool| {
            let what = format!("{} with {value}{}", self.kind, if is_known { "" } else { " to be forgotten" });
            agent.wait_for_state(what, |state| state.to_string().contains(value) == is_known).unwrap();
        };
        knows(first, false);
        bed.api().apply(&yaml(first)).unwrap();
        knows(first, true);
        if self.kind == "ServiceCIDR" {
            bed.api().delete(&yaml(first)).unwrap();
        }
        bed.api().apply(&yaml(second)).unwrap();
        knows(second, true);
        knows(first, false);
        bed.api().delete(&yaml(second)).unwrap();
        knows(second, false);
    }
}
