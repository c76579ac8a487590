//! The loop: read, compute, write the difference, wait for a change.

use std::{future::pending, time::Duration};

use anyhow::Context;
use caracal_datapath::Pinned;
use rtnetlink::Handle;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    Options,
    apply::{dataplane, nics, pods, ports, routes, settle, sockets, upkeep, wanted::Wanted},
    compile,
    config::Shared,
    lock::Lock,
    model::{Kind, Model},
    source::{self, Source},
};

/// How long to wait for more changes after the first.
const SETTLE: Duration = Duration::from_millis(20);
/// Everything is compared with the kernel this often even when nothing is known to have changed.
const RESYNC: Duration = Duration::from_secs(30);
/// The same, when something could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until a signal says to end.
pub async fn run(shared: &Shared) -> anyhow::Result<()> {
    let options = &*shared.options();

    let _lock = Lock::take(&options.run_dir)?;
    let own = own_name(options)?;
    if options.masquerade {
        ports::warn_of_overlap(&options.masquerade_ports);
    }
    let pinned = dataplane::load(options)?;
    sockets::attach(options, &pinned);
    let (connection, handle, _) = rtnetlink::new_connection().context("cannot open a netlink socket")?;
    tokio::spawn(connection);
    let mut source = source::open(&options.follow()?, &options.run_dir).await?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Before anybody is told that this node is ready.
    nics::round(&handle, &pinned, &options.nics).await;
    let (pods_wanted, wanted) = watch::channel(Wanted::default());
    let follow = Follow { handle: &handle, pinned: &pinned, own, options, pods: pods_wanted };
    let follow = follow.run(&mut *source);
    let settle = async {
        settle::run(&pinned).await;
        pending::<()>().await;
    };
    tokio::select! {
        () = follow => {}
        () = settle => {}
        () = nics::run(&handle, &pinned, &options.nics) => {}
        () = pods::run(options, &pinned, wanted) => {}
        () = upkeep::run(options, &pinned) => {}
        () = ended(&mut terminate, &mut interrupt) => {}
    }
    log::info!("ended; programs, maps and routes stay in place");
    Ok(())
}

async fn ended(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Those who are to hear what the cluster says.
struct Follow<'a> {
    handle: &'a Handle,
    pinned: &'a Pinned,
    own: String,
    options: &'a Options,
    pods: watch::Sender<Wanted>,
}

impl Follow<'_> {
    /// Keeps the model and what follows from it. Never returns.
    async fn run(&self, source: &mut dyn Source) {
        let mut model = Model::default();
        let mut due = Instant::now() + RESYNC;
        let mut is_following = false;
        loop {
            tokio::select! {
                changes = source.next() => {
                    for change in changes {
                        model.apply(change);
                    }
                    due = due.min(Instant::now() + SETTLE);
                }
                () = sleep_until(due) => {
                    let is_done = self.step(&model).await;
                    due = Instant::now() + if is_done { RESYNC } else { RETRY };
                    if !is_following && model.standing.missing().next().is_none() {
                        log::info!("node {}: following {source}", self.own);
                        is_following = true;
                    }
                }
            }
        }
    }

    /// One round. False if something is left to be done.
    async fn step(&self, model: &Model) -> bool {
        let wanted = Wanted::new(model);
        self.pods.send_if_modified(|before| std::mem::replace(before, wanted.clone()) != wanted);
        // Before all nodes are known, whatever is there may be right.
        if !model.standing.has_synced(Kind::Node) {
            return true;
        }
        let inside = self.sync_inside(model);
        self.sync_routes(model).await && inside
    }

    fn sync_inside(&self, model: &Model) -> bool {
        let inside = compile::inside(model, &self.options.no_masquerade_to);
        match self.pinned.set_inside(&inside) {
            Ok(0) => true,
            Ok(changed) => {
                log::info!("{changed} of {} networks that know the way to pods changed", inside.len());
                true
            }
            Err(error) => {
                log::error!("{error}");
                false
            }
        }
    }

    async fn sync_routes(&self, model: &Model) -> bool {
        let wanted = compile::routes(model, &self.own);
        match routes::sync(self.handle, &wanted).await {
            Ok((changed, errors)) => {
                if changed > 0 {
                    log::info!("{changed} of {} routes changed", wanted.len());
                }
                for error in &errors {
                    log::error!("{error}");
                }
                errors.is_empty()
            }
            Err(error) => {
                log::error!("{error}");
                false
            }
        }
    }
}

fn own_name(options: &Options) -> anyhow::Result<String> {
    match &options.node_name {
        Some(name) => Ok(name.clone()),
        None => nix::unistd::gethostname()
            .context("cannot read the host name; give --node-name")?
            .into_string()
            .map_err(|name| anyhow::anyhow!("the host name {} is not text; give --node-name", name.display())),
    }
}
