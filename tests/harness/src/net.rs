//! A network namespace with what the programs ask the kernel about: interfaces, addresses, routes, neighbours, forwarding.
//!
//! `BPF_PROG_TEST_RUN` sends nothing anywhere: the interfaces are there to be packets' origin, and for `bpf_fib_lookup`.

use std::{
    fs::{self, File},
    io::{Seek as _, Write as _},
    net::IpAddr,
    path::Path,
    process::Command,
    thread,
};

use nix::sched::{CloneFlags, setns, unshare};

use crate::Pod;

const NO_PREFIX: &str = "a fixture's address has a prefix length, such as 192.0.2.1/24";

/// A network namespace. What is made in it goes with it.
#[derive(Debug)]
pub struct Net(File);

/// An interface of the node that is no pod's, with the addresses it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// Its number.
    pub ifindex: u32,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its addresses, with prefix length.
    pub addresses: Vec<String>,
    /// Its MTU.
    pub mtu: u32,
}

impl Nic {
    /// `eth<number>`, with a MAC address that ends in its number.
    #[must_use]
    pub fn new(number: u8) -> Self {
        Self {
            name: format!("eth{number}"),
            ifindex: 1000 + u32::from(number),
            mac: [2, 0, 0, 0, 3, number],
            addresses: Vec::new(),
            mtu: 1500,
        }
    }

    /// With an address, such as `192.0.2.1/24`.
    #[must_use]
    pub fn address(mut self, address: &str) -> Self {
        self.addresses.push(address.to_owned());
        self
    }

    /// With another MTU.
    #[must_use]
    pub fn mtu(self, mtu: u32) -> Self {
        Self { mtu, ..self }
    }

    /// Its first address of the family of another.
    #[must_use]
    pub fn ip(&self, like: IpAddr) -> IpAddr {
        let ip = self.ips().find(|ip| ip.is_ipv4() == like.is_ipv4());
        ip.unwrap_or_else(|| panic!("{} has no address of the family of {like}", self.name))
    }

    /// Its addresses without prefix length.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().map(|address| address.split_once('/').expect(NO_PREFIX).0.parse().expect(NO_PREFIX))
    }
}

impl Net {
    /// The one of the calling thread.
    #[must_use]
    pub fn current() -> Self {
        Self(File::open("/proc/thread-self/ns/net").expect("the network namespace of this thread"))
    }

