//! All objects of a kind: streamed where the server can, else page by page.

use std::{borrow::Cow, sync::atomic::Ordering};

use kube::{
    api::{ListParams, WatchParams},
    core::Request,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{At, Follower, path, seconds};
use crate::{
    model::{Change, nullable::nullable},
    source::kubernetes::{servers::Chosen, trouble::Trouble},
};

/// How many objects are in memory at a time, as text.
const PAGE: u32 = 250;
#[derive(Debug, Deserialize)]
struct Page<'a> {
    metadata: PageMetadata<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    items: Vec<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata<'a> {
    #[serde(borrow, default)]
    resource_version: Cow<'a, str>,
    #[serde(borrow, default, rename = "continue")]
    next: Cow<'a, str>,
}

impl Follower {
    /// Tells all objects, of the first API version that the server has.
    pub(super) async fn list(&mut self, chosen: Chosen) -> Result<(), Trouble> {
        let mut trouble = Trouble::Absent;
        for api_version in self.kind.api_versions() {
            match self.list_version(chosen, api_version).await {
                Err(Trouble::Absent) => {}
                // An extension's server may be away, or have rules of its own, while the other version is at hand.
                Err(other @ (Trouble::Unavailable(_) | Trouble::Refused(_))) => trouble = other,
                result => return result,
            }
        }
        Err(trouble)
    }

    async fn list_version(&mut self, chosen: Chosen, api_version: &'static str) -> Result<(), Trouble> {
        if self.can_stream.load(Ordering::Relaxed) {
            match self.stream(chosen, api_version).await {
                Err(Trouble::CannotStream(why)) => {
                    log::debug!("{}: {why}", self.kind.plural());
                    self.can_stream.store(false, Ordering::Relaxed);
                }
                result => return result,
            }
        }
        self.pages(chosen, api_version).await
    }

    /// One watch that begins with all that there is.
    async fn stream(&mut self, chosen: Chosen, api_version: &'static str) -> Result<(), Trouble> {
        let timeout = Some(seconds(self.pace.watch));
        let parameters = WatchParams { send_initial_events: true, timeout, ..self.watch_parameters() };
        let mut lines = self.open(chosen, api_version, &parameters, "").await?;
        self.tell(Change::Begin(self.kind)).await;
        loop {
            let next = match lines.next(self.pace.stream_quiet).await {
                Err(quiet @ Trouble::Quiet(_)) => return Err(Trouble::CannotStream(quiet.to_string())),
                next => next?,
            };
            let Some(event) = next else { return Err(Trouble::Silent("the list ended early".to_owned())) };
            let (change, version) = self.event(&event)?;
            if let Some(change) = change {
                self.tell(change).await;
            }
            if version.annotations.initial_end.is_some() {
                self.at = Some(At { api_version, resource_version: version.resource_version });
                self.whole().await;
                return self.watch(api_version, lines).await;
            }
        }
    }

    async fn pages(&mut self, chosen: Chosen, api_version: &'static str) -> Result<(), Trouble> {
        let field_selector = self.kind.field_selector().map(str::to_owned);
        let mut parameters = ListParams { field_selector, limit: Some(PAGE), ..ListParams::default() };
        let mut has_begun = false;
        loop {
            let request = Request::new(path(api_version, self.kind)).list(&parameters);
            let request = request.map_err(|error| Trouble::Garbled(error.to_string()))?;
            let text = timeout(self.pace.answer, self.servers.client(chosen).request_text(request)).await;
            let text = text.ok().ok_or(Trouble::Quiet(self.pace.answer))??;
            if !std::mem::replace(&mut has_begun, true) {
                self.tell(Change::Begin(self.kind)).await;
            }
            let Page { metadata, items } =
                serde_json::from_str(&text).map_err(|error| Trouble::Garbled(error.to_string()))?;
            for item in items {
                let change = self.put(item.get());
                self.tell(change).await;
            }
            if metadata.next.is_empty() {
                self.at = Some(At { api_version, resource_version: metadata.resource_version.into_owned() });
                self.whole().await;
                return Ok(());
            }
            parameters.continue_token = Some(metadata.next.into_owned());
        }
    }
}
