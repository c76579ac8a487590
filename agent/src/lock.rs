//! One agent per node.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
};

use anyhow::{Context, bail};

/// Held as long as the agent runs; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes `agent.lock` in the run directory.
    pub fn take(run_dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(run_dir).with_context(|| format!("{}: cannot create it", run_dir.display()))?;
        let path = run_dir.join("agent.lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| format!("{}: cannot open it", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                bail!("{}: another caracal-agent is running on this node; stop it first", path.display())
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("{}: cannot lock it", path.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let refused = Lock::take(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("another caracal-agent"), "{refused}");
        drop(first);
        Lock::take(dir.path()).unwrap();
    }
}
