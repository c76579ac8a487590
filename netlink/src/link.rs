//! Links: made, found, configured, removed.

use std::os::fd::{AsFd, AsRawFd};

use caracal_abi::Mac;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{
        AfSpecInet, AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InetDevConf, InfoData, InfoKind, InfoVeth,
        LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage, State,
    },
};

use super::{Error, Request, Socket};

/// The kind of links that come in pairs.
pub const VETH: &str = "veth";

/// A link, as far as the plugin looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it is, for example [`VETH`]; empty for a device.
    pub kind: String,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// Its MTU.
    pub mtu: u32,
    /// Of a veth: the number of the other end, in the namespace of that.
    pub peer: Option<u32>,
    /// The namespace of that, as the link's own namespace numbers others; none if they are in the same.
    pub peer_nsid: Option<i32>,
    /// Whether it is switched on.
    pub is_up: bool,
    /// Whether it has a carrier and the kernel has acted on it: before that, what is sent on it is dropped.
    pub is_operational: bool,
}

impl Link {
    fn read(message: &LinkMessage) -> Self {
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            kind: String::new(),
            mac: None,
            mtu: 0,
            peer: None,
            peer_nsid: None,
            is_up: message.header.flags.contains(LinkFlags::Up),
            is_operational: message.attributes.contains(&LinkAttribute::OperState(State::Up)),
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::Address(bytes) => link.mac = bytes.as_slice().try_into().ok().map(Mac),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::LinkInfo(infos) => link.kind = kind(infos),
                LinkAttribute::Link(peer) => link.peer = Some(*peer),
                LinkAttribute::LinkNetNsId(nsid) => link.peer_nsid = Some(*nsid),
                _ => {}
            }
        }
        link
    }
}

fn kind(infos: &[LinkInfo]) -> String {
    let kind = infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    });
    kind.unwrap_or_default()
}

/// One end of a veth pair to be made.
#[derive(Clone, Copy, Debug)]
pub struct VethEnd<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its hardware address.
    pub mac: Mac,
}

/// Makes a veth pair, `host` here and `pod` straight in the namespace behind `netns`, and gives the host's end. The
/// pod's is its peer.
pub fn veth_add(
    socket: &mut Socket,
    host: VethEnd<'_>,
    pod: VethEnd<'_>,
    netns: &impl AsFd,
    mtu: u32,
) -> Result<Link, Error> {
    let end = |end: VethEnd<'_>| {
        let mut message = LinkMessage::default();
        message.attributes = vec![
            LinkAttribute::IfName(end.name.to_owned()),
            LinkAttribute::Address(end.mac.0.to_vec()),
            LinkAttribute::Mtu(mtu),
        ];
        message
    };
    let mut peer = end(pod);
    peer.attributes.push(LinkAttribute::NetNsFd(netns.as_fd().as_raw_fd()));
    let mut message = end(host);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    let what = format!("creating veth {} with {} in the container", host.name, pod.name);
    let flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO;
    let request = Request::new(RouteNetlinkMessage::NewLink(message), flags, what.clone());
    // Kernels from 6.2 on send the new link back, older ones must be asked for it.
    let link = match links(&socket.call(request)?).next() {
        Some(link) => Some(link),
        None => link_by_name(socket, host.name)?,
    };
    link.ok_or_else(|| Error::malformed(what, &"it was there and is gone"))
}

/// The link of this name.
pub fn link_by_name(socket: &mut Socket, name: &str) -> Result<Option<Link>, Error> {
    link_get(socket, 0, Some(name), format!("looking for link {name}"))
}

/// The link of this number.
pub fn link_by_index(socket: &mut Socket, index: u32) -> Result<Option<Link>, Error> {
    link_get(socket, index, None, format!("looking for link number {index}"))
}

fn link_get(socket: &mut Socket, index: u32, name: Option<&str>, what: String) -> Result<Option<Link>, Error> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes.extend(name.map(|name| LinkAttribute::IfName(name.to_owned())));
    message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    match socket.call(Request::new(RouteNetlinkMessage::GetLink(message), 0, what)) {
        Ok(messages) => Ok(links(&messages).next()),
        Err(e) if e.is(nix::errno::Errno::ENODEV) => Ok(None),
        Err(e) => Err(e),
    }
}

fn links(messages: &[RouteNetlinkMessage]) -> impl Iterator<Item = Link> {
    messages.iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewLink(message) => Some(Link::read(message)),
        _ => None,
    })
}

/// Removes a link.
#[must_use]
pub fn link_delete(index: u32) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    Request::new(RouteNetlinkMessage::DelLink(message), 0, format!("deleting link number {index}"))
}

/// Switches a link on.
#[must_use]
pub fn link_up(index: u32) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    Request::new(RouteNetlinkMessage::SetLink(message), 0, format!("switching on link number {index}"))
}

/// Settings of a link that has not been switched on yet.
#[derive(Clone, Debug, Default)]
pub struct LinkSettings {
    /// A note for people who list links.
    pub alias: Option<String>,
    /// `forwarding` and `rp_filter` of IPv4; zero leaves them alone.
    pub ipv4: (i32, i32),
    /// No link-local address of its own for IPv6.
    pub no_link_local: bool,
}

/// Settles how a link behaves. IPv4's and IPv6's part would be a file of sysctl each otherwise.
pub fn link_settings(index: u32, settings: &LinkSettings) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes.extend(settings.alias.clone().map(LinkAttribute::IfAlias));
    let mut families = Vec::new();
    if settings.ipv4 != (0, 0) {
        let mut conf = InetDevConf::default();
        (conf.forwarding, conf.rp_filter) = settings.ipv4;
        families.push(AfSpecUnspec::Inet(vec![AfSpecInet::DevConfRequest(conf)]));
    }
    if settings.no_link_local {
        families.push(AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]));
    }
    if !families.is_empty() {
        message.attributes.push(LinkAttribute::AfSpecUnspec(families));
    }
    Request::new(RouteNetlinkMessage::SetLink(message), 0, format!("configuring link number {index}"))
}
