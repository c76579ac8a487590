//! Any bytes as a call of a CNI plugin: variables of the environment, separated by NUL, up to the first line feed, and
//! after it the standard input. Reading must not panic, and whoever gets an error must be told which variable or field
//! it is about.

#![no_main]

use std::{collections::BTreeSet, ffi::OsString, net::IpAddr, os::unix::ffi::OsStringExt};

use caracal_ipam::{
    Attachment,
    config::{Config, data_dir, requested_addresses},
    plugin::{likely_host_local_dir, read_config, read_host_local_dir},
    protocol::{
        AddResult, Added, CniError, Dns, Ip, LogSettings, Plugin, Previous, Request, RuntimeDns, Target, call,
        requested_mac,
    },
    ranges::{Range, RangeSet, Unavailable},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const VARIABLES: [&str; 7] =
    ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_ARGS", "CNI_PATH", "CNI_NETNS_OVERRIDE"];

/// What a complaint about a configuration may begin with.
const FIELDS: [&str; 9] = [
    "configuration",
    "cniVersion",
    "name",
    "ipam",
    "runtimeConfig",
    "args",
    "prevResult",
    "cni.dev/valid-attachments",
    "CNI_ARGS",
];

fuzz_target!(|input: &[u8]| {
    let split = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (variables, stdin) = (&input[..split], input.get(split + 1..).unwrap_or_default());
    let values: Vec<_> = variables.split(|byte| *byte == 0).collect();
    let var = |name: &str| {
        let position = VARIABLES.iter().position(|variable| *variable == name)?;
        Some(OsString::from_vec(values.get(position)?.to_vec()))
    };
    match call(&Reader, var, stdin) {
        Ok(Some(Value::Object(document))) => assert!(document["cniVersion"].is_string()),
        Ok(None | Some(Value::String(_))) => {}
        Ok(Some(other)) => panic!("neither a result nor versions: {other}"),
        Err(error) => assert!(names_its_object(&error), "{:?} {error}", error.code),
    }
});

fn names_its_object(error: &CniError) -> bool {
    let is_field = |field: &&str| {
        let rest = error.msg.strip_prefix(*field).unwrap_or_default();
        rest.starts_with([':', '.', '[']) && error.msg.split_once(": ").is_some_and(|(_, reason)| !reason.is_empty())
    };
    match u32::from(error.code) {
        1 => error.details.contains("cniVersion") || error.details.contains("the configuration is of"),
        4 => error.msg.contains("CNI_"),
        6 => error.msg.starts_with("network configuration on standard input: "),
        7 => FIELDS.iter().any(|field| is_field(field)),
        _ => false,
    }
}

/// Reads all that our plugins read, and touches nothing.
struct Reader;

impl Plugin for Reader {
    const ABOUT: &'static str = "a reader";

    fn add(&self, request: &Request, target: &Target) -> Result<Added, CniError> {
        target.netns()?;
        for complaint in LogSettings::read(&request.conf).complaints() {
            assert!(complaint.starts_with("log"), "{complaint}");
        }
        if let Some(previous) = Previous::of(request)? {
            let _ = previous.addresses();
            return Ok(Added::Unchanged(previous.in_version(request.version)));
        }
        let config = read_config(request)?;
        read_host_local_dir(request)?;
        let requested = requested_addresses(&request.conf(), &request.args)?;
        if let Some(mac) = requested_mac(&request.conf(), &request.args)? {
            assert_eq!(mac[0] & 1, 0);
        }
        let dns = RuntimeDns::read(&request.conf())?.over(Dns::default());
        let ips = picked(&config, &requested);
        Ok(AddResult { ips, routes: config.routes, dns, ..AddResult::default() }.into())
    }

    fn del(&self, request: &Request, _: &Target) -> Result<(), CniError> {
        read_leniently(request);
        Ok(())
    }

    fn check(&self, request: &Request, _: &Target) -> Result<(), CniError> {
        read_config(request)?;
        Ok(())
    }

    fn gc(&self, request: &Request, _: &BTreeSet<Attachment>) -> Result<(), CniError> {
        read_leniently(request);
        Ok(())
    }

    fn status(&self, request: &Request) -> Result<(), CniError> {
        read_config(request)?;
        Ok(())
    }
}

/// What a broken configuration must not keep from being done.
fn read_leniently(request: &Request) {
    let dir = likely_host_local_dir(request);
    assert!(dir.is_none_or(|dir| dir.is_absolute()));
    let _ = request.conf().get("ipam").ok().flatten().map(|ipam| data_dir(&ipam));
}

/// An address of each set, after whatever was asked for.
fn picked(config: &Config, requested: &[IpAddr]) -> Vec<Ip> {
    let gateways = || config.sets.iter().flat_map(RangeSet::ranges).map(Range::gateway);
    let unavailable =
        Unavailable { reserved: gateways().collect(), cooling: requested.to_vec(), ..Unavailable::default() };
    let mut ips = Vec::new();
    for set in &config.sets {
        assert!(set.size() > 0, "{set}");
        let last = requested.iter().copied().find(|ip| set.range_of(*ip).is_some());
        let Some(ip) = set.pick(last, &unavailable) else {
            assert!(set.size() <= gateways().count() as u128, "{set} has more than gateways");
            continue;
        };
        assert!(set.gives(ip) && gateways().all(|gateway| gateway != ip), "{ip} of {set}");
        let range = set.range_of(ip).expect("it gives the address");
        assert!(range.subnet().contains(ip) && range.subnet().network() != ip, "{ip} of {set}");
        ips.push(Ip { gateway: Some(range.gateway()), ..Ip::new(ip.into()) });
    }
    ips
}
