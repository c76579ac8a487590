//! Addresses of API servers as they are written down.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use http::Uri;
use serde::Deserialize;

const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";
/// The service's own address, which kubelet tells every container.
const SERVICE: &str = "KUBERNETES_PORT_443_TCP_ADDR";

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It cannot be read.
    #[error("{}: cannot read it: {source}", path.display())]
    Read {
        /// The file, or the directory.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// It does not say where.
    #[error("{}: it does not set {HOST}", .0.display())]
    NoHost(PathBuf),
    /// It is written in another way.
    #[error("{0:?} is not an API server's address such as https://192.0.2.1:6443 or 192.0.2.1")]
    Address(String),
}

/// `v1 ConfigMap`.
#[derive(Debug, Deserialize)]
struct ConfigMap {
    #[serde(default)]
    data: Option<Data>,
}

/// What a `ConfigMap`, a directory or the environment says.
#[derive(Debug, Default, Deserialize)]
struct Data {
    #[serde(rename = "KUBERNETES_SERVICE_HOST")]
    host: Option<String>,
    #[serde(rename = "KUBERNETES_SERVICE_PORT")]
    port: Option<String>,
}

impl Data {
    /// Several hosts are separated by commas.
    fn urls(&self) -> Result<Vec<Uri>, EndpointError> {
        let hosts = self.host.as_deref().unwrap_or_default().split(',').map(str::trim);
        let port = self.port.as_deref().map(str::trim).filter(|port| !port.is_empty());
        hosts.filter(|host| !host.is_empty()).map(|host| url(host, port)).collect()
    }
}

/// What the environment says, if it says anything.
pub fn of_environment(var: impl Fn(&str) -> Option<String>) -> Result<Vec<Uri>, EndpointError> {
    let data = Data { host: var(HOST), port: var(PORT) };
    if data.host.is_some() && data.host == var(SERVICE) {
        log::warn!(
            "{HOST} is the address of the service kubernetes, which whoever provides services must reach without one; \
             set it by the ConfigMap kubernetes-services-endpoint, or give --api-server"
        );
    }
    data.urls()
}

/// What the `ConfigMap` says: mounted as a directory, as an object, or as lines of `NAME=value`.
pub fn read(path: &Path) -> Result<Vec<Uri>, EndpointError> {
    let read =
        |path: &Path| fs::read_to_string(path).map_err(|source| EndpointError::Read { path: path.to_owned(), source });
    let data = if path.is_dir() {
        let port = path.join(PORT);
        let port = if port.exists() { Some(read(&port)?) } else { None };
        Data { host: Some(read(&path.join(HOST))?), port }
    } else {
        parse(&read(path)?)
    };
    let urls = data.urls()?;
    if urls.is_empty() { Err(EndpointError::NoHost(path.to_owned())) } else { Ok(urls) }
}

fn parse(text: &str) -> Data {
    if let Ok(ConfigMap { data: Some(data) }) = serde_norway::from_str(text) {
        return data;
    }
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim_matches(['"', '\'']).to_owned())
    };
    Data { host: value(HOST), port: value(PORT) }
}

/// A server's address, of which only the host is needed.
pub fn url(text: &str, port: Option<&str>) -> Result<Uri, EndpointError> {
    let wrong = || EndpointError::Address(port.map_or_else(|| text.to_owned(), |port| format!("{text} port {port}")));
    let authority = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
    let is_bare_v6 = authority.parse::<std::net::Ipv6Addr>().is_ok();
    let authority = if is_bare_v6 { format!("[{authority}]") } else { authority.to_owned() };
    let authority = match port {
        Some(port) => format!("{authority}:{port}"),
        None => authority,
    };
    // Whoever says so talks without TLS, to a proxy on this machine.
    let scheme = if authority.contains("://") { "" } else { "https://" };
    let url: Uri = format!("{scheme}{authority}/").parse().ok().ok_or_else(wrong)?;
    let is_plain = url.path() == "/" && url.query().is_none() && url.port().is_none_or(|port| port.as_u16() > 0);
    if is_plain && url.host().is_some_and(|host| !host.is_empty()) && url.port().is_some() == has_port(&url) {
        return Ok(url);
    }
    Err(wrong())
}

/// Whether something stands where a port would.
fn has_port(url: &Uri) -> bool {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    authority.rsplit_once(']').map_or(authority, |(_, rest)| rest).contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed() {
        let cases = [
            ("192.0.2.1", None, "https://192.0.2.1/"),
            ("192.0.2.1", Some("6443"), "https://192.0.2.1:6443/"),
            ("https://192.0.2.1:6443", None, "https://192.0.2.1:6443/"),
            ("api.example.org:443/", None, "https://api.example.org:443/"),
            ("2001:db8::1", Some("6443"), "https://[2001:db8::1]:6443/"),
            ("[2001:db8::1]:6443", None, "https://[2001:db8::1]:6443/"),
            ("http://127.0.0.1:8001", None, "http://127.0.0.1:8001/"),
        ];
        for (text, port, expected) in cases {
            assert_eq!(url(text, port).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told() {
        let wrong = [
            ("", None),
            ("https://", None),
            ("a b", None),
            ("192.0.2.1:port", None),
            ("192.0.2.1", Some("70000")),
            ("192.0.2.1", Some("0")),
            ("https://192.0.2.1/api", None),
        ];
        for (text, port) in wrong {
            let error = url(text, port).map(|url| url.to_string()).unwrap_err().to_string();
            assert!(error.contains("not an API server's address"), "{error}");
        }
    }

    #[test]
    fn the_config_map_is_read_in_every_form_that_people_mount_it() {
        let dir = tempfile::tempdir().unwrap();
        let (mounted, lines, object) = (dir.path().join("d"), dir.path().join("env"), dir.path().join("o.yaml"));
        fs::create_dir(&mounted).unwrap();
        fs::write(mounted.join(HOST), "192.0.2.1, 192.0.2.2\n").unwrap();
        fs::write(mounted.join(PORT), "6443\n").unwrap();
        fs::write(&lines, format!("# where\n{HOST}=\"192.0.2.1,192.0.2.2\"\n{PORT}=6443\n")).unwrap();
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kubernetes-services-endpoint}\ndata:\n  ";
        fs::write(&object, format!("{text}{HOST}: 192.0.2.1,192.0.2.2\n  {PORT}: \"6443\"\n")).unwrap();
        for path in [&mounted, &lines, &object] {
            let urls: Vec<String> = read(path).unwrap().iter().map(Uri::to_string).collect();
            assert_eq!(urls, ["https://192.0.2.1:6443/", "https://192.0.2.2:6443/"], "{}", path.display());
        }
        fs::write(&lines, "nothing\n").unwrap();
        let error = read(&lines).unwrap_err().to_string();
        assert!(error.contains("env") && error.contains(HOST), "{error}");
        let error = read(&dir.path().join("missing")).unwrap_err().to_string();
        assert!(error.contains("missing"), "{error}");
    }

    #[test]
    fn the_environment_need_not_say_anything() {
        assert!(of_environment(|_| None).unwrap().is_empty());
        let urls = of_environment(|name| (name == HOST).then(|| "192.0.2.1".to_owned())).unwrap();
        assert_eq!(urls[0].to_string(), "https://192.0.2.1/");
    }
}
