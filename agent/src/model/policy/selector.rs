//! Label selectors of Kubernetes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{Labels, nullable::nullable};

/// Which labels are meant: all conditions must hold, and none holds for everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// Labels that must be there.
    #[serde(deserialize_with = "nullable")]
    pub match_labels: BTreeMap<String, String>,
    /// More conditions.
    #[serde(deserialize_with = "nullable")]
    pub match_expressions: Vec<Requirement>,
}

/// A condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Requirement {
    /// Which.
    pub key: String,
    /// How its value is looked at.
    pub operator: Operator,
    /// The values it is compared with.
    #[serde(default, deserialize_with = "nullable")]
    pub values: BTreeSet<String>,
}

/// How a label is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Kubernetes' names say it")]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Whether these labels are meant.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        let has = |(key, value): (&String, &String)| labels.get(key).is_some_and(|found| **found == **value);
        self.match_labels.iter().all(has) && self.match_expressions.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(&**value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(&**value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_must_all_hold() {
        let labels: Labels = [("app", "web"), ("tier", "front")].into_iter().collect();
        let cases = [
            ("{}", true),
            ("{matchLabels: {app: web}}", true),
            ("{matchLabels: {app: web, tier: back}}", false),
            ("{matchExpressions: [{key: app, operator: In, values: [api, web]}]}", true),
            ("{matchExpressions: [{key: app, operator: In, values: [api]}]}", false),
            ("{matchExpressions: [{key: zone, operator: In, values: [a]}]}", false),
            ("{matchExpressions: [{key: app, operator: NotIn, values: [api]}]}", true),
            ("{matchExpressions: [{key: app, operator: NotIn, values: [web]}]}", false),
            ("{matchExpressions: [{key: zone, operator: NotIn, values: [a]}]}", true),
            ("{matchExpressions: [{key: app, operator: Exists}]}", true),
            ("{matchExpressions: [{key: zone, operator: Exists, values: }]}", false),
            ("{matchExpressions: [{key: zone, operator: DoesNotExist}]}", true),
            ("{matchExpressions: [{key: app, operator: DoesNotExist}]}", false),
            ("{matchLabels: {app: web}, matchExpressions: [{key: tier, operator: DoesNotExist}]}", false),
            ("{matchLabels: , matchExpressions: }", true),
        ];
        for (text, expected) in cases {
            let selector: Selector = serde_norway::from_str(text).unwrap();
            assert_eq!(selector.matches(&labels), expected, "{text}");
        }
    }
}
