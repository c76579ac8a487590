//! The whole of a build script that embeds an object.

use std::{env, fs, path::Path, process::ExitCode};

use crate::{Build, inputs};

/// Builds `package` and puts the object file at `$OUT_DIR/<object>`, telling cargo what it depends on.
#[expect(clippy::print_stdout, reason = "cargo reads a build script's output")]
#[must_use]
pub fn build_script(package: &'static str, object: &str) -> ExitCode {
    for input in inputs() {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    println!("cargo::rerun-if-env-changed=CARACAL_TOOLS");
    let built = Build::for_build_script(package).and_then(|build| build.run());
    let copied = built.map_err(|error| error.to_string()).and_then(|built| {
        let copy = Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join(object);
        fs::copy(&built, &copy).map_err(|error| format!("{} -> {}: {error}", built.display(), copy.display()))
    });
    match copied {
        Ok(_) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error={why}");
            ExitCode::FAILURE
        }
    }
}
