//! Service accounts: what an agent may do, and what it did.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{api::Api, object::Object};

/// A right, or the use of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The API group, empty for the first one.
    pub group: String,
    /// The kind in plural, with the subresource behind a slash if it is for one.
    pub resource: String,
    /// What may be done to it.
    pub verb: String,
}

/// A service account and what it was given.
#[derive(Clone, Debug)]
pub struct Account {
    /// As the audit log calls it.
    pub user: String,
    /// What it identifies itself by.
    pub token: String,
}

/// A request that an account made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// What it needed for it.
    pub right: Right,
    /// The path and its parameters.
    pub uri: String,
    /// The answer's code.
    pub code: u16,
}

impl Account {
    /// Applies an RBAC file that has one service account, and gets a token for that.
    pub fn create(api: &Api, rbac: &str) -> Result<Self> {
        api.apply(rbac)?;
        let objects = Object::read_all(rbac)?;
        let mut accounts = objects.iter().filter(|object| object.kind() == "ServiceAccount");
        let account = accounts.next().context("the RBAC file has no ServiceAccount")?;
        ensure!(accounts.next().is_none(), "the RBAC file has several ServiceAccounts");
        let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
        let answer: Value = api.post(&format!("{}/token", account.path()), &request)?;
        let token = answer["status"]["token"].as_str().with_context(|| format!("no token in {answer}"))?;
        let user = format!("system:serviceaccount:{}:{}", account.namespace().unwrap_or("default"), account.name());
        Ok(Self { user, token: token.to_owned() })
    }
}

/// All that the roles of an RBAC file allow.
pub fn granted(rbac: &str) -> Result<BTreeSet<Right>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Rule {
        api_groups: Vec<String>,
        resources: Vec<String>,
        verbs: Vec<String>,
    }
    let mut rights = BTreeSet::new();
    for object in Object::read_all(rbac)?.iter().filter(|object| object.kind().ends_with("Role")) {
        let rules: Vec<Rule> = serde_json::from_value(object.body()["rules"].clone())
            .with_context(|| format!("reading the rules of {object}"))?;
        for Rule { api_groups, resources, verbs } in rules {
            for group in &api_groups {
                for resource in &resources {
                    let right = |verb: String| Right { group: group.clone(), resource: resource.clone(), verb };
                    rights.extend(verbs.iter().cloned().map(right));
                }
            }
        }
    }
    Ok(rights)
}

/// The requests of a user in an audit log. Discovery and versions are free for everybody and are left out.
pub fn asked(log: &str, user: &str) -> Result<Vec<Asked>> {
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).with_context(|| format!("audit: {line}")));
    let of_user = events.filter(|event| event.as_ref().map_or(true, |event| event["user"]["username"] == user));
    let asked = of_user.filter_map(|event| event.map(|event| asked_of(&event)).transpose());
    asked.collect()
}

fn asked_of(event: &Value) -> Option<Asked> {
    let of = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let resource = of["resource"].as_str()?;
    let resource = match of["subresource"].as_str() {
        Some(sub) => format!("{resource}/{sub}"),
        None => resource.to_owned(),
    };
    let right = Right { group: text(&of["apiGroup"]), resource, verb: text(&event["verb"]) };
    let code = event["responseStatus"]["code"].as_u64().and_then(|code| u16::try_from(code).ok());
    Some(Asked { right, uri: text(&event["requestURI"]), code: code.unwrap_or_default() })
}
