//! Two arms compared within strata.
//!
//! Cochran 1954, Biometrics 10:417; Mantel and Haenszel 1959, J Natl Cancer Inst 22:719.

use serde::{Deserialize, Serialize};

use super::error::{require_count, require_level};
use super::tails::normal_critical;
use super::{ChiSquaredTest, Estimate, StatisticsError, TwoArms};

/// Effects common to all strata, and tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MantelHaenszel {
    /// Strata with both arms.
    pub strata: usize,
    /// Common risk difference, treated minus control. Greenland and Robins 1985, Biometrics
    /// 41:55; variance of Sato, Greenland and Robins 1989, Biometrics 45:1323, valid for few large
    /// and many small strata.
    pub risk_difference: Estimate,
    /// Common risk ratio, with the variance of Greenland and Robins 1985; `None`
    /// without events in one of the arms.
    pub risk_ratio: Option<Estimate>,
    /// Common odds ratio, with the variance of Robins, Breslow and Greenland 1986, Biometrics
    /// 42:311; `None` if it is zero, infinite or undefined.
    pub odds_ratio: Option<Estimate>,
    /// Cochran-Mantel-Haenszel test of no effect in any stratum, without continuity correction;
    /// `None` if no stratum has patients both with and without the event.
    pub test: Option<ChiSquaredTest>,
    /// Breslow-Day test of one odds ratio in all strata, with Tarone's correction (Tarone 1985,
    /// Biometrika 72:91); `None` with fewer than two informative strata or without a common odds
    /// ratio.
    pub homogeneity: Option<ChiSquaredTest>,
}

/// Compares two arms within strata, one table each.
///
/// # Errors
/// [`StatisticsError::TooFew`] without strata, `Level`, `NoSpread` if the risk difference has no
/// variance (every stratum has either no event or only events).
pub fn mantel_haenszel(tables: &[TwoArms], level: f64) -> Result<MantelHaenszel, StatisticsError> {
    require_level(level)?;
    require_count("Mantel-Haenszel method", "strata", tables.len(), 1)?;
    let cells: Vec<Cells> = tables.iter().map(Cells::new).collect();
    let z = normal_critical(level);
    let odds_ratio = common_odds_ratio(&cells);
    Ok(MantelHaenszel {
        strata: tables.len(),
        risk_difference: risk_difference(&cells, z, level)?,
        risk_ratio: risk_ratio(&cells).map(|ratio| on_logarithm(ratio, z, level)),
        odds_ratio: odds_ratio.map(|ratio| on_logarithm(ratio, z, level)),
        test: association(&cells),
        homogeneity: odds_ratio.and_then(|(value, _)| homogeneity(&cells, value)),
    })
}

/// Events and patients of the treated (1) and control (2) arms of one stratum.
struct Cells {
    x1: f64,
    n1: f64,
    x2: f64,
    n2: f64,
    n: f64,
    events: f64,
}

impl Cells {
    fn new(table: &TwoArms) -> Self {
        let (x1, n1, x2, n2) = table.numbers();
        Self {
            x1,
            n1,
            x2,
            n2,
            n: n1 + n2,
            events: x1 + x2,
        }
    }

    /// Hypergeometric variance of the treated events.
    fn variance(&self) -> f64 {
        if self.n <= 1.0 {
            return 0.0;
        }
        let margins = self.n1 * self.n2 * self.events * (self.n - self.events);
        margins / (self.n * self.n * (self.n - 1.0))
    }
}

fn sum(cells: &[Cells], term: impl Fn(&Cells) -> f64) -> f64 {
    cells.iter().map(term).sum()
}

fn on_logarithm((value, variance): (f64, f64), z: f64, level: f64) -> Estimate {
    let margin = z * variance.sqrt();
    Estimate {
        value,
        low: value * (-margin).exp(),
        high: value * margin.exp(),
        level,
    }
}

