//! Logs: always to standard error, where runtimes collect them, and to a file if the configuration names one. The keys
//! are also understood as Calico's users write them.
//!
//! Invariants: nothing here fails a verb, or writes to standard output. What is wrong with the settings or the file is
//! said on standard error.

use std::{fmt, io, process};

use env_logger::{Builder, Logger, Target};
use log::{LevelFilter, Log, Metadata, Record};
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::rotating::{LogFile, Rotation};
use super::Env;
use crate::json::{FieldError, Node};

mod rotating;

const LEVELS: &str = "\"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\"";
const MIB: u64 = 1 << 20;
const DAY_SECS: u64 = 24 * 60 * 60;

/// Every key, as we and as Calico's users write it.
const FILE: [&str; 2] = ["logFile", "log_file_path"];
const LEVEL: [&str; 2] = ["logLevel", "log_level"];
const MAX_SIZE: [&str; 2] = ["logFileMaxSize", "log_file_max_size"];
const MAX_AGE: [&str; 2] = ["logFileMaxAge", "log_file_max_age"];
const MAX_COUNT: [&str; 2] = ["logFileMaxCount", "log_file_max_count"];

/// What a configuration says about logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    level: LevelFilter,
    file: Option<Rotation>,
    /// What it says that cannot be. A pod is not worth less for it.
    complaints: Vec<String>,
}

impl LogSettings {
    /// Reads a configuration. What makes no sense counts as not said.
    #[must_use]
    pub fn read(conf: &Value) -> Self {
        let mut complaints = Vec::new();
        let conf = Node::root(conf);
        let mut keep = |outcome: Result<Option<u64>, FieldError>| {
            outcome.unwrap_or_else(|e| {
                complaints.push(e.to_string());
                None
            })
        };
        let max_size = keep(field(&conf, MAX_SIZE)).filter(|size| *size > 0).unwrap_or(100);
        let max_age = keep(field(&conf, MAX_AGE)).filter(|days| *days > 0);
        let max_count = keep(field(&conf, MAX_COUNT)).unwrap_or(5);
        let level = level(&conf).unwrap_or_else(|e| {
            complaints.push(e.to_string());
            LevelFilter::Warn
        });
        let path = path(&conf).unwrap_or_else(|e| {
            complaints.push(e.to_string());
            None
        });
        let file = path.map(|path| Rotation {
            path: path.into(),
            max_bytes: max_size.saturating_mul(MIB),
            max_age_secs: max_age.map(|days| days.saturating_mul(DAY_SECS)),
            max_count,
        });
        Self { level, file, complaints }
    }

    /// What it says that cannot be, by key.
    #[must_use]
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }
}

/// The value under the first of `keys` that is there.
fn node<'a>(conf: &Node<'a>, keys: [&str; 2]) -> Result<Option<Node<'a>>, FieldError> {
    Ok(conf.get(keys[0])?.or(conf.get(keys[1])?))
}

fn field<T: DeserializeOwned>(conf: &Node<'_>, keys: [&str; 2]) -> Result<Option<T>, FieldError> {
    node(conf, keys)?.map(|node| node.parse()).transpose()
}

fn level(conf: &Node<'_>) -> Result<LevelFilter, FieldError> {
    let Some(node) = node(conf, LEVEL)? else { return Ok(LevelFilter::Warn) };
    let text = node.value().as_str().map(|text| if text.eq_ignore_ascii_case("warning") { "warn" } else { text });
    let level = text.and_then(|text| text.parse().ok());
    level.ok_or_else(|| node.error(format!("{} is not one of {LEVELS}", node.value())))
}

fn path(conf: &Node<'_>) -> Result<Option<String>, FieldError> {
    let Some(node) = node(conf, FILE)? else { return Ok(None) };
    let path: String = node.parse()?;
    match path.as_str() {
        "" => Ok(None),
        absolute if absolute.starts_with('/') => Ok(Some(path)),
        _ => Err(node.error(format!("{path:?} must be an absolute path; nothing is logged to a file"))),
    }
}

