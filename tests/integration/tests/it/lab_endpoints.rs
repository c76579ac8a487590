//! What plugin and agent tell each other of pods, and what becomes of pods when one of them is not there to.

use std::{thread, time::Duration};

use caracal_integration::Cluster;
use caracal_lab::{Node, Site, wait_until};
use serde_json::{Value, json};

/// Longer than the agent takes between two comparisons.
const COMPARED: Duration = Duration::from_secs(60);

/// What the agent keeps besides its socket and its lock.
fn files(node: &Node, dir: &str) -> Vec<String> {
    let found = node.run("sh", ["-c", &format!("find /run/caracal/{dir} -type f 2>/dev/null; true")]).unwrap();
    found.lines().map(str::to_owned).collect()
}

/// The addresses that the programs know.
fn known(cluster: &Cluster) -> Vec<String> {
    let Value::Array(pods) = cluster.ctl("n1", "pods").unwrap() else { panic!("no list") };
    let mut known: Vec<String> = pods.iter().map(|pod| pod["address"].as_str().unwrap().to_owned()).collect();
    known.sort();
    known
}

#[test]
fn the_socket_is_roots_alone_and_goes_with_the_agent() {
    let mut cluster = Cluster::start("sock", 1).unwrap();
    let node = cluster.node("n1");
    let modes = node.run("stat", ["-c", "%A %U", "/run/caracal/agent.sock"]).unwrap();
    assert_eq!(modes.trim(), "srw------- root");
    // A killed agent leaves its socket behind, and the next one takes its place.
    cluster.kill_agents().unwrap();
    cluster.node("n1").run("test", ["-S", "/run/caracal/agent.sock"]).unwrap();
    cluster.node("n1").pod("a").unwrap().delete().unwrap();
    cluster.add_agent("n1").unwrap();
    cluster.node("n1").pod("b").unwrap().delete().unwrap();
    cluster.agents()[0].signal(nix::sys::signal::Signal::SIGTERM).unwrap();
    cluster.agents()[0].wait(Duration::from_secs(20)).unwrap();
    cluster.node("n1").run("sh", ["-c", "test ! -e /run/caracal/agent.sock"]).unwrap();
    cluster.end().unwrap();
}

#[test]
fn removals_wait_for_the_next_agent() {
    let mut cluster = Cluster::start("queue", 1).unwrap();
    let pods = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
    assert_eq!(files(cluster.node("n1"), "removals"), [""; 0]);
    cluster.kill_agents().unwrap();
    for pod in pods {
        pod.delete().unwrap();
    }
    assert_eq!(files(cluster.node("n1"), "removals").len(), 2);
    cluster.add_agent("n1").unwrap();
    cluster.agents()[0].wait_for_log("was removed while no agent ran", COMPARED).unwrap();
    let is_done = || files(cluster.node("n1"), "removals").is_empty();
    wait_until("removals to be worked off", COMPARED, is_done).unwrap();
    cluster.end().unwrap();
}

#[test]
fn a_plugin_without_any_agent_leaves_no_removals() {
    let cluster = Cluster::without_agents("noqueue", 1).unwrap();
    cluster.node("n1").pod("a").unwrap().delete().unwrap();
    assert_eq!(files(cluster.node("n1"), "removals"), [""; 0]);
    cluster.end().unwrap();
}

#[test]
fn pods_made_before_any_agent_are_put_into_its_maps() {
    let mut cluster = Cluster::without_agents("putback", 1).unwrap();
    let [a, b] = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
    cluster.add_agent("n1").unwrap();
    let mut expected = [a.ip4().to_string(), a.ip6().to_string(), b.ip4().to_string(), b.ip6().to_string()];
    expected.sort();
    wait_until("pods to be known", COMPARED, || known(&cluster) == expected).unwrap();
    assert!(cluster.agents()[0].log().contains("put back with"), "{}", cluster.agents()[0].log());
    a.ping(b.ip4()).unwrap();
    b.ping(a.ip6()).unwrap();
    for pod in [a, b] {
        pod.delete().unwrap();
    }
    assert_eq!(known(&cluster), [""; 0]);
    cluster.end().unwrap();
}

