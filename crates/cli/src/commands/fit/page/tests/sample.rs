//! A small fit made by hand.

use posology_cohort::nmtran::Seen;
use posology_twin::goodness::{Bin, Row};
use posology_twin::population::fisher::{Estimate, Kind};

use super::super::*;

const MODEL: &str = r#"
name = "decay"
title = "Drug & size <test>"
time = "h"
dt = "0.1 h"
[parameters]
V    = { value = 20, unit = "L", source = "test", iiv = { cv = 0.3, distribution = "log-normal" } }
k    = { value = 0.2, unit = "1/h", source = "test", iiv = { cv = 0.2, distribution = "log-normal" } }
base = { value = 40, unit = "mm", source = "test", iiv = { sd = 10, distribution = "normal" } }
[states.drug]
unit = "mg"
init = "100[mg]"
rate = "-k * drug"
signed = true
[observables.CONC]
expr = "drug / V"
unit = "ug/L"
error = { lognormal = 0.2 }
[observables.SIZE]
expr = "base"
unit = "mm"
error = { additive = "5 mm" }
[observables.UNSEEN]
expr = "drug"
unit = "mg"
"#;

const TIMES: [f64; 5] = [0.5, 1.0, 2.0, 4.0, 8.0];

/// What a page is made of.
pub struct Fit {
    pub model: Model,
    pub space: Space,
    pub patients: Vec<String>,
    pub uncertainty: Option<Uncertainty>,
    pub marginal: Option<Marginal>,
    pub individuals: Vec<Individual>,
    pub goodness: Goodness,
    pub trace: Vec<Population>,
    pub notes: Vec<String>,
}

/// Numbers that look random, within one of zero.
fn wave(i: usize) -> f64 {
    (i as f64 * 12.9898).sin()
}

pub fn fit() -> Fit {
    let model = Model::parse("test.toml", MODEL, None).unwrap_or_else(|found| panic!("{found}"));
    let (space, population) = Space::new(&model, &[]).unwrap();
    let mut rows = Vec::new();
    for patient in 0..20 {
        for (at, &time) in TIMES.iter().enumerate() {
            let noise = |k: usize| wave(7 * patient + 3 * at + k);
            let pred = 5.0 * (-0.2 * time).exp();
            let ipred = pred * (0.3 * wave(patient)).exp();
            let value = ipred * (0.2 * noise(0)).exp();
            let seen = match value {
                v if v < 1.5 => Seen::Below(1.5),
                v if v > 5.5 => Seen::Above(5.5),
                v => Seen::Value(v),
            };
            let residual = |k: usize| (!seen.censored()).then(|| 1.4 * noise(k));
            rows.push(Row {
                patient,
                at: 2 * at,
                observable: 0,
                time,
                seen,
                pred,
                ipred,
                iwres: residual(0),
                cwres: residual(1),
                npde: residual(2),
            });
            rows.push(Row {
                patient,
                at: 2 * at + 1,
                observable: 1,
                time,
                seen: Seen::Value(0.4 + 0.1 * wave(patient) + 0.05 * noise(3)),
                pred: 0.4,
                ipred: 0.4 + 0.1 * wave(patient),
                iwres: Some(noise(3)),
                cwres: Some(noise(4)),
                npde: None,
            });
        }
    }
    let bins = TIMES
        .map(|time| {
            let middle = 5.0 * (-0.2 * time).exp();
            let around = |m: f64| [0.9 * m, m, 1.1 * m];
            Bin {
                observable: 0,
                from: time,
                to: time,
                time,
                count: 20,
                observed: [0.7 * middle, 1.02 * middle, 2.0 * middle],
                simulated: [0.7, 1.0, 1.4].map(|share| around(share * middle)),
            }
        })
        .to_vec();
    let individuals = (0..20)
        .map(|i| Individual {
            phi: vec![20f64.ln() + 0.3 * wave(i), 0.2f64.ln(), 0.4 + 0.1 * wave(i)],
            covariance: vec![0.01, 0.0, 0.0, 0.0, 0.02, 0.0, 0.0, 0.0, 4e-4],
            log_likelihood: -10.0,
            converged: i != 6,
        })
        .collect();
    let trace = (0..60)
        .map(|i| {
            let mut one = population.clone();
            one.mu[0] += 0.3 * wave(i) / (i + 1) as f64;
            one.errors[0][2] = 0.2 + 0.1 / (i + 1) as f64;
            one
        })
        .collect();
    Fit {
        uncertainty: Some(uncertainty()),
        marginal: Some(Marginal {
            minus_two_log_likelihood: 1234.567,
            se: 0.43,
            aic: 1248.5,
            bic: 1255.25,
            log_likelihood: vec![-30.0; 20],
        }),
        patients: (1..=20).map(|i| format!("ID<{i}>")).collect(),
        individuals,
        goodness: Goodness { rows, bins },
        trace,
        notes: vec!["3 doses of nobody".to_owned()],
        model,
        space,
    }
}

fn uncertainty() -> Uncertainty {
    let one = |name: &str, kind, value: f64, unit: &str, rse: f64| Estimate {
        name: name.to_owned(),
        kind,
        value,
        unit: unit.to_owned(),
        se: Some(0.01 * rse * value),
        rse: Some(rse),
        interval: Some((0.9 * value, 1.1 * value)),
        shrinkage: None,
    };
    let mut estimates = vec![
        one("V", Kind::Typical, 21.37, "L", 4.2),
        one("k", Kind::Typical, 0.1931, "1/h", 6.6),
        one("omega2(V)", Kind::Variance, 0.09, "1", 25.5),
        one("omega(V,k)", Kind::Covariance, 0.03, "1", 77.0),
        one("omega2(k)", Kind::Variance, 0.04, "1", 30.5),
        one("omega2(base)", Kind::Variance, 104.0, "1", 12.0),
        one("lognormal(CONC)", Kind::Error, 0.2113, "1", 8.8),
    ];
    estimates[2].shrinkage = Some(12.3);
    estimates[4].shrinkage = Some(61.4);
    estimates[5].se = None;
    estimates[5].rse = None;
    estimates[5].interval = None;
    Uncertainty {
        estimates,
        covariance: Vec::new(),
        condition: 56.78,
        weak: vec![vec!["V".to_owned(), "k".to_owned()]],
    }
}
