//! How long the programs are: what the verifier has to look at and the caches have to hold.

use std::{collections::BTreeSet, fs};

use anyhow::Context as _;
use aya::{
    maps::MapInfo,
    programs::{ProgramInfo, loaded_programs},
};
use caracal_datapath::{Features, Loader, Root};
use caracal_harness::isolated;

use crate::report::{Figure, Report, Row};

/// How `--rows` finds these.
pub const NAME: &str = "programs";

/// Of every program, as they are loaded on this kernel by default.
pub fn measure(report: &mut Report) -> anyhow::Result<()> {
    let mut programs = isolated(programs)?;
    programs.sort_by_key(|program| program.name_as_str().map(str::to_owned));
    for program in &programs {
        let name = program.name_as_str().context("a program without a name")?;
        let translated = program.size_translated().context("the kernel does not tell the size of programs")?;
        let verified = program.verified_instruction_count().context("the kernel does not tell what it verified")?;
        let instruction_bytes = 8;
        let figures = [
            ("translated", "instructions", translated / instruction_bytes),
            ("verified", "instructions", verified),
            ("JITed", "bytes", program.size_jitted()),
        ];
        for (what, unit, figure) in figures {
            let figure = Figure::least(&[f64::from(figure)]);
            report.push(Row::new(format!("{NAME} {name}, {what}"), unit, figure));
        }
    }
    Ok(())
}

/// Every program that uses one of our maps: those that others go on to are not pinned.
fn programs(root: &Root) -> anyhow::Result<Vec<ProgramInfo>> {
    let _loaded = Loader::new(Features::probe()).load(root)?;
    let mut maps = BTreeSet::new();
    for pin in fs::read_dir(root.maps_dir())? {
        maps.insert(MapInfo::from_pin(pin?.path())?.id());
    }
    let mut programs = Vec::new();
    for program in loaded_programs() {
        let program = program?;
        let uses = program.map_ids()?.unwrap_or_default();
        if uses.iter().any(|map| maps.contains(map)) {
            programs.push(program);
        }
    }
    Ok(programs)
}
