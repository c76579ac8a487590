//! `caracalctl monitor`, between an agent that tells and real packets.

use std::time::Duration;

use caracal_harness::Frame;
use caracal_integration::{Cluster, Connection};
use caracal_lab::{Command, Site, bin};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

/// Begins with what was told before it was started.
fn monitor(cluster: &Cluster, args: &[&str]) -> Command {
    cluster.node("n1").command(bin("caracalctl").unwrap()).args(["monitor", "--buffered"]).args(args)
}

fn json(cluster: &Cluster, args: &[&str]) -> Vec<Value> {
    let text = monitor(cluster, args).args(["--output", "json"]).timeout(PATIENCE).run().unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn monitor_says_what_to_do_where_nothing_is_told() {
    let cluster = Cluster::start("silent", 1).unwrap();
    let error = format!("{:#}", monitor(&cluster, &[]).run().unwrap_err());
    assert!(error.contains("--events=drops"), "{error}");
    cluster.end().unwrap();
}

#[test]
fn monitor_shows_first_packets_and_drops_of_real_pods() {
    let cluster = Cluster::builder("told").agent_args(["--host-nat=false", "--events=first"]).start().unwrap();
    let node = cluster.node("n1");
    let [a, b] = ["a", "b"].map(|name| node.pod(name).unwrap());
    let _server = b.serve(&["tcp/80"]).unwrap();
    let host = a.result()["interfaces"][0]["name"].as_str().unwrap().to_owned();
    for (own, to) in a.addresses().iter().zip(b.addresses()) {
        Connection::open_from(&a, 4242, (*to, 80)).unwrap().echo(b"told once").unwrap();
        let told = json(&cluster, &["--address", &own.to_string(), "--reason", "new_flow", "-n", "1"]);
        let [line] = &told[..] else { panic!("{told:?}") };
        assert_eq!(line["source"], own.to_string());
        assert_eq!(line["destination"], to.to_string());
        assert_eq!((&line["source_port"], &line["destination_port"]), (&4242.into(), &80.into()));
        assert_eq!((&line["interface"], &line["what"]), (&host.as_str().into(), &"forwarded".into()));
        assert_eq!((&line["protocol"], &line["flags"]), (&"tcp".into(), &"SYN".into()));

        let frame = Frame { mac: ([2, 0, 0, 0, 6, 6], [2, 0, 0, 0, 7, 7]), ip: (*own, *to), ttl: 64 };
        a.send_frame("eth0", &frame.udp(4000, 53, b"false")).unwrap();
        let dropped = monitor(&cluster, &["--drops", "-n", "1"]).timeout(PATIENCE).run().unwrap();
        assert!(dropped.contains(" dropped spoofed_mac from_pod "), "{dropped}");
        assert!(dropped.contains(&to.to_string()) && dropped.contains(&host), "{dropped}");
    }
    cluster.end().unwrap();
}

#[test]
fn a_monitor_goes_on_over_a_restart_of_the_agent() {
    let mut cluster = Cluster::builder("goeson").agent_args(["--events=drops"]).start().unwrap();
    let node = cluster.node("n1");
    let a = node.pod("a").unwrap();
    let watching = node.command(bin("caracalctl").unwrap()).args(["monitor", "--buffered", "-n", "2"]).spawn().unwrap();
    let frame =
        Frame { mac: ([2, 0, 0, 0, 6, 6], [2, 0, 0, 0, 7, 7]), ip: (a.ip4().into(), [10, 9, 9, 9].into()), ttl: 64 };
    a.send_frame("eth0", &frame.udp(4001, 53, b"false")).unwrap();
    watching.wait_for_log(":4001", PATIENCE).unwrap();
    cluster.kill_agents().unwrap();
    cluster.add_agent("n1").unwrap();
    a.send_frame("eth0", &frame.udp(4002, 53, b"false")).unwrap();
    watching.wait_for_log(":4002", PATIENCE).unwrap();
    assert!(watching.wait(PATIENCE).unwrap().success());
    drop(a);
    cluster.end().unwrap();
}
