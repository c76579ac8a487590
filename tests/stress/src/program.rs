//! A program with its input, run to its end or to the one that was planned for it.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Seek as _, Write as _},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use nix::unistd::Pid;

use crate::{
    sys,
    tracer::{self, End, Kill},
};

/// A program, its whole environment and what it reads.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Its environment; nothing else is in it.
    pub env: BTreeMap<String, String>,
    /// Its standard input.
    pub stdin: String,
}

/// How a traced run ended.
#[derive(Debug)]
pub enum Outcome {
    /// As planned.
    Killed {
        /// Number of the system call that was not made any more, as the processor's table has it.
        before: u64,
    },
    /// It came to its end earlier.
    Ended(Output),
}

impl Program {
    /// Starts it.
    pub fn start(&self) -> io::Result<Child> {
        self.command()?.spawn()
    }

    /// Runs it until it makes as many system calls as `kill` says, and kills it there. Returns when everybody who holds
    /// its output has ended, because that is how long a runtime waits.
    pub fn run_and_kill(&self, kill: Kill) -> io::Result<Outcome> {
        let mut command = self.command()?;
        sys::trace_from_exec(&mut command);
        let mut child = command.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let end = tracer::trace(Pid::from_raw(pid), kill)?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        child.stdout.take().map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut stdout))?;
        child.stderr.take().map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut stderr))?;
        Ok(match end {
            End::Killed { before } => Outcome::Killed { before },
            End::Exited(status) => Outcome::Ended(Output { status, stdout, stderr }),
        })
    }

    /// Its input is a file: nobody needs to feed it while it is stopped.
    fn command(&self) -> io::Result<Command> {
        let mut stdin = tempfile::tempfile()?;
        stdin.write_all(self.stdin.as_bytes())?;
        stdin.rewind()?;
        #[expect(clippy::disallowed_methods, reason = "the program is what is tested")]
        let mut command = Command::new(&self.path);
        command.env_clear().envs(&self.env).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tracer::Forks;

    /// A shell that appends a letter to a file three times, the second time by a process of its own.
    fn letters(dir: &tempfile::TempDir) -> Program {
        let script = "echo a >>letters; (echo b >>letters); wait; echo c >>letters";
        let stdin = format!("cd {}\n{script}\n", dir.path().display());
        Program { path: "/bin/sh".into(), env: BTreeMap::new(), stdin }
    }

    fn killed_everywhere(forks: Forks) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        for before_call in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let outcome = letters(&dir).run_and_kill(Kill { before_call, forks }).unwrap();
            let written = fs::read_to_string(dir.path().join("letters")).unwrap_or_default().replace('\n', "");
            if seen.last() != Some(&written) {
                seen.push(written);
            }
            if let Outcome::Ended(output) = outcome {
                assert!(output.status.success(), "{output:?}");
                assert!(before_call > 20, "a shell makes more calls than {before_call}");
                break;
            }
        }
        seen
    }

    #[test]
    fn a_kill_comes_between_any_two_calls() {
        assert_eq!(killed_everywhere(Forks::DieToo), ["", "a", "ab", "abc"]);
    }

    #[test]
    fn forked_processes_finish_what_they_do_if_they_are_let_live() {
        let seen = killed_everywhere(Forks::LiveOn);
        assert_eq!((seen.first().unwrap().as_str(), seen.last().unwrap().as_str()), ("", "abc"));
    }
}
