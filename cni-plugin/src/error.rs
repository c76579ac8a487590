//! Everything that can stop a verb, and the code under which the runtime learns of it.

use std::net::IpAddr;

use caracal_ipam::protocol::{CniError, Code};

use crate::{netlink, netns, peer, record, sysctl};

/// What stopped a verb.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a change to links, addresses or routes.
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
    /// The container's namespace is not there or not one.
    #[error(transparent)]
    Netns(#[from] netns::Error),
    /// A record file failed.
    #[error(transparent)]
    Record(#[from] record::Error),
    /// A kernel setting could not be made.
    #[error(transparent)]
    Sysctl(#[from] sysctl::Error),
    /// Addresses could not be had or given back.
    #[error(transparent)]
    Ipam(#[from] caracal_ipam::Error),
    /// Another IPAM plugin refused.
    #[error(transparent)]
    Delegate(#[from] CniError),
    /// The interface that another plugin made is of no use.
    #[error(transparent)]
    Unsuitable(#[from] peer::Unsuitable),
    /// The data plane refused.
    #[error("data plane: {0}")]
    DataPlane(#[from] caracal_datapath::Error),
    /// There is no data plane where there must be one.
    #[error("policy is \"required\", but no data plane is pinned under {0}; caracal-agent pins it when it starts")]
    NoDataPlane(String),
    /// A port mapping without what would serve it.
    #[error("portMappings need the data plane, and none is pinned under {0}; caracal-agent pins it when it starts")]
    NoPorts(String),
    /// A port of the node that leads to another pod already.
    #[error(
        "portMappings: port {port}/{protocol} of {host_ip} leads to another pod already, the one behind link number {owner}"
    )]
    PortTaken {
        /// The node's address.
        host_ip: IpAddr,
        /// The node's port.
        port: u16,
        /// IP protocol number.
        protocol: u8,
        /// The other pod's veth.
        owner: u32,
    },
    /// What the cluster says of the pod is not in force yet.
    #[error("caracal-agent: {0}")]
    MustWait(String),
    /// The agent does not take the pod.
    #[error("caracal-agent refuses the pod: {0}")]
    AgentRefused(String),
    /// The attachment exists.
    #[error("{0} is attached already; a second ADD needs a DEL before it")]
    Attached(String),
    /// Another plugin process is at work on the same attachment.
    #[error("another ADD or DEL of {0} is running")]
    Busy(String),
    /// The container has a link of the name that was asked for.
    #[error("CNI_IFNAME: the container has an interface {0} already")]
    IfnameTaken(String),
    /// The host has a link of the name the veth must have, and it is somebody else's.
    #[error("the host has a link {0} that was not made for this attachment; rename or delete it")]
    HostIfnameTaken(String),
    /// An IPv6 address on a kernel without IPv6.
    #[error("an IPv6 range is configured, but this kernel runs without IPv6 (ipv6.disable=1)")]
    NoIpv6,
    /// An earlier ADD of the attachment was killed, and what it left cannot be removed.
    #[error("an earlier ADD of {attachment} was killed, and its remains cannot be cleared away: {errors}")]
    Remains {
        /// The attachment.
        attachment: String,
        /// Why not.
        errors: String,
    },
    /// The kernel did not say which link is the other end of the new pair.
    #[error("the kernel made veth {0} but does not say what its peer is")]
    NoPeer(String),
    /// What CHECK found.
    #[error("{0}")]
    Check(String),
}

impl From<Error> for CniError {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Ipam(error) => return error.into(),
            Error::Delegate(error) => return error,
            Error::Unsuitable(_) => Code::NotChainable,
            Error::Netns(netns::Error::Open { .. }) | Error::IfnameTaken(_) => Code::InvalidEnvironment,
            Error::Netns(netns::Error::Own { .. } | netns::Error::Enter { .. }) => Code::InvalidNetns,
            Error::Record(_) => Code::Io,
            Error::NoDataPlane(_) | Error::NoPorts(_) | Error::Busy(_) | Error::MustWait(_) => Code::TryAgainLater,
            Error::Attached(_) => Code::Duplicate,
            Error::Netlink(_) | Error::Sysctl(_) | Error::HostIfnameTaken(_) | Error::NoIpv6 | Error::NoPeer(_) => {
                Code::Network
            }
            Error::DataPlane(_) | Error::PortTaken { .. } | Error::AgentRefused(_) => Code::DataPlane,
            Error::Remains { .. } => Code::Incomplete,
            Error::Check(_) => Code::CheckFailed,
        };
        Self::new(code, error.to_string())
    }
}
