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

use crate::Options;

/// How long the tables are left alone between two sweeps. Time-outs are this much longer at worst.
const PAUSE: Duration = Duration::from_secs(5);
/// Entries that are gone over at a time: a millisecond or two.
const SLICE: usize = 4096;
/// How long everything else has its turn between two slices.
const BREATH: Duration = Duration::from_millis(2);

/// Sweeps for as long as it is polled.
pub async fn run(options: &Options, pinned: &Pinned) {
    let mut complaints = Complaints::default();
    loop {
        let error = match sweepers(options, pinned) {
            Ok((clock, mut v4, mut v6)) => sweep_on(&clock, &mut v4, &mut v6, &mut complaints).await,
            Err(error) => error,
        };
        // The tables may have been replaced: they are opened again.
        complaints.about(&error);
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
async fn sweep_on(clock: &Clock, v4: &mut Sweeper<Ip4>, v6: &mut Sweeper<Ip6>, complaints: &mut Complaints) -> Error {
    loop {
        let swept = async {
            report("IPv4", &sweep(clock, |now| v4.slice(now, SLICE)).await?);
            report("IPv6", &sweep(clock, |now| v6.slice(now, SLICE)).await?);
            Ok(())
        };
        if let Err(error) = swept.await {
            return error;
        }
        complaints.end();
        sleep(PAUSE).await;
    }
}

async fn sweep(clock: &Clock, mut slice: impl FnMut(u32) -> Result<Option<Sweep>, Error>) -> Result<Sweep, Error> {
    loop {
        if let Some(swept) = slice(clock.now()?)? {
            return Ok(swept);
        }
        sleep(BREATH).await;
    }
}

fn report(family: &str, swept: &Sweep) {
    let Sweep { main, new, main_capacity, new_capacity, expired, put_back, .. } = swept;
    log::debug!(
        "{family}: {} of {main_capacity} and {} of {new_capacity} directions of flows, {expired} flows over, \
         {put_back} put back",
        main.total,
        new.total
    );
}

/// What has been complained about: once is enough.
#[derive(Default)]
struct Complaints(Option<String>);

impl Complaints {
    fn about(&mut self, error: &Error) {
        let text = error.to_string();
        if self.0.as_ref() != Some(&text) {
            log::error!("flows are not swept: {text}; tried again every {} s", PAUSE.as_secs());
            self.0 = Some(text);
        }
    }

    fn end(&mut self) {
        if self.0.take().is_some() {
            log::info!("flows are swept again");
        }
    }
}
