//! A machine made of namespaces, and what tests ask of it.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{ErrorKind, Write},
    net::{IpAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use caracal_cni_plugin::netlink::{
    Batch, Link, Socket, address_add, link_by_index, link_by_name, link_delete, link_up,
};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
};
use serde_json::{Value, json};

/// Where other plugins are: in the tests' own directory, or where Debian has them.
pub(crate) const CNI_PATH: &str = "/run/bin:/usr/lib/cni";

/// The machine that the calling thread is on. There is no way back for the thread: it ends with the test.
pub(crate) struct Node {
    run: &'static Path,
    socket: RefCell<Socket>,
}

/// A pod's network namespace, without anything in it.
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) netns: PathBuf,
}

/// What a call of the plugin came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) document: Value,
    pub(crate) exit: i32,
    pub(crate) stderr: String,
}

impl Answer {
    /// The result of a call that must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.exit, 0, "{self:?}");
        self.document
    }

    /// Code and message of a call that must have failed.
    #[track_caller]
    pub(crate) fn error(self) -> (u64, String) {
        assert_eq!(self.exit, 1, "{self:?}");
        (self.document["code"].as_u64().unwrap(), self.document["msg"].as_str().unwrap().to_owned())
    }
}

impl Node {
    /// Moves the calling thread to a new machine with a loopback link and an address on it.
    pub(crate) fn enter() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "these tests make network namespaces: run them as root");
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none).unwrap();
        mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), MsFlags::empty(), none).unwrap();
        fs::create_dir("/run/netns").unwrap();
        let changes = [
            link_up(1),
            address_add(1, "192.0.2.100".parse().unwrap()),
            address_add(1, "2001:db8::100".parse().unwrap()),
        ];
        let mut socket = Socket::open().unwrap();
        socket.execute(&Batch::from_iter(changes)).unwrap();
        Self { run: Path::new("/run"), socket: socket.into() }
    }

    /// Makes a network namespace.
    pub(crate) fn pod(&self, name: &str) -> Pod {
        let netns = self.run.join("netns").join(name);
        File::create(&netns).unwrap();
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let none = None::<&str>;
            mount(Some("/proc/thread-self/ns/net"), &netns, none, MsFlags::MS_BIND, none).unwrap();
        };
        thread::scope(|scope| scope.spawn(make).join().unwrap());
        Pod { name: name.to_owned(), netns }
    }

    /// The host's end of a link.
    pub(crate) fn link(&self, name: &str) -> Option<Link> {
        link_by_name(&mut self.socket.borrow_mut(), name).unwrap()
    }

    /// The host's link of this number.
    pub(crate) fn link_of_index(&self, index: u32) -> Option<Link> {
        link_by_index(&mut self.socket.borrow_mut(), index).unwrap()
    }

    /// Deletes a link of the host's.
    pub(crate) fn delete(&self, link: &Link) {
        self.socket.borrow_mut().call(link_delete(link.index)).unwrap();
    }

    /// Waits until a link is gone whose other end's namespace was removed: the kernel does that in its own time.
    pub(crate) fn wait_for_end_of(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.link(name).is_some() {
            assert!(Instant::now() < deadline, "{name} outlives its namespace");
            thread::yield_now();
        }
    }

    /// Everything that ADDs left on this machine: links but `lo`, routes, addresses in use, records.
    pub(crate) fn remains(&self) -> Vec<String> {
        let mut remains: Vec<String> = fs::read_to_string("/proc/thread-self/net/dev")
            .unwrap()
            .lines()
            .skip(2)
            .filter_map(|line| line.split(':').next().map(|name| name.trim().to_owned()))
            .filter(|name| name != "lo")
            .collect();
        for dir in ["endpoints/net", "ipam/net/attachments", "ipam/net"] {
            let Ok(listing) = fs::read_dir(self.run.join("caracal").join(dir)) else { continue };
            let files = listing.map(Result::unwrap).filter(|item| item.file_type().unwrap().is_file());
            remains.extend(files.map(|file| file.path().display().to_string()));
        }
        remains
    }
}

impl Pod {
    /// Does `work` in the namespace.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let netns = File::open(&self.netns).unwrap();
        let inside = || {
            setns(netns, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join().unwrap())
    }

