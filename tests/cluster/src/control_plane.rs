//! etcd and kube-apiserver on a machine.

mod certificates;
mod etcd;
mod flags;

use std::time::Duration;

use anyhow::{Context as _, Result};
use caracal_lab::{Machine, Process, Site as _, peer, wait_for};
use kube::Config;
use serde_json::{Value, json};

use self::certificates::Certificates;
use crate::{
    account::{self, Account, Asked},
    api::Api,
    object::Object,
    proxy::Proxy,
    runtime::Runtime,
};

/// Everything that the two keep, on the machine's tmpfs.
const DIR: &str = "/run/kubernetes";
/// The port of the first API server; others come behind it.
const PORT: u16 = 6443;
/// Who may do everything, by the token of the file that API servers read.
const ADMIN_TOKEN: &str = "admin";
/// Some seconds on an idle machine.
const READY: Duration = Duration::from_secs(60);

/// etcd and one or more kube-apiservers. They end when this is dropped.
#[derive(Debug)]
pub struct ControlPlane {
    api: Api,
    /// By their number; `None` is one that was killed.
    api_servers: Vec<Option<Process>>,
    etcd: Process,
    certificates: Certificates,
    flags: Vec<String>,
    runtime: Runtime,
    machine: Machine,
}

impl ControlPlane {
    /// Starts etcd and one API server on `machine`, and waits until that is ready.
    pub fn start(machine: &Machine) -> Result<Self> {
        Self::start_with(machine, &[])
    }

    /// The same, with more flags for every API server, such as `--feature-gates=WatchList=false`.
    pub fn start_with(machine: &Machine, flags: &[&str]) -> Result<Self> {
        // What an earlier one has left is not for this one.
        machine.run("rm", ["-rf", DIR])?;
        let certificates = Certificates::make(machine)?;
        for (name, content) in certificates.files().chain(flags::SHARED) {
            machine.write_file(format!("{DIR}/{name}"), content)?;
        }
        let etcd = etcd::start(machine)?;
        let runtime = Runtime::on(machine)?;
        let mut control = Self {
            api: Api::new(&runtime, certificates.config(&format!("https://127.0.0.1:{PORT}"), ADMIN_TOKEN)?)?,
            api_servers: Vec::new(),
            etcd,
            certificates,
            flags: flags.iter().copied().map(str::to_owned).collect(),
            runtime,
            machine: machine.clone(),
        };
        control.add_api_server()?;
        Ok(control)
    }

    /// One more API server on the same etcd. Gives its number; the first has 0.
    pub fn add_api_server(&mut self) -> Result<usize> {
        self.api_servers.push(None);
        let number = self.api_servers.len().saturating_sub(1);
        self.start_api_server(number)?;
        Ok(number)
    }

    /// Starts an API server that was killed, and waits until it is ready.
    pub fn start_api_server(&mut self, number: usize) -> Result<()> {
        let program = peer("kubernetes", "KUBERNETES_VERSION", "kube-apiserver")?;
        let server = self.machine.command(program).args(flags::of(&self.machine, number)).args(&self.flags).spawn()?;
        let probe = self.api_of(number)?;
        let ready = wait_for(format_args!("API server {number}"), READY, || {
            if server.is_running() { probe.get_text("/readyz").map(Some) } else { Ok(None) }
        });
        let log = || format!("starting API server {number}:\n{}", server.log());
        ready.with_context(log)?.with_context(log)?;
        let place = self.api_servers.get_mut(number).with_context(|| format!("there is no API server {number}"))?;
        *place = Some(server);
        Ok(())
    }

    /// Kills an API server, without a chance to say goodbye. One that is dead already stays so.
    pub fn kill_api_server(&mut self, number: usize) -> Result<()> {
        let server = self.api_servers.get_mut(number).and_then(Option::take);
        server.map_or(Ok(()), |server| server.kill())
    }

    /// Kills an API server and starts it again. It knows nothing of what was before but what is in etcd.
    pub fn restart_api_server(&mut self, number: usize) -> Result<()> {
        self.kill_api_server(number)?;
        self.start_api_server(number)
    }

