//! `--log-level`: a level, or levels of single modules too, as `RUST_LOG` has them.

use std::str::FromStr;

use log::LevelFilter;

/// Levels, written `info` or `info,rtnetlink=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        for part in text.split(',') {
            let (module, level) = part.split_once('=').unwrap_or(("*", part));
            if module.trim().is_empty() || level.trim().parse::<LevelFilter>().is_err() {
                return Err(format!("{:?} is neither a level nor MODULE=LEVEL", part.trim()));
            }
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_what_is_none_is_told() {
        for text in ["info", "OFF", "warn,rtnetlink=trace", "caracal_agent::face=debug"] {
            assert_eq!(text.parse::<LogFilter>().unwrap().as_str(), text);
        }
        for text in ["", "loud", "info,", "=info", "face=", "face=loud", "face"] {
            assert!(text.parse::<LogFilter>().unwrap_err().contains("MODULE=LEVEL"), "{text}");
        }
    }
}
