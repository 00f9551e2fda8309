//! The test of Finkelstein and Schoenfeld.

use serde::{Deserialize, Serialize};

use super::counts::{Verdict, compare};
use super::endpoint::{Column, METHOD, WinEndpoint, require_same_patients};
use crate::statistics::StatisticsError;
use crate::statistics::error::require_count;
use crate::statistics::tails::normal_two_sided;

/// Result of the test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FinkelsteinSchoenfeld {
    /// Wins minus losses of the treated arm.
    pub score: f64,
    /// Its permutation variance.
    pub variance: f64,
    /// Standardised score, positive when the treated arm does better.
    pub z: f64,
    /// Two-sided p value.
    pub p_value: f64,
}

/// Test of a hierarchy of endpoints: every patient is compared with every other of both arms, and
/// the sum of the scores of the treated arm is set against its permutation distribution.
/// Finkelstein and Schoenfeld 1999, Stat Med 18:1341. With one time to event it is
/// Gehan's test.
///
/// # Errors
/// [`StatisticsError::TooFew`] without endpoints, `LengthsDiffer` if endpoints have different
/// patients, `NoSpread` if no pair of patients differs.
pub fn finkelstein_schoenfeld(
    endpoints: &[WinEndpoint],
) -> Result<FinkelsteinSchoenfeld, StatisticsError> {
    let (treated, control) = require_same_patients(endpoints)?;
    require_count(METHOD, "treated", treated, 1)?;
    require_count(METHOD, "control", control, 1)?;
    let columns: Vec<Column> = endpoints.iter().map(join).collect();
    let patients = treated + control;
    let mut scores = vec![0_i64; patients];
    for i in 0..patients {
        for j in i + 1..patients {
            let verdicts = columns.iter().map(|column| compare(column, i, column, j));
            match verdicts.into_iter().find(|v| *v != Verdict::Tie) {
                Some(Verdict::Win) => {
                    scores[i] += 1;
                    scores[j] -= 1;
                }
                Some(Verdict::Loss) => {
                    scores[i] -= 1;
                    scores[j] += 1;
                }
                _ => {}
            }
        }
    }
    let score: i64 = scores[..treated].iter().sum();
    let squares: f64 = scores.iter().map(|&u| (u as f64).powi(2)).sum();
    let (first, second, all) = (treated as f64, control as f64, patients as f64);
    let variance = first * second / (all * (all - 1.0)) * squares;
    if variance <= 0.0 {
        return Err(StatisticsError::NoSpread {
            method: METHOD,
            name: "outcome of the pairs".to_owned(),
        });
    }
    let z = score as f64 / variance.sqrt();
    Ok(FinkelsteinSchoenfeld {
        score: score as f64,
        variance,
        z,
        p_value: normal_two_sided(z),
    })
}

fn join(endpoint: &WinEndpoint) -> Column {
    let (treated, control) = (endpoint.treated(), endpoint.control());
    Column {
        reach: [treated.reach.as_slice(), &control.reach].concat(),
        guard: [treated.guard.as_slice(), &control.guard].concat(),
    }
}
