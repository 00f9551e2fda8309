//! `posology forecast`: what was seen up to a cut, then prediction with intervals.

use std::fmt::Write;

use posology_cohort::nmtran::{Observation, Observations};
use posology_cohort::philox::{draw, stream};
use posology_sim::Column;
use posology_twin::forecast::{
    Cut, Forecast, ForecastOptions, Records, forecast, posterior, split,
};
use posology_twin::population::Saem;
use posology_twin::problem::Problem;
use posology_twin::scores::{Comparison, Scored, Scores, carried, scores};
use posology_twin::space::Population;
use serde_json::json;

use crate::args::ForecastArgs;
use crate::commands::fit::saved;
use crate::commands::fit::study::Study;
use crate::commands::fit::tables::short;
use crate::context::{Context, Graceful};
use crate::error::{Class, Failure};
use crate::output::atomic::Staging;
use crate::output::provenance;
use crate::scenario::positive_time;
use crate::table::{self, quoted};

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
    let found = forecast(
        &problem,
        &everyone,
        &populations,
        &of,
        &draws,
        &records,
        &options,
    )?;
    let judged = judge(&study, &visible, &hidden, &found, args);
    write(
        &study, &visible, &hidden, &found, &records, &judged, args, &device, staging, context,
    )
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

fn judge(
    study: &Study,
    visible: &Observations,
    hidden: &[Observation],
    found: &[Vec<Forecast>],
    args: &ForecastArgs,
) -> Vec<Scores> {
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
    let scored: Vec<Scored> = hidden
        .iter()
        .filter(judged)
        .map(|o| Scored {
            subject: o.subject,
            time: o.time,
            observable: o.observable,
            seen: o.seen,
            forecast: found[o.subject][o.record - first[o.subject]],
            carried: carried(&visible.observations, o.subject, o.observable),
        })
        .collect();
    (0..study.scenario.model.observables.len())
        .filter(|&o| scored.iter().any(|s| s.observable == o))
        .map(|o| {
            let largest = |subject: usize| {
                let own = visible.observations.iter();
                own.filter(|x| x.subject == subject && x.observable == o)
                    .map(|x| x.seen.number())
                    .fold(f64::MIN_POSITIVE, f64::max)
            };
            scores(&scored, o, largest, args.data.seed)
        })
        .collect()
}

#[allow(clippy::too_many_arguments)]
fn write(
    study: &Study,
    visible: &Observations,
    hidden: &[Observation],
    found: &[Vec<Forecast>],
    records: &Records,
    judged: &[Scores],
    args: &ForecastArgs,
    device: &posology_kernels::device::Device,
    staging: Option<Staging>,
    context: &Context,
) -> Result<(), Failure> {
    let model = &study.scenario.model;
    let observables = study.observables();
    let first = first_records(study);
    let mut csv = String::from("ID,TIME,DVID,DV,hidden,median,low,high,true_low,true_high\n");
    let mut what: Vec<Vec<Option<(f64, bool)>>> =
        records.times.iter().map(|t| vec![None; t.len()]).collect();
    for (list, is_hidden) in [(&visible.observations[..], false), (hidden, true)] {
        for o in list {
            what[o.subject][o.record - first[o.subject]] = Some((o.seen.number(), is_hidden));
        }
    }
    for (s, name) in study.names.iter().enumerate() {
        for (r, forecast) in found[s].iter().enumerate() {
            let Column {
                name: label, scale, ..
            } = &observables[records.observables[s][r]];
            let (dv, hidden) = match what[s][r] {
                Some((dv, hidden)) => ((dv / scale).to_string(), u8::from(hidden)),
                None => (".".to_owned(), 0),
            };
            let (name, time) = (quoted(name), records.times[s][r]);
            let _ = write!(csv, "{name},{time},{label},{dv},{hidden}");
            for value in [
                forecast.median,
                forecast.low,
                forecast.high,
                forecast.true_low,
                forecast.true_high,
            ] {
                let _ = write!(csv, ",{}", value / scale);
            }
            csv.push('\n');
        }
    }
    let named: Vec<serde_json::Value> = judged
        .iter()
        .map(|s| json!({"observable": observables[s.observable].name, "scores": s}))
        .collect();
    let summary = json!({
        "model": model.name,
        "patients": study.names.len(),
        "visible": visible.observations.len(),
        "hidden": hidden.len(),
        "level": args.level,
        "scores": named,
    });
    let text = render(study, judged, args.level);
    if let Some(staging) = staging {
        staging.write("forecasts.csv", csv.as_bytes())?;
        staging.write_json("summary.json", &summary)?;
        let inputs = [
            (
                "model",
                study.scenario.path.as_path(),
                study.scenario.hash.clone(),
            ),
            (
                "data",
                args.data.data.as_path(),
                provenance::hash_file(&args.data.data)?,
            ),
        ];
        let from = study.scenario.provenance(&device.description, &inputs);
        staging.write_json("provenance.json", &from)?;
        staging.commit()?;
    } else if judged.is_empty() && !context.global.json {
        return context.print(&csv);
    }
    if context.global.json {
        return context.print_json(&summary);
    }
    context.print(&text)?;
    if let Some(out) = &args.out {
        context.note(&format!("written to {}", out.display()));
    }
    Ok(())
}

fn render(study: &Study, judged: &[Scores], level: f64) -> String {
    let observables = study.observables();
    let mut text = String::new();
    for s in judged {
        let Column { name, unit, scale } = &observables[s.observable];
        let _ = writeln!(
            text,
            "{name}: {} hidden observations of {} patients ({} left out)",
            s.observations, s.patients, s.left_out
        );
        let line = |what: &str, c: &Comparison, scale: f64| {
            vec![
                what.to_owned(),
                c.patients.to_string(),
                short(c.forecast / scale),
                short(c.carry_forward / scale),
                format!(
                    "{} ({} to {})",
                    short(c.difference / scale),
                    short(c.interval.0 / scale),
                    short(c.interval.1 / scale)
                ),
            ]
        };
        if s.observations == 0 {
            continue;
        }
        text.push_str(&table::render(
            &[
                "mean absolute error",
                "patients",
                "forecast",
                "carried forward",
                "difference (95 %)",
            ],
            &[
                line(unit, &s.absolute, *scale),
                line("share of the largest", &s.relative, 1.0),
                line("logarithm", &s.logarithm, 1.0),
            ],
        ));
        let _ = writeln!(
            text,
            "{:.1} % lie in their {:.0} % intervals\n",
            100.0 * s.coverage,
            100.0 * level
        );
    }
    text
}
