//! Futility boundaries by spending of the type II error.

use serde::{Deserialize, Serialize};

use super::kind::{BoundaryKind, Family};
use super::normal::{root, upper_quantile};
use super::recursion::Walk;
use super::{SequentialError, Spending};

/// A non-binding futility boundary: the critical values for rejection ignore it, so the level is
/// kept even if the sponsor goes on. Pampallona, Tsiatis and Kim 2001, Drug Inf J 35:1113.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FutilitySettings {
    /// Spending function of the type II error; a kind that spends.
    pub kind: BoundaryKind,
    /// Power of the trial if the boundary is followed; 1 minus it is spent.
    pub power: f64,
    /// Parameter of the family, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<f64>,
}

/// Lower critical values on the scale of Z; the last equals the last of `critical`.
///
/// The drift is the one at which the whole type II error is spent exactly when both boundaries
/// meet at the last look.
pub(super) fn boundary(
    times: &[f64],
    critical: &[f64],
    alpha: f64,
    settings: &FutilitySettings,
) -> Result<Vec<f64>, SequentialError> {
    let power = settings.power;
    if !(power > alpha && power < 1.0) {
        return Err(SequentialError::Power { power, alpha });
    }
    let Family::Spends(spending) = settings.kind.family(settings.shape)? else {
        return Err(SequentialError::Shape {
            kind: settings.kind.name(),
            reason: "it does not spend errors; choose lan-demets-of, lan-demets-pocock, lan-demets-power or hwang-shih-decani for futility",
        });
    };
    let beta = 1.0 - power;
    let fixed = upper_quantile(alpha) + upper_quantile(beta);
    let last = times.len();
    let drift = root(0.5 * fixed, 3.0 * fixed + 3.0, |drift| {
        spend(times, critical, beta, spending, drift).0
    })
    .ok_or(SequentialError::NoBoundary { look: last })?;
    Ok(spend(times, critical, beta, spending, drift).1)
}

/// The boundary under one drift, and by how much the type II error at the last look exceeds what
/// is left to spend there.
fn spend(
    times: &[f64],
    critical: &[f64],
    beta: f64,
    spending: Spending,
    drift: f64,
) -> (f64, Vec<f64>) {
    let mut walk = Walk::new(drift);
    let mut bounds = Vec::with_capacity(times.len());
    let mut before = 0.0;
    let mut excess = 0.0;
    for (index, (&time, &critical)) in times.iter().zip(critical).enumerate() {
        let spent = spending.spent(beta, time);
        let scale = time.sqrt();
        match times.get(index + 1) {
            None => {
                excess = walk.below(time, critical * scale) - (spent - before);
                bounds.push(critical);
            }
            Some(&next) => {
                let wanted = (spent - before).max(f64::MIN_POSITIVE).ln();
                let remaining =
                    |z: f64| walk.below(time, z * scale).max(f64::MIN_POSITIVE).ln() - wanted;
                // Without a root below the critical value everyone left would stop.
                let bound = root(-37.0, critical, remaining).unwrap_or(critical);
                bounds.push(bound);
                walk.advance(time, bound * scale, critical * scale, next);
            }
        }
        before = spent;
    }
    (excess, bounds)
}
