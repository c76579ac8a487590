//! cgroup links: programs at connect, sendmsg and their like.

use std::{fs::File, path::Path};

use aya::programs::{CgroupAttachMode, CgroupSockAddr, CgroupSockAddrAttachType, cgroup_sock_addr::CgroupSockAddrLink};
use caracal_abi::program;

use super::link;
use crate::{Error, Root};

/// The programs of sockets, and which calls they are for.
pub const SOCKETS: &[(&str, CgroupSockAddrAttachType)] = &[
    (program::CONNECT[0], CgroupSockAddrAttachType::Connect4),
    (program::CONNECT[1], CgroupSockAddrAttachType::Connect6),
    (program::SENDMSG[0], CgroupSockAddrAttachType::UDPSendMsg4),
    (program::SENDMSG[1], CgroupSockAddrAttachType::UDPSendMsg6),
    (program::RECVMSG[0], CgroupSockAddrAttachType::UDPRecvMsg4),
    (program::RECVMSG[1], CgroupSockAddrAttachType::UDPRecvMsg6),
    (program::GETPEERNAME[0], CgroupSockAddrAttachType::GetPeerName4),
    (program::GETPEERNAME[1], CgroupSockAddrAttachType::GetPeerName6),
];

/// Attaches a pinned program to a cgroup, or replaces the program already there. Its link is pinned under the
/// program's own name: a node has one cgroup root.
pub fn cgroup(root: &Root, name: &str, cgroup: &Path, at: CgroupSockAddrAttachType) -> Result<(), Error> {
    let pin = root.links_dir().join(name);
    let mut program = CgroupSockAddr::from_pin(root.program(name), at).map_err(Error::program(name, "open its pin"))?;
    if let Some(existing) = link::open::<CgroupSockAddrLink>(&pin).map_err(Error::program(name, "open its link"))? {
        match program.attach_to_link(existing) {
            Ok(_) => return Ok(()),
            Err(error) if link::is_dead(&error) => link::unpin(&pin)?,
            Err(error) => return Err(Error::program(name, "replace it")(error)),
        };
    }
    let directory = File::open(cgroup).map_err(Error::directory("open the cgroup", cgroup))?;
    // Single means flags 0, the only thing the kernel takes for a link; such links add up all the same.
    let id =
        program.attach(directory, CgroupAttachMode::Single).map_err(Error::program(name, "attach it to the cgroup"))?;
    link::pin(program.take_link(id).map_err(Error::program(name, "take its link"))?, &pin)
}
