//! Walk 12: sources that a pod may have, and those that senders beyond the NIC may have.

use std::net::IpAddr;

use caracal_harness::{Frame, shape};
use caracal_integration::{Cluster, Connection};
use caracal_lab::{Pod, Site, wait_until};

use super::{DIRECT, PATIENCE, carries, from_pod, mac, route_to_pods, with_outside};

const NOBODY: [&str; 2] = ["192.0.2.66", "2001:db8::66"];

#[test]
fn walk_12_nothing_forged_leaves_the_node() {
    let cluster = with_outside("walk-12-spoof", 2, &DIRECT);
    let [a, victim] = ["a", "victim"].map(|name| cluster.node("n1").pod(name).unwrap());
    let b = cluster.node("n2").pod("b").unwrap();
    let outside = cluster.client("outside");
    let captures = [outside.capture("eth0").unwrap(), b.capture("eth0").unwrap()];
    let counted = |reason| cluster.counted("n1", reason).unwrap();
    let before = ["spoofed_address", "spoofed_mac"].map(counted);
    for (n, own) in a.addresses().iter().enumerate() {
        for to in [outside.addresses()[n], b.addresses()[n]] {
            let honest = from_pod(&a, *own, to);
            let others = [NOBODY[n].parse().unwrap(), victim.addresses()[n], cluster.node("n1").addresses()[n]];
            for source in others {
                a.send_frame("eth0", &honest.source(source).udp(4000, 53, b"forged")).unwrap();
            }
            a.send_frame("eth0", &honest.source_mac([2, 9, 9, 9, 9, 9]).udp(4001, 53, b"forged")).unwrap();
            a.send_frame("eth0", &honest.udp(4002, 53, format!("honest {n}").as_bytes())).unwrap();
        }
        for capture in &captures {
            let honest = format!("honest {n}");
            capture.wait_for("the honest packet", PATIENCE, |packet| carries(packet, honest.as_bytes())).unwrap();
        }
    }
    for capture in captures {
        assert!(!capture.stop().unwrap().iter().any(|packet| carries(packet, b"forged")));
    }
    let after = ["spoofed_address", "spoofed_mac"].map(counted);
    assert_eq!([after[0] - before[0], after[1] - before[1]], [12, 4]);
    cluster.end().unwrap();
}

#[test]
fn walk_12_ip_options_reach_the_other_node() {
    let cluster = with_outside("walk-12-options", 2, &DIRECT);
    let (a, b) = (cluster.node("n1").pod("a").unwrap(), cluster.node("n2").pod("b").unwrap());
    let outside = cluster.client("outside");
    for (n, own) in a.addresses().iter().enumerate() {
        for (site, to) in [(&b as &dyn Captured, b.addresses()[n]), (outside, outside.addresses()[n])] {
            let capture = site.begin();
            for text in ["first", "second"] {
                let frame = from_pod(&a, *own, to).udp(4000, 53, text.as_bytes());
                let odd = if own.is_ipv4() {
                    shape::ipv4_options(&frame, &[1; 4])
                } else {
                    shape::ipv6_extension(&frame, 60, &[1, 4, 0, 0, 0, 0])
                };
                a.send_frame("eth0", &odd).unwrap();
                capture.wait_for("the packet", PATIENCE, |packet| carries(packet, text.as_bytes())).unwrap();
            }
        }
    }
    cluster.end().unwrap();
}

/// Whoever has an `eth0` to capture from.
trait Captured {
    fn begin(&self) -> caracal_lab::Capture;
}

impl<S: Site> Captured for S {
    fn begin(&self) -> caracal_lab::Capture {
        self.capture("eth0").unwrap()
    }
}

/// Whether a packet from outside with a foreign source reaches a pod; what comes after it does.
fn is_believed(cluster: &Cluster, a: &Pod, n: usize, source: &str, mark: &str) -> bool {
    let (node, outside) = (cluster.node("n1"), cluster.client("outside"));
    let honest = Frame {
        mac: (mac(outside, "eth0"), mac(node, "eth0")),
        ip: (outside.addresses()[n], a.addresses()[n]),
        ttl: 64,
    };
    let capture = a.capture("eth0").unwrap();
    let (foreign, known) = (format!("foreign {mark}"), format!("known {mark}"));
    // No flow is known yet: what has one is believed already.
    let port = 4000 + 2 * u16::from(mark.as_bytes()[0]);
    outside.send_frame("eth0", &honest.source(source.parse().unwrap()).udp(53, port, foreign.as_bytes())).unwrap();
    outside.send_frame("eth0", &honest.udp(53, port + 1, known.as_bytes())).unwrap();
    capture.wait_for("the known packet", PATIENCE, |packet| carries(packet, known.as_bytes())).unwrap();
    capture.stop().unwrap().iter().any(|packet| carries(packet, foreign.as_bytes()))
}

