//! The abiraterone trial: the replay through the kernel, the rule against a hand simulation, the
//! outcome as a whole, and what malformed trial files say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arms;
mod malformed;
mod outcome;
mod replay;

use std::path::PathBuf;
use std::sync::OnceLock;

use posology_kernels::device::{Device, open};
use posology_trial::run::NoStore;
use posology_trial::{Progress, RunSettings, Trial, TrialOutcome, TrialResult};

/// Virtual men of the small runs.
pub const MEN: usize = 200;

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/trials")
}

pub fn trial() -> &'static Trial {
    static TRIAL: OnceLock<Trial> = OnceLock::new();
    TRIAL.get_or_init(|| {
        Trial::load(&folder().join("abiraterone.toml")).unwrap_or_else(|found| panic!("{found}"))
    })
}

pub fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| open(None).expect("an adapter"))
}

pub fn settings() -> RunSettings {
    RunSettings {
        patients: Some(MEN),
        provenance: vec![("Version".into(), "test".into())],
        ..RunSettings::default()
    }
}

pub fn quiet(_: &Progress) -> bool {
    true
}

/// One small run, shared by the tests.
pub fn result() -> &'static TrialResult {
    static RESULT: OnceLock<TrialResult> = OnceLock::new();
    RESULT.get_or_init(|| {
        trial()
            .simulate(device(), &settings(), &mut NoStore, &mut quiet)
            .expect("a run")
            .expect("every piece")
    })
}

/// The same with everything that is written.
pub fn outcome() -> &'static TrialOutcome {
    static OUTCOME: OnceLock<TrialOutcome> = OnceLock::new();
    OUTCOME.get_or_init(|| {
        trial()
            .run(device(), &settings(), &mut quiet)
            .expect("a run")
    })
}
