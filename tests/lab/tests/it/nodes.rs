//! What a node is, and how programs run in it.

use std::{
    fs,
    net::IpAddr,
    path::Path,
    time::{Duration, Instant},
};

use caracal_lab::{Lab, LanKind, NodeSpec, Ping, Site, require_root, wait_until};

use crate::support::{links_of_the_machine, two_nodes};

const NAMESPACES: [&str; 5] = ["net", "mnt", "pid", "uts", "cgroup"];

#[test]
fn a_node_has_namespaces_of_its_own() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("namespaces").start().unwrap();
    println!("boot of 2 nodes, 1 client and the LAN: {:?}", lab.boot_time());
    let seen_by = |site: &dyn Fn(&str) -> String| NAMESPACES.map(|kind| site(&format!("/proc/self/ns/{kind}")));
    let machine = seen_by(&|path| fs::read_link(path).unwrap().display().to_string());
    let [n1, n2, c1] = [lab.node("n1").machine(), lab.node("n2").machine(), lab.client("c1")]
        .map(|site| seen_by(&|path| site.run("readlink", [path]).unwrap().trim().to_owned()));
    for (index, kind) in NAMESPACES.iter().enumerate() {
        let mut all = vec![&machine[index], &n1[index], &n2[index], &c1[index]];
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4, "{kind}: {all:?}");
    }
}

#[test]
fn a_node_looks_like_a_node() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("looks").start().unwrap();
    let node = lab.node("n1");
    let sh = |script: &str| node.run("sh", ["-c", script]).unwrap().trim().to_owned();
    assert_eq!(sh("hostname"), "n1");
    assert_eq!(sh("cat /proc/1/comm"), "caracal-lab", "its init is PID 1, in a /proc of its own");
    assert_eq!(sh("cat /sys/class/net/*/address | wc -l"), "2", "a /sys of its own, with lo and eth0");
    assert_eq!(sh("cat /proc/self/cgroup | grep ^0:"), "0::/", "its own cgroup is its root");
    assert_ne!(sh("cat /sys/fs/cgroup/cgroup.procs"), "");
    assert_eq!(sh("ls /sys/kernel/btf/vmlinux"), "/sys/kernel/btf/vmlinux", "eBPF programs are loaded from here");
    assert_eq!(sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding"), "1\n1");
    assert_eq!(sh("ip -br link show lo | grep -c UP"), "1");
    assert_eq!(sh("ls -d /etc/cni/net.d /opt/cni/bin /var/lib/cni /run/netns /run/caracal /run/lock | wc -l"), "6");
    assert_eq!(sh("ls -A /etc/cni/net.d /opt/cni/bin /var/lib/cni | grep -v -e : -e ^$; true"), "", "empty at first");
    for mounted in ["/etc/cni/net.d tmpfs", "/opt/cni/bin tmpfs", "/var/lib/cni tmpfs", "/sys/fs/bpf bpf", "/proc proc"]
    {
        assert!(sh("cut -d' ' -f2,3 /proc/mounts").lines().any(|mount| mount == mounted), "{mounted}");
    }
    assert_eq!(sh("getent hosts n2 | head -1").split_whitespace().next(), Some("fd00:1ab::12"));
    assert_eq!(lab.client("c1").run("cat", ["/proc/sys/net/ipv4/ip_forward"]).unwrap().trim(), "0");
}

#[test]
fn what_a_node_writes_nobody_else_sees() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("private").start().unwrap();
    let name = lab.name();
    for dir in ["/etc", "/opt", "/var/lib", "/run", "/tmp", "/sys/fs/bpf", "/etc/cni/net.d"] {
        let path = format!("{dir}/{name}");
        lab.node("n1").run("mkdir", [&path]).unwrap();
        assert!(!Path::new(&path).exists(), "{path} is on the machine");
        let elsewhere = lab.node("n2").command("test").args(["-e", &path]).output().unwrap();
        assert_eq!(elsewhere.status.code(), Some(1), "{path} is on n2");
    }
    assert!(lab.node("n1").run("ls", ["/etc/os-release"]).is_ok(), "what the machine has is there to be read");
}

#[test]
fn a_process_is_in_the_cgroup_of_its_node() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("cgroup").start().unwrap();
    let process = lab.node("n2").command("sleep").arg("100").spawn().unwrap();
    let cgroups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid())).unwrap();
    let expected = format!("0::/caracal-lab/{}/n2", lab.name());
    assert!(cgroups.lines().any(|line| line == expected), "{cgroups}");
}

#[test]
fn machines_of_a_bridge_are_neighbours() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("bridge").start().unwrap();
    let (n1, n2, c1) = (lab.node("n1"), lab.node("n2"), lab.client("c1"));
    for to in n2.addresses().iter().chain(c1.addresses()) {
        n1.ping_with(&Ping::new(*to).ttl(1)).unwrap();
    }
}

