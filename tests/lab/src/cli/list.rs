//! `caracal-lab list`.

use std::{fmt::Write as _, net::IpAddr};

use anyhow::Result;

use super::print;
use crate::state::{self, Record};

pub(super) fn run() -> Result<()> {
    let mut text = String::new();
    for lab in state::alive()? {
        // A lab that starts or ends right now has no record.
        if let Ok(record) = state::read_record(&lab) {
            describe(&mut text, &lab, &record)?;
        }
    }
    print(if text.is_empty() { "no lab is up\n" } else { &text })
}

fn describe(text: &mut String, lab: &str, record: &Record) -> Result<()> {
    writeln!(text, "{lab}")?;
    for machine in &record.machines {
        writeln!(text, "  {:<24} {:<7} {}", machine.name, machine.kind, joined(&machine.addresses))?;
        for pod in record.pods.iter().filter(|pod| pod.node == machine.name) {
            let place = format!("{}/{}", pod.node, pod.name);
            writeln!(text, "  {place:<24} {:<7} {}", "pod", joined(&pod.addresses))?;
        }
    }
    Ok(())
}

fn joined(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
