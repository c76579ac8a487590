//! What the verifier has to say of every program, whatever a node switches on or lacks.

use std::collections::BTreeMap;

use caracal_abi::{Tail, program};
use caracal_datapath::{
    Features, Loader, ReversePath,
    events::{Telling, Told},
};
use caracal_harness::isolated;

/// The kernel follows a million instructions of a program and no more, and other kernels follow more of the same program. A
/// tenth leaves room, and programs that load in a moment.
const BUDGET: u32 = 100_000;

/// Every combination of what is frozen before the programs load.
fn combinations() -> Vec<(String, Loader)> {
    let features = Features::probe();
    let mut all = Vec::new();
    for lacking in ["nothing", "bpf_redirect_peer", "BPF_F_IPV6"] {
        for host_nat in [false, true] {
            for masquerade in [None, Some(20_000..=29_999)] {
                for (reverse_path, told) in [
                    (ReversePath::Off, Told::All),
                    (ReversePath::Loose, Told::Off),
                    (ReversePath::Strict, Told::Off),
                    (ReversePath::Strict, Told::All),
                ] {
                    let name = format!("without {lacking}, {host_nat} {masquerade:?} {reverse_path:?} {told:?}");
                    let (masquerade, telling) = (masquerade.clone(), Telling { told, ..Telling::default() });
                    let features = features.clone().without(lacking);
                    let loader = Loader { host_nat, masquerade, reverse_path, telling, ..Loader::new(features) };
                    all.push((name, loader));
                }
            }
        }
    }
    all
}

#[test]
fn every_combination_of_features_loads_within_the_budget() {
    let mut most: BTreeMap<&str, (u32, String)> = BTreeMap::new();
    for (name, loader) in combinations() {
        isolated(|root| {
            let loaded = loader.load(root).unwrap_or_else(|error| panic!("{name}: {error}"));
            for program in program::TC.into_iter().chain(Tail::ALL.iter().map(|tail| tail.name())) {
                let info = loaded.program(program).unwrap().info().unwrap();
                let verified = info.verified_instruction_count().unwrap_or_default();
                let before = most.entry(program).or_default();
                if verified > before.0 {
                    *before = (verified, name.clone());
                }
            }
        });
    }
    for (program, (verified, name)) in most {
        println!("{program}: at most {verified} instructions followed, {name}");
        assert!(verified > 0 && verified <= BUDGET, "{program}: {verified} instructions followed, {name}");
    }
}
