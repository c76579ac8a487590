//! Programs on interfaces and cgroups: attached, replaced, detached; real packets as the proof.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use aya::programs::{CgroupSockAddrAttachType, ProgramInfo, SchedClassifier, TcAttachType, XdpMode};
use caracal_abi::{Reason, program};
use caracal_datapath::{
    Features, Loader, Pinned, Root,
    attach::{self, Direction, Method},
    counters,
};
use caracal_harness::{Frame, Pod, isolated, load_test_object};
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, sendto, socket};

/// A veth pair in the namespace of the calling thread; the index of its end `left`.
#[expect(clippy::disallowed_methods, reason = "a test may run `ip`")]
fn veth() -> u32 {
    for command in ["link add left type veth peer name right", "link set left up", "link set right up"] {
        assert!(Command::new("ip").args(command.split(' ')).status().unwrap().success(), "ip {command}");
    }
    nix::net::if_::if_nametoindex("left").unwrap()
}

/// Pins the programs that only tests load beside the real ones.
fn pin_test_programs(root: &Root) {
    let mut object = load_test_object();
    for (name, program) in object.programs_mut() {
        program.pin(root.program(name)).unwrap();
    }
}

fn load(root: &Root) -> Pinned {
    Loader::new(Features::probe()).load(root).unwrap();
    pin_test_programs(root);
    Pinned::open(root).unwrap().unwrap()
}

/// Ids of the programs at the tcx ingress of an interface.
fn tcx_programs(ifindex: u32) -> Vec<u32> {
    let (_, programs) = SchedClassifier::query_tcx(ifindex, TcAttachType::Ingress).unwrap();
    programs.iter().map(ProgramInfo::id).collect()
}

/// Sends ten packets with a source nobody owns into `left`'s ingress; how many more were dropped for it.
fn dropped(root: &Root) -> u64 {
    let count = || {
        let counts = counters::read(root).unwrap();
        counts.iter().find(|c| c.reason == Reason::SpoofedAddress).unwrap().total.packets
    };
    let before = count();
    spoof();
    count() - before
}

fn spoof() {
    let frame = Frame::new(&Pod::new("10.9.9.9", 1, 0), "10.9.9.8".parse().unwrap());
    let frame = frame.udp(1, 2, &[]);
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), SockProtocol::EthAll).unwrap();
    for _ in 0..10 {
        sendto(socket.as_raw_fd(), &frame, &link_addr("right"), MsgFlags::empty()).unwrap();
    }
}

/// nix builds link-layer addresses only from the system's list.
fn link_addr(name: &str) -> LinkAddr {
    let all = nix::ifaddrs::getifaddrs().unwrap();
    let mut of_name = all.filter(|a| a.interface_name == name);
    of_name.find_map(|a| a.address?.as_link_addr().copied()).unwrap()
}

#[test]
fn tcx_attach_replace_and_detach() {
    isolated(|root| {
        let (pinned, ifindex) = (load(root), veth());
        assert_eq!(pinned.settle_pod(ifindex).unwrap(), Method::Tcx);
        assert_eq!(dropped(root), 10);
        let first = tcx_programs(ifindex);
        assert_eq!(first.len(), 1);

        // A new version of the programs takes the place of the old one behind the same link.
        let pinned = load_again(root);
        assert_eq!(pinned.settle_pod(ifindex).unwrap(), Method::Tcx);
        let second = tcx_programs(ifindex);
        assert_eq!(second.len(), 1);
        assert_ne!(first, second);
        assert_eq!(dropped(root), 10);

        pinned.detach_pod(ifindex).unwrap();
        assert!(tcx_programs(ifindex).is_empty());
        assert_eq!(dropped(root), 0);
        pinned.detach_pod(ifindex).unwrap();
    });
}

fn load_again(root: &Root) -> Pinned {
    Loader::new(Features::probe()).load(root).unwrap();
    Pinned::open(root).unwrap().unwrap()
}

#[test]
fn the_hook_is_free_as_soon_as_a_program_is_detached() {
    isolated(|root| {
        let (pinned, ifindex) = (load(root), veth());
        for _ in 0..20 {
            pinned.settle_pod(ifindex).unwrap();
            pinned.detach_pod(ifindex).unwrap();
            assert!(tcx_programs(ifindex).is_empty());
        }
    });
}

