//! Regret to the oracle by treatment cycle.
//!
//! The oracle of a patient is what is best for him over the whole course. The regret at cycle `c`
//! is what the oracle has gained up to the end of that cycle, less what the policy has gained; the
//! increment is what the cycle adds to it. A policy that learns who the patient is has small
//! increments later on. Early regret may be paid back: an oracle may invest before it gains.

use posology_cohort::philox;
use rayon::prelude::*;
use serde::Serialize;

use crate::error::AgentError;
use crate::play::Record;
use crate::spec::CostSpec;
use crate::train::evaluate::{BOOTSTRAP, Estimate, quantile};

/// Additions of the bootstrap beyond which fewer resamples are drawn.
const MOST_WORK: usize = 4_000_000_000;
/// Resamples that are always drawn.
const FEWEST: usize = 200;

/// Courses of the same patients under one kind of policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Courses {
    pub label: String,
    /// One per run of training; they are averaged patient by patient.
    pub runs: Vec<Record>,
}

/// How the statistics are made.
#[derive(Clone, Debug, PartialEq)]
pub struct RegretOptions {
    /// Decisions of a treatment cycle.
    pub decisions_per_cycle: usize,
    /// Decisions of the longest course.
    pub horizon: usize,
    /// Which policy the others are compared with.
    pub against: Option<String>,
    pub seed: u64,
    pub resamples: usize,
}

/// A policy by cycle: means over patients with bootstrap 95 % intervals.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curve {
    pub label: String,
    /// Runs of training that were averaged.
    pub runs: usize,
    #[serde(rename = "return")]
    pub total: Estimate,
    /// Up to the end of each cycle.
    pub regret: Vec<Estimate>,
    /// What each cycle adds.
    pub increment: Vec<Estimate>,
    /// `[cost][cycle]` summed up to the end of each cycle.
    pub costs: Vec<Vec<Estimate>>,
    /// Share of the patients under treatment when the cycle begins.
    pub treated: Vec<f64>,
}

/// By how much less regret a policy has at the last cycle than another.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Reduction {
    pub label: String,
    pub against: String,
    /// `1 - regret / regret of the other`; absent where the other has none. The interval counts a
    /// resample without regret of the other as no reduction whatever (absent bound).
    pub share: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// Regret of policies to the oracle of each patient.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Adaptation {
    pub task: String,
    pub patients: usize,
    pub first_patient: u32,
    pub seed: u64,
    pub deterministic: bool,
    pub decisions_per_cycle: usize,
    pub cycles: usize,
    pub limits: Vec<CostSpec>,
    pub oracle: Oracle,
    pub policies: Vec<Curve>,
    /// Of every other policy against the one that they are compared with.
    pub reductions: Vec<Reduction>,
}

/// What the regret is to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Oracle {
    pub name: String,
    pub title: String,
    #[serde(rename = "return")]
    pub total: Estimate,
    /// Reward up to the end of each cycle.
    pub reward: Vec<Estimate>,
    /// `[cost][cycle]`
    pub costs: Vec<Vec<Estimate>>,
    pub treated: Vec<f64>,
    /// Parameters of each patient's rule, by name.
    pub parameters: Vec<(String, Vec<f64>)>,
}