#[test]
fn walk_12_senders_outside_are_believed_as_the_mode_says() {
    // By the NIC that the route leads to; by another one; without any route.
    for (mode, believed) in
        [("off", [true, true, true]), ("loose", [true, true, false]), ("strict", [true, false, false])]
    {
        let args = [DIRECT[0], "--reverse-path", mode];
        let cluster = with_outside(&format!("walk-12-{mode}"), 1, &args);
        let node = cluster.node("n1");
        let a = node.pod("a").unwrap();
        route_to_pods(cluster.client("outside"), node);
        node.run("ip", ["link", "add", "other0", "type", "veth", "peer", "name", "other1"]).unwrap();
        for link in ["other0", "other1"] {
            node.run("ip", ["link", "set", link, "up"]).unwrap();
        }
        for (n, family) in ["-4", "-6"].into_iter().enumerate() {
            let before = cluster.counted("n1", "reverse_path").unwrap();
            let ask = |mark: &str| is_believed(&cluster, &a, n, NOBODY[n], &format!("{mark} {n}"));
            let by_default = ask("default");
            let network = if n == 0 { "192.0.2.0/24" } else { "2001:db8::/64" };
            node.run("ip", [family, "route", "add", network, "dev", "other0"]).unwrap();
            let by_other = ask("other");
            node.run("ip", [family, "route", "del", network, "dev", "other0"]).unwrap();
            node.run("ip", [family, "route", "del", "default"]).unwrap();
            let without = ask("without");
            assert_eq!([by_default, by_other, without], believed, "{mode} {family}");
            let dropped = cluster.counted("n1", "reverse_path").unwrap() - before;
            assert_eq!(dropped, believed.iter().map(|believed| u64::from(!believed)).sum::<u64>());
        }
        cluster.end().unwrap();
    }
}

/// Says what a pod's annotation allows.
fn allow(cluster: &Cluster, annotation: &str) {
    let pod = format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  annotations: {{{annotation}}}\n");
    cluster.set_manifest("n1", "pods.yaml", &pod).unwrap();
}

#[test]
fn walk_12_sources_that_an_annotation_allows_are_believed_as_long_as_it_does() {
    let cluster = with_outside("walk-12-allowed", 1, &DIRECT);
    let a = cluster.node("n1").pod("a").unwrap();
    let outside = cluster.client("outside");
    let _server = outside.serve(&["tcp/80"]).unwrap();
    for (ip, via) in NOBODY.iter().zip(cluster.node("n1").addresses()) {
        a.run("ip", ["address", "add", ip, "dev", "lo"]).unwrap();
        outside.run("ip", ["route", "replace", ip, "via", &via.to_string()]).unwrap();
    }
    let open = |n: usize| {
        let source: IpAddr = NOBODY[n].parse().unwrap();
        let request = caracal_lab::traffic::Request::tcp((outside.addresses()[n], 80)).from((source, 0));
        a.roundtrip(&request.timeout(std::time::Duration::from_millis(500)), b"may I?")
    };
    for n in 0..2 {
        let before = cluster.counted("n1", "spoofed_address").unwrap();
        assert!(open(n).is_err());
        assert!(cluster.counted("n1", "spoofed_address").unwrap() > before);
    }
    let name = "cni.projectcalico.org/allowedSourcePrefixes";
    allow(&cluster, &format!("{name}: '[\"192.0.2.64/28\", \"2001:db8::66\"]'"));
    for (n, source) in NOBODY.iter().enumerate() {
        let source: IpAddr = source.parse().unwrap();
        wait_until("the new source", PATIENCE, || open(n).is_ok_and(|reply| reply.peer.ip() == source)).unwrap();
    }
    // What is wrong is told, and changes nothing.
    allow(&cluster, &format!("{name}: '[\"192.0.2.64/33\"]'"));
    cluster
        .wait_for_log(
            "Pod default/a: metadata.annotations.cni.projectcalico.org/allowedSourcePrefixes: \"192.0.2.64/33\"",
        )
        .unwrap();
    open(0).unwrap();
    allow(&cluster, "");
    for n in 0..2 {
        wait_until("the source to go", PATIENCE, || open(n).is_err()).unwrap();
        // Its own address it may have as ever.
        Connection::open(&a, (outside.addresses()[n], 80)).unwrap().echo(b"own").unwrap();
    }
    cluster.end().unwrap();
}
