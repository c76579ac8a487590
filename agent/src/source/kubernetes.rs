//! Kubernetes' API as the source.
//!
//! Each kind is followed by a task of its own; all tell into one bounded channel, so that a slow reader slows down the
//! API server and nothing is kept in between. While the server is away, everything told stays as it is.

mod connect;
mod follower;
mod lines;
mod pace;
mod servers;
mod trouble;

use std::{
    fmt,
    future::pending,
    sync::{Arc, atomic::AtomicBool},
};

use tokio::{
    sync::mpsc::{Receiver, channel},
    task::JoinSet,
};

pub use self::{
    connect::{ConnectError, Settings},
    servers::Servers,
};
use self::{follower::Follower, pace::Pace};
use super::{Next, Source};
use crate::model::{Change, Kind};

/// How many changes may wait, and how many are told at once.
const WAITING: usize = 512;

/// The API, and those who follow it.
#[derive(Debug)]
pub struct Kubernetes {
    servers: Arc<Servers>,
    changes: Receiver<Change>,
    _followers: JoinSet<()>,
}

impl Kubernetes {
    /// Begins to follow these kinds.
    #[must_use]
    pub fn follow(servers: Servers, kinds: &[Kind]) -> Self {
        Self::follow_at(Pace::default(), servers, kinds)
    }

    fn follow_at(pace: Pace, servers: Servers, kinds: &[Kind]) -> Self {
        let servers = Arc::new(servers);
        let (tell, changes) = channel(WAITING);
        let can_stream = Arc::new(AtomicBool::new(true));
        let mut followers = JoinSet::new();
        for kind in kinds {
            let follower = Follower::new(*kind, pace, servers.clone(), tell.clone(), can_stream.clone());
            followers.spawn(follower.run());
        }
        Self { servers, changes, _followers: followers }
    }
}

impl fmt::Display for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.servers)
    }
}

impl Source for Kubernetes {
    fn next(&mut self) -> Next<'_> {
        Box::pin(async {
            let mut changes = Vec::new();
            if self.changes.recv_many(&mut changes, WAITING).await == 0 {
                // Followers never end.
                pending::<()>().await;
            }
            changes
        })
    }
}

#[cfg(test)]
mod tests;