/// Begins to log, as `conf` wants, about the call that `env` describes.
pub(super) fn start(conf: &Value, env: &Env) {
    let LogSettings { level, file, mut complaints } = LogSettings::read(conf);
    let mut stderr = Builder::new();
    stderr.filter_level(level);
    let file = file.and_then(|rotation| match LogFile::open(rotation) {
        Ok(file) => Some(file_logger(level, file, env)),
        Err(e) => {
            complaints.push(e);
            None
        }
    });
    let logger = Both { stderr: stderr.build(), file };
    // A second start in one process, as tests do, keeps the first logger.
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
    for complaint in complaints {
        log::warn!("{complaint}");
    }
}

/// A line: time, level, process, verb, container, message.
fn file_logger(level: LevelFilter, file: LogFile, env: &Env) -> Logger {
    let container = env.attachment.as_ref().map_or("-", |attachment| attachment.container_id());
    let about = format!("{} {} {container}", process::id(), env.verb.text());
    let mut builder = Builder::new();
    builder.filter_level(level).target(Target::Pipe(Box::new(file))).format(move |line, record| {
        use io::Write;
        let message = OneLine(record.args());
        writeln!(line, "{} {:<5} {about} {message}", line.timestamp_millis(), record.level())
    });
    builder.build()
}

/// A message without line breaks.
struct OneLine<'a>(&'a fmt::Arguments<'a>);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string().replace(['\n', '\r'], " "))
    }
}

struct Both {
    stderr: Logger,
    file: Option<Logger>,
}

impl Log for Both {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.stderr.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(file) = &self.file {
            file.log(record);
        }
        self.stderr.log(record);
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_said_is_warnings_to_standard_error() {
        let expected = LogSettings { level: LevelFilter::Warn, file: None, complaints: Vec::new() };
        assert_eq!(LogSettings::read(&json!({})), expected);
        assert_eq!(LogSettings::read(&json!({"logFile": "", "log_level": null})), expected);
    }

    #[test]
    fn keys_are_understood_in_both_spellings() {
        let ours = json!({"logFile": "/l", "logLevel": "debug", "logFileMaxSize": 2, "logFileMaxAge": 3,
            "logFileMaxCount": 4});
        let calicos = json!({"log_file_path": "/l", "log_level": "Debug", "log_file_max_size": 2, "log_file_max_age": 3,
            "log_file_max_count": 4});
        let rotation =
            Rotation { path: "/l".into(), max_bytes: 2 * MIB, max_age_secs: Some(3 * DAY_SECS), max_count: 4 };
        let expected = LogSettings { level: LevelFilter::Debug, file: Some(rotation), complaints: Vec::new() };
        assert_eq!(LogSettings::read(&ours), expected);
        assert_eq!(LogSettings::read(&calicos), expected);
        assert_eq!(LogSettings::read(&json!({"log_level": "Warning"})).level, LevelFilter::Warn);
        let usual = LogSettings::read(&json!({"logFile": "/l", "logFileMaxSize": 0})).file.unwrap();
        assert_eq!((usual.max_bytes, usual.max_age_secs, usual.max_count), (100 * MIB, None, 5));
    }

    #[test]
    fn what_makes_no_sense_is_complained_about_by_key_and_not_heeded() {
        let read = LogSettings::read(&json!({"logFile": "l", "log_level": "loud", "logFileMaxSize": -1,
            "logFileMaxAge": "old", "log_file_max_count": 1.5}));
        assert_eq!((read.level, read.file), (LevelFilter::Warn, None));
        let keys = ["logFileMaxSize: ", "logFileMaxAge: ", "log_file_max_count: ", "log_level: ", "logFile: "];
        assert_eq!(read.complaints.len(), keys.len());
        for (complaint, key) in read.complaints.iter().zip(keys) {
            assert!(complaint.starts_with(key), "{complaint}");
        }
        assert_eq!(LogSettings::read(&json!([])).complaints.len(), 5);
    }
}
