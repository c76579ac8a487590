//! The soak: a small cluster under mixed traffic for as long as one likes, and what grows meanwhile.
//!
//! Time-outs are short, so that flows end and are swept all the time. At the end nobody talks, and every map, the agents'
//! memory and their file descriptors must be what they were before anybody talked.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use caracal_lab::wait_until;

use crate::Cluster;

mod sample;
mod traffic;

use sample::Sample;
use traffic::Traffic;

/// The agent's: what is silent is gone within ten seconds.
const TIMEOUTS: &str = "tcp-syn-sent=2,tcp-syn-recv=2,tcp-established=5,tcp-unacknowledged=2,tcp-fin-wait=2,tcp-time-wait=2,\
                        tcp-close=2,udp=2,udp-stream=2,icmp=2,generic=2";
/// Sweeps come every five seconds, and grace is ten.
const UNTIL_SWEPT: Duration = Duration::from_secs(90);

/// Soaks for so long, and tells every `period` how it goes. Fails if packets were lost or something was left behind.
pub fn run(length: Duration, period: Duration, mut tell: impl FnMut(&str)) -> Result<()> {
    let args = ["--host-nat=false", "--masquerade=true", "--events=first", "--timeout", TIMEOUTS];
    let cluster = Cluster::builder("soak").nodes(2).client("outside").agent_args(args).start()?;
    let mut traffic = Traffic::start(&cluster)?;
    // What is allocated once is there after the first round.
    traffic.round();
    let idle = settled(&cluster)?;
    tell(&format!("idle: {idle}"));
    let (begin, mut told) = (Instant::now(), Instant::now());
    while begin.elapsed() < length {
        let round = Instant::now();
        traffic.round();
        if told.elapsed() >= period {
            tell(&format!("{:5} s  {traffic}  {}", begin.elapsed().as_secs(), Sample::take(&cluster)?));
            told = Instant::now();
        }
        rest(round.elapsed());
    }
    let end = settled(&cluster)?;
    tell(&format!("{:5} s  {traffic}", begin.elapsed().as_secs()));
    tell(&format!("idle: {end}"));
    let complaints: Vec<String> = traffic.errors().iter().cloned().chain(end.grown_since(&idle)).collect();
    drop(traffic);
    cluster.end()?;
    ensure!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    Ok(())
}

/// What there is once every flow was swept.
fn settled(cluster: &Cluster) -> Result<Sample> {
    let is_swept = || Sample::take(cluster).is_ok_and(|sample| sample.flows() == 0);
    wait_until("every flow to be swept", UNTIL_SWEPT, is_swept)?;
    Sample::take(cluster)
}

/// As much as leaves others more than half of a processor.
#[expect(clippy::disallowed_methods, reason = "there is nothing to wait for")]
fn rest(after: Duration) {
    thread::sleep(after * 2);
}
