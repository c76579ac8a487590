//! What one source of settings says.

use std::collections::BTreeMap;

use super::{Note, Origin, Problem, Setting};

/// A value that somebody has given, or the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The value, as it is written.
    pub texts: Vec<String>,
    /// Where.
    pub from: Origin,
}

/// Everything that one source says: what is right, what is not, and what is without effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Values by the names of their settings.
    pub given: BTreeMap<&'static str, Given>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is without effect.
    pub notes: Vec<Note>,
}

impl Layer {
    /// Takes a value, if it is one.
    pub fn put(&mut self, setting: &'static Setting, texts: Vec<String>, from: Origin) {
        match setting.kind.check(&texts) {
            Ok(()) => drop(self.given.insert(setting.name, Given { texts, from })),
            Err(why) => self.reject(setting, &why, from),
        }
    }

    /// Notes that a value is none.
    pub fn reject(&mut self, setting: &'static Setting, why: &str, at: Origin) {
        let allowed = setting.kind.allowed();
        let what = match at {
            // It names the setting.
            Origin::Flag(_) => format!("{why}; allowed is {allowed}"),
            _ => format!("{}: {why}; allowed is {allowed}", setting.name),
        };
        self.problems.push(Problem { at, setting: Some(setting.name), what });
    }

    /// Notes that something is wrong which is of no setting.
    pub fn complain(&mut self, at: Origin, what: impl Into<String>) {
        self.problems.push(Problem { at, setting: None, what: what.into() });
    }

    /// Notes that something has no effect.
    pub fn note(&mut self, at: Origin, why: impl Into<String>) {
        self.notes.push(Note { at, why: why.into() });
    }

    /// What is wrong here holds on as it was when it was last right.
    #[must_use]
    pub fn over(mut self, last: &Self) -> Self {
        for name in self.problems.iter().filter_map(|problem| problem.setting) {
            if let Some(good) = last.given.get(name)
                && !self.given.contains_key(name)
            {
                self.given.insert(name, good.clone());
            }
        }
        self
    }
}
