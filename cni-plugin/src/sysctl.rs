//! Settings of links that netlink has no words for: IPv6's, in files under `/proc/sys`.
//!
//! What is there depends on the network namespace of the thread that opens it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

const IPV6: &str = "/proc/sys/net/ipv6/conf";

/// A setting that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}: {source}", path.display())]
pub struct Error {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Whether the kernel speaks IPv6 at all.
#[must_use]
pub fn has_ipv6() -> bool {
    Path::new(IPV6).exists()
}

/// Prepares the host's end of a pod's link. It must not be switched on yet.
///
/// A pod must not be able to advertise itself as a router to the host (`accept_ra`). For IPv6 pods the host must
/// forward what comes in by the link. `force_forwarding` (Linux 6.17) says so for one link; before that there is only
/// the switch for all links, which makes a host deaf to router advertisements elsewhere, so it is turned only if nobody
/// has.
pub fn prepare_host_end(ifname: &str, forward_ipv6: bool) -> Result<(), Error> {
    write(ifname, "accept_ra", "0")?;
    if !forward_ipv6 || read("all", "forwarding")? == "1" {
        return Ok(());
    }
    match write(ifname, "force_forwarding", "1") {
        Err(e) if e.source.kind() == io::ErrorKind::NotFound => {
            log::warn!("net.ipv6.conf.all.forwarding was 0 and is 1 now: without it no pod has IPv6");
            write("all", "forwarding", "1")
        }
        outcome => outcome,
    }
}

/// Whether links that are yet to come will have IPv6 switched off.
pub fn ipv6_is_off_by_default() -> Result<bool, Error> {
    Ok(read("default", "disable_ipv6")? == "1")
}

/// Switches IPv6 on for a link, and for the loopback link, without which a pod cannot talk to itself.
pub fn enable_ipv6(ifname: &str) -> Result<(), Error> {
    write("lo", "disable_ipv6", "0")?;
    write(ifname, "disable_ipv6", "0")
}

fn read(ifname: &str, setting: &str) -> Result<String, Error> {
    let path = Path::new(IPV6).join(ifname).join(setting);
    let mut text = [0; 32];
    let length = File::open(&path).and_then(|mut file| file.read(&mut text));
    let length = length.map_err(|source| Error { action: "reading", path, source })?;
    Ok(String::from_utf8_lossy(&text[..length]).trim().to_owned())
}

fn write(ifname: &str, setting: &str, value: &str) -> Result<(), Error> {
    let path = Path::new(IPV6).join(ifname).join(setting);
    // Without the wish to create it: what is missing shall be reported as missing.
    let file = OpenOptions::new().write(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(|source| Error { action: "writing", path, source })
}