/// Curves of policies and their oracle; names and numbers of patients are the caller's to add.
///
/// # Errors
/// [`AgentError::Option`] where records hold other patients than the oracle's, there is none, or
/// `against` is no label.
pub fn regret(
    oracle: &Record,
    policies: &[Courses],
    options: &RegretOptions,
) -> Result<Adaptation, AgentError> {
    let refused = |key: &str, value: String, cause: String| AgentError::Option {
        key: key.to_owned(),
        value,
        cause,
    };
    let n = oracle.rewards.len();
    let odd = policies.iter().find(|courses| {
        courses.runs.is_empty() || courses.runs.iter().any(|run| run.rewards.len() != n)
    });
    if n == 0 || odd.is_some() {
        let label = odd.map_or("oracle", |courses| &courses.label);
        return Err(refused(
            "patients",
            n.to_string(),
            format!("the courses of `{label}` are not those of these patients"),
        ));
    }
    if let Some(against) = &options.against
        && !policies.iter().any(|courses| &courses.label == against)
    {
        let labels: Vec<&str> = policies.iter().map(|c| c.label.as_str()).collect();
        let cause = format!("the policies are {}", labels.join(", "));
        return Err(refused("against", against.clone(), cause));
    }
    let size = options.decisions_per_cycle.max(1);
    let cycles = options.horizon.max(1).div_ceil(size);
    // rewards and costs up to the end of each cycle, the oracle first
    let oracle_rows = rows(std::slice::from_ref(oracle), size, cycles);
    let mut series = vec![oracle_rows];
    for courses in policies {
        let mut table = rows(&courses.runs, size, cycles);
        let against = series[0].iter();
        for (row, best) in table.iter_mut().zip(against) {
            // regret in place of the reward
            for (own, best) in row.iter_mut().zip(best).take(cycles) {
                *own = best - *own;
            }
        }
        series.push(table);
    }
    let means: Vec<Vec<f64>> = series.iter().map(|table| mean(table)).collect();
    let resamples = resampled(&series, options);
    let at = |s: usize, column: usize| {
        let values = resamples.iter().map(|of| of[s][column]);
        interval(means[s][column], values)
    };
    let costs = oracle.costs.len();
    let cost_curves = |s: usize| {
        let of = |k: usize| (0..cycles).map(move |c| (1 + k) * cycles + c);
        (0..costs)
            .map(|k| of(k).map(|column| at(s, column)).collect())
            .collect()
    };
    let last = cycles - 1;
    let curves = policies.iter().enumerate().map(|(p, courses)| {
        let s = p + 1;
        let increment = |c: usize| {
            let step = |row: &[f64]| row[c] - if c == 0 { 0.0 } else { row[c - 1] };
            interval(step(&means[s]), resamples.iter().map(|of| step(&of[s])))
        };
        let total = |of: &[Vec<f64>]| of[0][last] - of[s][last];
        Curve {
            label: courses.label.clone(),
            runs: courses.runs.len(),
            total: interval(total(&means), resamples.iter().map(|of| total(of))),
            regret: (0..cycles).map(|c| at(s, c)).collect(),
            increment: (0..cycles).map(increment).collect(),
            costs: cost_curves(s),
            treated: treated(&courses.runs, size, cycles),
        }
    });
    let against = options.against.as_deref();
    let base = against.and_then(|label| policies.iter().position(|c| c.label == label));
    let reductions = base.into_iter().flat_map(|base| {
        let others = (0..policies.len()).filter(move |&p| p != base);
        others.map(move |p| (p, base))
    });
    let reductions = reductions.map(|(p, base)| {
        let share = |of: &[Vec<f64>]| {
            let (own, other) = (of[p + 1][last], of[base + 1][last]);
            if other > 0.0 {
                1.0 - own / other
            } else {
                f64::NEG_INFINITY
            }
        };
        let found = interval(share(&means), resamples.iter().map(|of| share(of)));
        let known = |value: f64| value.is_finite().then_some(value);
        Reduction {
            label: policies[p].label.clone(),
            against: policies[base].label.clone(),
            share: known(found.value),
            low: known(found.low),
            high: known(found.high),
        }
    });
    Ok(Adaptation {
        patients: n,
        seed: options.seed,
        decisions_per_cycle: size,
        cycles,
        oracle: Oracle {
            total: at(0, last),
            reward: (0..cycles).map(|c| at(0, c)).collect(),
            costs: cost_curves(0),
            treated: treated(std::slice::from_ref(oracle), size, cycles),
            ..Oracle::default()
        },
        policies: curves.collect(),
        reductions: reductions.collect(),
        ..Adaptation::default()
    })
}

/// `[patient][signal * cycles + cycle]` sums up to the end of each cycle, reward first, then costs;
/// means over runs.
fn rows(runs: &[Record], size: usize, cycles: usize) -> Vec<Vec<f64>> {
    let n = runs.first().map_or(0, |run| run.rewards.len());
    let share = 1.0 / runs.len().max(1) as f64;
    let one = |patient: usize| {
        let signals = 1 + runs.first().map_or(0, |run| run.costs.len());
        let mut row = vec![0.0; signals * cycles];
        for run in runs {
            let signals = std::iter::once(&run.rewards).chain(&run.costs);
            for (k, signal) in signals.enumerate() {
                for (decision, value) in signal[patient].iter().enumerate() {
                    let cycle = (decision / size).min(cycles - 1);
                    row[k * cycles + cycle] += share * value;
                }
            }
        }
        for signal in row.chunks_mut(cycles) {
            for c in 1..cycles {
                signal[c] += signal[c - 1];
            }
        }
        row
    };
    (0..n).map(one).collect()
}

