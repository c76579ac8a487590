//! The programs that only tests load.

use aya::{Ebpf, programs::Program};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/test.bpf.o"));

/// Loads every program of `tests/ebpf`.
#[must_use]
pub fn load_test_object() -> Ebpf {
    let mut ebpf = Ebpf::load(OBJECT).expect("the test object loads");
    for (name, program) in ebpf.programs_mut() {
        let loaded = match program {
            Program::SchedClassifier(program) => program.load(),
            Program::Xdp(program) => program.load(),
            Program::CgroupSockAddr(program) => program.load(),
            other => panic!("{name}: a test program of an unexpected type: {other:?}"),
        };
        loaded.unwrap_or_else(|error| panic!("{name} does not load: {error}"));
    }
    ebpf
}
