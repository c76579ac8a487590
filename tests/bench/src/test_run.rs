//! Timing a program by `BPF_PROG_TEST_RUN`.
//!
//! The program under test changes the packet, so a wrapper restores the packet's head before each pass and tail-calls
//! it. What the wrapper costs with an empty program behind it is measured in the same round and taken off.

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{Array, MapData, ProgramArray},
    programs::{ProgramFd, SchedClassifier, TestRun, TestRunOptions},
};
use caracal_harness::load_test_object;

use crate::report::Figure;

/// What rows call it.
pub const WRAPPER: &str = "an empty program in the same wrapper";

/// Source port of the first of several flows.
pub const FIRST_PORT: u16 = 1024;

/// What a program says of a packet that it has sent on.
pub const TC_ACT_REDIRECT: i32 = 7;

/// Where `ifindex` is in `struct __sk_buff`.
const IFINDEX_AT: usize = 40;

/// Bytes of the packet's head that the wrapper writes back.
const HEAD_BYTES: usize = 96;

/// The wrapper and what it needs.
pub struct Wrapper {
    ebpf: Ebpf,
}

/// Nanoseconds a packet, net of the wrapper.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Without the wrapper.
    pub net: Figure,
    /// What the wrapper and an empty program cost, which is taken off the others: this machine's scale. It consists of
    /// calls and returns, which mitigations make two or ten times as dear on one machine as on another.
    pub wrapper_ns: f64,
    /// What the program did with the last packet.
    pub answer: i32,
}

/// A program and what it is run on.
#[derive(Debug)]
pub struct Pass<'a> {
    /// Which.
    pub program: &'a SchedClassifier,
    /// Where the packet comes from.
    pub ifindex: u32,
    /// The packet.
    pub packet: &'a [u8],
    /// So many source ports in turn, from [`FIRST_PORT`] on; one is the packet's own.
    pub flows: u32,
    /// In a round.
    pub packets: u32,
}

/// One round.
#[derive(Debug)]
pub struct Round {
    /// Nanoseconds a packet.
    pub ns: f64,
    /// What the program did with the last packet.
    pub answer: i32,
}

impl Wrapper {
    /// Loads it.
    pub fn new() -> Self {
        Self { ebpf: load_test_object() }
    }

    /// Times a program. `begin` is called before each round, and is not timed.
    pub fn time(
        &mut self,
        pass: &Pass<'_>,
        rounds: u32,
        begin: impl Fn() -> anyhow::Result<()>,
    ) -> anyhow::Result<Timing> {
        self.prepare(pass.packet, pass.flows)?;
        let under_test = pass.program.fd()?.try_clone()?;
        let empty = self.classifier("empty")?.fd()?.try_clone()?;
        begin()?;
        // Caches are warmed.
        let mut answer = self.round(&under_test, pass)?.answer;
        let (mut gross, mut wrapper) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            begin()?;
            let round = self.round(&under_test, pass)?;
            answer = round.answer;
            gross.push(round.ns);
            wrapper.push(self.round(&empty, pass)?.ns);
        }
        log::debug!("gross {gross:?}, wrapper {wrapper:?}");
        // The least of both, each for itself: a disturbance of either would otherwise look like a saving.
        let (gross, wrapper) = (Figure::least(&gross), Figure::least(&wrapper));
        let net = Figure { best: gross.best - wrapper.best, median: gross.median - wrapper.median };
        Ok(Timing { net, wrapper_ns: wrapper.best, answer })
    }

    fn prepare(&mut self, packet: &[u8], flows: u32) -> anyhow::Result<()> {
        anyhow::ensure!(packet.len() >= HEAD_BYTES, "the wrapper restores {HEAD_BYTES} bytes, the packet has fewer");
        let mut head = [0_u32; HEAD_BYTES / 4];
        for (word, bytes) in head.iter_mut().zip(packet.as_chunks().0) {
            *word = u32::from_ne_bytes(*bytes);
        }
        let mut heads: Array<&mut MapData, [u32; HEAD_BYTES / 4]> =
            self.ebpf.map_mut("HEAD").context("no map HEAD")?.try_into()?;
        heads.set(0, &head, 0)?;
        let mut turns: Array<&mut MapData, [u32; 2]> =
            self.ebpf.map_mut("FLOWS").context("no map FLOWS")?.try_into()?;
        turns.set(0, &[flows, 0], 0)?;
        Ok(())
    }

    fn round(&mut self, program: &ProgramFd, pass: &Pass<'_>) -> anyhow::Result<Round> {
        let mut under_test: ProgramArray<&mut MapData> =
            self.ebpf.map_mut("UNDER_TEST").context("no map UNDER_TEST")?.try_into()?;
        under_test.set(0, program, 0)?;
        run(self.classifier("restore")?, pass.ifindex, pass.packet, pass.packets)
    }

    fn classifier(&self, name: &str) -> anyhow::Result<&SchedClassifier> {
        let program = self.ebpf.program(name).with_context(|| format!("no test program {name}"))?;
        Ok(program.try_into()?)
    }
}

/// Runs a program on a packet that comes from `ifindex`, and again on what it has made of it, in the network namespace
/// of this thread. The kernel gives nanoseconds a packet and drops the rest: good to one nanosecond.
pub fn run(program: &SchedClassifier, ifindex: u32, packet: &[u8], packets: u32) -> anyhow::Result<Round> {
    let mut context = [0; IFINDEX_AT + size_of::<u32>()];
    context[IFINDEX_AT..].copy_from_slice(&ifindex.to_ne_bytes());
    let (data_in, ctx_in) = (Some(packet), Some(context.as_slice()));
    let options = TestRunOptions { data_in, ctx_in, repeat: packets, ..TestRunOptions::default() };
    let result = program.test_run(options).with_context(|| format!("TEST_RUN of a packet from interface {ifindex}"))?;
    let answer = i32::from_ne_bytes(result.return_value.to_ne_bytes());
    Ok(Round { ns: result.duration.as_secs_f64() * 1e9, answer })
}