fn treated(runs: &[Record], size: usize, cycles: usize) -> Vec<f64> {
    let lengths = runs
        .iter()
        .flat_map(|run| run.rewards.iter().map(Vec::len))
        .collect::<Vec<_>>();
    let share = |c: usize| {
        let on = lengths.iter().filter(|&&length| length > c * size).count();
        on as f64 / lengths.len().max(1) as f64
    };
    (0..cycles).map(share).collect()
}

fn mean(table: &[Vec<f64>]) -> Vec<f64> {
    let mut sum = vec![0.0; table.first().map_or(0, Vec::len)];
    for row in table {
        sum.iter_mut().zip(row).for_each(|(s, v)| *s += v);
    }
    let n = table.len().max(1) as f64;
    sum.iter_mut().for_each(|s| *s /= n);
    sum
}

/// `[resample][series][column]` means of the same drawn patients in every series, so that policies
/// are compared in pairs (Efron 1979). The draws depend on the seed only.
fn resampled(series: &[Vec<Vec<f64>>], options: &RegretOptions) -> Vec<Vec<Vec<f64>>> {
    let n = series.first().map_or(0, Vec::len);
    let width: usize = series
        .iter()
        .filter_map(|table| table.first())
        .map(Vec::len)
        .sum();
    let most = (MOST_WORK / (n * width).max(1)).max(FEWEST);
    let one = |resample: usize| {
        let mut counts = vec![0u32; n];
        for block in 0..n.div_ceil(4) {
            let words = philox::draw(options.seed, resample as u32, block as u32, BOOTSTRAP, 0);
            for &word in &words[..(n - 4 * block).min(4)] {
                counts[((u64::from(word) * n as u64) >> 32) as usize] += 1;
            }
        }
        let of = |table: &Vec<Vec<f64>>| {
            let mut sum = vec![0.0; table.first().map_or(0, Vec::len)];
            for (row, &count) in table.iter().zip(&counts).filter(|(_, count)| **count > 0) {
                let share = f64::from(count) / n as f64;
                sum.iter_mut().zip(row).for_each(|(s, v)| *s += share * v);
            }
            sum
        };
        series.iter().map(of).collect()
    };
    (0..options.resamples.min(most))
        .into_par_iter()
        .map(one)
        .collect()
}

