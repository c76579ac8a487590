//! Removals that no agent was there to hear: a file each, for the next agent.
//!
//! `<runDir>/removals/<network>/<containerID>:<ifname>`, written beside its place and renamed into it, so that what is
//! there is whole. There is a bound: what an agent does not hear of it finds by comparing.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    process,
};

use crate::{Error, Removal};

/// How many removals of a network may wait.
pub const MAX_WAITING: usize = 4096;

/// What files begin with that are not whole yet.
const UNFINISHED: &str = ".";

/// The queue below a directory that state is kept in.
#[derive(Clone, Debug)]
pub struct Queue {
    dir: PathBuf,
}

/// A removal that waits.
#[derive(Debug)]
pub struct Waiting {
    path: PathBuf,
    /// What it says; none if it cannot be read.
    pub removal: Option<Removal>,
}

impl Queue {
    /// The queue below `run_dir`.
    #[must_use]
    pub fn new(run_dir: &Path) -> Self {
        Self { dir: run_dir.join("removals") }
    }

    /// Adds a removal, or replaces an older one of the same attachment.
    pub fn push(&self, removal: &Removal) -> Result<(), Error> {
        let dir = self.dir.join(&removal.network);
        fs::create_dir_all(&dir).map_err(failed("create it", &dir))?;
        let count = fs::read_dir(&dir).map_err(failed("list it", &dir))?.count();
        if count >= MAX_WAITING {
            return Err(Error::Full { path: dir, count });
        }
        let name = format!("{}:{}", removal.container_id, removal.ifname);
        let (path, new) = (dir.join(&name), dir.join(format!("{UNFINISHED}{}", process::id())));
        let bytes = serde_json::to_vec(removal).map_err(Error::Encode)?;
        fs::write(&new, bytes).map_err(failed("write it", &new))?;
        fs::rename(&new, &path).map_err(failed("rename to it", &path))
    }

    /// Everything that waits. What somebody was killed over is removed.
    pub fn list(&self) -> Result<Vec<Waiting>, Error> {
        let mut waiting = Vec::new();
        for network in entries(&self.dir)? {
            for path in entries(&network)? {
                if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED)) {
                    remove(&path)?;
                    continue;
                }
                let text = match fs::read(&path) {
                    Err(e) if e.kind() == ErrorKind::NotFound => continue,
                    text => text.map_err(failed("read it", &path))?,
                };
                waiting.push(Waiting { removal: serde_json::from_slice(&text).ok(), path });
            }
        }
        Ok(waiting)
    }
}

impl Waiting {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes it out of the queue.
    pub fn done(self) -> Result<(), Error> {
        remove(&self.path)
    }
}

/// What is in a directory; nothing if there is none.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let listing = match fs::read_dir(dir) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        listing => listing.map_err(failed("list it", dir))?,
    };
    listing.map(|entry| Ok(entry.map_err(failed("list it", dir))?.path())).collect()
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed("remove it", path)(e)),
        _ => Ok(()),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Queue { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removal(id: &str, host_ifindex: u32) -> Removal {
        Removal {
            network: "net".to_owned(),
            container_id: id.to_owned(),
            ifname: "eth0".to_owned(),
            host_ifindex: Some(host_ifindex),
            addresses: vec!["10.1.0.2".parse().unwrap()],
        }
    }

    fn waiting(queue: &Queue) -> Vec<Option<Removal>> {
        queue.list().unwrap().into_iter().map(|it| it.removal).collect()
    }

    #[test]
    fn the_last_removal_of_an_attachment_waits_until_it_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::new(dir.path());
        assert_eq!(waiting(&queue), []);
        queue.push(&removal("c1", 7)).unwrap();
        queue.push(&removal("c1", 9)).unwrap();
        assert_eq!(waiting(&queue), [Some(removal("c1", 9))]);
        queue.list().unwrap().remove(0).done().unwrap();
        assert_eq!(waiting(&queue), []);
    }

    #[test]
    fn what_was_not_finished_is_cleared_away_and_what_cannot_be_read_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::new(dir.path());
        queue.push(&removal("c1", 7)).unwrap();
        let network = dir.path().join("removals/net");
        fs::write(network.join(".4711"), "{").unwrap();
        fs::write(network.join("c2:eth0"), "{").unwrap();
        fs::write(dir.path().join("removals/stray"), "").unwrap();
        let mut found = waiting(&queue);
        found.sort_by_key(Option::is_some);
        assert_eq!(found, [None, Some(removal("c1", 7))]);
        assert!(!network.join(".4711").exists());
    }

    #[test]
    fn there_is_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let queue = Queue::new(dir.path());
        queue.push(&removal("c0", 7)).unwrap();
        for n in 1..MAX_WAITING {
            fs::write(dir.path().join(format!("removals/net/c{n}:eth0")), "").unwrap();
        }
        let error = queue.push(&removal("one-more", 7)).unwrap_err().to_string();
        assert!(error.contains("4096 removals wait there for an agent"), "{error}");
    }
}
