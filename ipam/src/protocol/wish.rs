//! What is wanted for one attachment alone. The runtime says so in `runtimeConfig`, a configuration in `args.cni`, the
//! environment in `CNI_ARGS`; the first of them that says something counts.

use super::{Args, Dns};
use crate::json::{FieldError, Node};

/// What `runtimeConfig` and `args.cni` say under `key`, in this order.
pub(crate) fn wishes<'a>(conf: &Node<'a>, key: &str) -> Result<impl Iterator<Item = Node<'a>>, FieldError> {
    let runtime = conf.get("runtimeConfig")?.map_or(Ok(None), |runtime| runtime.get(key))?;
    let cni = conf.get("args")?.map_or(Ok(None), |args| args.get("cni"))?;
    let cni = cni.map_or(Ok(None), |cni| cni.get(key))?;
    Ok([runtime, cni].into_iter().flatten())
}

/// A complaint about `key` in `CNI_ARGS`.
pub(crate) fn args_error(key: &str, reason: String) -> FieldError {
    FieldError { path: format!("CNI_ARGS: {key}"), reason }
}

/// The hardware address that the interface shall have: the `mac` capability, `args.cni.mac`, `MAC` in `CNI_ARGS`.
pub fn requested_mac(conf: &Node<'_>, args: &Args) -> Result<Option<[u8; 6]>, FieldError> {
    for wish in wishes(conf, "mac")? {
        let text: String = wish.parse()?;
        if !text.is_empty() {
            return read_mac(&text).map(Some).map_err(|reason| wish.error(reason));
        }
    }
    args.get("MAC").map(|text| read_mac(text).map_err(|reason| args_error("MAC", reason))).transpose()
}

fn read_mac(text: &str) -> Result<[u8; 6], String> {
    let separator = if text.contains('-') { '-' } else { ':' };
    let byte = |part: &str| {
        let is_hex = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then(|| u8::from_str_radix(part, 16).ok()).flatten()
    };
    let bytes: Option<Vec<u8>> = text.split(separator).map(byte).collect();
    let Some(mac) = bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()) else {
        return Err(format!("{text:?} is not a hardware address of six bytes, like 02:00:5e:10:00:01"));
    };
    if mac[0] & 1 == 1 {
        return Err(format!("{text} is an address of many; the lowest bit of its first byte must be 0"));
    }
    if mac == [0; 6] {
        return Err(format!("{text} is nobody's address"));
    }
    Ok(mac)
}

/// The runtime's `dns` capability. What it leaves out or empty is not its wish.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeDns {
    servers: Option<Vec<String>>,
    searches: Option<Vec<String>>,
    options: Option<Vec<String>>,
}

impl RuntimeDns {
    /// Reads what the runtime says, if anything.
    pub fn read(conf: &Node<'_>) -> Result<Self, FieldError> {
        let dns = conf.get("runtimeConfig")?.map_or(Ok(None), |runtime| runtime.get("dns"))?;
        let Some(dns) = dns else { return Ok(Self::default()) };
        Ok(Self { servers: dns.field("servers")?, searches: dns.field("searches")?, options: dns.field("options")? })
    }

    /// `dns` with the runtime's wishes in place of its own.
    #[must_use]
    pub fn over(&self, dns: Dns) -> Dns {
        let wish = |wish: &Option<Vec<String>>, own| wish.clone().filter(|list| !list.is_empty()).unwrap_or(own);
        Dns {
            nameservers: wish(&self.servers, dns.nameservers),
            domain: dns.domain,
            search: wish(&self.searches, dns.search),
            options: wish(&self.options, dns.options),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn mac(conf: &Value, args: &str) -> Result<Option<[u8; 6]>, String> {
        requested_mac(&Node::root(conf), &Args::parse(args).unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_runtimes_hardware_address_wins_over_the_configurations_over_the_environments() {
        let mut conf =
            json!({"runtimeConfig": {"mac": "02:00:00:00:00:0A"}, "args": {"cni": {"mac": "02-00-00-00-00-0b"}}});
        let args = "IgnoreUnknown=1;MAC=02:00:00:00:00:0c";
        let ends_in = |conf: &Value, args| mac(conf, args).unwrap().map(|mac| mac[5]);
        assert_eq!(ends_in(&conf, args), Some(10));
        conf["runtimeConfig"]["mac"] = json!("");
        assert_eq!(ends_in(&conf, args), Some(11));
        conf["args"]["cni"] = Value::Null;
        assert_eq!(ends_in(&conf, args), Some(12));
        assert_eq!(ends_in(&conf, "MAC="), None);
    }

    #[test]
    fn what_is_no_hardware_address_of_one_interface_is_refused_by_name() {
        for bad in
            ["02:00:00:00:00", "02:00:00:00:00:00:01", "02:00:00:00:00:g1", "0200.0000.0001", "+2:00:00:00:00:01", "x"]
        {
            let refused = mac(&json!({"runtimeConfig": {"mac": bad}}), "").unwrap_err();
            assert!(refused.starts_with(&format!("runtimeConfig.mac: {bad:?} is not a hardware address")), "{refused}");
        }
        let many = mac(&json!({"args": {"cni": {"mac": "01:00:5e:00:00:01"}}}), "").unwrap_err();
        assert!(many.starts_with("args.cni.mac: 01:00:5e:00:00:01 is an address of many"), "{many}");
        assert_eq!(
            mac(&json!({}), "MAC=00:00:00:00:00:00").unwrap_err(),
            "CNI_ARGS: MAC: 00:00:00:00:00:00 is nobody's address"
        );
        assert!(
            mac(&json!({"runtimeConfig": {"mac": 7}}), "").unwrap_err().starts_with("runtimeConfig.mac: invalid type")
        );
    }

    #[test]
    fn the_runtimes_resolver_settings_replace_what_they_name() {
        let own = Dns {
            nameservers: vec!["10.0.0.1".to_owned()],
            domain: Some("a.example".to_owned()),
            search: vec!["a.example".to_owned()],
            options: vec!["ndots:5".to_owned()],
        };
        let over = |dns: Value| {
            let conf = json!({"runtimeConfig": {"dns": dns}});
            RuntimeDns::read(&Node::root(&conf)).map(|runtime| runtime.over(own.clone())).map_err(|e| e.to_string())
        };
        assert_eq!(over(Value::Null), Ok(own.clone()));
        assert_eq!(over(json!({"servers": null, "searches": [], "unknown": 1})), Ok(own.clone()));
        let wished = over(json!({"servers": ["10.9.9.9"], "searches": ["b.example"]})).unwrap();
        assert_eq!((wished.nameservers, wished.search), (vec!["10.9.9.9".to_owned()], vec!["b.example".to_owned()]));
        assert_eq!((wished.domain, wished.options), (own.domain.clone(), own.options.clone()));
        assert!(over(json!({"servers": "10.9.9.9"})).unwrap_err().starts_with("runtimeConfig.dns.servers: "));
    }
}
