//! Programs and maps: loaded, pinned, and put behind the links that exist.

use std::{fs, path::Path};

use anyhow::{Context, bail};
use caracal_datapath::{Features, Loader, Mismatch, Pinned, Root, mount_bpffs};

use crate::Options;

mod sizes;

/// Loads this version's programs, keeping the contents of the maps, and moves every attached pod to them.
pub fn load(options: &Options) -> anyhow::Result<Pinned> {
    let features = Features::probe();
    report(&features)?;
    let root = Root::new(&options.bpffs);
    mount_bpffs(root.path().parent().unwrap_or(Path::new("/sys/fs/bpf")))?;
    let mismatch = if options.replace_pins { Mismatch::Replace } else { Mismatch::Refuse };
    let flow_entries = Some(flow_entries(options, &root)?);
    let loader = Loader {
        host_nat: options.host_nat,
        masquerade: options.masquerade.then(|| options.masquerade_ports.ports()),
        reverse_path: options.reverse_path.into(),
        telling: options.telling(),
        mismatch,
        flow_entries,
        new_flow_entries: flow_entries.map(sizes::new_entries),
        ..Loader::new(features)
    };
    for name in loader.load(&root)?.replaced {
        log::warn!("map {name} did not fit this version and was replaced by an empty one");
    }
    let pinned = Pinned::open(&root)?.context("what was just pinned is gone again")?;
    let (attached, errors) = pinned.reattach()?;
    for error in errors {
        log::error!("{error}");
    }
    log::info!("programs pinned below {}, {attached} pods attached", root.version_dir().display());
    Ok(pinned)
}

/// What was asked for, else what is there: a machine that got more memory keeps its flows.
fn flow_entries(options: &Options, root: &Root) -> anyhow::Result<u32> {
    const MEMORY: &str = "/proc/meminfo";

    if let Some(entries) = options.flow_entries {
        return Ok(entries);
    }
    if let Some(pinned) = Pinned::open(root)?
        && let Ok(flows) = pinned.flows4()
    {
        return Ok(flows.main.capacity());
    }
    let text = fs::read_to_string(MEMORY).with_context(|| format!("{MEMORY}: cannot read it; give --flow-entries"))?;
    let memory = sizes::memory(&text).with_context(|| format!("{MEMORY}: no MemTotal; give --flow-entries"))?;
    Ok(sizes::main_entries(memory))
}

fn report(features: &Features) -> anyhow::Result<()> {
    for feature in features.iter().filter(|feature| !feature.is_there()) {
        let why = feature.found.as_ref().err().map(|error| format!(" ({error})")).unwrap_or_default();
        log::warn!("this kernel lacks {}{why}: {}", feature.name, feature.otherwise);
    }
    let missing: Vec<&str> = features.missing().map(|feature| feature.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("this kernel cannot run the programs, pods stay wired by routes alone; it lacks {}", missing.join(", "))
}