#[test]
fn ours_is_first_at_the_hook() {
    isolated(|root| {
        let (pinned, ifindex) = (load(root), veth());
        attach::tc(root, "empty", ifindex, Direction::Ingress, Method::Tcx).unwrap();
        let other = tcx_programs(ifindex);
        pinned.settle_pod(ifindex).unwrap();
        let both = tcx_programs(ifindex);
        assert_eq!((both.len(), &both[1..]), (2, &other[..]));
        assert_eq!(dropped(root), 10);
    });
}

#[test]
fn a_filter_is_attached_replaced_and_detached() {
    isolated(|root| {
        let (pinned, ifindex) = (load(root), veth());
        assert_eq!(pinned.attach_pod(ifindex).unwrap(), Method::Filter);
        assert!(tcx_programs(ifindex).is_empty());
        assert_eq!(dropped(root), 10);
        let pinned = load_again(root);
        assert_eq!(pinned.attach_pod(ifindex).unwrap(), Method::Filter);
        assert_eq!(dropped(root), 10, "replaced, not added: each packet counts once");
        pinned.detach_pod(ifindex).unwrap();
        assert_eq!(dropped(root), 0);
        pinned.detach_pod(ifindex).unwrap();
    });
}

#[test]
fn a_settled_pod_has_one_program() {
    isolated(|root| {
        let (pinned, ifindex) = (load(root), veth());
        let pod = Pod::new("10.0.0.1", 1, ifindex);
        pinned.set_endpoint(pod.ip, &pod.endpoint()).unwrap();
        assert_eq!(pinned.attach_pod(ifindex).unwrap(), Method::Filter);
        assert!(qdiscs().contains("ingress"));
        assert_eq!(pinned.unsettled().unwrap(), [ifindex].into());

        assert_eq!(pinned.settle_pod(ifindex).unwrap(), Method::Tcx);
        assert_eq!(tcx_programs(ifindex).len(), 1);
        assert_eq!(tc("filter show dev left ingress"), "");
        assert_eq!(dropped(root), 10, "each packet counts once");
        assert_eq!(pinned.unsettled().unwrap(), [].into());
        assert_eq!(pinned.attach_pod(ifindex).unwrap(), Method::Tcx, "not back again");
        assert_eq!(dropped(root), 10);
    });
}

#[test]
fn settling_leaves_the_filters_of_others_alone() {
    isolated(|root| {
        let (pinned, ifindex) = (load(root), veth());
        pinned.attach_pod(ifindex).unwrap();
        tc("filter add dev left ingress protocol all prio 7 u32 match u32 0 0 flowid 1:1");
        pinned.settle_pod(ifindex).unwrap();
        assert!(qdiscs().contains("ingress"));
        assert_eq!(dropped(root), 10);
    });
}

