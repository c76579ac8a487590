//! The socket that the plugin speaks to: root alone may, and no moment passes in which a new agent has none.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use tokio::net::{UnixListener, UnixStream};

/// What there may be in a directory that is ours alone.
const OURS: [&str; 6] = ["agent.lock", "agent.sock", "agent.sock.new", "endpoints", "ipam", "removals"];

/// The socket. Its name goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens in the run directory, in the place of an agent that was killed. That none lives, the agent's lock says.
    pub fn bind(run_dir: &Path) -> anyhow::Result<Self> {
        close(run_dir).with_context(|| format!("{}: cannot keep others out", run_dir.display()))?;
        let path = caracal_endpoints::socket(run_dir);
        let new = path.with_added_extension("new");
        let bound = || {
            match fs::remove_file(&new) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let listener = UnixListener::bind(&new)?;
            fs::set_permissions(&new, Permissions::from_mode(0o600))?;
            fs::rename(&new, &path)?;
            Ok(listener)
        };
        let listener = bound().with_context(|| format!("{}: cannot listen there", path.display()))?;
        Ok(Self { listener, path })
    }

    /// The next one who connects.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // If this fails, whoever connects is told that nobody listens.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes the directory root's alone, unless it is not ours alone.
fn close(run_dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(run_dir)?;
    for entry in fs::read_dir(run_dir)? {
        let name = entry?.file_name();
        if !OURS.iter().any(|ours| name == *ours) {
            log::debug!("{}: {} is not ours; who may enter is left as it is", run_dir.display(), name.display());
            return Ok(());
        }
    }
    fs::set_permissions(run_dir, Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn root_alone_may_enter_and_a_killed_agents_socket_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let run_dir = dir.path().join("deep/run");
        for _ in 0..2 {
            let socket = Socket::bind(&run_dir).unwrap();
            assert_eq!((mode(&run_dir), mode(socket.path())), (0o700, 0o600));
            let (connected, accepted) = tokio::join!(UnixStream::connect(socket.path()), socket.accept());
            assert!(connected.is_ok() && accepted.is_ok());
            // As a kill does: the listener goes, its name stays.
            std::mem::forget(socket);
        }
        let socket = Socket::bind(&run_dir).unwrap();
        let path = socket.path().to_owned();
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_directory_that_others_use_too_stays_as_open_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        fs::write(dir.path().join("somebody.pid"), "").unwrap();
        let socket = Socket::bind(dir.path()).unwrap();
        assert_eq!((mode(dir.path()), mode(socket.path())), (0o755, 0o600));
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_listened_at_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let long = dir.path().join("x".repeat(120));
        let error = format!("{:#}", Socket::bind(&long).unwrap_err());
        assert!(error.contains("agent.sock: cannot listen there: "), "{error}");
    }
}
