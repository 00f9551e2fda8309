//! Prior guesses of toxicity.

use super::DoseFindingError;

/// A skeleton from an indifference interval: if dose `mtd` (counted from zero) is the MTD, the
/// model settles on a dose whose probability lies within `halfwidth` of the target. Lee and Cheung
/// 2009.
///
/// # Errors
/// [`DoseFindingError::Range`] for an interval outside (0, 1) or an `mtd` that is no dose.
pub fn skeleton(
    halfwidth: f64,
    target: f64,
    mtd: usize,
    doses: usize,
) -> Result<Vec<f64>, DoseFindingError> {
    let refuse = |setting, value, allowed: String| DoseFindingError::Range {
        design: "crm",
        setting,
        value,
        allowed,
    };
    if !(target > 0.0 && target < 1.0) {
        return Err(refuse(
            "target",
            target,
            "between 0 and 1, for example 0.25".to_owned(),
        ));
    }
    let most = target.min(1.0 - target);
    if !(halfwidth > 0.0 && halfwidth < most) {
        let allowed = format!("above 0 and below {most}, for example 0.05");
        return Err(refuse("halfwidth", halfwidth, allowed));
    }
    if mtd >= doses {
        let allowed = format!("a dose between 1 and {doses}");
        return Err(refuse("prior_mtd", mtd as f64 + 1.0, allowed));
    }
    // Between neighbours, the exponent that takes the lower one to target + halfwidth takes the
    // upper one to target - halfwidth; so logarithms have a constant ratio.
    let ratio = (target + halfwidth).ln() / (target - halfwidth).ln();
    let steps = |dose: usize| dose as f64 - mtd as f64;
    Ok((0..doses)
        .map(|dose| (target.ln() * ratio.powf(steps(dose))).exp())
        .collect())
}
