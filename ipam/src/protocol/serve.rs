//! From the process's environment and standard input to its standard output and exit code.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    io::{self, Read, Write},
    panic,
    process::{self, ExitCode},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use log::LevelFilter;
use serde::Serialize;
use serde_json::Value;

use super::{Added, Args, CniError, Code, Env, Request, Target, Verb, Version, logging, request::declared_version};
use crate::{Attachment, json::Node};

/// What a plugin does. Configuration and environment have been read and checked as far as the specification goes.
pub trait Plugin {
    /// What to tell a person who calls the plugin by hand.
    const ABOUT: &'static str;

    /// Attaches a container. Undoes what it did if it fails.
    fn add(&self, request: &Request, target: &Target) -> Result<Added, CniError>;

    /// Detaches a container; success if there is nothing to detach.
    fn del(&self, request: &Request, target: &Target) -> Result<(), CniError>;

    /// Verifies that what ADD made is still there.
    fn check(&self, request: &Request, target: &Target) -> Result<(), CniError>;

    /// Releases everything of the network that belongs to none of `valid`.
    fn gc(&self, request: &Request, valid: &BTreeSet<Attachment>) -> Result<(), CniError>;

    /// Says whether ADD could be served now.
    fn status(&self, request: &Request) -> Result<(), CniError>;
}

