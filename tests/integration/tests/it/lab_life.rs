//! Agents that come, go and are replaced; pods that come and go. What keeps working, and what is left.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use caracal_integration::{Cluster, Connection};
use caracal_lab::{Node, Site, wait_until};

#[test]
fn connections_survive_the_agent_being_killed_and_replaced() {
    let mut cluster = Cluster::start("replaced", 1).unwrap();
    let [a, b] = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
    let _server = b.serve(&["tcp/80"]).unwrap();
    let mut connection = Connection::open(&a, (b.ip4(), 80)).unwrap();
    connection.echo(b"before").unwrap();
    let new_flows = cluster.counted("n1", "new_flow").unwrap();
    cluster.kill_agents().unwrap();
    connection.echo(b"without an agent").unwrap();

    let c = cluster.node("n1").pod("c").unwrap();
    a.ping(c.ip4()).unwrap();
    cluster.add_agent("n1").unwrap();
    connection.echo(b"with another agent, and other programs").unwrap();
    // Only the ping was new: the flow was kept over both.
    assert_eq!(cluster.counted("n1", "new_flow").unwrap() - new_flows, 1);
    cluster.end().unwrap();
}

#[test]
fn pods_made_before_any_agent_talk_and_go_on_talking() {
    let mut cluster = Cluster::without_agents("before", 1).unwrap();
    let [a, b] = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
    a.ping(b.ip4()).unwrap();
    a.ping(b.ip6()).unwrap();
    cluster.add_agent("n1").unwrap();
    let c = cluster.node("n1").pod("c").unwrap();
    for (from, to) in [(&a, &b), (&a, &c), (&c, &a)] {
        from.ping(to.ip4()).unwrap();
        from.ping(to.ip6()).unwrap();
    }
    cluster.end().unwrap();
}

#[test]
fn a_second_agent_is_refused() {
    let mut cluster = Cluster::start("second", 1).unwrap();
    let refused = cluster.add_agent("n1").unwrap_err();
    assert!(format!("{refused:#}").contains("another caracal-agent"), "{refused:#}");
    cluster.end().unwrap();
}

#[test]
fn deleting_pods_leaves_nothing() {
    let cluster = Cluster::start("nothing", 1).unwrap();
    let node = cluster.node("n1");
    let before = traces(node);
    let pods = ["a", "b", "c"].map(|name| node.pod(name).unwrap());
    pods[0].ping(pods[1].ip4()).unwrap();
    pods[0].ping(pods[2].ip6()).unwrap();
    assert_ne!(traces(node), before);
    for pod in pods {
        pod.delete().unwrap();
    }
    assert_eq!(traces(node), before);
    assert_eq!(cluster.ctl("n1", "pods").unwrap(), serde_json::json!([]));
    assert_eq!(cluster.ctl("n1", "flows").unwrap(), serde_json::json!([]));
    cluster.end().unwrap();
}

/// Everything a pod could leave on its node.
fn traces(node: &Node) -> String {
    // The order in which the store hands out addresses outlives the pods on purpose.
    let script = "ls /sys/fs/bpf/caracal/v4/links; \
                  find /run/caracal -type f | grep -vE 'agent.lock|/released/|/cursor/'; \
                  ip -o link | cut -d: -f2; ip route; ip -6 route; ip neigh show nud permanent; ls /run/netns";
    node.run("sh", ["-c", script]).unwrap()
}

#[test]
fn programs_maps_and_links_go_with_the_lab() {
    let cluster = Cluster::start("ends", 1).unwrap();
    let node = cluster.node("n1");
    let pods = ["a", "b"].map(|name| node.pod(name).unwrap());
    let ids = [
        "prog show pinned /sys/fs/bpf/caracal/v4/progs/from_pod",
        "map show pinned /sys/fs/bpf/caracal/v4/maps/FLOWS4",
    ]
    .map(|what| {
        let shown = node.run("bpftool", ["-j"].into_iter().chain(what.split(' '))).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        (what.split(' ').next().unwrap(), shown["id"].as_u64().unwrap().to_string())
    });
    assert!(ids.iter().all(|(kind, id)| is_in_kernel(kind, id)), "{ids:?}");
    // A handle holds the node's namespaces, and with them its bpffs.
    drop(pods);
    cluster.end().unwrap();
    // The kernel frees them in its own time.
    let gone = || !ids.iter().any(|(kind, id)| is_in_kernel(kind, id));
    wait_until("programs and maps to be freed", Duration::from_secs(10), gone).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test may ask bpftool")]
fn is_in_kernel(kind: &str, id: &str) -> bool {
    std::process::Command::new("bpftool").args([kind, "show", "id", id]).output().unwrap().status.success()
}

#[test]
fn no_packet_to_a_pod_is_lost_while_it_settles() {
    let cluster = Cluster::start("settles", 1).unwrap();
    let node = cluster.node("n1");
    let pod = node.pod("a").unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let pings = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                node.ping(pod.ip4()).unwrap();
            }
        });
        let host = pod.result()["interfaces"][0]["name"].as_str().unwrap();
        let has_settled = || node.run("tc", ["filter", "show", "dev", host, "ingress"]).is_ok_and(|it| it.is_empty());
        let settled = wait_until("the pod to settle", Duration::from_secs(20), has_settled);
        is_over.store(true, Ordering::Relaxed);
        pings.join().unwrap();
        settled.unwrap();
    });
    cluster.end().unwrap();
}

#[test]
fn a_new_pod_is_reachable_as_soon_as_add_returns() {
    let cluster = Cluster::start("atonce", 1).unwrap();
    let node = cluster.node("n1");
    // Links that come and go keep the kernel's link work queue behind.
    let noise = "while ip link add noise0 type veth peer noise1 && ip link set noise0 up && ip link set noise1 up \
                 && ip link del noise0; do :; done";
    let noise = node.command("sh").args(["-c", noise]).spawn().unwrap();
    for n in 0..25 {
        let pod = node.pod(&format!("p{n}")).unwrap();
        node.ping(pod.ip4()).unwrap();
        node.ping(pod.ip6()).unwrap();
    }
    assert!(noise.is_running());
    noise.kill().unwrap();
    cluster.end().unwrap();
}