fn risk_difference(cells: &[Cells], z: f64, level: f64) -> Result<Estimate, StatisticsError> {
    let weight = sum(cells, |c| c.n1 * c.n2 / c.n);
    let value = sum(cells, |c| (c.x1 * c.n2 - c.x2 * c.n1) / c.n) / weight;
    let p = sum(cells, |c| {
        let sizes = c.n1 * c.n2 * (c.n2 - c.n1) / 2.0;
        (c.n1 * c.n1 * c.x2 - c.n2 * c.n2 * c.x1 + sizes) / (c.n * c.n)
    });
    let q = sum(cells, |c| {
        (c.x1 * (c.n2 - c.x2) + c.x2 * (c.n1 - c.x1)) / (2.0 * c.n)
    });
    let variance = (value * p + q) / (weight * weight);
    if variance <= 0.0 {
        return Err(StatisticsError::NoSpread {
            method: "Mantel-Haenszel risk difference",
            name: "event".to_owned(),
        });
    }
    let margin = z * variance.sqrt();
    Ok(Estimate {
        value,
        low: value - margin,
        high: value + margin,
        level,
    })
}

/// Value, and variance of its logarithm.
fn risk_ratio(cells: &[Cells]) -> Option<(f64, f64)> {
    let treated = sum(cells, |c| c.x1 * c.n2 / c.n);
    let control = sum(cells, |c| c.x2 * c.n1 / c.n);
    let spread = sum(cells, |c| {
        (c.n1 * c.n2 * c.events - c.x1 * c.x2 * c.n) / (c.n * c.n)
    });
    (treated > 0.0 && control > 0.0).then(|| (treated / control, spread / (treated * control)))
}

/// Value, and variance of its logarithm.
fn common_odds_ratio(cells: &[Cells]) -> Option<(f64, f64)> {
    let concordant = |c: &Cells| c.x1 * (c.n2 - c.x2) / c.n;
    let discordant = |c: &Cells| c.x2 * (c.n1 - c.x1) / c.n;
    let diagonal = |c: &Cells| (c.x1 + c.n2 - c.x2) / c.n;
    let other = |c: &Cells| (c.x2 + c.n1 - c.x1) / c.n;
    let (r, s) = (sum(cells, concordant), sum(cells, discordant));
    if r == 0.0 || s == 0.0 {
        return None;
    }
    let variance = sum(cells, |c| diagonal(c) * concordant(c)) / (2.0 * r * r)
        + sum(cells, |c| {
            diagonal(c) * discordant(c) + other(c) * concordant(c)
        }) / (2.0 * r * s)
        + sum(cells, |c| other(c) * discordant(c)) / (2.0 * s * s);
    Some((r / s, variance))
}

fn association(cells: &[Cells]) -> Option<ChiSquaredTest> {
    let variance = sum(cells, Cells::variance);
    let excess = sum(cells, |c| c.x1 - c.n1 * c.events / c.n);
    (variance > 0.0).then(|| ChiSquaredTest::new(excess * excess / variance, 1))
}

fn homogeneity(cells: &[Cells], odds_ratio: f64) -> Option<ChiSquaredTest> {
    let informative: Vec<&Cells> = cells.iter().filter(|c| c.variance() > 0.0).collect();
    if informative.len() < 2 {
        return None;
    }
    let (mut statistic, mut excess, mut total) = (0.0, 0.0, 0.0);
    for c in &informative {
        let fitted = expected_events(c, odds_ratio);
        let counts = [
            fitted,
            c.events - fitted,
            c.n1 - fitted,
            c.n2 - c.events + fitted,
        ];
        let variance = counts.iter().map(|x| x.recip()).sum::<f64>().recip();
        statistic += (c.x1 - fitted).powi(2) / variance;
        excess += c.x1 - fitted;
        total += variance;
    }
    let corrected = statistic - excess * excess / total;
    Some(ChiSquaredTest::new(
        corrected.max(0.0),
        informative.len() - 1,
    ))
}

/// Events of the treated arm that give the stratum the common odds ratio with its own margins.
fn expected_events(c: &Cells, odds_ratio: f64) -> f64 {
    let a = 1.0 - odds_ratio;
    let b = c.n2 - c.events + odds_ratio * (c.n1 + c.events);
    let product = odds_ratio * c.n1 * c.events;
    // Root of a x^2 + b x - product within the margins, in the form that does not cancel.
    2.0 * product / (b + (b * b + 4.0 * a * product).max(0.0).sqrt())
}
