//! The verbs, for a whole network.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use serde_json::{Map, Value, json};

use super::{Added, Attachment, Call, Error, Network, Run, SpecVersion, Verb, cache, conf, result};
use crate::{machine::Machine, site::Site};

const CHECK_SINCE: SpecVersion = SpecVersion(0, 4, 0);
const PREV_RESULT_ON_DEL_SINCE: SpecVersion = SpecVersion(0, 4, 0);
const GC_SINCE: SpecVersion = SpecVersion(1, 1, 0);

/// Longer than any plugin may take; kubelet gives the whole sandbox four minutes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The CNI runtime of one node.
#[derive(Debug, Clone)]
pub struct Driver {
    machine: Machine,
    path: String,
}

impl Driver {
    /// Runs plugins out of `/opt/cni/bin` of `machine`.
    #[must_use]
    pub fn new(machine: &Machine) -> Self {
        Self { machine: machine.clone(), path: "/opt/cni/bin".to_owned() }
    }

    /// Runs plugins out of other directories, separated by `:`.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// `CNI_PATH`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The node's network configuration: the first file of its `/etc/cni/net.d`.
    pub fn network(&self) -> Result<Network, Error> {
        let dir = Path::new("/etc/cni/net.d");
        let load = || Network::load(dir);
        self.machine
            .inside(load)
            .unwrap_or_else(|error| Err(Error::Config { place: dir.display().to_string(), reason: error.to_string() }))
    }

    /// ADD: every plugin in order, each with the result of the one before. A failure stops it and undoes nothing: the
    /// caller owes a DEL, as the specification has it.
    pub fn add(&self, network: &Network, attachment: &Attachment) -> Result<Added, Error> {
        check_names(attachment)?;
        let mut result = None;
        let mut runs = Vec::new();
        for index in 0..network.plugins.len() {
            let stdin = network.stdin(index, Some(attachment), result.as_ref());
            let run = self.plugin(Verb::Add, network, index, Some(attachment), stdin)?;
            result = Some(result::of_add(network, &run)?);
            runs.push(run);
        }
        let empty = || Error::Config { place: network.name.clone(), reason: "plugins: empty".to_owned() };
        let result = result.ok_or_else(empty)?;
        cache::store(&self.machine, network, attachment, &result)?;
        Ok(Added { result, runs })
    }

    /// DEL: every plugin in reverse order, with the cached result of the ADD if the version has that. It stops at the
    /// first error, and remembers the result until all have succeeded.
    pub fn del(&self, network: &Network, attachment: &Attachment) -> Result<Vec<Run>, Error> {
        check_names(attachment)?;
        let has_result = network.version >= PREV_RESULT_ON_DEL_SINCE;
        let cached = if has_result { cache::load(&self.machine, network, attachment)? } else { None };
        let mut runs = Vec::new();
        for index in (0..network.plugins.len()).rev() {
            let stdin = network.stdin(index, Some(attachment), cached.as_ref());
            let run = self.plugin(Verb::Del, network, index, Some(attachment), stdin)?;
            result::without_output(Verb::Del, &run)?;
            runs.push(run);
        }
        cache::forget(&self.machine, network, attachment)?;
        Ok(runs)
    }

    /// CHECK: every plugin in order, with the cached result. Nothing is called if the list disables it.
    pub fn check(&self, network: &Network, attachment: &Attachment) -> Result<Vec<Run>, Error> {
        check_names(attachment)?;
        needs(Verb::Check, network, CHECK_SINCE)?;
        let mut runs = Vec::new();
        if network.disable_check {
            return Ok(runs);
        }
        let cached = cache::load(&self.machine, network, attachment)?.ok_or_else(|| Error::NotAdded {
            container_id: attachment.container_id.clone(),
            network: network.name.clone(),
        })?;
        for index in 0..network.plugins.len() {
            let stdin = network.stdin(index, Some(attachment), Some(&cached));
            let run = self.plugin(Verb::Check, network, index, Some(attachment), stdin)?;
            result::without_output(Verb::Check, &run)?;
            runs.push(run);
        }
        Ok(runs)
    }

