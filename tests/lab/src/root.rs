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
    assert!(
        env::var_os("CARACAL_SKIP_ROOT").is_some_and(|value| value == "1"),
        "{} makes network namespaces, which needs root: run it as root, or skip it with CARACAL_SKIP_ROOT=1",
        test_name()
    );
    skip("needs root");
    false
}

/// Says that the calling test does not run, and why: in the file that `CARACAL_SKIPPED` names, whose content `make test`
/// shows at its end, and on standard error.
pub fn skip(reason: &str) {
    let test = test_name();
    if let Some(list) = env::var_os("CARACAL_SKIPPED") {
        let list = File::options().append(true).create(true).open(list);
        let _ = list.and_then(|mut list| writeln!(list, "{test}: {reason}"));
    }
    // Not `eprintln!`: the test harness swallows that of tests that pass, and nobody could count these.
    let _ = writeln!(io::stderr(), "SKIPPED: {test}: {reason}");
}

/// Test harnesses name the thread of a test after it.
fn test_name() -> String {
    std::thread::current().name().unwrap_or("a test").to_owned()
}
