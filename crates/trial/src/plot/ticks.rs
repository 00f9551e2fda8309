//! Tick positions and their labels.

use super::text::{fixed, power_of_ten};

/// A tick: position in data units, and its label (empty for a minor tick).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub at: f64,
    pub label: String,
}

/// A step of 1, 2 or 5 times a power of ten that gives about `count` intervals.
pub(super) fn nice_step(span: f64, count: usize) -> f64 {
    let raw = span / count.max(1) as f64;
    let magnitude = 10f64.powf(raw.log10().floor());
    let share = raw / magnitude;
    let nice = if share <= 1.0 {
        1.0
    } else if share <= 2.0 {
        2.0
    } else if share <= 5.0 {
        5.0
    } else {
        10.0
    };
    nice * magnitude
}

/// Multiples of `step` within the range.
pub(super) fn linear(low: f64, high: f64, step: f64) -> Vec<Tick> {
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    let largest = low.abs().max(high.abs());
    (first..=last.min(first + 200))
        .map(|index| {
            let at = index as f64 * step;
            Tick {
                at,
                label: linear_label(at, step, largest),
            }
        })
        .collect()
}

fn linear_label(at: f64, step: f64, largest: f64) -> String {
    if at == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e7).contains(&largest) {
        let exponent = largest.log10().floor() as i32;
        let unit = 10f64.powi(exponent);
        return format!(
            "{}\u{d7}{}",
            fixed(at / unit, decimals(step / unit)),
            power_of_ten(exponent)
        );
    }
    fixed(at, decimals(step))
}

/// Digits after the point that a multiple of `step` needs.
fn decimals(step: f64) -> usize {
    (0..9)
        .find(|&digits| {
            let scaled = step * 10f64.powi(digits);
            (scaled - scaled.round()).abs() < 1e-6 * scaled.abs().max(1e-300)
                && scaled.round() != 0.0
        })
        .unwrap_or(9) as usize
}

/// Decades, with 2 and 5 labelled too on short axes, and unlabelled ticks between.
pub(super) fn logarithmic(low: f64, high: f64, count: usize) -> Vec<Tick> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = high.log10() - low.log10();
    let every = ((decades / count.max(1) as f64).ceil() as i32).max(1);
    let plain = low >= 0.99e-3 && high <= 1.01e4;
    let inside = |at: f64| at >= low * (1.0 - 1e-9) && at <= high * (1.0 + 1e-9);
    let label = |digit: i32, exponent: i32| {
        if plain {
            fixed(
                f64::from(digit) * 10f64.powi(exponent),
                (-exponent).max(0) as usize,
            )
        } else if digit == 1 {
            power_of_ten(exponent)
        } else {
            format!("{digit}\u{d7}{}", power_of_ten(exponent))
        }
    };
    let labelled: &[i32] = if decades < 1.0 {
        &[1, 2, 3, 5, 7]
    } else if decades < 2.6 {
        &[1, 2, 5]
    } else {
        &[1]
    };
    let mut ticks = Vec::new();
    for exponent in first..=last {
        for digit in 1..=9 {
            let at = f64::from(digit) * 10f64.powi(exponent);
            let main = labelled.contains(&digit) && exponent.rem_euclid(every) == 0;
            if inside(at) && (main || every == 1) {
                let label = if main {
                    label(digit, exponent)
                } else {
                    String::new()
                };
                ticks.push(Tick { at, label });
            }
        }
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks
            .iter()
            .map(|tick| tick.label.as_str())
            .filter(|label| !label.is_empty())
            .collect()
    }

    #[test]
    fn steps_are_nice() {
        assert_eq!(nice_step(60.0, 6), 10.0);
        assert_eq!(nice_step(1.0, 5), 0.2);
        assert!((nice_step(0.033, 5) - 0.01).abs() < 1e-15);
    }

    #[test]
    fn labels_have_the_digits_they_need() {
        assert_eq!(
            labels(&linear(0.0, 1.0, 0.25)),
            ["0", "0.25", "0.50", "0.75", "1.00"]
        );
        assert_eq!(labels(&linear(-2.0, 2.0, 2.0)), ["\u{2212}2", "0", "2"]);
        assert_eq!(
            labels(&linear(0.0, 2e8, 1e8)),
            ["0", "1\u{d7}10\u{2078}", "2\u{d7}10\u{2078}"]
        );
        assert_eq!(
            labels(&logarithmic(1e3, 1e6, 6)),
            ["10\u{b3}", "10\u{2074}", "10\u{2075}", "10\u{2076}"]
        );
        assert_eq!(
            labels(&logarithmic(0.2, 5.0, 6)),
            ["0.2", "0.5", "1", "2", "5"]
        );
    }
}
