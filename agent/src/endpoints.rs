//! Pods of this node, as the plugin, the kernel and the disk know them.
//!
//! The plugin says at once what it did (`socket`, `session`); whatever nobody said is found by comparing (`reconcile`).
//! Pods never depend on either: the plugin works without an agent, and what it told one agent the next one finds.

use std::{sync::Arc, time::Duration};

use caracal_datapath::Pinned;
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::Options;

mod pods;
mod reconcile;
mod session;
mod socket;
pub mod tally;

pub use pods::{Pods, Readiness};
pub use socket::Socket;

/// How often what all sides know is compared.
const RESYNC: Duration = Duration::from_secs(30);
/// How many are served at once. Who comes then waits in the kernel's queue.
const MAX_SESSIONS: usize = 256;
/// How long nobody is accepted after that failed: the process has too many files open.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Serves the plugin and compares, for as long as it is polled. `told` hears of every pod that comes or goes.
pub async fn run(options: &Options, pinned: &Pinned, socket: &Socket, told: &Arc<Notify>) {
    let pods = Arc::new(pods::Known::new(options, pinned.clone(), Arc::clone(told)));
    let compare = async {
        let mut resync = interval(RESYNC);
        resync.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            resync.tick().await;
            reconcile::round(&options.run_dir, &options.bpffs, pinned);
        }
    };
    tokio::select! {
        () = compare => {}
        () = serve(socket, &pods) => {}
    }
}

/// A task for each that connects; all end with this.
async fn serve<P: Pods>(socket: &Socket, pods: &Arc<P>) {
    let room = Arc::new(Semaphore::new(MAX_SESSIONS));
    let mut sessions = JoinSet::new();
    loop {
        // Never closed.
        let Ok(seat) = Arc::clone(&room).acquire_owned().await else { return };
        while sessions.try_join_next().is_some() {}
        match socket.accept().await {
            Ok(stream) => {
                let pods = Arc::clone(pods);
                sessions.spawn(async move {
                    if let Err(error) = session::serve(&stream, &*pods).await {
                        log::warn!("agent.sock: {error}");
                    }
                    drop(seat);
                });
            }
            Err(error) => {
                log::warn!("{}: {error}", socket.path().display());
                sleep(BACK_OFF).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