    /// A link of the pod.
    pub(crate) fn link(&self, name: &str) -> Option<Link> {
        self.run(|| link_by_name(&mut Socket::open().unwrap(), name).unwrap())
    }

    /// Removes the namespace's last name, and with it the namespace.
    pub(crate) fn remove(&self) {
        umount2(&self.netns, MntFlags::MNT_DETACH).unwrap();
        fs::remove_file(&self.netns).unwrap();
    }

    /// Calls the plugin for the pod's `eth0`.
    pub(crate) fn call(&self, verb: &str, conf: &Value) -> Answer {
        call(verb, &self.env("eth0"), &conf.to_string())
    }

    /// The environment of a call for the pod.
    pub(crate) fn env<'a>(&'a self, ifname: &'a str) -> Vec<(&'static str, &'a str)> {
        vec![
            ("CNI_CONTAINERID", &self.name),
            ("CNI_NETNS", self.netns.to_str().unwrap()),
            ("CNI_IFNAME", ifname),
            ("CNI_PATH", CNI_PATH),
        ]
    }
}

/// Starts the plugin and gives it its configuration.
pub(crate) fn start(verb: &str, env: &[(&str, &str)], stdin: &str) -> Child {
    start_program(Path::new(env!("CARGO_BIN_EXE_caracal")), verb, env, stdin)
}

/// The same with any plugin.
pub(crate) fn start_program(program: &Path, verb: &str, env: &[(&str, &str)], stdin: &str) -> Child {
    #[expect(clippy::disallowed_methods, reason = "the binary is what is tested")]
    let mut child = Command::new(program)
        .env_clear()
        .env("CNI_COMMAND", verb)
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}; Debian has it in containernetworking-plugins", program.display()));
    match child.stdin.take().unwrap().write_all(stdin.as_bytes()) {
        // A plugin that has seen enough may end without reading.
        Err(e) if e.kind() == ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    child
}

/// Calls the plugin. Whatever it prints must be one JSON document or nothing.
pub(crate) fn call(verb: &str, env: &[(&str, &str)], stdin: &str) -> Answer {
    answer(start(verb, env, stdin))
}

/// What a plugin comes to that has been started.
pub(crate) fn answer(child: Child) -> Answer {
    let output = child.wait_with_output().unwrap();
    let document = if output.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&output.stdout).unwrap() };
    let stderr = String::from_utf8(output.stderr).unwrap();
    Answer { document, exit: output.status.code().unwrap(), stderr }
}

/// A configuration with a range set per subnet.
pub(crate) fn conf(version: &str, subnets: &[&str]) -> Value {
    let ranges: Vec<_> = subnets.iter().map(|subnet| json!([{"subnet": subnet}])).collect();
    json!({"cniVersion": version, "name": "net", "type": "caracal",
        "ipam": {"type": "caracal-ipam", "ranges": ranges}})
}

/// The addresses of a result, without their prefixes.
pub(crate) fn addresses(result: &Value) -> Vec<IpAddr> {
    let ips = result["ips"].as_array().unwrap().iter().map(|ip| ip["address"].as_str().unwrap());
    ips.map(|ip| ip.split('/').next().unwrap().parse().unwrap()).collect()
}

/// Whether a datagram from here reaches `to` in `pod`, and the answer comes back from where it was sent to. Says the
/// address it came from.
pub(crate) fn echo(pod: &Pod, to: IpAddr) -> Option<IpAddr> {
    let server = pod.run(|| UdpSocket::bind((to, 0)).unwrap());
    let any: IpAddr = if to.is_ipv4() { "0.0.0.0".parse().unwrap() } else { "::".parse().unwrap() };
    let client = UdpSocket::bind((any, 0)).unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    }
    let mut buffer = [0; 16];
    // The first datagrams can come before the link has noticed that it is on.
    for attempt in 0..5u8 {
        client.send(&[attempt]).ok()?;
        let Ok((length, from)) = server.recv_from(&mut buffer) else { continue };
        server.send_to(&buffer[..length], from).unwrap();
        if client.recv(&mut buffer).is_ok() {
            return Some(from.ip());
        }
    }
    None
}
