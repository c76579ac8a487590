//! `${name}` in the strings of a configuration: one conflist or command can serve all nodes.

use anyhow::{Result, bail};
use serde_json::Value;

/// Names and what they stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vars(Vec<(&'static str, String)>);

impl Vars {
    /// Adds a name. `None` leaves it unknown.
    pub(crate) fn set(&mut self, name: &'static str, value: Option<impl ToString>) {
        self.0.extend(value.map(|value| (name, value.to_string())));
    }

    /// Replaces each `${name}` of `text`.
    pub(crate) fn expand(&self, text: &str) -> Result<String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, end)) = after.split_once('}') else { bail!("`{text}`: `${{` without `}}`") };
            let Some((_, value)) = self.0.iter().find(|(known, _)| *known == name) else {
                let known: Vec<_> = self.0.iter().map(|(name, _)| *name).collect();
                bail!("`{text}`: `{name}` is none of {}", known.join(", "));
            };
            expanded.push_str(before);
            expanded.push_str(value);
            rest = end;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// Replaces in all strings of `value`.
    pub(crate) fn expand_json(&self, value: &Value) -> Result<Value> {
        Ok(match value {
            Value::String(text) => Value::String(self.expand(text)?),
            Value::Array(list) => Value::Array(list.iter().map(|item| self.expand_json(item)).collect::<Result<_>>()?),
            Value::Object(map) => {
                let entries = map.iter().map(|(key, value)| Ok((key.clone(), self.expand_json(value)?)));
                Value::Object(entries.collect::<Result<_>>()?)
            }
            other => other.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vars() -> Vars {
        let mut vars = Vars::default();
        vars.set("node", Some("n1"));
        vars.set("podCIDR4", Some("10.244.1.0/24"));
        vars.set("podCIDR6", None::<String>);
        vars
    }

    #[test]
    fn strings_are_expanded_wherever_they_are() {
        let conflist =
            json!({"ipam": {"ranges": [[{"subnet": "${podCIDR4}"}]]}, "mtu": 1400, "log": "/x/${node}/${node}.log"});
        let expanded = json!({"ipam": {"ranges": [[{"subnet": "10.244.1.0/24"}]]}, "mtu": 1400, "log": "/x/n1/n1.log"});
        assert_eq!(vars().expand_json(&conflist).unwrap(), expanded);
        assert_eq!(vars().expand("$HOME {node} $").unwrap(), "$HOME {node} $", "nothing else is special");
    }

    #[test]
    fn unknown_names_are_errors_that_list_the_known() {
        let error = vars().expand("x ${podCIDR6}").unwrap_err().to_string();
        assert!(error.contains("`podCIDR6` is none of node, podCIDR4"), "{error}");
        assert!(vars().expand("${node").is_err());
    }
}
