//! Continuous distributions as a population file gives them.

use posology_model::file::reader::{Reader, Section};
use posology_model::file::{Number, Place};

use super::super::distribution::Distribution;
use super::super::normal;

/// What a continuous distribution may be given by.
fn forms(kind: &str) -> &'static [&'static [&'static str]] {
    match kind {
        "normal" => &[
            &["mean", "sd"],
            &["mean", "cv"],
            &["mean", "range", "n"],
            &["median", "range", "n"],
        ],
        "lognormal" => &[
            &["mean", "sd"],
            &["mean", "cv"],
            &["median", "cv"],
            &["median", "sd_log"],
            &["median", "range", "n"],
        ],
        "uniform" => &[&["low", "high"]],
        _ => &[&["mean"]],
    }
}

/// The distribution `kind` of a covariate; `None` after an error that was reported.
pub(super) fn read(reader: &mut Reader, section: &Section<'_>, kind: &str) -> Option<Distribution> {
    let inner = reader.section(section, kind, &format!("`{kind}`"))?;
    let forms = forms(kind);
    let mut given: Vec<String> = reader
        .entries(inner.table)
        .into_iter()
        .map(|(key, _)| key.value)
        .collect();
    given.sort();
    let form = forms.iter().find(|form| {
        let mut wanted: Vec<&str> = form.to_vec();
        wanted.sort_unstable();
        wanted == given
    });
    let Some(form) = form else {
        let known: Vec<String> = forms.iter().map(|form| form.join(" and ")).collect();
        let message = if given.is_empty() {
            format!("`{kind}` of {} has no parameters", section.what)
        } else {
            let given = given.join(" and ");
            format!("`{kind}` of {} cannot be given by {given}", section.what)
        };
        let finding = inner.place.error("D111", message);
        reader
            .diagnostics
            .push(finding.help(format!("give {}", known.join(", or "))));
        return None;
    };
    let mut number = |key: &str| {
        let wanted = form.contains(&key) && key != "range";
        if wanted {
            reader.number(&inner, key)
        } else {
            None
        }
    };
    let (mean, sd, cv, sd_log) = (number("mean"), number("sd"), number("cv"), number("sd_log"));
    let (median, n, low, high) = (number("median"), number("n"), number("low"), number("high"));
    let range = if form.contains(&"range") {
        reader.numbers(&inner, "range")
    } else {
        None
    };
    let positive = |reader: &mut Reader, number: &Option<Number>, what: &str| match number {
        Some(number) if number.value <= 0.0 => {
            let message = format!("{what} must be positive");
            reader.diagnostics.push(number.place.error("D112", message));
            None
        }
        other => other.as_ref().map(|number| number.value),
    };
    let spread = match (&sd, &cv, &sd_log) {
        (Some(_), _, _) => positive(reader, &sd, "a standard deviation"),
        (_, Some(_), _) => positive(reader, &cv, "a coefficient of variation"),
        (_, _, Some(_)) => positive(reader, &sd_log, "a standard deviation"),
        _ => None,
    };
    let centre = mean.clone().or(median.clone());
    match kind {
        "uniform" => {
            let (low, high) = (low?, high?);
            if low.value < high.value {
                return Some(Distribution::Uniform {
                    low: low.value,
                    high: high.value,
                });
            }
            let finding = low.place.error("D112", "`low` must be less than `high`");
            reader.diagnostics.push(finding);
            None
        }
        "exponential" => {
            let mean = positive(reader, &centre, "the mean of an exponential distribution")?;
            Some(Distribution::Exponential { mean })
        }
        "normal" => {
            let mean = centre?.value;
            let sd = match (&cv, &range) {
                (Some(_), _) => spread? * mean.abs(),
                (_, Some(range)) => {
                    let (low, high, width) = of_range(reader, range, &n, false)?;
                    (high - low) / width
                }
                _ => spread?,
            };
            Some(Distribution::Normal { mean, sd })
        }
        _ => {
            let centre = positive(reader, &centre, "the centre of a log-normal distribution")?;
            match (&mean, &sd, &cv, &range) {
                (_, _, _, Some(range)) => {
                    let (low, high, width) = of_range(reader, range, &n, true)?;
                    Some(Distribution::LogNormal {
                        mean_log: centre.ln(),
                        sd_log: (high / low).ln() / width,
                    })
                }
                (Some(_), Some(_), ..) => Some(Distribution::log_normal_of_mean(centre, spread?)),
                (Some(_), None, Some(_), _) => {
                    Some(Distribution::log_normal_of_mean(centre, spread? * centre))
                }
                (None, _, Some(_), _) => Some(Distribution::log_normal_of_median(centre, spread?)),
                _ => Some(Distribution::LogNormal {
                    mean_log: centre.ln(),
                    sd_log: spread?,
                }),
            }
        }
    }
}

/// Ends of a reported range and how many standard deviations it is expected to span among `n`.
fn of_range(
    reader: &mut Reader,
    (place, ends): &(Place, Vec<Number>),
    n: &Option<Number>,
    positive: bool,
) -> Option<(f64, f64, f64)> {
    let n = n.as_ref()?;
    if n.value < 2.0 || n.value.fract() != 0.0 || n.value > 1e9 {
        let message = "`n` is the number of patients that the range was observed in";
        reader.diagnostics.push(n.place.error("D112", message));
        return None;
    }
    match ends[..] {
        [Number { value: low, .. }, Number { value: high, .. }]
            if low < high && low.is_finite() && high.is_finite() && (!positive || low > 0.0) =>
        {
            Some((low, high, normal::expected_range(n.value)))
        }
        _ => {
            let wanted = if positive { " and positive" } else { "" };
            let message = format!("a range is two numbers, ascending{wanted}");
            reader.diagnostics.push(place.error("D112", message));
            None
        }
    }
}
