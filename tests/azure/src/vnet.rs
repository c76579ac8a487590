//! `azure-vnet` in transparent mode, from outside: the same names, links, routes, neighbours, result, state file and
//! requests to the address service. What it does for other modes and other systems, and its telemetry, is left out.

mod call;
mod state;
mod wiring;

use std::{
    fs,
    io::{self, Write as _},
    net::IpAddr,
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::{Value, json};

use self::{
    call::{Call, Mode},
    state::{Endpoint, State},
    wiring::Wiring,
};
use crate::{cns, http};

/// The plugin's code for an error of any kind.
const ERROR: u32 = 100;

/// Where a release waits for the address service to come back.
const RELEASE_LATER: &str = "/var/run/azure-vnet/deleteIDs";

/// Runs the plugin as the environment says.
#[must_use]
pub fn main() -> ExitCode {
    let (document, code) = match run() {
        Ok(document) => (document, ExitCode::SUCCESS),
        Err(error) => {
            let error = json!({"cniVersion": "0.3.0", "code": ERROR, "msg": format!("{error:#}")});
            (Some(error), ExitCode::FAILURE)
        }
    };
    let printed = document.map_or(Ok(()), |document| writeln!(io::stdout(), "{document}"));
    if printed.is_ok() { code } else { ExitCode::FAILURE }
}

fn run() -> Result<Option<Value>> {
    let call = Call::read()?;
    match call.verb.as_str() {
        "ADD" => add(&call).map(Some),
        "DEL" => del(&call).map(|()| None),
        "VERSION" => {
            let versions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"];
            Ok(Some(json!({"cniVersion": "1.0.0", "supportedVersions": versions})))
        }
        other => Err(anyhow!("CNI_COMMAND {other} is not supported")),
    }
}

fn add(call: &Call) -> Result<Value> {
    let mut state = State::lock()?;
    ensure!(!call.pod.is_empty() && !call.namespace.is_empty(), "Pod Namespace not specified in CNI Args");
    let infos = request(call)?;
    let made = wire(call, &infos).and_then(|endpoint| {
        ensure!(!state.has(&endpoint.id), "failed to create endpoint: Endpoint already exists");
        state.add(endpoint)
    });
    if let Err(error) = made {
        release(call, None)?;
        return Err(error);
    }
    Ok(result(call, &infos))
}

fn del(call: &Call) -> Result<()> {
    let mut state = State::lock()?;
    let Some(endpoint) = state.of_container(&call.container_id) else {
        // A node that was started again has no state, and yet there may be an address.
        return release(call, None);
    };
    // The link goes with the pod's namespace.
    for command in wiring::unroute(&endpoint) {
        if let Err(error) = wiring::ip(None, &command) {
            eprintln!("{error:#}");
        }
    }
    for address in &endpoint.addresses {
        release(call, Some(*address))?;
    }
    state.remove(&endpoint)
}

/// A pod's address as the service gives it.
#[derive(Debug)]
struct Info {
    ip: IpAddr,
    prefix: u8,
    /// Where the pod's network is one of Azure's own, its gateway.
    gateway: Option<IpAddr>,
    raw: Value,
}

fn request(call: &Call) -> Result<Vec<Info>> {
    let answer = http::request(cns::ADDRESS, "POST", cns::REQUEST, &call.ip_configs(None));
    let answer = answer.context("Failed to get IP address from CNS")?;
    let code = &answer["response"]["ReturnCode"];
    ensure!(*code == 0, "Failed to get IP address from CNS: {code} {}", answer["response"]["Message"]);
    let infos = answer["podIPInfo"].as_array().context("podIPInfo")?;
    infos.iter().map(|info| Info::read(call.mode, info)).collect()
}

impl Info {
    fn read(mode: Mode, info: &Value) -> Result<Self> {
        let primary = &info["NetworkContainerPrimaryIPConfig"];
        let ip: IpAddr = parse(&info["PodIPConfig"]["IPAddress"])?;
        let prefix = primary["IPSubnet"]["PrefixLength"].as_u64().context("PrefixLength")?;
        let gateway = match mode {
            Mode::Overlay => None,
            Mode::Swift => Some(parse(&primary["GatewayIPAddress"]).context("Gateway address from response")?),
        };
        Ok(Self { ip, prefix: prefix.try_into()?, gateway, raw: info.clone() })
    }
}

fn parse<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(text: &Value) -> Result<T> {
    text.as_str().context("a string is missing")?.parse().with_context(|| text.to_string())
}

/// Gives an address back, or all that the container has.
fn release(call: &Call, address: Option<IpAddr>) -> Result<()> {
    match http::request(cns::ADDRESS, "POST", cns::RELEASE, &call.ip_configs(address)) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            let file = Path::new(RELEASE_LATER).join(&call.container_id);
            fs::create_dir_all(RELEASE_LATER)
                .and_then(|()| fs::write(&file, call.endpoint_id()))
                .with_context(|| format!("failed to add file to watcher: {}", file.display()))
        }
        answer => {
            let answer = answer.context("failed to release address")?;
            let code = &answer["response"]["ReturnCode"];
            ensure!(*code == 0, "failed to release address: {code}");
            Ok(())
        }
    }
}

fn wire(call: &Call, infos: &[Info]) -> Result<Endpoint> {
    let wiring = Wiring::new(call, infos)?;
    if call.mode == Mode::Swift {
        wiring::swift(infos)?;
    }
    wiring.apply()?;
    Ok(Endpoint {
        id: call.endpoint_id(),
        container_id: call.container_id.clone(),
        host_ifname: wiring.host_ifname,
        addresses: infos.iter().map(|info| info.ip).collect(),
    })
}

fn result(call: &Call, infos: &[Info]) -> Value {
    let gateway = |info: &Info| info.gateway.unwrap_or_else(|| wiring::gateway(info.ip));
    let version = |info: &Info| if info.ip.is_ipv4() { "4" } else { "6" };
    let ips = infos.iter().map(|info| {
        let address = format!("{}/{}", info.ip, info.prefix);
        json!({"version": version(info), "address": address, "gateway": gateway(info)})
    });
    let default = |ip: IpAddr| if ip.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
    let routes = infos.iter().map(|info| json!({"dst": default(info.ip), "gw": gateway(info)}));
    json!({
        "cniVersion": "0.3.0",
        "interfaces": [{"name": call.ifname}],
        "ips": ips.collect::<Vec<_>>(),
        "routes": routes.collect::<Vec<_>>(),
        "dns": {},
    })
}
