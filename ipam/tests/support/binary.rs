//! The `caracal-ipam` binary, called as a main plugin calls it.

use std::{
    io::{ErrorKind, Write},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

/// What a call came to.
#[derive(Debug)]
pub struct Answer {
    pub document: Value,
    pub exit: i32,
    pub stderr: String,
}

/// Starts the plugin for a container's interface and gives it its configuration.
pub fn start(verb: &str, container: &str, ifname: &str, args: &str, conf: &Value) -> Child {
    #[expect(clippy::disallowed_methods, reason = "the binary is what is tested")]
    let mut child = Command::new(env!("CARGO_BIN_EXE_caracal-ipam"))
        .env_clear()
        .envs([("CNI_COMMAND", verb), ("CNI_CONTAINERID", container), ("CNI_IFNAME", ifname), ("CNI_ARGS", args)])
        .env("CNI_NETNS", "/proc/self/ns/net")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    match child.stdin.take().unwrap().write_all(conf.to_string().as_bytes()) {
        // A plugin that has seen enough may end without reading.
        Err(e) if e.kind() == ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    child
}

/// Waits for the end of a call. Whatever it printed must be one JSON document or nothing.
pub fn answer(child: Child) -> Answer {
    let output = child.wait_with_output().unwrap();
    let document = if output.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&output.stdout).unwrap() };
    let stderr = String::from_utf8(output.stderr).unwrap();
    Answer { document, exit: output.status.code().unwrap(), stderr }
}
