//! The loop: read, compute, write the difference, wait for a change.

use std::{future::pending, time::Duration};

use anyhow::Context;
use caracal_datapath::Pinned;
use rtnetlink::Handle;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::sleep,
};

use crate::{
    Options,
    apply::{dataplane, nics, pods, ports, routes, settle, sockets, upkeep, wanted::Wanted},
    compile,
    lock::Lock,
    model::Model,
    source::{Manifests, Watch},
};

/// How long to wait for more changes after the first: an editor or `kubectl` writes several files.
const SETTLE: Duration = Duration::from_millis(50);
/// Everything is compared with the kernel this often even when nothing is known to have changed.
const RESYNC: Duration = Duration::from_secs(30);
/// The same, when something could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until a signal says to end.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    options.check()?;
    let _lock = Lock::take(&options.run_dir)?;
    let own = own_name(options)?;
    if options.masquerade {
        ports::warn_of_overlap(&options.masquerade_ports);
    }
    let pinned = dataplane::load(options)?;
    sockets::attach(options, &pinned);
    let (connection, handle, _) = rtnetlink::new_connection().context("cannot open a netlink socket")?;
    tokio::spawn(connection);
    let manifests = Manifests::new(&options.manifests);
    let mut watch = Watch::new(manifests.directory())?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Before anybody is told that this node is ready.
    nics::round(&handle, &pinned, &options.nics).await;
    let (pods_wanted, wanted) = watch::channel(Wanted::default());
    let mut follow = Follow { manifests, handle: &handle, pinned: &pinned, own, options, pods: pods_wanted };
    let mut is_done = follow.step().await;
    log::info!("node {}: following {}", follow.own, options.manifests.display());
    let follow = async {
        loop {
            tokio::select! {
                () = watch.changed() => sleep(SETTLE).await,
                () = sleep(if is_done { RESYNC } else { RETRY }) => {}
            }
            is_done = follow.step().await;
        }
    };
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

/// What the cluster says, and those who are to hear of it.
struct Follow<'a> {
    manifests: Manifests,
    handle: &'a Handle,
    pinned: &'a Pinned,
    own: String,
    options: &'a Options,
    pods: watch::Sender<Wanted>,
}

impl Follow<'_> {
    /// One round. False if something is left to be done.
    async fn step(&mut self) -> bool {
        let (model, unread) = self.manifests.read();
        for error in &unread {
            log::error!("{error}; what was read before stays in force");
        }
        let wanted = Wanted::new(&model, unread.is_empty());
        self.pods.send_if_modified(|before| std::mem::replace(before, wanted.clone()) != wanted);
        let inside = self.sync_inside(&model);
        self.sync_routes(&model).await && inside
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
