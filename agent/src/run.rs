//! The loop: read, compute, write the difference, wait for a change.

use std::{future::pending, sync::Arc, time::Duration};

use anyhow::Context;
use caracal_datapath::Pinned;
use rtnetlink::Handle;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use crate::{
    Options,
    apply::{dataplane, nics, pods, ports, routes, settle, sockets, upkeep, wanted::Wanted},
    compile,
    endpoints::{self, Socket},
    face::Face,
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
pub async fn run(face: &Face) -> anyhow::Result<()> {
    let options = &*face.shared.options();
    let _lock = Lock::take(&options.run_dir)?;
    face.health.missing("programs", "not loaded yet");
    face.known(&Model::default());
    face.show()?;
    let own = own_name(options)?;
    if options.masquerade {
        ports::warn_of_overlap(&options.masquerade_ports);
    }
    let pinned = dataplane::load(options)?;
    face.health.clear("programs");
    sockets::attach(face, options, &pinned);
    let (socket, told) = (Socket::bind(&options.run_dir)?, Arc::new(Notify::new()));
    let (connection, handle, _) = rtnetlink::new_connection().context("cannot open a netlink socket")?;
    tokio::spawn(connection);
    let mut source = source::open(&options.follow()?, &options.run_dir).await?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Before anybody is told that this node is ready.
    nics::round(face, &handle, &pinned, &options.nics).await;
    let (pods_wanted, wanted) = watch::channel(Wanted::default());
    let follow = Follow { face, handle: &handle, pinned: &pinned, own, pods: pods_wanted };
    let follow = follow.run(&mut *source);
    let settle = async {
        settle::run(face, &pinned).await;
        pending::<()>().await;
    };
    tokio::select! {
        () = follow => {}
        () = settle => {}
        () = nics::run(face, &handle, &pinned, &options.nics) => {}
        () = pods::run(face, options, &pinned, wanted, &told) => {}
        () = endpoints::run(options, &pinned, &socket, &told) => {}
        () = upkeep::run(face, options, &pinned) => {}
        () = face.shared.follow_file() => {}
        () = ended(&mut terminate, &mut interrupt) => {}
    }
    face.end();
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
    face: &'a Face,
    handle: &'a Handle,
    pinned: &'a Pinned,
    own: String,
    pods: watch::Sender<Wanted>,
}

impl Follow<'_> {
    /// Keeps the model and what follows from it. Never returns.
    async fn run(&self, source: &mut dyn Source) {
        let mut model = Model::default();
        let mut due = Instant::now() + RESYNC;
        let mut is_following = false;
        let mut settings = self.face.shared.follow();
        loop {
            tokio::select! {
                Ok(()) = settings.changed() => due = Instant::now(),
                question = self.face.state.asked() => question.answer(&model),
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
        self.face.known(model);
        self.face.configure(model, &self.own);
        let wanted = Wanted::new(model);
        self.pods.send_if_modified(|before| std::mem::replace(before, wanted.clone()) != wanted);
        self.face.round("routes", RESYNC, self.sync(model)).await
    }

    /// What is left to be done.
    async fn sync(&self, model: &Model) -> Vec<String> {
        // Before all nodes are known, whatever is there may be right.
        if !model.standing.has_synced(Kind::Node) {
            return Vec::new();
        }
        let mut errors = Vec::new();
        let inside = compile::inside(model, &self.face.shared.options().no_masquerade_to);
        match self.pinned.set_inside(&inside) {
            Ok(0) => {}
            Ok(changed) => log::info!("{changed} of {} networks that know the way to pods changed", inside.len()),
            Err(error) => errors.push(error.to_string()),
        }
        let wanted = compile::routes(model, &self.own);
        match routes::sync(self.handle, &wanted).await {
            Ok((changed, left)) => {
                if changed > 0 {
                    log::info!("{changed} of {} routes changed", wanted.len());
                }
                errors.extend(left.iter().map(ToString::to_string));
            }
            Err(error) => errors.push(error.to_string()),
        }
        errors
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