/// Runs `plugin` once, as the process's environment says.
pub fn serve(plugin: &impl Plugin) -> ExitCode {
    panic::set_hook(Box::new(|info| {
        let error = CniError::new(Code::Internal, format!("internal error: {info}").replace('\n', " "))
            .with_details("this is a fault of the plugin, not of the configuration; please report it");
        print(&error.document(Version::LATEST));
        // The log comes last: it may be what has failed.
        if log::max_level() == LevelFilter::Off {
            eprintln!("{error}");
        } else {
            log::error!("{error}");
        }
        process::exit(1);
    }));
    let printed = match answer(plugin, |name| std::env::var_os(name), io::stdin(), logging::start) {
        Ok(Answer::Nothing) => true,
        Ok(Answer::About(text)) => {
            eprintln!("{text}");
            true
        }
        Ok(Answer::Document(document)) => print(&document),
        Err(Failure { version, error }) => {
            log::error!("{error}");
            print(&error.document(version));
            false
        }
    };
    if printed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What goes to standard output of a plugin that succeeded.
#[derive(Debug)]
enum Answer {
    Nothing,
    /// For a person, so to standard error.
    About(String),
    Document(Value),
}

/// An error and the version in which to say so.
#[derive(Debug)]
struct Failure {
    version: Version,
    error: CniError,
}

impl From<CniError> for Failure {
    fn from(error: CniError) -> Self {
        Self { version: Version::LATEST, error }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionDocument {
    cni_version: &'static str,
    supported_versions: [&'static str; Version::ALL.len()],
}

/// What a call of `plugin` comes to, with `var` and `stdin` for the environment and the standard input of a process:
/// the document that would be printed, if any.
pub fn call<P: Plugin>(
    plugin: &P,
    var: impl Fn(&str) -> Option<OsString>,
    stdin: impl Read,
) -> Result<Option<Value>, CniError> {
    match answer(plugin, var, stdin, |_, _| ()) {
        Ok(Answer::Document(document)) => Ok(Some(document)),
        Ok(Answer::Nothing) => Ok(None),
        Ok(Answer::About(text)) => Ok(Some(text.into())),
        Err(failure) => Err(failure.error),
    }
}

/// The same; `start_log` is called as soon as it is known what about.
fn answer<P: Plugin>(
    plugin: &P,
    var: impl Fn(&str) -> Option<OsString>,
    stdin: impl Read,
    start_log: impl FnOnce(&Value, &Env),
) -> Result<Answer, Failure> {
    let Some(env) = Env::read(var)? else {
        let versions = Version::ALL.map(Version::text).join(", ");
        return Ok(Answer::About(format!("{}\nCNI protocol versions supported: {versions}", P::ABOUT)));
    };
    if env.verb == Verb::Version {
        let versions = Version::ALL.map(Version::text);
        let document = VersionDocument { cni_version: Version::LATEST.text(), supported_versions: versions };
        return Ok(Answer::Document(to_value(&document)?));
    }
    let conf = read_conf(stdin)?;
    let version = declared_version(&conf)?;
    let in_version = |error| Failure { version, error };
    start_log(&conf, &env);
    let began = Instant::now();
    log::debug!("configuration: {conf}");
    let answer = dispatch(plugin, env, conf).map_err(in_version)?;
    log::info!("done in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    Ok(answer)
}

fn dispatch(plugin: &impl Plugin, env: Env, conf: Value) -> Result<Answer, CniError> {
    let Env { verb, attachment, netns, own_netns_allowed, args, path } = env;
    let args = match (verb, Args::parse(&args)) {
        (_, Ok(args)) => args,
        // What ADD refused was never attached, so nothing that DEL has to do depends on it.
        (Verb::Del, Err(e)) => {
            log::warn!("ignored: {e}");
            Args::default()
        }
        (_, Err(e)) => return Err(e),
    };
    let request = Request::new(conf, args, path)?;
    let target = attachment.map(|attachment| Target { attachment, netns, own_netns_allowed });
    match (verb, target) {
        (Verb::Add, Some(target)) => {
            let document = match plugin.add(&request, &target)? {
                Added::Made(result) => to_value(&result.in_version(request.version))?,
                Added::Unchanged(previous) => previous,
            };
            return Ok(Answer::Document(document));
        }
        (Verb::Del, Some(target)) => plugin.del(&request, &target)?,
        (Verb::Check, Some(target)) => {
            request.needs("CHECK", Version::V0_4_0)?;
            plugin.check(&request, &target)?;
        }
        (Verb::Gc, None) => {
            request.needs("GC", Version::V1_1_0)?;
            plugin.gc(&request, &valid_attachments(&request.conf())?)?;
        }
        (Verb::Status, None) => {
            request.needs("STATUS", Version::V1_1_0)?;
            plugin.status(&request)?;
        }
        (verb, _) => unreachable!("{verb:?}: Env::read has the attachment of exactly the verbs that need one"),
    }
    Ok(Answer::Nothing)
}

fn read_conf(mut stdin: impl Read) -> Result<Value, CniError> {
    let mut bytes = Vec::with_capacity(4096);
    stdin
        .read_to_end(&mut bytes)
        .map_err(|e| CniError::new(Code::Io, format!("network configuration on standard input: {e}")))?;
    let conf: Value = serde_json::from_slice(&bytes)
        .map_err(|e| CniError::new(Code::Decode, format!("network configuration on standard input: {e}")))?;
    if conf.is_object() { Ok(conf) } else { Err(Node::root(&conf).error("must be an object").into()) }
}

/// The attachments that GC must spare. Their list must be there: without it everything would go.
fn valid_attachments(conf: &Node<'_>) -> Result<BTreeSet<Attachment>, CniError> {
    const KEY: &str = "cni.dev/valid-attachments";
    let list = conf.get(KEY)?.ok_or_else(|| conf.field_error(KEY, "is missing"))?;
    let mut valid = BTreeSet::new();
    for entry in list.elements()? {
        let (id, ifname): (String, String) = (entry.require("containerID")?, entry.require("ifname")?);
        match Attachment::new(&id, &ifname) {
            Ok(attachment) => _ = valid.insert(attachment),
            Err(e) => log::warn!("{KEY}: {e}; this plugin cannot have made such an attachment"),
        }
    }
    Ok(valid)
}

fn to_value(document: &impl Serialize) -> Result<Value, CniError> {
    serde_json::to_value(document).map_err(|e| CniError::new(Code::Internal, format!("rendering the result: {e}")))
}

/// Whether standard output has had its document.
static PRINTED: AtomicBool = AtomicBool::new(false);

/// Prints the one document of this process; false if it did not arrive.
fn print(document: &impl Serialize) -> bool {
    if PRINTED.swap(true, Ordering::SeqCst) {
        return false;
    }
    let Ok(mut text) = serde_json::to_vec_pretty(document) else { return false };
    text.push(b'\n');
    io::stdout().write_all(&text).is_ok()
}

#[cfg(test)]
mod tests;
