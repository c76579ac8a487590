//! Network configuration lists, and what of them each plugin is given.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde_json::{Map, Value};

use super::{Attachment, Error};

/// A version of the CNI specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpecVersion(pub u8, pub u8, pub u8);

/// The versions that this runtime speaks.
pub const SPEC_VERSIONS: [SpecVersion; 5] =
    [SpecVersion(0, 3, 0), SpecVersion(0, 3, 1), SpecVersion(0, 4, 0), SpecVersion(1, 0, 0), SpecVersion(1, 1, 0)];

impl fmt::Display for SpecVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl FromStr for SpecVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Result<Vec<u8>, _> = text.split('.').map(str::parse).collect();
        match parts.as_deref() {
            Ok([major, minor, patch]) => Ok(Self(*major, *minor, *patch)),
            _ => Err(format!("`{text}` is not a version such as 1.1.0")),
        }
    }
}

/// A network: a list of plugins to call one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// `name`.
    pub name: String,
    /// The version that is spoken: the highest that the list offers and this runtime knows.
    pub version: SpecVersion,
    /// `disableCheck`.
    pub disable_check: bool,
    /// `disableGC`.
    pub disable_gc: bool,
    /// `plugins`, as they are written.
    pub plugins: Vec<Map<String, Value>>,
}

impl Network {
    /// Understands a list.
    pub fn from_list(list: &Value) -> Result<Self, Error> {
        let list = list.as_object().ok_or_else(|| config("list", "not an object"))?;
        let name = text(list, "name")?.ok_or_else(|| config("name", "missing"))?;
        check_name("network name", name)?;
        let plugins = list.get("plugins").and_then(Value::as_array).ok_or_else(|| config("plugins", "not a list"))?;
        let plugins = plugins
            .iter()
            .zip(0..)
            .map(|(plugin, index)| plugin_of(plugin, &format!("plugins[{index}]")))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name: name.to_owned(),
            version: negotiate(list)?,
            disable_check: flag(list, "disableCheck")?,
            disable_gc: flag(list, "disableGC")?,
            plugins,
        })
    }

    /// Understands the configuration of a single plugin, as containerd does: a list of one.
    pub fn from_plugin(plugin: &Value) -> Result<Self, Error> {
        let mut list = Map::new();
        for key in ["name", "cniVersion", "cniVersions"] {
            if let Some(value) = plugin.get(key) {
                list.insert(key.to_owned(), value.clone());
            }
        }
        list.insert("plugins".to_owned(), Value::Array(vec![plugin.clone()]));
        Self::from_list(&Value::Object(list))
    }

    /// Reads the configuration that a runtime would use: the first file by name. A first file that is invalid is an
    /// error, and is not skipped. Files in the directory that bears the network's name are appended to the chain.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let path = files(dir, &["conf", "conflist", "json"])?
            .into_iter()
            .next()
            .ok_or_else(|| Error::NoConfig { dir: dir.to_owned() })?;
        let value = read(&path)?;
        let is_list = path.extension().is_some_and(|extension| extension == "conflist");
        let parsed = if is_list { Self::from_list(&value) } else { Self::from_plugin(&value) };
        let mut network = parsed.map_err(|error| in_file(&path, error))?;
        if value.get("loadOnlyInlinedPlugins") != Some(&Value::Bool(true)) {
            for path in files(&dir.join(&network.name), &["conf"])? {
                network.plugins.push(plugin_of(&read(&path)?, "plugin").map_err(|error| in_file(&path, error))?);
            }
        }
        Ok(network)
    }

    /// The name of the plugin at `index`.
    #[must_use]
    pub fn plugin_type(&self, index: usize) -> &str {
        self.plugins.get(index).and_then(|plugin| plugin.get("type")).and_then(Value::as_str).unwrap_or_default()
    }

    /// What the plugin at `index` reads: its own configuration with what the runtime adds.
    #[must_use]
    pub fn stdin(
        &self,
        index: usize,
        attachment: Option<&Attachment>,
        prev_result: Option<&Value>,
    ) -> Map<String, Value> {
        let mut conf = self.plugins.get(index).cloned().unwrap_or_default();
        conf.insert("name".to_owned(), self.name.clone().into());
        conf.insert("cniVersion".to_owned(), self.version.to_string().into());
        if let Some(result) = prev_result {
            conf.insert("prevResult".to_owned(), result.clone());
        }
        let declared = conf.get("capabilities").and_then(Value::as_object);
        let enabled = |name: &String| declared.and_then(|all| all.get(name)) == Some(&Value::Bool(true));
        let given = attachment.map(|attachment| &attachment.capabilities).into_iter().flatten();
        let runtime: Map<_, _> =
            given.filter(|(name, _)| enabled(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
        if !runtime.is_empty() {
            conf.insert("runtimeConfig".to_owned(), Value::Object(runtime));
        }
        conf
    }
}

/// Checks a container id or network name: the specification has one rule for both.
pub(super) fn check_name(what: &'static str, value: &str) -> Result<(), Error> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if value.starts_with(|c: char| c.is_ascii_alphanumeric()) && value.chars().all(inner) {
        return Ok(());
    }
    let rule = "a letter or digit, then letters, digits, `_`, `.` and `-`";
    Err(Error::Name { what, value: value.to_owned(), rule })
}

