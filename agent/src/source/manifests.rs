//! A directory of Kubernetes YAML as the source.
//!
//! A file counts as a whole: when one of its documents is wrong, the error names file, line and field, and the file's
//! last good state stays in force. Files that disappear take their objects with them. Of several objects by one name
//! the one in the last file holds. Where no control plane does it, services that select pods get endpoints here.

mod documents;
mod local;

use std::{
    collections::BTreeMap,
    fmt, fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

use self::{
    documents::{Content, Wrong},
    local::{Holding, Local, Wired},
};
use super::{Next, Source, Watch};
use crate::model::{Change, Kind, Names, Object, Origin};

/// How long to wait for more changes after the first: an editor or `kubectl` writes several files.
const SETTLE: Duration = Duration::from_millis(50);
/// The directory is read this often even when nothing is known to have changed.
const AGAIN: Duration = Duration::from_secs(30);
/// Records of pods are looked at this often.
const LOOK: Duration = Duration::from_secs(1);
/// No file of manifests is this long; a device or a sparse file may be.
const MOST_BYTES: u64 = 256 << 20;

/// The objects of a file, or the line and what is wrong there.
pub fn read_manifest(text: &str, names: &mut Names) -> Result<Vec<Object>, String> {
    documents::read(text, names).map(|content| content.objects).map_err(|wrong| wrong.to_string())
}

/// The directory, and the last good state of each file.
#[derive(Debug)]
pub struct Manifests {
    directory: PathBuf,
    watch: Option<Watch>,
    local: Option<Local>,
    read_at: Instant,
    names: Names,
    files: BTreeMap<PathBuf, Known>,
}

/// What is known of a file.
#[derive(Debug, Default)]
struct Known {
    /// Of its text when it was read last.
    hash: Option<u64>,
    /// Its last good state.
    objects: Vec<Object>,
    /// What is wrong with it now.
    wrong: Option<Wrong>,
}

impl Manifests {
    /// A source that has read nothing yet, and begins to watch the directory and the plugin's records.
    pub fn open(directory: impl Into<PathBuf>, run_dir: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let mut manifests = Self::new(directory);
        manifests.watch = Some(Watch::new(&manifests.directory)?);
        manifests.local = Some(Local::new(run_dir.into()));
        Ok(manifests)
    }

    /// A source that reads when it is told to.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let (directory, names, files) = (directory.into(), Names::default(), BTreeMap::new());
        Self { directory, watch: None, local: None, read_at: Instant::now(), names, files }
    }

    /// Reads the directory again, and tells all of what holds.
    pub fn read(&mut self) -> Vec<Change> {
        let paths = match list(&self.directory) {
            Ok(paths) => paths,
            Err(error) => return vec![Change::Unread(Origin::File(self.directory.clone()), error.to_string())],
        };
        let mut changes = vec![Change::Read(Origin::File(self.directory.clone()))];
        let gone: Vec<PathBuf> = self.files.keys().filter(|path| !paths.contains(path)).cloned().collect();
        for path in gone {
            self.files.remove(&path);
            changes.push(Change::Read(Origin::File(path)));
        }
        for path in paths {
            let known = self.files.entry(path.clone()).or_default();
            known.read(&path, &mut self.names);
            let origin = Origin::File(path);
            changes.push(match &known.wrong {
                Some(wrong) => Change::Unread(origin, wrong.to_string()),
                None => Change::Read(origin),
            });
        }
        self.tell(&mut changes);
        changes
    }

    /// Tells every object that holds.
    fn tell(&self, changes: &mut Vec<Change>) {
        let objects = self.files.values().flat_map(|known| &known.objects).cloned();
        let mut holding: Holding = objects.map(|object| ((object.kind(), object.name.clone()), object)).collect();
        local::address(&mut holding, self.local.as_ref().map_or(&Wired::new(), Local::wired));
        let slices = local::slices(&holding);
        changes.extend(Kind::ALL.map(Change::Begin));
        changes.extend(holding.into_values().chain(slices).map(Change::Put));
        changes.extend(Kind::ALL.map(Change::Whole));
    }

    /// Waits until there may be something new.
    async fn changed(&mut self) {
        let Self { watch: Some(watch), local: Some(local), read_at, .. } = self else { return };
        let has_looked_otherwise = async {
            while !local.look() {
                sleep(LOOK).await;
            }
        };
        tokio::select! {
            // Until it has been read, each call waits no longer than this again.
            () = watch.changed() => *read_at = (*read_at).min(Instant::now() + SETTLE),
            () = has_looked_otherwise => *read_at = Instant::now(),
            () = sleep_until(*read_at) => {}
        }
    }
}

impl fmt::Display for Manifests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.directory.display())
    }
}

impl Source for Manifests {
    fn next(&mut self) -> Next<'_> {
        Box::pin(async {
            self.changed().await;
            sleep_until(self.read_at).await;
            self.read_at = Instant::now() + AGAIN;
            self.read()
        })
    }
}

impl Known {
    fn read(&mut self, path: &Path, names: &mut Names) {
        let text = match read_text(path) {
            Ok(text) => text,
            Err(error) => {
                self.hash = None;
                return self.is_wrong(path, Wrong::whole(error.to_string()));
            }
        };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = Some(hasher.finish());
        if self.hash == hash {
            return;
        }
        self.hash = hash;
        match documents::read(&text, names) {
            Ok(Content { objects, passed_over }) => {
                for kind in &passed_over {
                    log::warn!("{}: {kind} is not supported, passed over", path.display());
                }
                log::info!("{}: {} objects in force", path.display(), objects.len());
                (self.objects, self.wrong) = (objects, None);
            }
            Err(wrong) => self.is_wrong(path, wrong),
        }
    }

    fn is_wrong(&mut self, path: &Path, wrong: Wrong) {
        if self.wrong.as_ref() != Some(&wrong) {
            log::error!("{}: {wrong}; what was read before stays in force", path.display());
        }
        self.wrong = Some(wrong);
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let bytes = fs::File::open(path)?.take(MOST_BYTES).read_to_string(&mut text)?;
    if bytes as u64 == MOST_BYTES {
        return Err(io::Error::other(format!("it is longer than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(text)
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
        // A name with a leading dot is an editor's, or Kubernetes' own for the versions of a mounted ConfigMap.
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_yaml && !is_hidden && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
