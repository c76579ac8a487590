//! The configuration for people and scripts.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Config, Given, Output, Setting, felix};
use crate::options::SETTINGS;

impl Config {
    /// All of it.
    #[must_use]
    pub fn show(&self, output: Output) -> String {
        match output {
            Output::Text => self.text(),
            Output::Json => format!("{:#}\n", self.json()),
            Output::Markdown => markdown(),
        }
    }

    fn text(&self) -> String {
        let rows = SETTINGS.iter().map(|setting| {
            let given = &self.in_force[setting.name];
            [setting.name.to_owned(), words(&given.texts), given.from.to_string()]
        });
        let mut text = aligned(&rows.collect::<Vec<_>>());
        let lines = self.awaiting_restart().map(|(name, now, then)| awaiting(name, now, then));
        let notes = self.notes().into_iter().map(|note| note.to_string());
        let problems = self.problems().into_iter().map(|problem| problem.to_string());
        for line in lines.chain(notes).chain(problems) {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// As an object.
    #[must_use]
    pub fn json(&self) -> Value {
        let setting = |setting: &'static Setting| {
            let (given, wanted) = (&self.in_force[setting.name], &self.wanted[setting.name]);
            json!({
                "name": setting.name,
                "value": value(setting, &given.texts),
                "from": given.from.to_string(),
                "wanted": value(setting, &wanted.texts),
                "wantedFrom": wanted.from.to_string(),
                "default": value(setting, &setting.default()),
                "allowed": setting.kind.allowed(),
                "takesEffect": setting.change.name(),
            })
        };
        let texts = |texts: Vec<String>| Value::from(texts);
        json!({
            "settings": SETTINGS.iter().map(setting).collect::<Vec<_>>(),
            "notes": texts(self.notes().iter().map(ToString::to_string).collect()),
            "problems": texts(self.problems().iter().map(ToString::to_string).collect()),
        })
    }
}

/// What is said about a setting that waits.
pub(super) fn awaiting(name: &str, now: &Given, then: &Given) -> String {
    let (now, then_is, from) = (words(&now.texts), words(&then.texts), &then.from);
    format!("{name} is {now} until the agent is started again, then {then_is} ({from})")
}

/// A value as people read it.
pub(super) fn words(texts: &[String]) -> String {
    if texts.is_empty() { "-".to_owned() } else { texts.join(",") }
}

/// A number as a number.
fn value(setting: &Setting, texts: &[String]) -> Value {
    let scalar = |text: &String| match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => value,
        _ => Value::from(text.clone()),
    };
    if setting.kind.is_list() { texts.iter().map(scalar).collect() } else { texts.first().map_or(Value::Null, scalar) }
}

fn aligned(rows: &[[String; 3]]) -> String {
    let title = ["SETTING", "VALUE", "FROM"].map(str::to_owned);
    let rows: Vec<&[String; 3]> = std::iter::once(&title).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    rows.iter().fold(String::new(), |mut text, [name, value, from]| {
        let _ = writeln!(text, "{name:first$}  {value:second$}  {from}");
        text
    })
}

/// The user guide's tables.
fn markdown() -> String {
    let mut text = "| setting | default | allowed | a change takes effect | |\n|---|---|---|---|---|\n".to_owned();
    for setting in SETTINGS {
        let (default, allowed) =
            (setting.default.first().map_or(String::new(), |it| format!("`{it}`")), setting.kind.allowed());
        let (name, change, summary) = (setting.name, setting.change.name(), setting.summary());
        let _ = writeln!(text, "| `{name}` | {default} | {allowed} | {change} | {summary} |");
    }
    let _ = writeln!(text, "\n| key of a FelixConfiguration | setting |\n|---|---|");
    for (key, setting) in felix::mapped() {
        let _ = writeln!(text, "| `{key}` | `{setting}` |");
    }
    let _ = writeln!(text, "\n| keys without effect | why |\n|---|---|");
    for (why, keys) in felix::IDLE {
        let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        let _ = writeln!(text, "| {} | {why} |", keys.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_has_the_tables_that_the_agent_prints() {
        let guide = include_str!("../../../docs/guide.md");
        let between = |text: &'static str| text.split_once("<!-- settings -->\n")?.1.split_once("<!-- end -->\n");
        let (tables, _) = between(guide).expect("the guide has a place for them");
        assert!(
            tables.trim() == markdown().trim(),
            "docs/guide.md: between `<!-- settings -->` and `<!-- end -->` must stand what \
             `caracal-agent config --output markdown` prints"
        );
    }
}