/// Checks an interface name.
pub(super) fn check_ifname(value: &str) -> Result<(), Error> {
    let bad = |c: char| c == '/' || c == ':' || c.is_whitespace();
    if (1..=15).contains(&value.len()) && value != "." && value != ".." && !value.contains(bad) {
        return Ok(());
    }
    let rule = "1 to 15 bytes without `/`, `:` and blanks, and not `.` or `..`";
    Err(Error::Name { what: "interface name", value: value.to_owned(), rule })
}

/// The highest version that both `cniVersion`, `cniVersions` and this runtime have.
fn negotiate(list: &Map<String, Value>) -> Result<SpecVersion, Error> {
    let mut offered: BTreeSet<&str> = text(list, "cniVersion")?.into_iter().collect();
    for version in list.get("cniVersions").and_then(Value::as_array).into_iter().flatten() {
        offered.insert(version.as_str().ok_or_else(|| config("cniVersions", "holds something that is no string"))?);
    }
    if offered.is_empty() {
        return Err(config("cniVersion", "missing"));
    }
    let mut known = Vec::new();
    for version in &offered {
        let version = version.parse().map_err(|reason: String| config("cniVersion", &reason))?;
        if SPEC_VERSIONS.contains(&version) {
            known.push(version);
        }
    }
    known.into_iter().max().ok_or_else(|| config("cniVersion", &format!("none of {offered:?} is known")))
}

fn plugin_of(plugin: &Value, place: &str) -> Result<Map<String, Value>, Error> {
    let plugin = plugin.as_object().ok_or_else(|| config(place, "not an object"))?;
    let kind = text(plugin, "type")?.unwrap_or_default();
    if kind.is_empty() || kind.contains('/') {
        return Err(config(&format!("{place}.type"), "must be the name of a program, without a path"));
    }
    Ok(plugin.clone())
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, Error> {
    match map.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(config(key, "not a string")),
    }
}

fn flag(map: &Map<String, Value>, key: &str) -> Result<bool, Error> {
    match map.get(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(config(key, "neither true nor false")),
    }
}

fn config(place: &str, reason: &str) -> Error {
    Error::Config { place: place.to_owned(), reason: reason.to_owned() }
}

fn in_file(path: &Path, error: Error) -> Error {
    match error {
        Error::Config { place, reason } => Error::Config { place: format!("{}: {place}", path.display()), reason },
        error => error,
    }
}

fn read(path: &Path) -> Result<Value, Error> {
    let text = fs::read(path).map_err(|error| in_file(path, config("file", &error.to_string())))?;
    serde_json::from_slice(&text).map_err(|error| in_file(path, config("JSON", &error.to_string())))
}

/// The files of `dir` with one of these extensions, by name. A directory that is not there has none.
fn files(dir: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| in_file(dir, config("directory", &error.to_string())))?,
    };
    let known = |path: &PathBuf| {
        path.extension().and_then(|e| e.to_str()).is_some_and(|extension| extensions.contains(&extension))
    };
    let mut files: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(known).collect();
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests;
