//! Connections that exist when the programs come, and go on when they go.

use std::path::Path;

use caracal_datapath::{Error, Pinned, Root};
use caracal_integration::{Cluster, Connection};
use caracal_lab::{Pod, Site};
use serde_json::Value;

use super::{DIRECT, builder};

/// First packets of flows that pods of a node have sent.
fn flows_from_pods(cluster: &Cluster) -> u64 {
    let counters = cluster.ctl("n1", "counters").unwrap();
    let is_it = |line: &&Value| line["hook"] == "from_pod" && line["reason"] == "new_flow";
    counters.as_array().unwrap().iter().find(is_it).map_or(0, |line| line["packets"].as_u64().unwrap())
}

/// Does something to the data plane of a pod's node, with the number of the pod's host-side veth.
fn with_programs<T>(cluster: &Cluster, pod: &Pod, act: impl Fn(&Pinned, u32) -> Result<T, Error> + Send + Sync) {
    let pods = cluster.ctl(pod.node().label(), "pods").unwrap();
    let address = pod.ip4().to_string();
    let line = pods.as_array().unwrap().iter().find(|line| line["address"] == *address).unwrap();
    let ifindex = u32::try_from(line["ifindex"].as_u64().unwrap()).unwrap();
    let machine = pod.machine();
    let open = || Pinned::open(&Root::new(Path::new(Root::DEFAULT))).unwrap().unwrap();
    machine.inside(|| act(&open(), ifindex).map(drop)).unwrap().unwrap();
}

fn attach(cluster: &Cluster, pod: &Pod) {
    with_programs(cluster, pod, Pinned::attach_pod);
}

fn detach(cluster: &Cluster, pod: &Pod) {
    with_programs(cluster, pod, Pinned::detach_pod);
}

#[test]
fn walk_1_and_2_connections_survive_that_programs_come_and_go() {
    let cluster = builder("adoption", 2, &DIRECT).start().unwrap();
    let [a, near] = ["a", "near"].map(|name| cluster.node("n1").pod(name).unwrap());
    let far = cluster.node("n2").pod("far").unwrap();
    let pods = [&a, &near, &far];
    let _servers = [near.serve(&["tcp/80", "udp/53"]).unwrap(), far.serve(&["tcp/80", "udp/53"]).unwrap()];
    let to = || near.addresses().iter().chain(far.addresses());
    for pod in pods {
        detach(&cluster, pod);
    }
    let before = flows_from_pods(&cluster);
    let mut connections: Vec<Connection> = to().map(|to| Connection::open(&a, (*to, 80)).unwrap()).collect();
    let sockets: Vec<_> = to().map(|to| a.datagrams((*to, 53)).unwrap()).collect();
    let mut all_talk = || {
        for connection in &mut connections {
            connection.transfer(100_000).unwrap();
        }
        for socket in &sockets {
            socket.echo(b"still here").unwrap();
        }
    };
    all_talk();
    assert_eq!(flows_from_pods(&cluster), before);
    // One after the other, so that each end is behind programs alone for a while.
    for pod in pods {
        attach(&cluster, pod);
        all_talk();
    }
    assert!(flows_from_pods(&cluster) > before);
    for pod in pods {
        detach(&cluster, pod);
        all_talk();
    }
    for pod in pods {
        attach(&cluster, pod);
        all_talk();
    }
    cluster.end().unwrap();
}
