//! `posology forecast`: what was seen up to a cut, then prediction with intervals.

mod calibration;
mod results;

use posology_cohort::nmtran::{Observation, Observations};
use posology_cohort::philox::{draw, stream};
use posology_twin::calibration::Calibration;
use posology_twin::forecast::{
    Cut, Forecast, ForecastOptions, Records, forecast, posterior, split,
};
use posology_twin::population::Saem;
use posology_twin::problem::Problem;
use posology_twin::scores::{Scored, Scores, carried, scores};
use posology_twin::space::Population;

use crate::args::ForecastArgs;
use crate::commands::fit::saved;
use crate::commands::fit::study::Study;
use crate::context::{Context, Graceful};
use crate::error::{Class, Failure};
use crate::output::atomic::Staging;
use crate::scenario::positive_time;

/// Run the command.
pub fn run(args: &ForecastArgs, context: &Context) -> Result<(), Failure> {
    if !(args.level > 0.0 && args.level < 1.0) {
        return Err(Failure::usage("--level is a share between 0 and 1"));
    }
    let study = Study::load(&args.data, false, context)?;
    let cut = cut(args, &study)?;
    let staging = match &args.out {
        Some(out) => Some(Staging::begin(out, args.overwrite)?),
        None => None,
    };
    let _graceful = Graceful::begin();
    let (visible, hidden) = split(&study.observations, cut);
    if visible.observations.is_empty() {
        return Err(Failure::new(Class::Data, "nothing is left before the cut")
            .help("a forecast needs at least one visible observation"));
    }
    let device = context.open_device()?;
    let problem = study.problem(&device, &visible)?;
    let (populations, of) = populations(&study, &problem, &device, args, context)?;
    let options = ForecastOptions {
        seed: args.data.seed,
        level: args.level,
        ..ForecastOptions::default()
    };
    let everyone: Vec<u32> = (0..study.names.len() as u32).collect();
    let bar = context.progress(1, "iterations of the posterior");
    let draws = posterior(
        &problem,
        &everyone,
        &populations,
        &of,
        &options,
        |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            !context.interrupted()
        },
    )?;
    bar.finish_and_clear();
    let records = records(&study);
    let forecasts = forecast(
        &problem,
        &everyone,
        &populations,
        &of,
        &draws,
        &records,
        &options,
    )?;
    let mut outcome = Outcome {
        visible,
        hidden,
        records,
        forecasts,
        calibrations: Vec::new(),
    };
    if let Some(folder) = &args.calibration {
        let known = calibration::read(folder, &study, args.level)?;
        outcome.calibrate(&study, |_| &known);
    } else if args.calibrate {
        outcome.learn(&study, args);
    }
    results::write(&study, &outcome, args, &device, staging, context)
}

/// What was asked for, and what was said.
pub(super) struct Outcome {
    visible: Observations,
    hidden: Vec<Observation>,
    records: Records,
    /// `[patient][record]`
    forecasts: Vec<Vec<Forecast>>,
    /// What later forecasts can use, by observable; empty if nothing was learned.
    calibrations: Vec<Option<Calibration>>,
}

fn cut(args: &ForecastArgs, study: &Study) -> Result<Cut, Failure> {
    if let Some(share) = args.keep_share {
        if !(share > 0.0 && share <= 1.0) {
            return Err(Failure::usage("--keep-share is above 0 and at most 1"));
        }
        return Ok(Cut::Share(share));
    }
    if let Some(text) = &args.after {
        return Ok(Cut::After(positive_time(
            &study.scenario.model,
            "--after",
            text,
        )?));
    }
    Ok(Cut::Last(args.hide_last.unwrap_or(0)))
}

