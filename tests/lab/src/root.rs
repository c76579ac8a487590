//! Tests that need root say so, one way or the other.

use std::{
    env,
    fs::File,
    io::{self, Write as _},
};

/// True if this process may make labs. Without root it panics, since a test that did not run must not look as if it
/// had; with `CARACAL_SKIP_ROOT=1` in the environment it prints `SKIPPED: <reason>` to standard error and gives false,
/// for the caller to return.
///
/// # Panics
/// Without root, unless told to skip.
#[must_use = "a test that cannot run must return"]
pub fn require_root() -> bool {
    if nix::unistd::geteuid().is_root() {
        return true;
    }
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(
        env::var_os("CARACAL_SKIP_ROOT").is_some_and(|value| value == "1"),
        "{test} makes network namespaces, which needs root: run it as root, or skip it with CARACAL_SKIP_ROOT=1"
    );
    // `make test` lists at its end what is in this file.
    if let Some(list) = env::var_os("CARACAL_SKIPPED") {
        let list = File::options().append(true).create(true).open(list);
        let _ = list.and_then(|mut list| writeln!(list, "{test}: needs root"));
    }
    // Not `eprintln!`: the test harness swallows that of tests that pass, and nobody could count these.
    let _ = writeln!(io::stderr(), "SKIPPED: {test} needs root");
    false
}
