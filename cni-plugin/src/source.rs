//! Where a pod's addresses come from: our own IPAM, in this process, or another plugin.

use std::{collections::BTreeSet, net::IpAddr, path::Path};

use caracal_ipam::{
    Attachment, Config, Ipam,
    config::requested_addresses,
    json::Node,
    plugin::{likely_host_local_dir, read_config, read_host_local_dir, read_resolv_conf},
    protocol::{AddResult, CniError, Code, Delegate, Dns, Ip, Request, Route, Verb},
};
use serde_json::json;

use crate::{
    Error,
    config::{self, IPAM_TYPE, ipam_type},
    record::Record,
};

/// Who gives addresses, ready to.
#[derive(Debug)]
pub enum Source<'a> {
    /// Our own IPAM.
    Own(Box<Own>),
    /// Another IPAM plugin.
    Other(Delegate<'a>),
}

/// Our own IPAM and what it goes by.
#[derive(Debug)]
pub struct Own {
    ipam: Ipam,
    config: Config,
    /// Addresses that the pod asks for.
    requested: Vec<IpAddr>,
    /// Resolver settings that it was told to pass on.
    dns: Dns,
}

/// What a pod got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// At least one, none twice, of one family or of both.
    pub addresses: Vec<IpAddr>,
    /// The same as another IPAM told of them; none of our own.
    pub as_told: Vec<Ip>,
    /// Routes for the pod.
    pub routes: Vec<Route>,
    /// Resolver settings.
    pub dns: Dns,
}

impl<'a> Source<'a> {
    /// Finds out who it is, and refuses what cannot work.
    pub fn of(request: &'a Request, settings: &config::Config) -> Result<Self, CniError> {
        let kind = ipam_type(&request.conf())?;
        if kind != IPAM_TYPE {
            return Ok(Self::Other(Delegate::find(request, &kind)?));
        }
        let config = read_config(request)?;
        // Nobody asks for resolver settings that the configuration has itself.
        let resolv_conf = config.resolv_conf.as_deref().filter(|_| settings.dns.is_none());
        Ok(Self::Own(Box::new(Own {
            ipam: Ipam::new(&settings.places.data_dir, &request.network).with_host_local(read_host_local_dir(request)?),
            requested: requested_addresses(&request.conf(), &request.args)?,
            dns: resolv_conf.map(read_resolv_conf).transpose()?.unwrap_or_default(),
            config,
        })))
    }

    /// Its `ipam.type`.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Own(_) => IPAM_TYPE,
            Self::Other(delegate) => delegate.kind(),
        }
    }

    /// Takes addresses for an attachment.
    pub fn take(&self, attachment: &Attachment) -> Result<Given, Error> {
        match self {
            Self::Own(own) => {
                let Own { ipam, config, requested, dns } = own.as_ref();
                let leases = ipam.add(config, attachment, requested)?;
                let addresses = leases.iter().map(|lease| lease.address.ip()).collect();
                Ok(Given { addresses, as_told: Vec::new(), routes: config.routes.clone(), dns: dns.clone() })
            }
            Self::Other(delegate) => {
                let result = delegate.add()?;
                let addresses = usable(result.ips.iter().map(|ip| ip.address.ip()))?;
                Ok(Given { addresses, as_told: result.ips, routes: result.routes, dns: result.dns })
            }
        }
    }

    /// Whether it could give any now.
    pub fn status(&self) -> Result<(), CniError> {
        match self {
            Self::Own(own) => {
                own.ipam.status(&own.config).map_err(|e| CniError::new(Code::NotAvailable, e.to_string()))
            }
            Self::Other(delegate) => delegate.call(Verb::Status),
        }
    }
}

/// Addresses that a pod can have, each once.
fn usable(addresses: impl Iterator<Item = IpAddr>) -> Result<Vec<IpAddr>, CniError> {
    let mut usable = Vec::new();
    for ip in addresses {
        if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() {
            return Err(CniError::new(Code::Delegate, format!("the IPAM plugin gave {ip}, which no pod can have")));
        }
        if !usable.contains(&ip) {
            usable.push(ip);
        }
    }
    Ok(usable)
}

/// Whoever gave an attachment its addresses: as its record has it, else as the configuration has it, which may be
/// broken.
fn kind(request: &Request, record: &Record) -> String {
    if !record.ipam.is_empty() {
        return record.ipam.clone();
    }
    let configured = |conf: Node<'_>| ipam_type(&conf).ok().filter(|kind| !kind.is_empty());
    configured(request.conf()).unwrap_or_else(|| IPAM_TYPE.to_owned())
}

