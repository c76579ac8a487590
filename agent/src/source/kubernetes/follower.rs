//! Follows one kind: list, then watch, from where the last watch ended.

mod listing;

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use kube::{api::WatchParams, core::Request};
use serde::Deserialize;
use tokio::{
    sync::mpsc::Sender,
    time::{sleep, timeout},
};

use super::{
    lines::{Event, Lines},
    pace::{Pace, spread},
    servers::{Chosen, Servers},
    trouble::Trouble,
};
use crate::{
    model::{Change, Kind, Names, Origin, nullable::nullable},
    source::objects,
};

/// Follows one kind.
pub struct Follower {
    kind: Kind,
    pace: Pace,
    servers: Arc<Servers>,
    tell: Sender<Change>,
    names: Names,
    /// Whether the servers stream lists, as far as any follower knows.
    can_stream: Arc<AtomicBool>,
    at: Option<At>,
    /// How often in a row something went wrong.
    failures: u32,
    /// The trouble that was told last.
    told: Option<String>,
    /// What there was of the kind was told at least once.
    has_synced: bool,
    /// How often in a row the kind was not known.
    absences: u32,
}

/// Where to go on.
#[derive(Clone, Debug)]
struct At {
    api_version: &'static str,
    resource_version: String,
}

/// The part of an object that a watch itself needs.
#[derive(Debug, Deserialize)]
struct Versioned {
    metadata: Version,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    resource_version: String,
    #[serde(default, deserialize_with = "nullable")]
    annotations: Marks,
}

#[derive(Debug, Default, Deserialize)]
struct Marks {
    /// The bookmark behind the last object of a streamed list.
    #[serde(rename = "k8s.io/initial-events-end")]
    initial_end: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
    message: String,
}

impl Follower {
    pub fn new(
        kind: Kind,
        pace: Pace,
        servers: Arc<Servers>,
        tell: Sender<Change>,
        can_stream: Arc<AtomicBool>,
    ) -> Self {
        Self {
            kind,
            pace,
            servers,
            tell,
            names: Names::default(),
            can_stream,
            at: None,
            failures: 0,
            told: None,
            has_synced: false,
            absences: 0,
        }
    }

    /// Follows until nobody listens any more.
    pub async fn run(mut self) {
        while !self.tell.is_closed() {
            let chosen = self.servers.choose();
            let result = match self.at.clone() {
                None => self.list(chosen).await,
                Some(at) => self.resume(chosen, at).await,
            };
            let pause = match result {
                Ok(()) => self.pace.pause,
                Err(trouble) => self.after(chosen, trouble).await,
            };
            sleep(pause).await;
        }
    }

    /// Does what a trouble asks for, and says how long to wait.
    async fn after(&mut self, chosen: Chosen, trouble: Trouble) -> Duration {
        match trouble {
            Trouble::Absent if self.kind.is_optional() => return self.absent().await,
            Trouble::Absent | Trouble::Expired => self.at = None,
            _ if trouble.is_about_the_server() => self.servers.failed(chosen),
            _ => {}
        }
        self.absences = 0;
        if matches!(trouble, Trouble::Expired) {
            log::debug!("{}: {trouble}; listing again", self.kind.plural());
            return self.pace.pause;
        }
        let text = trouble.to_string();
        if self.told.as_ref() != Some(&text) {
            log::warn!("{}: {text}; what is known stays in force", self.kind.plural());
            self.tell(Change::Unread(Origin::Watch(self.kind), text.clone())).await;
            self.told = Some(text);
        }
        self.backoff()
    }

    fn backoff(&mut self) -> Duration {
        self.failures += 1;
        self.pace.backoff(self.failures - 1)
    }

    /// The kind is not installed, so there are no objects of it. Where there were some, a server that has just
    /// started may not know yet, and is asked again before that is believed.
    async fn absent(&mut self) -> Duration {
        self.at = None;
        self.absences += 1;
        if self.has_synced && self.absences < 3 {
            return self.backoff();
        }
        if !self.has_synced || self.absences == 3 {
            log::info!("{}: not installed", self.kind.plural());
            self.tell(Change::Begin(self.kind)).await;
            self.whole().await;
        }
        spread(self.pace.look_again)
    }

