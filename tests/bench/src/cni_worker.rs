//! Runs inside a node: drives lists of plugins as a runtime does, and says how long each ADD and each DEL took.
//!
//! What a DEL leaves to others is not to be charged to the next call: so every container of a turn is added before the
//! first is deleted, and a turn ends when the processes that plugins have left behind have ended too. One container of
//! each list lives all the time, as on a node that is in use: what the kernel does once for the first is done.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    sys::{
        prctl,
        wait::{WaitPidFlag, waitpid},
    },
};
use runtime::{Attached, Container};
use serde::{Deserialize, Serialize};

mod runtime;

pub use runtime::List;

/// What to time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Work {
    /// They take turns.
    pub lists: Vec<List>,
    /// So many for each.
    pub turns: u32,
    /// Calls at the same time.
    pub parallel: usize,
    /// Network namespaces without an `eth0`: one for each list, and those that the containers of a turn are in.
    pub netns: Vec<String>,
}

/// Milliseconds of every call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Times {
    /// ADD of the whole list.
    pub add_ms: Vec<f64>,
    /// DEL of the whole list.
    pub del_ms: Vec<f64>,
}

/// Reads [`Work`] from standard input, writes the [`Times`] of each list to standard output.
pub fn run() -> anyhow::Result<()> {
    let work: Work = serde_json::from_reader(io::stdin()).context("what to do, as JSON on standard input")?;
    // Orphans of the plugins become ours, so that their end can be waited for.
    prctl::set_child_subreaper(true).context("becoming the reaper of orphans")?;
    let (first, others) = work.netns.split_at_checked(work.lists.len()).context("fewer namespaces than lists")?;
    let mut living = Vec::new();
    for (list, netns) in work.lists.iter().zip(first) {
        living.push((list, list.add(&Container::new("first", 0, netns))?.value));
    }
    let timed = in_turn(&work, others);
    for (list, attached) in &living {
        list.del(attached)?;
    }
    await_orphans()?;
    serde_json::to_writer(io::stdout(), &timed?)?;
    Ok(())
}

fn in_turn(work: &Work, netns: &[String]) -> anyhow::Result<Vec<Times>> {
    let mut times: Vec<Times> = work.lists.iter().map(|_| Times::default()).collect();
    for turn in 0..work.turns {
        for (list, times) in work.lists.iter().zip(&mut times) {
            let containers = (1..).zip(netns.iter().take(list.containers));
            let containers = containers.map(|(n, netns)| Container::new(&format!("turn{turn}"), n, netns));
            let containers: Vec<_> = containers.collect();
            let (added, failure) = each(work.parallel, &containers, |container| list.add(container));
            let (add_ms, attached): (Vec<f64>, Vec<Attached>) =
                added.into_iter().map(|timed| (timed.ms, timed.value)).unzip();
            let (deleted, no_del) = each(work.parallel, &attached, |attached| list.del(attached));
            await_orphans()?;
            if let Some(error) = failure.or(no_del) {
                return Err(error);
            }
            times.add_ms.extend(add_ms);
            times.del_ms.extend(deleted);
        }
    }
    Ok(times)
}

/// Does `work` on every item, `parallel` at a time: what came of those that succeeded, and an error if one did not.
fn each<I: Sync, T: Send>(
    parallel: usize,
    items: &[I],
    work: impl Fn(&I) -> anyhow::Result<T> + Sync,
) -> (Vec<T>, Option<anyhow::Error>) {
    let next = AtomicUsize::new(0);
    let done = Mutex::new((Vec::new(), None));
    thread::scope(|scope| {
        for _ in 0..parallel {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = work(item);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    match outcome {
                        Ok(value) => done.0.push(value),
                        Err(error) => done.1 = Some(error),
                    }
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until no process is left that a plugin has started.
fn await_orphans() -> anyhow::Result<()> {
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Err(Errno::ECHILD) => return Ok(()),
            Err(Errno::EINTR) | Ok(_) => {}
            Err(errno) => return Err(errno).context("waiting for what the plugins left to others"),
        }
    }
}
