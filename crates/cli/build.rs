//! Tells the program which commit it was built from; outside a git checkout, nothing.

use std::process::Command;

fn main() {
    // the answer changes with a commit, and with any source that is not committed
    let watched = [
        "src",
        "build.rs",
        "../model/src",
        "../cohort/src",
        "../sim/src",
        "../trial/src",
        "../../kernels/src",
        "../../.git/logs/HEAD",
    ];
    for path in watched
        .into_iter()
        .filter(|path| std::path::Path::new(path).exists())
    {
        println!("cargo::rerun-if-changed={path}");
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"]).unwrap_or_default();
    let sources = [
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        "../../crates",
        "../../kernels",
    ];
    let modified = git(&sources).is_some_and(|changes| !changes.is_empty());
    println!("cargo::rustc-env=POSOLOGY_COMMIT={commit}");
    println!("cargo::rustc-env=POSOLOGY_MODIFIED={modified}");
}
