//! What the agent logs: one line a thing to standard error, at levels and in a form that may change while it runs.

use std::{
    io::{self, Write},
    sync::{PoisonError, RwLock},
};

use clap::ValueEnum;
use env_logger::{Logger, fmt::Formatter};
use log::{
    Log, Metadata, Record,
    kv::{self, Key, VisitSource},
};
use serde_json::{Map, Value};

use crate::options::LogFilter;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// The logger of the moment.
struct Switched(RwLock<Option<(Logger, LogFilter, Format)>>);

static LOGGER: Switched = Switched(RwLock::new(None));

/// Logs so from now on.
pub fn set(filter: &LogFilter, format: Format) {
    let mut current = LOGGER.0.write().unwrap_or_else(PoisonError::into_inner);
    if current.as_ref().is_some_and(|(_, is, as_)| is == filter && *as_ == format) {
        return;
    }
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(filter.as_str()).format_timestamp_millis();
    if format == Format::Json {
        builder.format(json);
    }
    let logger = builder.build();
    log::set_max_level(logger.filter());
    *current = Some((logger, filter.clone(), format));
    // A second call, and tests that have a logger of their own, find one there.
    let _ = log::set_logger(&LOGGER);
}

impl Log for Switched {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.read().is_ok_and(|current| current.as_ref().is_some_and(|(logger, ..)| logger.enabled(metadata)))
    }

    fn log(&self, record: &Record<'_>) {
        if let Ok(current) = self.0.read()
            && let Some((logger, ..)) = current.as_ref()
        {
            logger.log(record);
        }
    }

    fn flush(&self) {}
}

fn json(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let time = out.timestamp_millis().to_string();
    writeln!(out, "{}", object(record, time))
}

fn object(record: &Record<'_>, time: String) -> Value {
    let mut fields = Map::new();
    fields.insert("time".to_owned(), time.into());
    fields.insert("level".to_owned(), record.level().as_str().to_lowercase().into());
    fields.insert("target".to_owned(), record.target().into());
    fields.insert("message".to_owned(), record.args().to_string().into());
    // What cannot be had of them is left out: the line itself counts.
    let _ = record.key_values().visit(&mut Fields(&mut fields));
    fields.into()
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let number = value.to_i64().map(Value::from).or_else(|| value.to_f64().map(Value::from));
        self.0.insert(key.as_str().to_owned(), number.unwrap_or_else(|| value.to_string().into()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    #[test]
    fn a_line_is_an_object_whatever_is_in_it() {
        let pairs: &[(&str, kv::Value<'_>)] = &[("map", "FLOWS4".into()), ("entries", 5.into())];
        let record = Record::builder()
            .level(Level::Warn)
            .target("caracal_agent")
            .args(format_args!("two \"lines\"\nof text"))
            .key_values(&pairs)
            .build();
        let expected = r#"{"time":"now","level":"warn","target":"caracal_agent","message":"two \"lines\"\nof text","map":"FLOWS4","entries":5}"#;
        assert_eq!(object(&record, "now".to_owned()).to_string(), expected);
    }

    #[test]
    fn levels_change_while_it_runs() {
        let enabled = |level| LOGGER.enabled(&Metadata::builder().level(level).target("caracal_agent").build());
        for (filter, debug, warn) in [("info", false, true), ("debug", true, true), ("error,other=trace", false, false)]
        {
            set(&filter.parse().unwrap(), Format::Text);
            assert_eq!((enabled(Level::Debug), enabled(Level::Warn)), (debug, warn), "{filter}");
        }
    }
}
