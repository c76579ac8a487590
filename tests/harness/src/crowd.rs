//! Packets from or to a great many different addresses and ports, made inside the kernel.

use std::ops::Range;

use aya::{
    Ebpf, Pod,
    maps::{Array, MapData, ProgramArray},
    programs::{SchedClassifier, TestRun as _, TestRunOptions},
};

use crate::{Context, Plane, load_test_object};

/// Words that the wrapper writes back before each pass.
const HEAD_WORDS: usize = 24;

/// Somebody for each number: the end of a packet that is theirs gets an address and a port that nobody else has, and the same
/// ones each time.
pub struct Crowd {
    ebpf: Ebpf,
}

/// Which end of a packet is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// They send it.
    Source = 0,
    /// It is sent to them.
    Destination = 1,
}

impl Crowd {
    /// Loads what makes the packets.
    #[must_use]
    pub fn new() -> Self {
        Self { ebpf: load_test_object() }
    }

    /// Runs a packet through a program of the plane once for each of them, with their address and port. It must be longer than
    /// 96 bytes, its ports right behind its IP header.
    pub fn send(&mut self, plane: &Plane, program: &str, ifindex: u32, packet: &[u8], end: End, who: Range<u32>) {
        assert!(packet.len() >= 4 * HEAD_WORDS, "too short: {} bytes", packet.len());
        let mut head = [0_u32; HEAD_WORDS];
        for (word, bytes) in head.iter_mut().zip(packet.as_chunks().0) {
            *word = u32::from_ne_bytes(*bytes);
        }
        self.set("HEAD", &head);
        self.set("SCATTER", &[end as u32, who.start]);
        let under_test = plane.classifier(program).fd().expect("the program is loaded");
        let map = self.ebpf.map_mut("UNDER_TEST").expect("a map of the wrapper");
        let mut programs: ProgramArray<&mut MapData> = map.try_into().expect("an array of programs");
        programs.set(0, under_test, 0).expect("put the program behind the wrapper");
        let wrapper: &SchedClassifier =
            self.ebpf.program("scatter").and_then(|it| it.try_into().ok()).expect("scatter");
        let context = Context { ifindex, ..Context::default() }.encode();
        let (data_in, ctx_in) = (Some(packet), Some(context.as_slice()));
        let repeat = who.len().try_into().expect("they are not that many");
        let ran = plane
            .net()
            .inside(|| wrapper.test_run(TestRunOptions { data_in, ctx_in, repeat, ..TestRunOptions::default() }));
        ran.expect("BPF_PROG_TEST_RUN");
    }

    fn set<V: Pod>(&mut self, name: &str, value: &V) {
        let map = self.ebpf.map_mut(name).expect("a map of the wrapper");
        let mut array: Array<&mut MapData, V> = map.try_into().expect("an array");
        array.set(0, value, 0).expect("write a map of the wrapper");
    }
}

impl Default for Crowd {
    fn default() -> Self {
        Self::new()
    }
}