#[test]
fn machines_behind_a_router_are_two_hops_apart() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("routed").lan(LanKind::Routed).start().unwrap();
    let (n1, n2, c1) = (lab.node("n1"), lab.node("n2"), lab.client("c1"));
    for (to, time_exceeded) in [(IpAddr::from(n2.ip4()), (11, 0)), (IpAddr::from(c1.ip6()), (3, 0))] {
        n1.ping(to).unwrap();
        assert_eq!(n1.ping_with(&Ping::new(to).ttl(1)).unwrap_err().icmp(), Some(time_exceeded));
    }
}

#[test]
fn orphans_are_reaped_by_the_init() {
    if !require_root() {
        return;
    }
    let lab = Lab::builder("orphans").node(NodeSpec::new("n1")).start().unwrap();
    let node = lab.node("n1");
    node.run("sh", ["-c", "sleep 0.05 & sleep 0.05 &"]).unwrap();
    let processes = || node.run("sh", ["-c", "ls -d /proc/[0-9]* | wc -l"]).unwrap().trim().to_owned();
    // The init, the shell that asks, and its two children.
    wait_until("the end of the orphans", Duration::from_secs(5), || processes() == "4").unwrap();
}

#[test]
fn a_command_that_fails_says_all_there_is_to_say() {
    if !require_root() {
        return;
    }
    let lab = Lab::builder("fails").node(NodeSpec::new("n1")).start().unwrap();
    let node = lab.node("n1");
    let error = node.run("sh", ["-c", "echo out; echo err >&2; exit 7"]).unwrap_err().to_string();
    for part in ["echo out", "in n1", "exit status: 7", "out\n", "err\n"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    let error = format!("{:#}", node.run("no-such-program", ["x"]).unwrap_err());
    assert!(error.contains("starting `no-such-program x` in n1"), "{error}");
}

#[test]
fn a_command_is_bounded_in_time_and_does_not_wait_for_its_orphans() {
    if !require_root() {
        return;
    }
    let lab = Lab::builder("bounded").node(NodeSpec::new("n1")).start().unwrap();
    let node = lab.node("n1");
    let endless = node.command("sh").args(["-c", "echo begun; sleep 100"]).timeout(Duration::from_millis(200));
    let error = format!("{:#}", endless.output().unwrap_err());
    assert!(error.contains("too long") && error.contains("begun"), "{error}");

    let started = Instant::now();
    assert_eq!(node.run("sh", ["-c", "sleep 100 & echo done"]).unwrap(), "done\n");
    assert!(started.elapsed() < Duration::from_secs(50), "it waited for the orphan that holds its output");
}

#[test]
fn standard_input_and_output_are_not_limited_by_pipes() {
    if !require_root() {
        return;
    }
    let lab = Lab::builder("stdin").node(NodeSpec::new("n1")).start().unwrap();
    let text = vec![b'x'; 3 << 20];
    let output = lab.node("n1").command("cat").stdin(text.clone()).output().unwrap();
    let same = output.stdout == text;
    assert!(same, "{} bytes came back", output.stdout.len());
}

#[test]
fn a_process_is_watched_by_its_log_and_ends_when_dropped() {
    if !require_root() {
        return;
    }
    let lab = Lab::builder("process").node(NodeSpec::new("n1")).start().unwrap();
    let node = lab.node("n1");
    let process = node.command("sh").args(["-c", "echo up; exec sleep 100"]).spawn().unwrap();
    process.wait_for_log("up", Duration::from_secs(5)).unwrap();
    assert!(process.is_running());
    let pid = process.pid();
    drop(process);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());

    let short = node.command("sh").args(["-c", "echo bye; exit 3"]).spawn().unwrap();
    let error = short.wait_for_log("hello", Duration::from_secs(5)).unwrap_err().to_string();
    assert!(error.contains("exit status: 3") && error.contains("bye"), "{error}");
    assert_eq!(short.wait(Duration::from_secs(5)).unwrap().code(), Some(3));
}

#[test]
fn labs_of_one_name_live_side_by_side_and_the_machine_sees_nothing_of_them() {
    if !require_root() {
        return;
    }
    let before = links_of_the_machine();
    let labs = [(); 3].map(|()| two_nodes("twin").start().unwrap());
    assert_eq!(links_of_the_machine(), before);
    for lab in &labs {
        lab.node("n1").ping(lab.node("n2").ip4()).unwrap();
    }
    let [first, second, third] = labs;
    first.end().unwrap();
    second.node("n1").ping(second.node("n2").ip4()).unwrap();
    drop(second);
    third.node("n1").ping(third.node("n2").ip4()).unwrap();
}

#[test]
fn a_second_lab_of_exactly_the_same_name_is_refused() {
    if !require_root() {
        return;
    }
    let lab = Lab::builder("same").node(NodeSpec::new("n1")).start().unwrap();
    let spec = caracal_lab::spec::LabSpec::new(lab.name());
    let error = format!("{:#}", Lab::start(&spec).unwrap_err());
    assert!(error.contains("is there already") && error.contains("caracal-lab down"), "{error}");
    lab.node("n1").run("true", [""; 0]).unwrap();
}
