//! The configuration: which value of each setting is in force, and where it comes from.
//!
//! Every source of settings is a [`Layer`], and the later one counts: the defaults, the FelixConfiguration `default`, that of
//! the node, the file, the environment, flags. What is wrong in the last three refuses the start. Later, and in what the
//! cluster says, it is reported, and the last good value stays in force.
//!
//! Pure but for reading the file and what is remembered of the cluster.

mod environment;
pub mod felix;
mod file;
mod flags;
pub(crate) mod kind;
mod layer;
mod origin;
mod remembered;
mod setting;
mod shared;
mod show;

use std::{collections::BTreeMap, ffi::OsString, fmt, path::PathBuf, sync::Arc};

use serde_json::{Map, Value};

pub use self::{
    flags::{Invocation, Output},
    kind::Check,
    layer::{Given, Layer},
    origin::{Note, Origin, Problem},
    remembered::Felix,
    setting::{Change, Setting},
    shared::Shared,
};
use crate::{Options, options::SETTINGS};

/// Names the configuration file where no flag does.
const FILE_VARIABLE: &str = "CARACAL_CONFIG";

/// A value for each setting.
type Values = BTreeMap<&'static str, Given>;

/// The configuration of an agent.
#[derive(Debug)]
pub struct Config {
    path: Option<Arc<PathBuf>>,
    /// What the cluster says to all nodes, and to this one.
    felix: [Layer; 2],
    file: Layer,
    environment: Layer,
    flags: Layer,
    /// What the sources say now.
    wanted: Values,
    /// What holds: those that need a restart are as they were at the start.
    in_force: Values,
    options: Arc<Options>,
}

/// Why the agent does not start.
#[derive(Debug)]
pub struct Refusal(Vec<Problem>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Refusal {}

/// A setting that has got another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub setting: &'static str,
    /// What it was.
    pub before: Vec<String>,
    /// What it is to be.
    pub now: Given,
    /// When.
    pub change: Change,
}

impl Config {
    /// What holds when an agent starts so.
    pub fn start(
        invocation: &Invocation,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Refusal> {
        let (environment, path) = (environment::read(variables), invocation.file.clone());
        let mut config = Self {
            felix: [Layer::default(), Layer::default()],
            file: path.as_ref().map(file::read).unwrap_or_default(),
            environment,
            flags: invocation.flags.clone(),
            path,
            wanted: Values::new(),
            in_force: Values::new(),
            options: Arc::new(defaults()?),
        };
        let local = [&config.file, &config.environment, &config.flags];
        let problems: Vec<Problem> = local.iter().flat_map(|layer| layer.problems.iter().cloned()).collect();
        if !problems.is_empty() {
            return Err(Refusal(problems));
        }
        config.options = Arc::new(read(&config.merged())?);
        config.felix = Felix::read(&config.options.run_dir).layers();
        config.wanted = config.merged();
        config.in_force.clone_from(&config.wanted);
        let options = read(&config.in_force)?;
        options.check().map_err(|error| Refusal(vec![config.contradiction(&error)]))?;
        config.options = Arc::new(options);
        Ok(config)
    }

    /// What is in force.
    #[must_use]
    pub fn options(&self) -> Arc<Options> {
        Arc::clone(&self.options)
    }

    /// The file that is followed.
    #[must_use]
    pub fn path(&self) -> Option<&Arc<PathBuf>> {
        self.path.as_ref()
    }

    /// Reads the file again. What is wrong in it leaves what it said before.
    pub fn reread(&mut self) -> Vec<Changed> {
        let Some(path) = &self.path else { return Vec::new() };
        let mut read = file::read(path);
        if read.problems.iter().any(|problem| problem.setting.is_none()) {
            // Unreadable, or a name that is misspelt: nobody meant to take anything back.
            for (name, given) in &self.file.given {
                read.given.entry(name).or_insert_with(|| given.clone());
            }
        }
        self.file = read.over(&self.file);
        self.settle()
    }

    /// Takes what the cluster says: the `spec` of the FelixConfiguration `default` and of that of this node. What is wrong in
    /// one of them leaves what it said before.
    pub fn set_felix(
        &mut self,
        default: Option<&Map<String, Value>>,
        node: Option<(&str, &Map<String, Value>)>,
    ) -> Vec<Changed> {
        let [before, of_node] = &self.felix;
        let node = node.map(|(name, spec)| felix::layer(&format!("node.{name}"), Some(spec))).unwrap_or_default();
        self.felix = [felix::layer("default", default).over(before), node.over(of_node)];
        self.settle()
    }

    /// What is wrong now, wherever it is.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> =
            self.layers().iter().flat_map(|layer| layer.problems.iter().cloned()).collect();
        if let Some(error) = read(&self.wanted).ok().and_then(|options| options.check().err()) {
            problems.push(self.contradiction(&error));
        }
        problems
    }

    /// What is without effect.
    #[must_use]
    pub fn notes(&self) -> Vec<Note> {
        self.layers().iter().flat_map(|layer| layer.notes.iter().cloned()).collect()
    }

    /// The settings that get the value they are to have when the agent is started again.
    pub fn awaiting_restart(&self) -> impl Iterator<Item = (&'static str, &Given, &Given)> {
        let pairs = self.wanted.iter().map(|(name, wanted)| (*name, &self.in_force[name], wanted));
        pairs.filter(|(_, in_force, wanted)| in_force.texts != wanted.texts)
    }

    /// From the weakest to the strongest.
    fn layers(&self) -> [&Layer; 5] {
        let [default, node] = &self.felix;
        [default, node, &self.file, &self.environment, &self.flags]
    }

    fn merged(&self) -> Values {
        let mut values = default_values();
        for layer in self.layers() {
            values.extend(layer.given.iter().map(|(name, given)| (*name, given.clone())));
        }
        values
    }

    fn settle(&mut self) -> Vec<Changed> {
        let merged = self.merged();
        let before = std::mem::replace(&mut self.wanted, merged);
        let mut changes = Vec::new();
        for setting in SETTINGS {
            let now = &self.wanted[setting.name];
            let was = self.in_force.get(setting.name);
            if setting.change == Change::Live || was.is_none_or(|was| was.texts == now.texts) {
                self.in_force.insert(setting.name, now.clone());
            }
            if before[setting.name].texts != now.texts {
                let (before, now) = (before[setting.name].texts.clone(), now.clone());
                changes.push(Changed { setting: setting.name, before, now, change: setting.change });
            }
        }
        // All that is in a layer has been read before it got there.
        if let Ok(options) = read(&self.in_force) {
            self.options = Arc::new(options);
        }
        changes
    }

    fn contradiction(&self, error: &anyhow::Error) -> Problem {
        let at = self.wanted.get("masquerade").map_or(Origin::Default, |given| given.from.clone());
        Problem { at, setting: None, what: error.to_string() }
    }
}

fn default_values() -> Values {
    SETTINGS.iter().map(|setting| (setting.name, Given { texts: setting.default(), from: Origin::Default })).collect()
}

fn defaults() -> Result<Options, Refusal> {
    read(&default_values())
}

fn read(values: &Values) -> Result<Options, Refusal> {
    let texts = |name: &'static str| values.get(name).map_or(&[][..], |given| &given.texts);
    Options::read(texts).map_err(|problem| Refusal(vec![problem]))
}

#[cfg(test)]
mod tests;