/// The populations that patients are taken to come from, and which one each patient has.
fn populations(
    study: &Study,
    visible: &Problem,
    device: &posology_kernels::device::Device,
    args: &ForecastArgs,
    context: &Context,
) -> Result<(Vec<Population>, Vec<usize>), Failure> {
    let n = study.names.len();
    let one = vec![0; n];
    if args.prior {
        return Ok((vec![study.start.clone()], one));
    }
    if let Some(folder) = &args.fit {
        return Ok((vec![saved::read(folder, study)?], one));
    }
    let Some(folds) = args.folds else {
        let everyone = vec![(0..n as u32).collect()];
        return Ok((train(study, visible, everyone, context)?, one));
    };
    let folds = folds as usize;
    if folds > n {
        return Err(Failure::usage(format!(
            "--folds {folds}, but there are {n} patients"
        )));
    }
    // parts of a seeded order of the patients
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&i| draw(args.data.seed, i as u32, 1, stream::STARTS, 0));
    let mut of = one;
    for (place, &patient) in order.iter().enumerate() {
        of[patient] = place % folds;
    }
    let others = |fold: usize| {
        (0..n)
            .filter(|&i| of[i] != fold)
            .map(|i| i as u32)
            .collect()
    };
    let groups = (0..folds).map(others).collect();
    let whole = study.problem(device, &study.observations)?;
    Ok((train(study, &whole, groups, context)?, of))
}

/// A population for each group of patients, fitted together.
fn train(
    study: &Study,
    problem: &Problem,
    groups: Vec<Vec<u32>>,
    context: &Context,
) -> Result<Vec<Population>, Failure> {
    let start = vec![study.start.clone(); groups.len()];
    let mut fit = Saem::new(problem, groups, start, study.options, None)?;
    study.saem(&mut fit, context, |fit| {
        if context.interrupted() {
            let message = format!(
                "interrupted after {} of {} iterations of the population fit",
                fit.state.iteration,
                fit.total()
            );
            return Err(Failure::new(Class::Interrupted, message)
                .help("`posology fit --out DIR` can be resumed; then --fit DIR"));
        }
        Ok(())
    })?;
    Ok(fit.state.populations)
}

/// Observable and time of every record, by patient.
fn records(study: &Study) -> Records {
    let times = study.dataset.times();
    let mut out = Records {
        observables: vec![Vec::new(); study.names.len()],
        times: vec![Vec::new(); study.names.len()],
    };
    for (lane, records) in study.replay.records.iter().enumerate() {
        let subject = study.replay.subject_of_lane[lane];
        for &record in records {
            out.observables[subject].push(study.replay.observables[record]);
            out.times[subject].push(times[record]);
        }
    }
    out
}

/// First record of each patient.
fn first_records(study: &Study) -> Vec<usize> {
    let mut first = vec![usize::MAX; study.names.len()];
    for (lane, records) in study.replay.records.iter().enumerate() {
        let subject = study.replay.subject_of_lane[lane];
        let lowest = records.first().copied().unwrap_or(usize::MAX);
        first[subject] = first[subject].min(lowest);
    }
    first
}

impl Outcome {
    /// Hidden observations with their forecasts, those of patients who are scored.
    fn scored(&self, study: &Study, args: &ForecastArgs) -> Vec<Scored> {
        let first = first_records(study);
        let mut count = vec![0usize; study.names.len()];
        let mut zero = vec![false; study.names.len()];
        for o in &study.observations.observations {
            count[o.subject] += 1;
            zero[o.subject] |= o.seen.censored() || o.seen.number() <= 0.0;
        }
        let judged = |o: &&Observation| {
            count[o.subject] >= args.at_least && !(args.without_zeros && zero[o.subject])
        };
        let one = |o: &Observation| Scored {
            subject: o.subject,
            time: o.time,
            observable: o.observable,
            seen: o.seen,
            forecast: self.forecasts[o.subject][o.record - first[o.subject]],
            carried: carried(&self.visible.observations, o.subject, o.observable),
        };
        self.hidden.iter().filter(judged).map(one).collect()
    }

    fn scores(&self, study: &Study, args: &ForecastArgs) -> Vec<Scores> {
        let scored = self.scored(study, args);
        (0..study.scenario.model.observables.len())
            .filter(|&o| scored.iter().any(|s| s.observable == o))
            .map(|o| {
                let largest = |subject: usize| {
                    let own = self.visible.observations.iter();
                    own.filter(|x| x.subject == subject && x.observable == o)
                        .map(|x| x.seen.number())
                        .fold(f64::MIN_POSITIVE, f64::max)
                };
                scores(&scored, o, largest, args.data.seed)
            })
            .collect()
    }
}
