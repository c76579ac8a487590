//! etcd, on loopback only: the machine is its own.

use anyhow::{Context as _, Result};
use caracal_lab::{Machine, Process, Site as _, peer};
use k8s_openapi::ByteString;
use kube::Config;
use serde_json::{Value, json};

use super::DIR;
use crate::{api::Api, runtime::Runtime};

/// Where it listens.
pub(super) const URL: &str = "http://127.0.0.1:2379";
const PEER_URL: &str = "http://127.0.0.1:2380";
const IN_ONE_REQUEST: usize = 128;

/// Starts it. API servers wait for it by themselves.
pub(super) fn start(machine: &Machine) -> Result<Process> {
    let etcd = machine.command(peer("kubernetes", "KUBERNETES_VERSION", "etcd")?);
    let etcd = etcd.arg(format!("--data-dir={DIR}/etcd")).args(["--unsafe-no-fsync", "--log-level=error"]);
    let urls = [
        ("listen-client-urls", URL),
        ("advertise-client-urls", URL),
        ("listen-peer-urls", PEER_URL),
        ("initial-advertise-peer-urls", PEER_URL),
    ];
    let etcd = etcd.args(urls.map(|(flag, url)| format!("--{flag}={url}")));
    etcd.arg(format!("--initial-cluster=default={PEER_URL}")).spawn()
}

/// Writes values to keys, as many in one request as etcd takes.
pub(super) fn put(runtime: &Runtime, values: &[(String, Value)]) -> Result<()> {
    let etcd = client(runtime)?;
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    for some in values.chunks(IN_ONE_REQUEST) {
        let puts = some
            .iter()
            .map(|(key, value)| json!({ "request_put": { "key": bytes(key), "value": bytes(&value.to_string()) } }));
        let all = json!({ "success": puts.collect::<Vec<_>>() });
        etcd.post::<Value>("/v3/kv/txn", &all).context("writing to etcd")?;
    }
    Ok(())
}

/// Forgets all revisions but the last.
pub(super) fn compact(runtime: &Runtime) -> Result<()> {
    let etcd = client(runtime)?;
    // Any request tells the revision; this one asks for the key of one zero byte.
    let read: Value = etcd.post("/v3/kv/range", &json!({ "key": "AA==" })).context("asking etcd for its revision")?;
    let revision = &read["header"]["revision"];
    let compaction = json!({ "revision": revision, "physical": true });
    etcd.post::<Value>("/v3/kv/compaction", &compaction).context("compacting etcd").map(drop)
}

fn client(runtime: &Runtime) -> Result<Api> {
    Api::new(runtime, Config::new(URL.parse().context("understanding etcd's address")?))
}
