//! Flows that end: by the agent's sweeps, and because somebody says so. Connections that go on are none the worse.

use std::time::Duration;

use caracal_integration::{Cluster, Connection};
use caracal_lab::{Site, bin, wait_until};
use serde_json::Value;

/// What `caracalctl flows` knows of a protocol.
fn flows(cluster: &Cluster, protocol: &str) -> Vec<Value> {
    let Value::Array(lines) = cluster.ctl("n1", "flows").unwrap() else { panic!("not a list") };
    lines.into_iter().filter(|line| line["protocol"] == protocol).collect()
}

#[test]
fn the_agent_forgets_flows_that_were_silent_for_too_long_and_no_others() {
    let cluster = Cluster::without_agents("upkeep", 1).unwrap();
    let node = cluster.node("n1");
    let agent = node.command(bin("caracal-agent").unwrap()).args(["--manifests", "/run/caracal/manifests"]);
    let agent = agent.args(["--node-name", "n1", "--timeout", "udp=1,udp-stream=1"]).spawn().unwrap();
    agent.wait_for_log("following", Duration::from_secs(30)).unwrap();
    let [a, b] = ["a", "b"].map(|name| node.pod(name).unwrap());
    let _server = b.serve(&["tcp/80", "udp/53"]).unwrap();
    let mut connection = Connection::open(&a, (b.ip4(), 80)).unwrap();
    for to in b.addresses() {
        a.udp_roundtrip((*to, 53), b"question").unwrap();
    }
    assert!(!flows(&cluster, "udp").is_empty());
    wait_until("UDP's flows are swept", Duration::from_secs(60), || flows(&cluster, "udp").is_empty()).unwrap();
    let tcp = flows(&cluster, "tcp");
    assert_eq!(tcp.len(), 2, "{tcp:?}");
    for direction in &tcp {
        assert_eq!((&direction["state"], &direction["table"]), (&"established".into(), &"main".into()), "{tcp:?}");
        assert!(direction["expires_in_s"].as_u64().unwrap() > 431_000, "{tcp:?}");
    }
    connection.echo(b"still").unwrap();
    drop(agent);
    cluster.end().unwrap();
}

#[test]
fn flows_of_an_address_can_be_cut_and_its_connections_are_judged_anew() {
    let cluster = Cluster::start("cut", 1).unwrap();
    let node = cluster.node("n1");
    let [a, b, c] = ["a", "b", "c"].map(|name| node.pod(name).unwrap());
    let _server = b.serve(&["tcp/80"]).unwrap();
    let [mut cut, mut kept] = [&a, &c].map(|from| Connection::open(from, (b.ip4(), 80)).unwrap());
    assert_eq!(flows(&cluster, "tcp").len(), 4);
    let address = a.ip4().to_string();
    let ctl =
        node.command(bin("caracalctl").unwrap()).args(["--output", "json", "flows", "cut", "--address", &address]);
    let said: Value = serde_json::from_str(&ctl.run().unwrap()).unwrap();
    assert_eq!(said[0]["removed"], 2);
    let left = flows(&cluster, "tcp");
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|line| line["source"] != *address && line["destination"] != *address), "{left:?}");
    cut.echo(b"anew").unwrap();
    kept.echo(b"as before").unwrap();
    cluster.end().unwrap();
}
