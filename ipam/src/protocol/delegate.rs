//! Another IPAM plugin, run as the specification says: found in `CNI_PATH`, with this process's environment and
//! configuration. The only place where the product runs a program.

use std::{
    fs::File,
    io::{self, Seek, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::memfd::{MFdFlags, memfd_create},
};
use serde_json::Value;

use super::{AddResult, CniError, Code, Request, Verb};
use crate::{
    Attachment,
    json::{FieldError, Node},
};

/// How often a program is tried that somebody is just writing, and how long to wait in between.
const BUSY_ATTEMPTS: u32 = 5;
const BUSY_WAIT: Duration = Duration::from_millis(20);

/// An IPAM plugin and the configuration to run it with.
#[derive(Debug)]
pub struct Delegate<'a> {
    request: &'a Request,
    kind: String,
    binary: PathBuf,
}

impl<'a> Delegate<'a> {
    /// Finds the plugin that `ipam.type` calls `kind`.
    pub fn find(request: &'a Request, kind: &str) -> Result<Self, CniError> {
        let refuse = |reason| FieldError { path: "ipam.type".to_owned(), reason };
        if kind.is_empty() || kind.contains('/') || matches!(kind, "." | "..") {
            return Err(refuse(format!("{kind:?} is not the name of a plugin")).into());
        }
        let binary = request.path.iter().map(|dir| dir.join(kind)).find(|path| path.is_file());
        let missing = || {
            let path = request.path.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(":");
            refuse(format!("there is no plugin {kind:?} in CNI_PATH ({path})"))
        };
        Ok(Self { request, kind: kind.to_owned(), binary: binary.ok_or_else(missing)? })
    }

    /// Asks it for addresses.
    pub fn add(&self) -> Result<AddResult, CniError> {
        let output = self.run(Verb::Add, None)?;
        let result: Value = serde_json::from_slice(&output).map_err(|e| self.fault(Verb::Add, &e))?;
        // Go writes null for an empty list.
        let result = match result {
            Value::Object(object) => object.into_iter().filter(|(_, value)| !value.is_null()).collect(),
            other => other,
        };
        let result: AddResult = Node::root(&result).parse().map_err(|e| self.fault(Verb::Add, &e.reason))?;
        if result.ips.is_empty() {
            return Err(self.fault(Verb::Add, &"it gave no address"));
        }
        Ok(result)
    }

    /// Has it do a verb that answers nothing, about what this process was called for.
    pub fn call(&self, verb: Verb) -> Result<(), CniError> {
        self.run(verb, None).map(drop)
    }

    /// Has it give back what `attachment` holds, whatever this process was called for.
    pub fn del(&self, attachment: &Attachment) -> Result<(), CniError> {
        self.run(Verb::Del, Some(attachment)).map(drop)
    }

    /// What it prints if it succeeds.
    fn run(&self, verb: Verb, attachment: Option<&Attachment>) -> Result<Vec<u8>, CniError> {
        let ran = self.start(verb, attachment).and_then(Child::wait_with_output);
        let output = ran.map_err(|e| self.fault(verb, &format!("{}: {e}", self.binary.display())))?;
        if output.status.success() { Ok(output.stdout) } else { Err(self.refusal(verb, output.status, &output.stdout)) }
    }

    #[expect(clippy::disallowed_methods, reason = "delegation is running a program, and nobody tells when it is whole")]
    fn start(&self, verb: Verb, attachment: Option<&Attachment>) -> io::Result<Child> {
        let container = attachment.map(|attachment| ("CNI_CONTAINERID", attachment.container_id()));
        let ifname = attachment.map(|attachment| ("CNI_IFNAME", attachment.ifname()));
        let mut attempt = 1;
        loop {
            let started = Command::new(&self.binary)
                .env("CNI_COMMAND", verb.text())
                .envs(container.into_iter().chain(ifname))
                .stdin(self.conf()?)
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit())
                .spawn();
            match started {
                Err(e) if e.raw_os_error() == Some(Errno::ETXTBSY as i32) && attempt < BUSY_ATTEMPTS => {
                    attempt += 1;
                    thread::sleep(BUSY_WAIT);
                }
                started => return started,
            }
        }
    }

    /// The configuration as a file: a pipe would need somebody to feed it while the answer is read.
    fn conf(&self) -> io::Result<File> {
        let mut file = File::from(memfd_create("cni-conf", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(self.request.conf.to_string().as_bytes())?;
        file.rewind()?;
        Ok(file)
    }

    /// What it said went wrong, under its own code.
    fn refusal(&self, verb: Verb, status: ExitStatus, output: &[u8]) -> CniError {
        let document: Value = serde_json::from_slice(output).unwrap_or_default();
        let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
        match document["code"].as_u64().and_then(|code| u32::try_from(code).ok()).filter(|code| *code != 0) {
            Some(code) => {
                let msg = format!("IPAM plugin {}, {}: {}", self.kind, verb.text(), text("msg"));
                CniError::new(Code::Foreign(code), msg).with_details(text("details"))
            }
            None => self.fault(verb, &status),
        }
    }

    fn fault(&self, verb: Verb, reason: &impl ToString) -> CniError {
        let msg = format!("IPAM plugin {}, {}: {}", self.kind, verb.text(), reason.to_string());
        CniError::new(Code::Delegate, msg)
    }

    /// Its name, as `ipam.type` has it.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The program.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }
}

#[cfg(test)]
mod tests;