#[expect(clippy::disallowed_methods, reason = "a test may run `tc`")]
fn tc(command: &str) -> String {
    let output = Command::new("tc").args(command.split(' ')).output().unwrap();
    assert!(output.status.success(), "tc {command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn qdiscs() -> String {
    tc("qdisc show dev left")
}

#[test]
fn reattach_moves_pods_to_new_programs_and_forgets_gone_interfaces() {
    isolated(|root| {
        let (pinned, ifindex) = (load(root), veth());
        let pod = Pod::new("10.0.0.1", 1, ifindex);
        pinned.set_endpoint(pod.ip, &pod.endpoint()).unwrap();
        pinned.settle_pod(ifindex).unwrap();
        let before = tcx_programs(ifindex);

        let pinned = load_again(root);
        let (attached, errors) = pinned.reattach().unwrap();
        assert_eq!((attached, errors.len()), (1, 0));
        assert_ne!(tcx_programs(ifindex), before);

        pinned.remove_endpoint(pod.ip, ifindex).unwrap();
        assert_eq!(pinned.reattach().unwrap().0, 0);
        assert_eq!(fs::read_dir(root.links_dir()).unwrap().count(), 0);
    });
}

#[test]
fn the_link_of_a_deleted_interface_is_replaced() {
    isolated(|root| {
        let (pinned, ifindex) = (load(root), veth());
        pinned.settle_pod(ifindex).unwrap();
        delete_left();
        // The pin is still there and its link is dead: a new interface cannot have the same index here, so it is given.
        fs::rename(root.link(program::FROM_POD, ifindex), root.link(program::FROM_POD, ifindex + 2)).unwrap();
        let again = veth();
        assert_eq!(again, ifindex + 2);
        assert_eq!(pinned.settle_pod(again).unwrap(), Method::Tcx);
        assert_eq!(tcx_programs(again).len(), 1);
    });
}

#[expect(clippy::disallowed_methods, reason = "a test may run `ip`")]
fn delete_left() {
    assert!(Command::new("ip").args(["link", "del", "left"]).status().unwrap().success());
}

#[test]
fn an_interface_that_does_not_exist_is_an_error_that_names_it() {
    isolated(|root| {
        let pinned = load(root);
        let error = pinned.attach_pod(4711).unwrap_err().to_string();
        assert!(error.contains("link number 4711") && error.contains("No such device"), "{error}");
        let error = pinned.settle_pod(4711).unwrap_err().to_string();
        assert!(error.contains("from_pod") && error.contains("No such device"), "{error}");
    });
}

#[test]
fn xdp_attach_replace_and_detach() {
    isolated(|root| {
        let (_, ifindex) = (load(root), veth());
        assert_eq!(attach::xdp(root, "pass_xdp", ifindex).unwrap(), XdpMode::Driver);
        let first = xdp_program();
        assert!(first.is_some());
        pin_again(root, "pass_xdp");
        attach::xdp(root, "pass_xdp", ifindex).unwrap();
        assert!(xdp_program().is_some_and(|second| Some(second) != first));
        assert!(attach::unpin(&root.link("pass_xdp", ifindex)).unwrap());
        assert_eq!(xdp_program(), None);
    });
}

/// What `ip` says is attached to `left`.
#[expect(clippy::disallowed_methods, reason = "a test may run `ip`")]
fn xdp_program() -> Option<u64> {
    let output = Command::new("ip").args(["-json", "link", "show", "left"]).output().unwrap();
    let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    links[0]["xdp"]["prog"]["id"].as_u64()
}

/// Another copy of a test program under the same pin.
fn pin_again(root: &Root, name: &str) {
    fs::remove_file(root.program(name)).unwrap();
    load_test_object().program_mut(name).unwrap().pin(root.program(name)).unwrap();
}

/// A cgroup of our own, removed with the test.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let root = mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
        let path =
            Path::new(root.expect("a cgroup2 mount")).join(format!("caracal-test-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn enter(&self) {
        fs::write(self.0.join("cgroup.procs"), "0").unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Some(parent) = self.0.parent() {
            let _ = fs::write(parent.join("cgroup.procs"), "0");
        }
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn cgroup_attach_replace_and_detach() {
    isolated(|root| {
        load(root);
        let cgroup = Cgroup::new("attach");
        let connect = CgroupSockAddrAttachType::Connect4;
        attach::cgroup(root, "refuse_connect4", &cgroup.0, connect).unwrap();
        cgroup.enter();
        assert!(connects().is_err(), "the program refuses");
        // Replaced behind the same link by one that allows.
        fs::remove_file(root.program("refuse_connect4")).unwrap();
        let mut object = load_test_object();
        object.program_mut("pass_connect4").unwrap().pin(root.program("refuse_connect4")).unwrap();
        attach::cgroup(root, "refuse_connect4", &cgroup.0, connect).unwrap();
        connects().unwrap();
        assert!(attach::unpin(&root.links_dir().join("refuse_connect4")).unwrap());
        connects().unwrap();
    });
}

/// A connection over this namespace's loopback.
#[expect(clippy::disallowed_methods, reason = "a test may run `ip`")]
fn connects() -> std::io::Result<()> {
    assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status()?.success());
    let listener = TcpListener::bind("127.0.0.1:0")?;
    TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(2))?;
    Ok(())
}

#[test]
fn a_program_of_another_type_is_not_attached() {
    isolated(|root| {
        load(root);
        let ifindex = veth();
        let error = attach::xdp(root, "empty", ifindex).unwrap_err().to_string();
        assert!(error.contains("empty"), "{error}");
    });
}