    /// A client of the first API server that may do everything.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// A client of any API server that may do everything.
    pub fn api_of(&self, number: usize) -> Result<Api> {
        Api::new(&self.runtime, self.config(port(number), ADMIN_TOKEN)?)
    }

    /// A client of the first API server with the rights of an account.
    pub fn api_as(&self, account: &Account) -> Result<Api> {
        Api::new(&self.runtime, self.config(PORT, &account.token)?)
    }

    /// A client at the other end of a line, that may do everything.
    pub fn api_by(&self, proxy: &Proxy) -> Result<Api> {
        Api::new(&self.runtime, self.config(proxy.port(), ADMIN_TOKEN)?)
    }

    /// The machine they run on.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Where an API server is for other machines.
    #[must_use]
    pub fn url(&self, number: usize) -> String {
        format!("https://{}:{}", self.machine.ip4(), port(number))
    }

    /// A line to an API server that can be made bad.
    pub fn proxy(&self, number: usize) -> Result<Proxy> {
        Proxy::open(&self.runtime, port(number))
    }

    /// Where a line begins for other machines.
    #[must_use]
    pub fn url_by(&self, proxy: &Proxy) -> String {
        format!("https://{}:{}", self.machine.ip4(), proxy.port())
    }

    /// How to reach the API server at `url` with a token, as YAML.
    pub fn kubeconfig(&self, url: &str, token: &str) -> Result<String> {
        let cluster = json!({ "server": url, "certificate-authority-data": self.certificates.authority() });
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": cluster }],
            "users": [{ "name": "test", "user": { "token": token } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
            "current-context": "test",
        });
        serde_norway::to_string(&config).context("writing a kubeconfig")
    }

    /// What an account has asked of all API servers so far.
    pub fn asked(&self, account: &Account) -> Result<Vec<Asked>> {
        let mut all = Vec::new();
        for number in 0..self.api_servers.len() {
            let log = self.machine.read_file(flags::audit_log(number))?;
            all.extend(account::asked(&String::from_utf8_lossy(&log), &account.user)?);
        }
        Ok(all)
    }

    /// Makes many objects that are like one that there is already: `change` makes each something of its own, beginning
    /// with its name. They are written behind the API server's back, which is a hundred times as fast.
    pub fn multiply(&self, object: &Object, count: usize, change: impl Fn(usize, &mut Value)) -> Result<()> {
        let mut like = self.api.get(object)?;
        // What only the original has.
        for field in ["resourceVersion", "managedFields"] {
            like["metadata"].as_object_mut().and_then(|metadata| metadata.shift_remove(field));
        }
        let copy = |number: usize| {
            let mut copy = like.clone();
            copy["metadata"]["uid"] = format!("00000000-0000-4000-8000-{number:012}").into();
            change(number, &mut copy);
            let copy = Object::new(copy)?;
            Ok((copy.storage_key(), copy.body().clone()))
        };
        etcd::put(&self.runtime, &(0..count).map(copy).collect::<Result<Vec<_>>>()?)
    }

    /// Forgets all versions of all objects but the present ones: who goes on from an older one is told that it is gone.
    /// API servers remember some of their own accord, until they are restarted.
    pub fn compact(&self) -> Result<()> {
        etcd::compact(&self.runtime)
    }

    /// Ends both, and fails unless etcd had lived until then.
    pub fn stop(self) -> Result<()> {
        let Self { api_servers, etcd, .. } = self;
        anyhow::ensure!(etcd.is_running(), "etcd has ended:\n{}", etcd.log());
        drop(api_servers);
        etcd.kill()
    }

    fn config(&self, port: u16, token: &str) -> Result<Config> {
        self.certificates.config(&format!("https://127.0.0.1:{port}"), token)
    }
}

fn port(number: usize) -> u16 {
    PORT.saturating_add(u16::try_from(number).unwrap_or(u16::MAX))
}
