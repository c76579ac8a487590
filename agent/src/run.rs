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
    apply::{dataplane, limits::Wanted, nics, pods, routes, settle, sockets, upkeep},
    compile,
    lock::Lock,
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
    let _lock = Lock::take(&options.run_dir)?;
    let own = own_name(options)?;
    let pinned = dataplane::load(options)?;
    sockets::attach(options, &pinned);
    let (connection, handle, _) = rtnetlink::new_connection().context("cannot open a netlink socket")?;
    tokio::spawn(connection);
    let mut manifests = Manifests::new(&options.manifests);
    let mut watch = Watch::new(manifests.directory())?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Before anybody is told that this node is ready.
    attach_nics(&handle, &pinned, options).await;
    log::info!("node {own}: following {}", options.manifests.display());
    let (limits, wanted_limits) = watch::channel(Wanted::default());
    let follow = async {
        loop {
            let routes = step(&mut manifests, &handle, &own, &limits).await;
            let nics = attach_nics(&handle, &pinned, options).await;
            let wait = if routes && nics { RESYNC } else { RETRY };
            tokio::select! {
                () = watch.changed() => sleep(SETTLE).await,
                () = sleep(wait) => {}
            }
        }
    };
    let settle = async {
        settle::run(&pinned).await;
        pending::<()>().await;
    };
    tokio::select! {
        () = follow => {}
        () = settle => {}
        () = pods::run(options, &pinned, wanted_limits) => {}
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

/// One round. False if something is left to be done.
async fn step(manifests: &mut Manifests, handle: &Handle, own: &str, limits: &watch::Sender<Wanted>) -> bool {
    let (model, unread) = manifests.read();
    for error in &unread {
        log::error!("{error}; what was read before stays in force");
    }
    let wanted = Wanted { limits: model.limits.clone(), is_whole: unread.is_empty() };
    limits.send_if_modified(|before| std::mem::replace(before, wanted.clone()) != wanted);
    let wanted = compile::routes(&model, own);
    match routes::sync(handle, &wanted).await {
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

/// False if something is left to be done.
async fn attach_nics(handle: &Handle, pinned: &Pinned, options: &Options) -> bool {
    let errors = nics::sync(handle, pinned, &options.nics).await;
    for error in &errors {
        log::error!("{error}");
    }
    errors.is_empty()
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
