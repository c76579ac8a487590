//! Flows whose time is up, swept out of the tables a slice at a time.
//!
//! Nothing is kept that an agent after this one would miss: what a flow has seen and when stands in the tables.

use std::time::Duration;

use caracal_datapath::{
    Clock, Error, Pinned,
    abi::{Ip4, Ip6},
    conntrack::{Given, Sweep, Sweeper},
};
use tokio::time::sleep;

use crate::{Options, face::Face};

/// What this is called where the agent tells how it is.
const PART: &str = "flows";
/// How long the tables are left alone between two sweeps. Time-outs are this much longer at worst.
const PAUSE: Duration = Duration::from_secs(5);
/// Entries that are gone over at a time: a millisecond or two.
const SLICE: usize = 4096;
/// How long everything else has its turn between two slices.
const BREATH: Duration = Duration::from_millis(2);

/// Sweeps for as long as it is polled.
pub async fn run(face: &Face, options: &Options, pinned: &Pinned) {
    loop {
        face.health.beat(PART, PAUSE);
        // The tables may have been replaced: they are opened again after an error.
        match sweepers(options, pinned) {
            Ok((clock, mut v4, mut v6)) => sweep_on(face, &clock, &mut v4, &mut v6).await,
            Err(error) => face.health.problem(PART, error.to_string()),
        }
        sleep(PAUSE).await;
    }
}

fn sweepers(options: &Options, pinned: &Pinned) -> Result<(Clock, Sweeper<Ip4>, Sweeper<Ip6>), Error> {
    let (clock, timeouts) = (Clock::open()?, Given::among_defaults(&options.timeouts));
    let v4 = Sweeper::new(pinned.flows4()?, timeouts, clock.tick());
    let v6 = Sweeper::new(pinned.flows6()?, timeouts, clock.tick());
    Ok((clock, v4, v6))
}

/// Ends with an error alone.
async fn sweep_on(face: &Face, clock: &Clock, v4: &mut Sweeper<Ip4>, v6: &mut Sweeper<Ip6>) {
    while face.round(PART, PAUSE, async { sweep_both(face, clock, v4, v6).await.err().into_iter().collect() }).await {
        sleep(PAUSE).await;
    }
}

async fn sweep_both(face: &Face, clock: &Clock, v4: &mut Sweeper<Ip4>, v6: &mut Sweeper<Ip6>) -> Result<(), Error> {
    report(face, "IPv4", &sweep(clock, |now| v4.slice(now, SLICE)).await?);
    report(face, "IPv6", &sweep(clock, |now| v6.slice(now, SLICE)).await?);
    Ok(())
}

async fn sweep(clock: &Clock, mut slice: impl FnMut(u32) -> Result<Option<Sweep>, Error>) -> Result<Sweep, Error> {
    loop {
        if let Some(swept) = slice(clock.now()?)? {
            return Ok(swept);
        }
        sleep(BREATH).await;
    }
}

fn report(face: &Face, family: &'static str, swept: &Sweep) {
    face.metrics.swept(family, swept);
    let Sweep { main, new, main_capacity, new_capacity, expired, put_back, .. } = swept;
    log::debug!(
        "{family}: {} of {main_capacity} and {} of {new_capacity} directions of flows, {expired} flows over, \
         {put_back} put back",
        main.total,
        new.total
    );
}
