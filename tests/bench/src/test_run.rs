//! Timing a program by `BPF_PROG_TEST_RUN`.
//!
//! The program under test changes the packet, so a wrapper restores the packet's head before each pass and tail-calls
//! it. What the wrapper costs with an empty program behind it is measured in the same round and taken off.

use anyhow::Context;
use aya::{
    Ebpf,
    maps::{Array, MapData, ProgramArray},
    programs::{ProgramFd, SchedClassifier, TestRun, TestRunOptions},
};
use caracal_harness::load_test_object;

use crate::report::Figure;

/// What rows call it.
pub const WRAPPER: &str = "an empty program in the same wrapper";

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
}

impl Wrapper {
    /// Loads it.
    pub fn new() -> Self {
        Self { ebpf: load_test_object() }
    }

    /// Times `program` on `packet`, going through `flows` source ports in turn.
    pub fn time(
        &mut self,
        program: &SchedClassifier,
        packet: &[u8],
        flows: u32,
        rounds: u32,
        packets: u32,
    ) -> anyhow::Result<Timing> {
        self.prepare(packet, flows)?;
        let under_test = program.fd()?.try_clone()?;
        let empty = self.classifier("empty")?.fd()?.try_clone()?;
        // Flows are made, caches warmed.
        self.round(&under_test, packet, packets.max(2 * flows))?;
        let (mut gross, mut wrapper) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            gross.push(self.round(&under_test, packet, packets)?);
            wrapper.push(self.round(&empty, packet, packets)?);
        }
        log::debug!("gross {gross:?}, wrapper {wrapper:?}");
        // The least of both, each for itself: a disturbance of either would otherwise look like a saving.
        let (gross, wrapper) = (Figure::least(&gross), Figure::least(&wrapper));
        let net = Figure { best: gross.best - wrapper.best, median: gross.median - wrapper.median };
        Ok(Timing { net, wrapper_ns: wrapper.best })
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

    /// One round, in nanoseconds a packet.
    fn round(&mut self, program: &ProgramFd, packet: &[u8], packets: u32) -> anyhow::Result<f64> {
        let mut under_test: ProgramArray<&mut MapData> =
            self.ebpf.map_mut("UNDER_TEST").context("no map UNDER_TEST")?.try_into()?;
        under_test.set(0, program, 0)?;
        let options = TestRunOptions { data_in: Some(packet), repeat: packets, ..TestRunOptions::default() };
        let result = self.classifier("restore")?.test_run(options)?;
        // The kernel divides by the number of passes and drops the rest: good to one nanosecond.
        Ok(result.duration.as_secs_f64() * 1e9)
    }

    fn classifier(&self, name: &str) -> anyhow::Result<&SchedClassifier> {
        let program = self.ebpf.program(name).with_context(|| format!("no test program {name}"))?;
        Ok(program.try_into()?)
    }
}
