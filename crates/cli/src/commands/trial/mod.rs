//! `posology trial`, `merge` and `report`: an in-silico trial, its parts, and its report.
//!
//! A run keeps its finished pieces in `OUT.pieces` until the results are written, so the same
//! command goes on where an interrupted one ended; `--shard` leaves the pieces for `merge`, and a
//! finished folder holds them for `report`.

mod dose_finding;
mod operating;
mod output;
mod pieces;
mod policies;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use posology_agent::error::AgentError;
use posology_trial::run::Clinician;
use posology_trial::{Progress, RunSettings, Trial, TrialError, TrialOutcome};
use serde_json::json;

pub use dose_finding::run as dose_finding;
pub use operating::run as operating;

use self::output::{lines, overview, write};
use self::pieces::{Manifest, Missing, Pieces};
use self::policies::Policies;
use crate::args::{MergeArgs, ReportArgs, TrialArgs};
use crate::context::{Context, Graceful};
use crate::error::{Class, Failure};
use crate::library::TRIALS;
use crate::output::atomic::Staging;

/// Run the command.
///
/// # Errors
/// Class model for the trial file and its model, data for its data and regimens, numeric, device
/// and I/O.
pub fn run(args: &TrialArgs, context: &Context) -> Result<(), Failure> {
    if !(0.0..=1.0).contains(&args.max_diverged) {
        return Err(Failure::usage("--max-diverged is a share between 0 and 1"));
    }
    let path = TRIALS.find(&args.file)?;
    let mut trial = Trial::load(&path)?;
    policies::exchange(&mut trial, &args.checkpoints)?;
    let policies = Policies::load(&trial)?;
    context.warn(&trial.warnings);
    let seed = args.seed.unwrap_or(trial.seed);
    for arm in policies.iter().flat_map(|policies| policies.met(seed)) {
        context.note(&format!(
            "arm `{arm}`: its policy was trained on patients drawn with seed {seed}, as those of this trial; another --seed draws patients that it has not met"
        ));
    }
    let manifest = Manifest::new(
        &path,
        &trial,
        policies.as_deref(),
        args.seed,
        args.patients.map(|patients| patients as usize),
        args.max_diverged,
    )?;
    let run = Run {
        trial,
        manifest,
        policies,
    };
    if let Some(shard) = args.shard {
        return run_shard(args, context, &run, shard);
    }
    let staging = Staging::begin(&args.out, args.overwrite)?;
    let mut pieces = Pieces::begin(&beside(&args.out), &run.manifest, None, args.fresh)?;
    if pieces.found() > 0 {
        context.note(&format!(
            "going on with {} finished pieces in {}",
            pieces.found(),
            pieces.folder().display()
        ));
    }
    finish(context, &run, &mut pieces, staging, &args.out)?;
    pieces.remove();
    Ok(())
}

/// What is run: the trial, what its pieces belong to, and who decides in it.
struct Run {
    trial: Trial,
    manifest: Manifest,
    policies: Option<Arc<Policies>>,
}

impl Run {
    /// Of pieces that were made before.
    ///
    /// # Errors
    /// Class data where the files that they were made of have changed.
    fn again(manifest: Manifest) -> Result<Self, Failure> {
        let (trial, policies) = manifest.trial()?;
        Ok(Self {
            trial,
            manifest,
            policies,
        })
    }
}

/// Where an unfinished run keeps its pieces.
fn beside(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".pieces");
    out.with_file_name(name)
}

/// One part of a run: its pieces and nothing else.
fn run_shard(
    args: &TrialArgs,
    context: &Context,
    run: &Run,
    shard: crate::args::Shard,
) -> Result<(), Failure> {
    let mut pieces = Pieces::begin(&args.out, &run.manifest, Some(shard), args.fresh)?;
    let _graceful = Graceful::begin();
    simulate(context, run, &mut pieces)?;
    let (done, folder) = (pieces.found(), pieces.folder().display().to_string());
    if context.global.json {
        return context
            .print_json(&json!({ "out": folder, "pieces": done, "shard": shard.to_string() }));
    }
    context.note(&format!(
        "{done} pieces in {folder}; put the shards together with `posology merge`"
    ));
    Ok(())
}

/// `posology merge`: shards into one result.
///
/// # Errors
/// Class data where shards do not belong together or pieces are missing; else as [`run`].
pub fn merge(args: &MergeArgs, context: &Context) -> Result<(), Failure> {
    let staging = Staging::begin(&args.out, args.overwrite)?;
    let (manifest, mut pieces) = Pieces::merge(&args.shards)?;
    let run = Run::again(manifest)?;
    finish(context, &run, &mut pieces, staging, &args.out)
}

