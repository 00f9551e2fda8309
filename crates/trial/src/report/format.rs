//! Numbers as readers of trial reports expect them.

use crate::plot::fixed;
use crate::statistics::{Estimate, TimeEstimate};

/// What stands for a value that does not exist.
pub(super) const MISSING: &str = "\u{2013}";

/// A number with fixed digits after the point; a dash if it is not finite.
pub fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() {
        fixed(value, decimals)
    } else {
        MISSING.to_owned()
    }
}

/// A number with this many significant digits; a dash if it is not finite.
pub fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return number(value, 0);
    }
    let digits = i32::try_from(digits.clamp(1, 15)).unwrap_or(15);
    let magnitude = |value: f64| value.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits - 1 - magnitude(value));
    // 9.996 with three digits becomes 10.0, one magnitude higher.
    let rounded = (value * scale).round() / scale;
    if !(-5..12).contains(&magnitude(value)) {
        let text = format!("{:.*e}", digits as usize - 1, value);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
        let power = crate::plot::power_of_ten(exponent.parse().unwrap_or(0));
        return format!("{}\u{d7}{power}", mantissa.replace('-', "\u{2212}"));
    }
    fixed(rounded, (digits - 1 - magnitude(rounded)).max(0) as usize)
}

/// A fraction as a percentage, with a space before the sign.
pub fn percent(fraction: f64, decimals: usize) -> String {
    if fraction.is_finite() {
        format!("{}\u{a0}%", fixed(100.0 * fraction, decimals))
    } else {
        MISSING.to_owned()
    }
}

/// A p value: three digits after the point, or "<0.001".
pub fn p_value(p: f64) -> String {
    if !p.is_finite() {
        MISSING.to_owned()
    } else if p < 0.001 {
        "<0.001".to_owned()
    } else if p > 0.999 {
        ">0.999".to_owned()
    } else {
        fixed(p, 3)
    }
}

/// "0.23 (0.10 to 0.53)". An unbounded limit becomes an infinity sign.
pub fn estimate(estimate: &Estimate, decimals: usize) -> String {
    let limit = |value: f64| match value {
        f64::INFINITY => "\u{221e}".to_owned(),
        f64::NEG_INFINITY => "\u{2212}\u{221e}".to_owned(),
        finite => number(finite, decimals),
    };
    format!(
        "{} ({} to {})",
        number(estimate.value, decimals),
        limit(estimate.low),
        limit(estimate.high)
    )
}

/// "30.6 (17.0 to not reached)": a part that follow-up did not reach says so.
pub fn time_estimate(estimate: &TimeEstimate, decimals: usize) -> String {
    let part = |value: Option<f64>| {
        value.map_or_else(|| "not reached".to_owned(), |value| number(value, decimals))
    };
    match (estimate.value, estimate.low, estimate.high) {
        (None, None, None) => part(None),
        (value, low, high) => format!("{} ({} to {})", part(value), part(low), part(high)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_a_report() {
        assert_eq!(number(12345.678, 1), "12,345.7");
        assert_eq!(number(f64::NAN, 1), MISSING);
        assert_eq!(significant(9.996, 3), "10.0");
        assert_eq!(significant(0.001234, 2), "0.0012");
        assert_eq!(significant(-1.6e13, 2), "\u{2212}1.6\u{d7}10\u{b9}\u{b3}");
        assert_eq!(percent(0.125, 1), "12.5\u{a0}%");
        assert_eq!(p_value(0.00027), "<0.001");
        assert_eq!(p_value(0.0134), "0.013");
        let time = |value, low, high| TimeEstimate {
            value,
            low,
            high,
            level: 0.95,
        };
        assert_eq!(time_estimate(&time(None, None, None), 1), "not reached");
        let text = time_estimate(&time(Some(30.6), Some(17.0), None), 1);
        assert_eq!(text, "30.6 (17.0 to not reached)");
        let e = Estimate {
            value: 1.0,
            low: 0.0,
            high: f64::INFINITY,
            level: 0.95,
        };
        assert_eq!(estimate(&e, 1), "1.0 (0.0 to \u{221e})");
    }
}