    /// GC: a DEL for each cached attachment that is not in `valid`, then GC of every plugin. Goes on after errors.
    /// Nothing is called if the list disables it.
    pub fn gc(&self, network: &Network, valid: &[Attachment]) -> Result<Vec<Run>, Error> {
        needs(Verb::Gc, network, GC_SINCE)?;
        if network.disable_gc {
            return Ok(Vec::new());
        }
        let mut errors = Vec::new();
        let mut runs = Vec::new();
        for entry in cache::all(&self.machine, network)? {
            let same = |a: &Attachment| a.container_id == entry.container_id && a.ifname == entry.if_name;
            if !valid.iter().any(same) {
                self.del(network, &entry.attachment())
                    .map_or_else(|error| errors.push(error), |done| runs.extend(done));
            }
        }
        let valid: Vec<Value> =
            valid.iter().map(|a| json!({"containerID": a.container_id, "ifname": a.ifname})).collect();
        for index in 0..network.plugins.len() {
            let mut stdin = network.stdin(index, None, None);
            stdin.insert("cni.dev/valid-attachments".to_owned(), Value::Array(valid.clone()));
            let run = self.plugin(Verb::Gc, network, index, None, stdin);
            let checked = run.and_then(|run| result::without_output(Verb::Gc, &run).map(|()| run));
            checked.map_or_else(|error| errors.push(error), |run| runs.push(run));
        }
        match errors.len() {
            0 => Ok(runs),
            1 => Err(errors.remove(0)),
            _ => Err(Error::Several(errors)),
        }
    }

    /// STATUS: every plugin in order, up to the first that is not ready.
    pub fn status(&self, network: &Network) -> Result<Vec<Run>, Error> {
        needs(Verb::Status, network, GC_SINCE)?;
        let mut runs = Vec::new();
        for index in 0..network.plugins.len() {
            let run = self.plugin(Verb::Status, network, index, None, network.stdin(index, None, None))?;
            result::without_output(Verb::Status, &run)?;
            runs.push(run);
        }
        Ok(runs)
    }

    /// VERSION: the versions of the specification that `plugin` knows.
    pub fn version(&self, plugin: &str) -> Result<Vec<String>, Error> {
        let newest = conf::SPEC_VERSIONS.iter().max().map(ToString::to_string);
        let env = BTreeMap::from([("CNI_COMMAND".to_owned(), Verb::Version.to_string())]);
        let stdin = json!({"cniVersion": newest}).to_string().into_bytes();
        result::of_version(&self.call(&Call { plugin: plugin.to_owned(), env, stdin })?)
    }

    /// The environment of a call of the runtime itself.
    #[must_use]
    pub fn environment(&self, verb: Verb, attachment: Option<&Attachment>) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
        set("CNI_COMMAND", verb.to_string());
        set("CNI_PATH", self.path.clone());
        set("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
        if let Some(attachment) = attachment {
            let args: Vec<String> = attachment.args.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let netns = attachment.netns.as_deref().unwrap_or(Path::new(""));
            set("CNI_CONTAINERID", attachment.container_id.clone());
            set("CNI_NETNS", netns.display().to_string());
            set("CNI_IFNAME", attachment.ifname.clone());
            set("CNI_ARGS", args.join(";"));
        }
        env
    }

    /// Calls a plugin with exactly this, and does not judge what comes back.
    pub fn call(&self, call: &Call) -> Result<Run, Error> {
        let program = self.find(&call.plugin)?;
        let started = std::time::Instant::now();
        let verb = call.env.get("CNI_COMMAND").cloned().unwrap_or_default();
        let mut command = self.machine.command(program).env_clear().stdin(call.stdin.clone()).timeout(TIMEOUT);
        for (name, value) in &call.env {
            command = command.env(name, value);
        }
        let failed = |source| Error::Exec { plugin: call.plugin.clone(), verb: verb.clone(), source };
        let output = command.output().map_err(failed)?;
        Ok(Run {
            plugin: call.plugin.clone(),
            command: verb,
            stdin: String::from_utf8_lossy(&call.stdin).into_owned(),
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            elapsed: started.elapsed(),
        })
    }

    fn plugin(
        &self,
        verb: Verb,
        network: &Network,
        index: usize,
        attachment: Option<&Attachment>,
        stdin: Map<String, Value>,
    ) -> Result<Run, Error> {
        let plugin = network.plugin_type(index).to_owned();
        let stdin = Value::Object(stdin).to_string().into_bytes();
        self.call(&Call { plugin, env: self.environment(verb, attachment), stdin })
    }

    fn find(&self, plugin: &str) -> Result<String, Error> {
        let candidates = || self.path.split(':').map(|dir| format!("{dir}/{plugin}"));
        let exists = || candidates().find(|path| fs::metadata(path).is_ok_and(|file| file.is_file()));
        let not_found = || Error::NotFound { plugin: plugin.to_owned(), path: self.path.clone() };
        let found = self.machine.inside(exists);
        let exec = |source: std::io::Error| Error::Exec {
            plugin: plugin.to_owned(),
            verb: "search".to_owned(),
            source: source.into(),
        };
        found.map_err(exec)?.ok_or_else(not_found)
    }
}

fn check_names(attachment: &Attachment) -> Result<(), Error> {
    conf::check_name("container id", &attachment.container_id)?;
    conf::check_ifname(&attachment.ifname)
}

fn needs(verb: Verb, network: &Network, needs: SpecVersion) -> Result<(), Error> {
    if network.version >= needs {
        return Ok(());
    }
    Err(Error::Unsupported { verb, needs, version: network.version })
}
