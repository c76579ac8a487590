//! A client for tests: YAML documents in, errors that name the object out.

use std::{fmt, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, Request, header::CONTENT_TYPE};
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{object::Object, runtime::Runtime};

/// How many objects are made at the same time where many are to be made.
const AT_ONCE: usize = 32;
/// Between two times that the same is asked.
const PAUSE: Duration = Duration::from_millis(20);

/// A client of one API server, as one user. Clones are the same client.
#[derive(Clone)]
pub struct Api {
    client: Client,
    runtime: Runtime,
}

impl Api {
    pub(crate) fn new(runtime: &Runtime, config: Config) -> Result<Self> {
        // A client has a task of its own, which needs a runtime around it.
        let client = runtime.run(async { Client::try_from(config) }).context("making a client")?;
        Ok(Self { client, runtime: runtime.clone() })
    }

    /// Makes the objects of a YAML file be as they are written there, status included; what others wrote stays.
    pub fn apply(&self, yaml: &str) -> Result<()> {
        Object::read_all(yaml)?.iter().try_for_each(|object| self.apply_object(object))
    }

    /// Removes the objects of a YAML file, the last first, at once and without anybody's consent.
    pub fn delete(&self, yaml: &str) -> Result<()> {
        Object::read_all(yaml)?.iter().rev().try_for_each(|object| self.delete_object(object))
    }

    /// Changes an object by a JSON merge patch.
    pub fn patch(&self, object: &Object, patch: &Value) -> Result<()> {
        self.send::<Value>(Method::PATCH, &object.path(), "application/merge-patch+json", patch)
            .with_context(|| format!("patching {object}"))
            .map(drop)
    }

    /// The object as the server has it.
    pub fn get(&self, object: &Object) -> Result<Value> {
        let text = self.get_text(&object.path()).with_context(|| format!("reading {object}"))?;
        serde_json::from_str(&text).with_context(|| format!("understanding {object}"))
    }

    /// Makes new objects, many at a time and in no order; no status is written.
    pub fn create_all(&self, objects: Vec<Object>) -> Result<()> {
        let client = self.client.clone();
        let create = move |object: Object| {
            let client = client.clone();
            async move {
                let request = request(Method::POST, &object.collection(), "application/json", object.body())?;
                client.request_text(request).await.with_context(|| format!("creating {object}")).map(drop)
            }
        };
        self.runtime.run(async move { stream::iter(objects).map(create).buffer_unordered(AT_ONCE).try_collect().await })
    }

    /// What the server answers to a GET of any path.
    pub fn get_text(&self, path: &str) -> Result<String> {
        let request = Request::get(path).body(Vec::new())?;
        let client = self.client.clone();
        Ok(self.runtime.run(async move { client.request_text(request).await })?)
    }

    /// The same, for no longer than this.
    pub fn get_text_within(&self, path: &str, limit: Duration) -> Result<String> {
        let request = Request::get(path).body(Vec::new())?;
        let client = self.client.clone();
        let answer = self.runtime.run(async move { timeout(limit, client.request_text(request)).await });
        Ok(answer.with_context(|| format!("no answer to {path} in {limit:?}"))??)
    }

    /// Asks for all of these at the same time, until each has been answered.
    pub(crate) fn wait_for_answers(&self, paths: Vec<String>, limit: Duration) -> Result<()> {
        let client = self.client.clone();
        let ask = move |path: String| {
            let client = client.clone();
            async move {
                let answered = async {
                    while client.request_text(Request::get(&path).body(Vec::new())?).await.is_err() {
                        sleep(PAUSE).await;
                    }
                    anyhow::Ok(())
                };
                timeout(limit, answered).await.with_context(|| format!("no answer to {path} in {limit:?}"))?
            }
        };
        self.runtime.run(async move { stream::iter(paths).map(ask).buffer_unordered(AT_ONCE).try_collect().await })
    }

    /// What the server answers to a POST of any path.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.send(Method::POST, path, "application/json", body)
    }

    fn apply_object(&self, object: &Object) -> Result<()> {
        let path = format!("{}?fieldManager=caracal&force=true", object.path());
        let applied =
            self.send::<Value>(Method::PATCH, &path, "application/apply-patch+yaml", &object.without_status());
        applied.with_context(|| format!("applying {object}"))?;
        let Some(status) = object.status() else { return Ok(()) };
        let path = format!("{}/status", object.path());
        let written =
            self.send::<Value>(Method::PATCH, &path, "application/merge-patch+json", &json!({ "status": status }));
        written.with_context(|| format!("writing the status of {object}")).map(drop)
    }

    fn delete_object(&self, object: &Object) -> Result<()> {
        let at_once = json!({ "gracePeriodSeconds": 0 });
        let deleted = self.send::<Value>(Method::DELETE, &object.path(), "application/json", &at_once);
        deleted.with_context(|| format!("deleting {object}"))?;
        if object.kind() != "Namespace" {
            return Ok(());
        }
        // Nobody here empties namespaces before they go.
        let mut last = object.body().clone();
        last["spec"] = json!({ "finalizers": [] });
        let finalized =
            self.send::<Value>(Method::PUT, &format!("{}/finalize", object.path()), "application/json", &last);
        finalized.with_context(|| format!("finalizing {object}")).map(drop)
    }

    fn send<T: DeserializeOwned>(&self, method: Method, path: &str, content_type: &str, body: &Value) -> Result<T> {
        let request = request(method, path, content_type, body)?;
        let client = self.client.clone();
        let answer = self.runtime.run(async move { client.request_text(request).await })?;
        serde_json::from_str(&answer).with_context(|| format!("understanding the answer {answer}"))
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

fn request(method: Method, path: &str, content_type: &str, body: &Value) -> Result<Request<Vec<u8>>> {
    ensure!(path.starts_with('/'), "{path} is no path of an API server");
    Ok(Request::builder()
        .method(method)
        .uri(path)
        .header(CONTENT_TYPE, content_type)
        .body(serde_json::to_vec(body)?)?)
}