    /// Everything of the kind has been told.
    async fn whole(&mut self) {
        self.tell(Change::Whole(self.kind)).await;
        self.has_synced = true;
        self.well().await;
    }

    /// The server tells us something.
    async fn well(&mut self) {
        self.failures = 0;
        if self.told.take().is_some() {
            log::info!("{}: the API server answers again", self.kind.plural());
            self.tell(Change::Read(Origin::Watch(self.kind))).await;
        }
    }

    async fn resume(&mut self, chosen: Chosen, at: At) -> Result<(), Trouble> {
        let parameters = WatchParams { timeout: Some(seconds(self.pace.watch)), ..self.watch_parameters() };
        let lines = self.open(chosen, at.api_version, &parameters, &at.resource_version).await?;
        self.watch(at.api_version, lines).await
    }

    /// Tells what a watch says, until it ends.
    async fn watch(&mut self, api_version: &'static str, mut lines: Lines) -> Result<(), Trouble> {
        while let Some(event) = lines.next(self.pace.quiet).await? {
            let (change, version) = self.event(&event)?;
            self.at = Some(At { api_version, resource_version: version.resource_version });
            self.well().await;
            if let Some(change) = change {
                self.tell(change).await;
            }
        }
        Ok(())
    }

    /// What an event says, and where it leads.
    fn event(&mut self, event: &Event<'_>) -> Result<(Option<Change>, Version), Trouble> {
        let json = event.object.get();
        if event.what == "ERROR" {
            let Status { code, message } = serde_json::from_str(json).unwrap_or_default();
            return Err(Trouble::of_status(code, &message));
        }
        let versioned: Versioned =
            serde_json::from_str(json).map_err(|error| Trouble::Garbled(format!("{}: {error}", event.what)))?;
        let change = match &*event.what {
            "ADDED" | "MODIFIED" => Some(self.put(json)),
            "DELETED" => objects::name_json(self.kind, json).map(|name| Change::Gone(self.kind, name)),
            _ => None,
        };
        Ok((change, versioned.metadata))
    }

    /// The object, or why it cannot be read.
    fn put(&mut self, json: &str) -> Change {
        match objects::read_json(self.kind, json, &mut self.names) {
            Ok(object) => Change::Put(object),
            Err(error) => {
                let name = objects::name_json(self.kind, json);
                let origin = name.map_or(Origin::Kind(self.kind), |name| Origin::Object(self.kind, name));
                log::error!("{origin}: {error}; what was read of it before stays in force");
                Change::Unread(origin, error)
            }
        }
    }

    async fn open(
        &self,
        chosen: Chosen,
        api_version: &str,
        parameters: &WatchParams,
        resource_version: &str,
    ) -> Result<Lines, Trouble> {
        let request = Request::new(path(api_version, self.kind)).watch(parameters, resource_version);
        let request = request.map_err(|error| Trouble::Garbled(error.to_string()))?;
        let stream = timeout(self.pace.answer, self.servers.client(chosen).request_stream(request)).await;
        let stream = stream.ok().ok_or(Trouble::Quiet(self.pace.answer))??;
        Ok(Lines::new(stream))
    }

    fn watch_parameters(&self) -> WatchParams {
        WatchParams { field_selector: self.kind.field_selector().map(str::to_owned), ..WatchParams::default() }
    }

    async fn tell(&self, change: Change) {
        // Nobody listens when the agent ends.
        let _ = self.tell.send(change).await;
    }
}

/// Where all objects of a kind are.
pub(super) fn path(api_version: &str, kind: Kind) -> String {
    let root = if api_version.contains('/') { "apis" } else { "api" };
    format!("/{root}/{api_version}/{}", kind.plural())
}

/// Somewhere between half a time and all of it, so that not all watches of a node, and of all nodes, end together.
fn seconds(whole: Duration) -> u32 {
    u32::try_from(spread(whole).as_secs()).unwrap_or(u32::MAX)
}
