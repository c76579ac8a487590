//! What nodes, clients and pods have in common: a place on the network where programs run.

use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    capture::Capture,
    device,
    machine::Machine,
    namespaces::{NetNs, in_netns},
    process::{Command, Process},
    traffic::{self, Datagrams, Listen, Ping, PingError, Pong, Reply, Request},
};

/// The lab's own binary, as it is found in the `PATH` of every machine.
const LAB: &str = "caracal-lab";

/// More than the requests themselves are given.
const STARTED_WITHIN: Duration = Duration::from_secs(10);

/// A place on the network where programs run.
pub trait Site {
    /// The machine it is, or is on.
    fn machine(&self) -> &Machine;

    /// Its network namespace.
    fn netns(&self) -> &NetNs;

    /// Its addresses, IPv4 before IPv6.
    fn addresses(&self) -> &[IpAddr];

    /// What messages call it: `n1`, or `n1/a` for a pod.
    fn label(&self) -> &str {
        self.netns().label()
    }

    /// Its IPv4 address.
    ///
    /// # Panics
    /// If it has none.
    fn ip4(&self) -> Ipv4Addr {
        let found = self.addresses().iter().find_map(|ip| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None });
        found.unwrap_or_else(|| panic!("{} has no IPv4 address", self.label()))
    }

    /// Its IPv6 address.
    ///
    /// # Panics
    /// If it has none.
    fn ip6(&self) -> Ipv6Addr {
        let found = self.addresses().iter().find_map(|ip| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None });
        found.unwrap_or_else(|| panic!("{} has no IPv6 address", self.label()))
    }

    /// A program to run here: in all namespaces of the machine and in its cgroup, and for a pod in its network
    /// namespace.
    ///
    /// `program` is looked up in the machine's `PATH`, which begins with the directory of this workspace's binaries.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command::new(self.machine().clone(), self.netns().clone(), program)
    }

    /// Runs a program that must succeed, and gives its standard output.
    fn run<S: AsRef<OsStr>>(&self, program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> Result<String> {
        self.command(program).args(args).run()
    }

    /// Starts echo servers, such as `tcp/8080`. They listen when this returns, and end when the process is dropped.
    fn serve(&self, listens: &[&str]) -> Result<Process> {
        for listen in listens {
            listen.parse::<Listen>().map_err(anyhow::Error::msg)?;
        }
        let server = self.command(LAB).args(["serve", "--name", self.label()]).args(listens).spawn()?;
        server.wait_for_log(traffic::serve::READY, STARTED_WITHIN)?;
        Ok(server)
    }

    /// Sends `payload` to an echo server by TCP, and gives what it says.
    fn tcp_roundtrip(&self, to: impl Into<SocketAddr>, payload: &[u8]) -> Result<Reply, traffic::Error> {
        self.roundtrip(&Request::tcp(to), payload)
    }

    /// Sends `payload` to an echo server by UDP, and gives what it says.
    fn udp_roundtrip(&self, to: impl Into<SocketAddr>, payload: &[u8]) -> Result<Reply, traffic::Error> {
        self.roundtrip(&Request::udp(to), payload)
    }

    /// Makes a request to an echo server, in a process of its own: socket programs of the node see it.
    fn roundtrip(&self, request: &Request, payload: &[u8]) -> Result<Reply, traffic::Error> {
        let of_lab = |error| traffic::Error::of_lab(self.label(), &error);
        let input = traffic::encode_request(request, payload).map_err(|error| of_lab(error.into()))?;
        let client = self.command(LAB).arg("roundtrip").stdin(input).timeout(request.timeout + STARTED_WITHIN);
        traffic::decode_outcome(client.run_bytes().map_err(of_lab)?.as_slice())
    }

    /// Sends an ICMP or ICMPv6 echo request and waits for the answer.
    fn ping(&self, to: impl Into<IpAddr>) -> Result<Pong, PingError> {
        self.ping_with(&Ping::new(to))
    }

    /// As [`Self::ping`], with everything that a ping can have.
    fn ping_with(&self, ping: &Ping) -> Result<Pong, PingError> {
        let sent = in_netns(self.netns(), || traffic::ping(ping));
        sent.unwrap_or_else(|source| Err(PingError::Io { to: ping.to, step: "enter the network namespace", source }))
    }

    /// Sends a frame exactly as given, Ethernet header included, out of interface `ifname`.
    fn send_frame(&self, ifname: &str, frame: &[u8]) -> Result<()> {
        self.send_frames(ifname, [frame])
    }

    /// As [`Self::send_frame`], for many: opening and closing a packet socket takes some milliseconds.
    fn send_frames<F: AsRef<[u8]>>(&self, ifname: &str, frames: impl IntoIterator<Item = F> + Send) -> Result<()> {
        let sent = in_netns(self.netns(), || traffic::send_frames(ifname, frames)).flatten();
        sent.with_context(|| format!("sending frames out of {ifname} of {}", self.label()))
    }

    /// Opens a UDP socket here that is connected and stays open. It is the test's own, so socket programs do not see it.
    fn datagrams(&self, to: impl Into<SocketAddr>) -> Result<Datagrams> {
        self.datagrams_from(0, to)
    }

    /// The same, from this port.
    fn datagrams_from(&self, port: u16, to: impl Into<SocketAddr>) -> Result<Datagrams> {
        let to = to.into();
        let opened = in_netns(self.netns(), || Datagrams::connect(port, to)).flatten();
        opened.with_context(|| format!("a UDP socket of {} to {to}", self.label()))
    }

    /// Opens a UDP socket here that receives from anybody, and stays open.
    fn datagrams_at(&self, port: u16) -> Result<Datagrams> {
        let opened = in_netns(self.netns(), || Datagrams::bind(port)).flatten();
        opened.with_context(|| format!("a UDP socket on port {port} of {}", self.label()))
    }

    /// Switches everything on or off that an interface, or the kernel in its stead, does with many packets at once: cutting
    /// (TSO, GSO, of UDP too), joining (GRO), checksums. Without these, what is captured is what was sent. Off on both ends
    /// of a veth: what one end does not cut the other does not get cut.
    fn set_offloads(&self, ifname: &str, on: bool) -> Result<()> {
        device::set_offloads(self, ifname, on)
    }

    /// Whether one of them is on, by the name that `ethtool -k` has for it.
    fn offload(&self, ifname: &str, feature: &str) -> Result<bool> {
        device::offload(self, ifname, feature)
    }

    /// Sets an interface's MTU.
    fn set_mtu(&self, ifname: &str, mtu: u32) -> Result<()> {
        self.run("ip", ["link", "set", ifname, "mtu", &mtu.to_string()]).map(drop)
    }

    /// Captures what goes over interface `ifname` from now on.
    fn capture(&self, ifname: &str) -> Result<Capture> {
        Capture::start(self.netns(), ifname)
    }
}