    /// A new one, with loopback up.
    #[must_use]
    pub fn fresh() -> Self {
        let net = thread::scope(|scope| {
            let made = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).expect("make a network namespace");
                Self::current()
            });
            made.join().expect("a network namespace")
        });
        net.ip(&["link set lo up".to_owned()]);
        net
    }

    /// Runs a closure on a thread in it.
    pub fn inside<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).expect("enter the network namespace");
                body()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs commands of `ip`, such as `route add 192.0.2.0/24 dev eth0`: all must succeed.
    pub fn ip<S: AsRef<str>>(&self, commands: &[S]) {
        self.try_ip(commands).unwrap_or_else(|error| panic!("{error}"));
    }

    fn try_ip<S: AsRef<str>>(&self, commands: &[S]) -> Result<(), String> {
        let input = commands.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("\n") + "\n";
        let mut file = tempfile::tempfile().expect("a file for ip's input");
        file.write_all(input.as_bytes()).and_then(|()| file.rewind()).expect("write ip's input");
        #[expect(clippy::disallowed_methods, reason = "fixtures set their network up as people do")]
        let output = self.inside(|| Command::new("ip").args(["-batch", "-"]).stdin(file).output());
        let output = output.expect("run ip (install iproute2)");
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("ip: {stderr}\n{input}")) }
    }

    /// Sets a sysctl, such as `net/ipv4/ip_forward`.
    pub fn sysctl(&self, name: &str, value: &str) {
        let path = Path::new("/proc/sys").join(name);
        self.inside(|| fs::write(&path, value)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Whether packets of one interface may leave by another.
    pub fn forward(&self, whether: bool) {
        let value = if whether { "1" } else { "0" };
        self.sysctl("net/ipv4/ip_forward", value);
        self.sysctl("net/ipv6/conf/all/forwarding", value);
    }

    /// Makes a NIC, up and with its addresses.
    pub fn add_nic(&self, nic: &Nic) {
        let Nic { name, ifindex, mac, mtu, .. } = nic;
        let far = format!("{name}-far");
        let mut commands = vec![
            format!(
                "link add {name} index {ifindex} address {} mtu {mtu} type veth peer name {far} mtu {mtu}",
                text(*mac)
            ),
            format!("link set {far} up"),
        ];
        commands.extend(furnished(nic));
        self.ip(&commands);
    }

    /// Makes a VLAN interface on a NIC, up and with its addresses; says whether the kernel has such interfaces. Where it has
    /// none a second NIC may stand for it: what arrives there has lost its tag as well.
    #[must_use]
    pub fn add_vlan(&self, on: &Nic, id: u16, nic: &Nic) -> bool {
        let Nic { name, ifindex, mac, .. } = nic;
        let (on, mac) = (&on.name, text(*mac));
        let link = format!("link add link {on} name {name} index {ifindex} address {mac} type vlan id {id}");
        match self.try_ip(&[link]) {
            Err(error) if error.contains("Unknown device type") => return false,
            made => made.expect("ip"),
        }
        self.ip(&furnished(nic));
        true
    }

    /// Makes the host's side of a pod's veth, with route and neighbour, as the plugin does.
    pub fn add_pod(&self, pod: &Pod) {
        let Pod { ip, mac, gateway, ifindex } = pod;
        let (name, far) = (format!("pod{ifindex}"), format!("pod{ifindex}-far"));
        let (mac, gateway) = (text(*mac), text(*gateway));
        self.ip(&[
            format!("link add {name} index {ifindex} address {gateway} type veth peer name {far} address {mac}"),
            format!("link set {name} up"),
            format!("link set {far} up"),
            format!("route add {ip} dev {name}"),
            format!("neighbour add {ip} lladdr {mac} dev {name} nud permanent"),
        ]);
    }

    /// Makes this address, behind a NIC, the next hop of everything that has no other; its MAC address is known.
    pub fn gateway(&self, nic: &Nic, ip: &str, mac: [u8; 6]) {
        self.neighbour(nic, ip, mac);
        self.ip(&[format!("route add default via {ip} dev {}", nic.name)]);
    }

    /// Lets a neighbour be known for ever.
    pub fn neighbour(&self, nic: &Nic, ip: &str, mac: [u8; 6]) {
        self.ip(&[format!("neighbour replace {ip} lladdr {} dev {} nud permanent", text(mac), nic.name)]);
    }

    /// Forgets one.
    pub fn forget_neighbour(&self, nic: &Nic, ip: &str) {
        self.ip(&[format!("neighbour del {ip} dev {}", nic.name)]);
    }

    /// Adds a route to a prefix: `via 192.0.2.2`, `dev eth0`, or both, with whatever else `ip route` takes.
    pub fn route(&self, to: &str, by: &str) {
        self.ip(&[format!("route add {to} {by}")]);
    }

    /// Takes one away.
    pub fn unroute(&self, to: &str) {
        self.ip(&[format!("route del {to}")]);
    }

    /// Adds a route that drops silently.
    pub fn blackhole(&self, to: &str) {
        self.ip(&[format!("route add blackhole {to}")]);
    }

    /// Adds a route that says unreachable.
    pub fn unreachable(&self, to: &str) {
        self.ip(&[format!("route add unreachable {to}")]);
    }

    /// Adds a route that says forbidden.
    pub fn prohibit(&self, to: &str) {
        self.ip(&[format!("route add prohibit {to}")]);
    }
}

/// Up, and with addresses that can be used at once.
fn furnished(nic: &Nic) -> Vec<String> {
    let name = &nic.name;
    let mut commands = vec![format!("link set {name} up")];
    for address in &nic.addresses {
        let nodad = if address.contains(':') { " nodad" } else { "" };
        commands.push(format!("address add {address} dev {name}{nodad}"));
    }
    commands
}

fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}
