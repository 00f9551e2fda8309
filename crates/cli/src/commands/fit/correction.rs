//! Training of the network that a model's `[correction]` declares.

use std::fmt::Write;

use posology_model::correction::Correction;
use posology_twin::correction::{Trained, Training};
use posology_twin::problem::Problem;

use super::checkpoint::Keeper;
use super::study::Study;
use super::tables::short;
use crate::args::FitArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::table;

/// Name of the file of the weights.
pub const WEIGHTS: &str = "weights.csv";

/// # Errors
/// Class usage for a model without a correction and for options that allow no training; classes
/// numeric, data, device, input/output; interrupted.
pub fn correction(
    study: &Study,
    problem: &Problem,
    keeper: &Keeper,
    args: &FitArgs,
    context: &Context,
) -> Result<Trained, Failure> {
    let network = &declared(study)?.network;
    let options = args.training.options(args.data.seed);
    let start = study.start.clone();
    let resume = keeper.read(args.resume)?;
    let begun = Training::new(problem, network, start, options, resume);
    let mut training = begun.map_err(|error| study.named(error))?;
    let bar = context.progress(options.epochs as u64, "epochs");
    while !training.done() {
        let done = training.state.losses.len();
        bar.set_position(done as u64);
        training.epoch().map_err(|error| study.named(error))?;
        keeper.save(&training.state)?;
        if context.interrupted() && !training.done() {
            let done = format!("{} of at most {} epochs", done + 1, options.epochs);
            return Err(keeper.interrupted(&done));
        }
    }
    bar.finish_and_clear();
    Ok(training.finish()?)
}

/// # Errors
/// Class usage for a model without a correction.
pub fn declared(study: &Study) -> Result<&Correction, Failure> {
    let model = &study.scenario.model;
    model.correction.as_ref().ok_or_else(|| {
        Failure::usage(format!(
            "the model {} has no correction to train",
            model.name
        ))
        .help("declare a [correction] in the model file; README shows one")
    })
}

/// What training came to, for a terminal.
pub fn text(trained: &Trained) -> String {
    let mut text = String::new();
    let rows: Vec<Vec<String>> = trained
        .losses
        .iter()
        .enumerate()
        .filter(|(epoch, _)| *epoch == 0 || *epoch == trained.best)
        .chain(trained.losses.iter().enumerate().next_back())
        .map(|(epoch, loss)| {
            vec![
                epoch.to_string(),
                short(loss.train),
                short(loss.held_out),
                if epoch == trained.best { "best" } else { "" }.to_owned(),
            ]
        })
        .collect();
    text.push_str(&table::render(
        &["epoch", "training loss", "held-out loss", ""],
        &rows,
    ));
    let _ = writeln!(text, "\n{}", verdict(trained));
    text
}

/// Whether the correction is kept, and why.
pub fn verdict(trained: &Trained) -> String {
    let i = &trained.improvement;
    let gain = format!(
        "{:.3} +- {:.3} per patient in the {} who judge (needed: {:.3} and {:.2} standard errors more)",
        i.mean, i.se, i.patients, i.least, i.quantile
    );
    if trained.alpha == 0.0 {
        format!(
            "correction switched off, its output layer is exactly 0: gain of log likelihood {gain}"
        )
    } else {
        format!(
            "correction kept at {:.0} % of its output layer: gain of log likelihood {gain}",
            100.0 * trained.alpha
        )
    }
}