fn interval(value: f64, resampled: impl Iterator<Item = f64>) -> Estimate {
    let mut sorted: Vec<f64> = resampled.collect();
    sorted.sort_by(f64::total_cmp);
    Estimate {
        value,
        low: quantile(&sorted, 0.025),
        high: quantile(&sorted, 0.975),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Patients whose rewards and costs of each decision are given.
    fn record(rewards: &[&[f64]], costs: &[&[f64]]) -> Record {
        let own = |rows: &[&[f64]]| rows.iter().map(|row| row.to_vec()).collect();
        Record {
            rewards: own(rewards),
            costs: if costs.is_empty() {
                Vec::new()
            } else {
                vec![own(costs)]
            },
            flags: vec![0; rewards.len()],
        }
    }

    fn courses(label: &str, runs: Vec<Record>) -> Courses {
        Courses {
            label: label.to_owned(),
            runs,
        }
    }

    fn options(decisions_per_cycle: usize) -> RegretOptions {
        RegretOptions {
            decisions_per_cycle,
            horizon: 4,
            against: Some("memoryless".to_owned()),
            seed: 3,
            resamples: 500,
        }
    }

    fn values(of: &[Estimate]) -> Vec<f64> {
        of.iter().map(|estimate| estimate.value).collect()
    }

    #[test]
    fn regret_adds_up_by_cycle() {
        let oracle = record(
            &[&[1.0, 1.0, 2.0, 4.0], &[2.0, 2.0]],
            &[&[1.0; 4], &[3.0; 2]],
        );
        let memoryless = record(&[&[1.0, 0.0, 1.0], &[1.0, 1.0]], &[&[0.0; 3], &[2.0; 2]]);
        let recurrent = record(
            &[&[1.0, 1.0, 1.0, 3.0], &[2.0, 1.0]],
            &[&[0.0; 4], &[0.0; 2]],
        );
        let found = regret(
            &oracle,
            &[
                courses("memoryless", vec![memoryless]),
                courses("recurrent", vec![recurrent]),
            ],
            &options(1),
        )
        .unwrap();
        assert_eq!(found.cycles, 4);
        assert_eq!(values(&found.policies[0].regret), [0.5, 1.5, 2.0, 4.0]);
        assert_eq!(values(&found.policies[0].increment), [0.5, 1.0, 0.5, 2.0]);
        assert_eq!(values(&found.policies[1].regret), [0.0, 0.5, 1.0, 1.5]);
        assert_eq!(found.policies[0].total.value, 2.0);
        assert_eq!(found.policies[0].treated, [1.0, 1.0, 0.5, 0.0]);
        assert_eq!(values(&found.policies[0].costs[0]), [1.0, 2.0, 2.0, 2.0]);
        assert_eq!(values(&found.oracle.costs[0]), [2.0, 4.0, 4.5, 5.0]);
        // 1 - 1.5/4
        assert_eq!(found.reductions.len(), 1);
        assert_eq!(found.reductions[0].share, Some(0.625));
        // one of two patients at a time: regrets 6 and 2, and 2 and 1
        assert_eq!(found.reductions[0].low, Some(0.5));
        assert_eq!(found.reductions[0].high, Some(1.0 - 2.0 / 6.0));
        // two decisions a cycle: the ends of the second and the fourth
        let found = regret(
            &oracle,
            &[courses(
                "memoryless",
                vec![record(
                    &[&[1.0, 0.0, 1.0], &[1.0, 1.0]],
                    &[&[0.0; 3], &[2.0; 2]],
                )],
            )],
            &options(2),
        )
        .unwrap();
        assert_eq!(values(&found.policies[0].regret), [1.5, 4.0]);
    }

    #[test]
    fn an_oracle_has_no_regret_to_itself() {
        let oracle = record(&[&[0.3, 1.7, 0.1], &[2.5, 0.9], &[0.7]], &[]);
        let found = regret(
            &oracle,
            &[
                courses("memoryless", vec![oracle.clone(), oracle.clone()]),
                courses("recurrent", vec![oracle.clone()]),
            ],
            &options(1),
        )
        .unwrap();
        for curve in &found.policies {
            for estimate in curve.regret.iter().chain(&curve.increment) {
                assert_eq!(*estimate, Estimate::default(), "{}", curve.label);
            }
        }
        // a share of nothing is nothing
        assert_eq!(found.reductions[0].share, None);
    }

    /// The interval of the mean regret is that of theory: regrets are normal.
    #[test]
    fn intervals_have_their_width() {
        let n = 1000;
        let rows: Vec<Vec<f64>> = (0..n)
            .map(|i| vec![philox::standard_normal(9, i, 0, 99, 0)])
            .collect();
        let oracle = Record {
            rewards: vec![vec![0.0]; n as usize],
            flags: vec![0; n as usize],
            ..Record::default()
        };
        let own = Record {
            rewards: rows,
            ..oracle.clone()
        };
        let options = RegretOptions {
            horizon: 1,
            against: None,
            ..options(1)
        };
        let found = regret(&oracle, &[courses("a", vec![own])], &options).unwrap();
        let last = found.policies[0].regret[0];
        let width = 2.0 * 1.96 / f64::from(n).sqrt();
        assert!(
            ((last.high - last.low) / width - 1.0).abs() < 0.2,
            "{last:?}"
        );
        assert!(last.low < last.value && last.value < last.high);
    }

    #[test]
    fn other_patients_are_refused() {
        let oracle = record(&[&[1.0], &[1.0]], &[]);
        let one = record(&[&[1.0]], &[]);
        assert!(regret(&oracle, &[courses("memoryless", vec![one])], &options(1)).is_err());
        let error = regret(&oracle, &[courses("a", vec![oracle.clone()])], &options(1));
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("the policies are a")
        );
    }
}