/// `posology report`: the results again, from the pieces that a finished folder holds.
///
/// # Errors
/// As [`merge`].
pub fn report(args: &ReportArgs, context: &Context) -> Result<(), Failure> {
    let (manifest, mut pieces) = Pieces::merge(&[args.folder.join(pieces::FOLDER)])?;
    let run = Run::again(manifest)?;
    let staging = Staging::begin(&args.folder, true)?;
    finish(context, &run, &mut pieces, staging, &args.folder)
}

/// Simulates what is missing, and writes the folder.
fn finish(
    context: &Context,
    run: &Run,
    pieces: &mut Pieces,
    staging: Staging,
    out: &Path,
) -> Result<(), Failure> {
    let (trial, manifest) = (&run.trial, &run.manifest);
    let clock = Instant::now();
    let _graceful = Graceful::begin();
    let Some((outcome, device)) = simulate(context, run, pieces)? else {
        return Err(Failure::new(
            Class::Data,
            "pieces of this trial are missing: another shard has not finished",
        ));
    };
    let seconds = clock.elapsed().as_secs_f64();
    let files = write(
        trial, &outcome, staging, out, manifest, &device, seconds, pieces,
    )?;
    if context.global.json {
        return context.print_json(
            &json!({ "out": out, "files": files, "seconds": seconds, "summary": outcome.summary }),
        );
    }
    context.print(&overview(trial, &outcome.summary, context))?;
    context.note(&format!(
        "{} ({seconds:.1} s)",
        out.join("report.html").display()
    ));
    Ok(())
}

/// The outcome; `None` if other shards have pieces of it.
fn simulate(
    context: &Context,
    run: &Run,
    pieces: &mut Pieces,
) -> Result<Option<(TrialOutcome, posology_kernels::device::AdapterDescription)>, Failure> {
    let device = context.open_device()?;
    let (trial, manifest) = (&run.trial, &run.manifest);
    let mut provenance = lines(&device.description, manifest.hash());
    provenance.extend(run.policies.iter().flat_map(|policies| policies.lines()));
    let settings = RunSettings {
        seed: manifest.seed(),
        patients: manifest.patients(),
        max_diverged: manifest.max_diverged(),
        clinician: run
            .policies
            .clone()
            .map(|policies| policies as Arc<dyn Clinician>),
        provenance,
        ..RunSettings::default()
    };
    let bar = context.progress(1, "patients");
    let result = trial.simulate(&device, &settings, pieces, &mut |progress: &Progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(format!(
            "{}/{} {}",
            (progress.step + 1).min(progress.steps),
            progress.steps,
            progress.stage
        ));
        !context.interrupted()
    });
    bar.finish_and_clear();
    let result = result.map_err(|error| {
        let interrupted = context.interrupted();
        if interrupted && pieces.found() > 0 {
            context.note(&format!(
                "{} finished pieces are kept in {}; the same command goes on from there",
                pieces.found(),
                pieces.folder().display()
            ));
        }
        failure(error)
    })?;
    let Some(result) = result else {
        return Ok(None);
    };
    let outcome = trial.outcome(&result, &settings).map_err(failure)?;
    Ok(Some((outcome, device.description.clone())))
}

pub(super) fn failure(error: TrialError) -> Failure {
    match error {
        TrialError::Simulation(error) => error.into(),
        TrialError::Input(found) => found.into(),
        TrialError::Store(error) => match error.cause.downcast::<Missing>() {
            Ok(missing) => Failure::new(Class::Data, missing.to_string())
                .help("run the missing shard (`posology trial ... --shard i/n`) and merge again"),
            Err(cause) => Failure::new(
                Class::Io,
                format!("{} of piece {} failed: {cause}", error.action, error.piece),
            ),
        },
        TrialError::Clinician { arm, cause } => match cause.downcast::<AgentError>() {
            Ok(error) => (*error).into(),
            Err(cause) => Failure::new(Class::Data, format!("arm `{arm}`: {cause}")),
        },
        error @ (TrialError::Operating(_)
        | TrialError::Sequential(_)
        | TrialError::DoseFinding(_)) => Failure::new(Class::Usage, error.to_string()),
        other => Failure::new(Class::Numeric, other.to_string()),
    }
}
