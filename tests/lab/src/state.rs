//! `/run/caracal-lab/<lab>/`: what is known about a lab outside of the process that made it.
//!
//! | file         | content                                                                     |
//! |--------------|-----------------------------------------------------------------------------|
//! | `keeper`     | pid of the keeper, which holds a lock on the file as long as it lives       |
//! | `keeper.log` | what keeper and inits had to say                                            |
//! | `lab.json`   | machines and pods ([`Record`]), for `caracal-lab exec` and `list`           |
//! | `<machine>/` | empty; each machine mounts its scratch tmpfs there, in its own mount namespace |
//!
//! A lab whose `keeper` file nobody holds a lock on is dead: [`sweep`] removes what it left. The kernel lets go of the
//! lock when the keeper ends, however it ends, so no pid is ever compared. Making and removing are serialised by a lock
//! on `/run/caracal-lab` itself.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::{address::Kind, cgroup};

const ROOT: &str = "/run/caracal-lab";
const KEEPER: &str = "keeper";
const RECORD: &str = "lab.json";

/// What `caracal-lab exec` and `list` need to know about a lab.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Whether a person started it, by `caracal-lab up`.
    pub(crate) by_person: bool,
    pub(crate) machines: Vec<MachineRecord>,
    pub(crate) pods: Vec<PodRecord>,
}

/// One machine, as written to `lab.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachineRecord {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Pid of its init, as the machine outside of the lab sees it.
    pub(crate) pid: i32,
    pub(crate) addresses: Vec<IpAddr>,
}

/// One pod, as written to `lab.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PodRecord {
    pub(crate) name: String,
    pub(crate) node: String,
    pub(crate) addresses: Vec<IpAddr>,
}

/// The keeper's claim on the name of a lab. The lab counts as alive until this is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    lab: String,
    _lock: File,
}

impl Claim {
    /// Takes `lab` for this process. A name that is in use is an error.
    pub(crate) fn take(lab: &str) -> Result<Self> {
        let _serialised = lock_root()?;
        let dir = dir_of(lab);
        match fs::create_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("a lab named `{lab}` is there already: `caracal-lab down {lab}` ends it")
            }
            made => made.with_context(|| format!("creating {}", dir.display()))?,
        }
        let path = dir.join(KEEPER);
        let mut file = File::create_new(&path).with_context(|| format!("creating {}", path.display()))?;
        // Waits at most for somebody who tries the lock to see whether the lab is alive.
        file.lock().with_context(|| format!("locking {}", path.display()))?;
        writeln!(file, "{}", std::process::id()).with_context(|| format!("writing {}", path.display()))?;
        Ok(Self { lab: lab.to_owned(), _lock: file })
    }

    /// Removes everything the lab has outside of its namespaces.
    pub(crate) fn release(self) -> Result<()> {
        let _serialised = lock_root()?;
        remove(&self.lab)
    }
}

/// The directory of `lab`.
pub(crate) fn dir_of(lab: &str) -> PathBuf {
    Path::new(ROOT).join(lab)
}

/// Names of the labs whose keeper lives, sorted.
pub(crate) fn alive() -> Result<Vec<String>> {
    Ok(known()?.into_iter().filter(|lab| is_alive(lab)).collect())
}

/// The keeper's pid, if the lab is alive.
pub(crate) fn keeper_pid(lab: &str) -> Result<Option<i32>> {
    if !is_alive(lab) {
        return Ok(None);
    }
    let path = dir_of(lab).join(KEEPER);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let pid = text.trim().parse().with_context(|| format!("{} holds no pid: `{text}`", path.display()))?;
    Ok(Some(pid))
}

/// Removes what labs left behind whose keeper did not live to do it. Gives their names.
pub(crate) fn sweep() -> Result<Vec<String>> {
    let _serialised = lock_root()?;
    let mut dead: BTreeSet<String> = known()?.into_iter().filter(|lab| !is_alive(lab)).collect();
    // The directory is made before the cgroup and removed after it: a cgroup without directory has no owner.
    let groups = cgroup::mount_point()?.join(cgroup::PARENT);
    dead.extend(subdirectories(&groups)?.into_iter().filter(|lab| !dir_of(lab).exists()));
    for lab in &dead {
        remove(lab)?;
    }
    remove_root_if_empty();
    Ok(dead.into_iter().collect())
}

pub(crate) fn write_record(lab: &str, record: &Record) -> Result<()> {
    let path = dir_of(lab).join(RECORD);
    let text = serde_json::to_vec_pretty(record).context("encoding the lab's record")?;
    let new = path.with_extension("new");
    fs::write(&new, text).with_context(|| format!("writing {}", new.display()))?;
    fs::rename(&new, &path).with_context(|| format!("renaming {}", new.display()))
}

pub(crate) fn read_record(lab: &str) -> Result<Record> {
    ensure!(is_alive(lab), "no lab named `{lab}` is up");
    let path = dir_of(lab).join(RECORD);
    let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
}

/// Locks `/run/caracal-lab`, making it if needed; its last user removes it, perhaps while this process waits for the
/// lock.
fn lock_root() -> Result<File> {
    for _ in 0..100 {
        fs::create_dir_all(ROOT).with_context(|| format!("creating {ROOT} (labs need root)"))?;
        let Ok(dir) = File::open(ROOT) else { continue };
        dir.lock().with_context(|| format!("locking {ROOT}"))?;
        let locked = dir.metadata().with_context(|| format!("looking at {ROOT}"))?;
        if fs::metadata(ROOT).is_ok_and(|now| now.ino() == locked.ino()) {
            return Ok(dir);
        }
    }
    bail!("{ROOT} is removed each time before it can be locked")
}

/// Removes cgroup and directory of `lab`, and the directories of all labs with the last of them.
fn remove(lab: &str) -> Result<()> {
    cgroup::remove(&cgroup::of_lab(lab)?)?;
    cgroup::remove_parent_if_empty();
    let dir = dir_of(lab);
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {}", dir.display()));
        }
        _ => {}
    }
    remove_root_if_empty();
    Ok(())
}

fn remove_root_if_empty() {
    // Fails while another lab lives, which is right.
    let _ = fs::remove_dir(ROOT);
}

fn known() -> Result<Vec<String>> {
    subdirectories(Path::new(ROOT))
}

fn subdirectories(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("listing {}", dir.display()))?,
    };
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    Ok(names)
}

fn is_alive(lab: &str) -> bool {
    // A lock that cannot be had is held by the keeper. No file: no keeper.
    File::open(dir_of(lab).join(KEEPER)).is_ok_and(|file| file.try_lock().is_err())
}