#[test]
fn an_entry_that_somebody_deletes_is_put_back() {
    let cluster = Cluster::start("tamper", 1).unwrap();
    let node = cluster.node("n1");
    let [a, b] = ["a", "b"].map(|name| node.pod(name).unwrap());
    let before = known(&cluster);
    let key: Vec<String> = a.ip4().octets().iter().map(u8::to_string).collect();
    let map = "/sys/fs/bpf/caracal/v4/maps/ENDPOINTS4";
    let delete = ["map", "delete", "pinned", map, "key"].into_iter().map(str::to_owned).chain(key);
    node.run("bpftool", delete.collect::<Vec<_>>()).unwrap();
    assert_eq!(known(&cluster).len(), before.len() - 1);
    wait_until("the entry to be back", COMPARED, || known(&cluster) == before).unwrap();
    a.ping(b.ip4()).unwrap();
    cluster.end().unwrap();
}

/// Another plugin's list has lost our entry while pods ran: their DEL never came here.
#[test]
fn records_of_pods_that_only_another_plugin_deleted_are_cleaned_up() {
    let mut cluster = Cluster::without_agents("orphan", 1).unwrap();
    let record = |chained, host_ifindex: u32| {
        let record = json!({"chained": chained, "hostIfindex": host_ifindex, "addresses": ["10.9.9.9"], "complete": true,
            "bpffs": "/sys/fs/bpf/caracal"});
        record.to_string()
    };
    let dir = "/run/caracal/endpoints/vendor";
    cluster.node("n1").run("mkdir", ["-p", dir]).unwrap();
    // Loopback is there, the others are not; the last is for a DEL of ours to come.
    for (name, content) in [("here", record(true, 1)), ("gone", record(true, 4711)), ("ours", record(false, 4712))] {
        let script = format!("cat > {dir}/{name}:eth0");
        cluster.node("n1").command("sh").args(["-c", &script]).stdin(content).run().unwrap();
    }
    cluster.add_agent("n1").unwrap();
    cluster.agents()[0].wait_for_log("its record is removed", COMPARED).unwrap();
    let mut left = files(cluster.node("n1"), "endpoints/vendor");
    left.sort();
    assert_eq!(left, [format!("{dir}/here:eth0"), format!("{dir}/ours:eth0")]);
    cluster.end().unwrap();
}

/// Agents are killed while pods come and go by the dozen: every ADD and DEL that succeeds is complete, and nothing of a
/// pod stays that is gone.
#[test]
fn agents_killed_at_random_while_pods_come_and_go_leave_nothing_behind() {
    const ROUNDS: u32 = 20;
    const CROWD: usize = 3;

    let mut cluster = Cluster::start("storm", 1).unwrap();
    let stays = cluster.node("n1").pod("stays").unwrap();
    let before = known(&cluster);
    for round in 0..ROUNDS {
        let node = cluster.node("n1").clone();
        let storm = thread::spawn(move || {
            thread::scope(|scope| {
                for n in 0..CROWD {
                    let node = &node;
                    scope.spawn(move || node.pod(&format!("p{round}x{n}")).unwrap().delete().unwrap());
                }
            });
        });
        // At another moment in each round: the work of a storm takes some tens of milliseconds.
        wait(Duration::from_millis(u64::from(round * 7 % 60)));
        cluster.kill_agents().unwrap();
        let with_agent = cluster.add_agent("n1");
        storm.join().unwrap();
        with_agent.unwrap();
    }
    let is_clean = || {
        let node = cluster.node("n1");
        known(&cluster) == before && files(node, "removals").is_empty() && files(node, "endpoints").len() == 1
    };
    wait_until("nothing to be left of the storms", COMPARED, is_clean).unwrap();
    cluster.node("n1").ping(stays.ip4()).unwrap();
    assert_eq!(cluster.ctl("n1", "ports").unwrap(), json!([]));
    stays.delete().unwrap();
    assert_eq!(known(&cluster), [""; 0]);
    cluster.end().unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a kill comes at any time")]
fn wait(duration: Duration) {
    thread::sleep(duration);
}
