//! The environment a runtime calls a plugin with.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    str::FromStr,
};

use super::{CniError, Code};
use crate::Attachment;

/// What the runtime wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Attach a container.
    Add,
    /// Detach it.
    Del,
    /// Verify an attachment.
    Check,
    /// Release everything but a list of attachments.
    Gc,
    /// Say whether ADD could be served.
    Status,
    /// Say which versions are spoken.
    Version,
}

impl Verb {
    /// As `CNI_COMMAND` has it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }
}

impl FromStr for Verb {
    type Err = CniError;

    fn from_str(text: &str) -> Result<Self, CniError> {
        let all = [Self::Add, Self::Del, Self::Check, Self::Gc, Self::Status, Self::Version];
        let verb = all.into_iter().find(|verb| verb.text() == text);
        verb.ok_or_else(|| invalid(format!("CNI_COMMAND: unknown command {text:?}")))
    }
}

/// The environment, checked as far as `CNI_COMMAND` asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Env {
    /// `CNI_COMMAND`.
    pub verb: Verb,
    /// `CNI_CONTAINERID` and `CNI_IFNAME`; always there for ADD, DEL and CHECK.
    pub attachment: Option<Attachment>,
    /// `CNI_NETNS`; always there for ADD and CHECK.
    pub netns: Option<PathBuf>,
    /// `CNI_NETNS_OVERRIDE`: the container's namespace may be the plugin's own.
    pub own_netns_allowed: bool,
    /// `CNI_ARGS`, unread.
    pub args: String,
    /// `CNI_PATH`: where delegates are.
    pub path: Vec<PathBuf>,
}

impl Env {
    /// Reads what `var` returns. `None` if there is no `CNI_COMMAND`: a person called, not a runtime.
    pub fn read(var: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, CniError> {
        let text = |name: &str| match var(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => match value.into_string() {
                Ok(value) => Ok(Some(value)),
                Err(value) => Err(invalid(format!("{name}: {} is not UTF-8", value.display()))),
            },
        };
        let Some(verb) = text("CNI_COMMAND")? else { return Ok(None) };
        let verb: Verb = verb.parse()?;
        let required: &[&str] = match verb {
            Verb::Add | Verb::Check => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
            Verb::Del => &["CNI_CONTAINERID", "CNI_IFNAME"],
            Verb::Gc | Verb::Status | Verb::Version => &[],
        };
        let absent = |name: &&&str| var(name).is_none_or(|value| value.is_empty());
        let missing: Vec<_> = required.iter().filter(absent).copied().collect();
        if !missing.is_empty() {
            return Err(invalid(format!("required but not set: {}", missing.join(", "))));
        }
        let attachment = match (required.is_empty(), text("CNI_CONTAINERID")?, text("CNI_IFNAME")?) {
            (false, Some(container_id), Some(ifname)) => Some(Attachment::new(&container_id, &ifname)?),
            _ => None,
        };
        let path = var("CNI_PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
        let own_netns_allowed = var("CNI_NETNS_OVERRIDE").as_deref().is_some_and(is_true);
        let netns = text("CNI_NETNS")?.map(PathBuf::from);
        let args = text("CNI_ARGS")?.unwrap_or_default();
        Ok(Some(Self { verb, attachment, netns, own_netns_allowed, args, path }))
    }
}

/// `CNI_ARGS`: pairs whose keys the runtime and the plugin agree on. Unknown keys are no error, whatever
/// `IgnoreUnknown` says: runtimes add new ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args(Vec<(String, String)>);

impl Args {
    /// Reads `KEY=value;KEY=value`.
    pub fn parse(text: &str) -> Result<Self, CniError> {
        let pairs = text.split(';').filter(|pair| !pair.is_empty()).map(|pair| match pair.split_once('=') {
            Some((key, value)) if !value.contains('=') => Ok((key.to_owned(), value.to_owned())),
            _ => Err(invalid(format!("CNI_ARGS: {pair:?} is not of the form KEY=value"))),
        });
        Ok(Self(pairs.collect::<Result<_, _>>()?))
    }

    /// The value of `key`, if it is there and not empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, v)| k == key && !v.is_empty()).map(|(_, value)| value.as_str())
    }
}

fn is_true(value: &OsStr) -> bool {
    matches!(value.to_str(), Some("1" | "true" | "TRUE" | "True"))
}

fn invalid(msg: impl Into<String>) -> CniError {
    CniError::new(Code::InvalidEnvironment, msg)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Env>, CniError> {
        Env::read(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn a_full_environment_is_read() {
        let env = read(&[
            ("CNI_COMMAND", "ADD"),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_NETNS", "/run/netns/x"),
            ("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=p;IP="),
            ("CNI_PATH", "/opt/cni/bin:/usr/lib/cni"),
            ("CNI_NETNS_OVERRIDE", "1"),
            ("TRACEPARENT", "00-1-2-3"),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(env.verb, Verb::Add);
        assert_eq!(env.attachment, Some(Attachment::new("c1", "eth0").unwrap()));
        assert_eq!(env.netns, Some("/run/netns/x".into()));
        let args = Args::parse(&env.args).unwrap();
        assert_eq!((args.get("K8S_POD_NAME"), args.get("IP"), args.get("X")), (Some("p"), None, None));
        assert_eq!(env.path, [PathBuf::from("/opt/cni/bin"), PathBuf::from("/usr/lib/cni")]);
        assert!(env.own_netns_allowed);
    }

    #[test]
    fn all_missing_variables_are_named_at_once() {
        let missing = |verb| read(&[("CNI_COMMAND", verb), ("CNI_NETNS", "")]).unwrap_err().msg;
        assert_eq!(missing("ADD"), "required but not set: CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME");
        assert_eq!(missing("CHECK"), missing("ADD"));
        assert_eq!(missing("DEL"), "required but not set: CNI_CONTAINERID, CNI_IFNAME");
        for verb in ["GC", "STATUS", "VERSION"] {
            assert!(read(&[("CNI_COMMAND", verb)]).is_ok(), "{verb}");
        }
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("CNI_COMMAND", "add")]).unwrap_err().msg, "CNI_COMMAND: unknown command \"add\"");
    }

    #[test]
    fn a_dummy_attachment_of_a_verb_without_one_is_not_looked_at() {
        let env = read(&[("CNI_COMMAND", "VERSION"), ("CNI_CONTAINERID", "dummy"), ("CNI_IFNAME", "a/b")]);
        assert_eq!(env.unwrap().unwrap().attachment, None);
    }

    #[test]
    fn arguments_are_pairs() {
        assert_eq!(Args::parse("").unwrap(), Args::default());
        for bad in ["A=b=c", "A", "A=1;B"] {
            assert!(Args::parse(bad).unwrap_err().msg.starts_with("CNI_ARGS: "), "{bad}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_an_error_that_names_the_variable() {
        let error = Env::read(|name| match name {
            "CNI_COMMAND" => Some("ADD".into()),
            "CNI_CONTAINERID" => Some(OsString::from_vec(vec![0xff])),
            _ => Some("x".into()),
        });
        assert!(error.unwrap_err().msg.starts_with("CNI_CONTAINERID: "));
    }
}