/// Our own IPAM, for taking back. What host-local has given out is our business only where we took its place.
fn own_ipam(request: &Request, data_dir: &Path, kind: &str) -> Ipam {
    let host_local = (kind == IPAM_TYPE).then(|| likely_host_local_dir(request)).flatten();
    Ipam::new(data_dir, &request.network).with_host_local(host_local)
}

/// Gives an attachment's addresses back, and every error. Without a record both kinds are asked: whoever never gave any
/// has nothing to do.
pub fn give_back(request: &Request, data_dir: &Path, record: &Record, attachment: &Attachment) -> Vec<Error> {
    let kind = kind(request, record);
    let mut errors = Vec::new();
    if kind == IPAM_TYPE || record.ipam.is_empty() {
        errors.extend(own_ipam(request, data_dir, &kind).del(attachment).err().map(Error::from));
    }
    if kind != IPAM_TYPE {
        let given_back = Delegate::find(request, &kind).and_then(|delegate| delegate.del(attachment));
        errors.extend(given_back.err().map(Error::from));
    }
    errors
}

/// Whether an attachment still holds its addresses. `previous` is the result of its ADD.
pub fn check(
    request: &Request,
    previous: &AddResult,
    data_dir: &Path,
    record: &Record,
    attachment: &Attachment,
) -> Result<(), Error> {
    let kind = kind(request, record);
    if kind == IPAM_TYPE {
        return Ok(own_ipam(request, data_dir, &kind).check(attachment)?);
    }
    let mut request = request.clone();
    if !record.given.is_empty() {
        let seen = AddResult { ips: as_given(&previous.ips, &record.given), ..AddResult::default() };
        request.conf["prevResult"]["ips"] = json!(seen.in_version(request.version).ips);
    }
    Ok(Delegate::find(&request, &kind)?.call(Verb::Check)?)
}

/// The addresses of a result as the IPAM plugin that gave them knows them: a pod has them without the subnet and with the
/// host for a gateway, which static, for one, takes for somebody else's.
fn as_given(ips: &[Ip], given: &[Ip]) -> Vec<Ip> {
    let of_ipam = |ip: &Ip| match given.iter().find(|given| given.address.ip() == ip.address.ip()) {
        Some(given) => Ip { interface: ip.interface, ..given.clone() },
        None => ip.clone(),
    };
    ips.iter().map(of_ipam).collect()
}

/// Gives back all addresses but those of `valid`, and every error.
pub fn collect(request: &Request, data_dir: &Path, valid: &BTreeSet<Attachment>) -> Vec<Error> {
    let kind = kind(request, &Record::default());
    let collected = own_ipam(request, data_dir, &kind).gc(valid);
    let mut errors: Vec<Error> = collected.into_iter().map(Error::from).collect();
    if kind != IPAM_TYPE {
        let collected = Delegate::find(request, &kind).and_then(|delegate| delegate.call(Verb::Gc));
        errors.extend(collected.err().map(Error::from));
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipam_is_shown_its_own_addresses_and_others_as_they_are() {
        let ip = |address: &str, gateway: &str| Ip {
            gateway: Some(gateway.parse().unwrap()),
            ..Ip::new(address.parse().unwrap())
        };
        let ours = Ip { interface: Some(3), ..ip("10.0.0.2/32", "169.254.1.1") };
        let later = ip("10.9.0.2/24", "10.9.0.1");
        let given = [ip("10.0.0.2/24", "10.0.0.1"), ip("fd00::2/64", "fd00::1")];
        let seen = as_given(&[ours, later.clone()], &given);
        assert_eq!(seen, [Ip { interface: Some(3), ..given[0].clone() }, later]);
    }

    #[test]
    fn what_a_delegate_gives_must_be_fit_for_a_pod() {
        let of = |texts: &[&str]| usable(texts.iter().map(|text| text.parse().unwrap()));
        let many = of(&["10.0.0.2", "10.0.0.3", "fd00::2", "10.0.0.2"]).unwrap();
        assert_eq!(many.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.2", "10.0.0.3", "fd00::2"]);
        for bad in ["0.0.0.0", "127.0.0.1", "::1", "ff02::1", "224.0.0.1"] {
            let error = of(&["10.0.0.2", bad]).unwrap_err();
            assert_eq!((u32::from(error.code), error.msg.contains(bad)), (106, true));
        }
    }
}
