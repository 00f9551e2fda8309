//! What a fit writes beside its report.

use std::fmt::Write;

use posology_sim::Column;
use posology_twin::goodness::Goodness;
use posology_twin::map::Individual;
use posology_twin::population::{Estimate, fisher::Kind};
use posology_twin::space::Population;

use super::study::Study;
use crate::table::{self, quoted};

/// `individuals.csv`, as `simulate --individuals` reads it: ID, then every parameter that a fit
/// moved, in the unit of the model; the weights of a correction have a file of their own.
pub fn individuals(study: &Study, population: &Population, all: &[Individual]) -> String {
    let (random, fixed) = (&study.space.random, &study.space.fixed[..study.own]);
    let mut text = String::from("ID");
    for entry in random.iter().chain(fixed) {
        let _ = write!(text, ",{}", quoted(&entry.name));
    }
    text.push('\n');
    for (name, individual) in study.names.iter().zip(all) {
        text.push_str(&quoted(name));
        let phis = individual.phi.iter().chain(&population.fixed);
        for (entry, &phi) in random.iter().chain(fixed).zip(phis) {
            let _ = write!(text, ",{}", entry.scale.value(phi) / entry.shown);
        }
        text.push('\n');
    }
    text
}

/// `posteriors.csv`: how well each patient is known. Columns `sd_NAME` are standard deviations of
/// his posterior on the transformed scale of the random effect; `observations` 0 leaves the prior.
pub fn posteriors(study: &Study, all: &[Individual], observations: &[usize]) -> String {
    let random = &study.space.random;
    let p = random.len();
    let mut text = String::from("ID,observations");
    for entry in random {
        let _ = write!(text, ",{}", quoted(&format!("sd_{}", entry.name)));
    }
    text.push_str(",log_likelihood,converged\n");
    for ((name, individual), count) in study.names.iter().zip(all).zip(observations) {
        let _ = write!(text, "{},{count}", quoted(name));
        for k in 0..p {
            let variance = individual.covariance[k * p + k];
            let _ = write!(text, ",{:.6}", variance.max(0.0).sqrt());
        }
        let _ = writeln!(
            text,
            ",{:.6},{}",
            individual.log_likelihood,
            u8::from(individual.converged)
        );
    }
    text
}

/// `predictions.csv`: one line per observation.
pub fn predictions(study: &Study, goodness: &Goodness, who: &[u32]) -> String {
    let observables = study.observables();
    let mut text = String::from("ID,TIME,DVID,DV,CENS,PRED,IPRED,IWRES,CWRES,NPDE\n");
    let number = |value: Option<f64>| {
        let finite = value.filter(|v| v.is_finite());
        finite.map_or_else(|| ".".to_owned(), |v| format!("{v:.6}"))
    };
    for row in &goodness.rows {
        let Column { name, scale, .. } = &observables[row.observable];
        let cens = match row.seen {
            posology_cohort::nmtran::Seen::Value(_) => 0,
            posology_cohort::nmtran::Seen::Below(_) => 1,
            posology_cohort::nmtran::Seen::Above(_) => -1,
        };
        let _ = writeln!(
            text,
            "{},{},{name},{},{cens},{},{},{},{},{}",
            quoted(&study.names[who[row.patient] as usize]),
            row.time,
            row.seen.number() / scale,
            number(Some(row.pred / scale)),
            number(Some(row.ipred / scale)),
            number(row.iwres),
            number(row.cwres),
            number(row.npde),
        );
    }
    text
}

/// The table of parameters for a terminal.
pub fn parameters(estimates: &[Estimate]) -> String {
    let rows: Vec<Vec<String>> = estimates
        .iter()
        .map(|e| {
            let some = |value: Option<f64>, digits: usize| {
                value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
            };
            let interval = e.interval.map_or_else(
                || "-".to_owned(),
                |(low, high)| format!("{} to {}", short(low), short(high)),
            );
            let cv = match e.kind {
                // of a log-normal parameter
                Kind::Variance if e.unit == "1" => {
                    format!("{:.0}", 100.0 * e.value.exp_m1().max(0.0).sqrt())
                }
                _ => String::new(),
            };
            vec![
                e.name.clone(),
                short(e.value),
                e.unit.clone(),
                some(e.rse, 1),
                interval,
                cv,
                some(e.shrinkage, 1).replace('-', if e.shrinkage.is_some() { "-" } else { "" }),
            ]
        })
        .collect();
    table::render(
        &[
            "parameter",
            "estimate",
            "unit",
            "RSE %",
            "95 % interval",
            "CV %",
            "shrinkage %",
        ],
        &rows,
    )
}

/// Four significant digits.
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    if (-3..=8).contains(&digits) {
        format!("{value:.*}", digits.max(0) as usize)
    } else {
        format!("{value:.3e}")
    }
}
