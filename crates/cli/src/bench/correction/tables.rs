//! The report as text.

use super::CorrectionReport;
use crate::table::{number, render};

pub fn text(report: &CorrectionReport) -> String {
    let header = [
        "missing",
        "seed",
        "population",
        "alpha",
        "R squared",
        "largest share",
        "improvement",
        "se",
        "residual",
        "best epoch",
        "s",
    ];
    let (mut corrections, mut forecasts) = (Vec::new(), Vec::new());
    for run in &report.runs {
        let first = [run.missing.to_owned(), run.seed.to_string()];
        for c in &run.corrections {
            let own = [
                c.population.to_owned(),
                number(c.alpha, 3),
                c.r_squared.map_or("-".to_owned(), |r| number(r, 4)),
                number(c.largest_share, 3),
                number(c.improvement.mean, 3),
                number(c.improvement.se, 2),
                number(c.residual, 3),
                format!("{} of {}", c.best, c.epochs - 1),
                number(c.seconds, 3),
            ];
            corrections.push(first.iter().cloned().chain(own).collect());
        }
        for f in &run.forecasts {
            let own = [
                f.method.to_owned(),
                f.population.to_owned(),
                number(f.errors.observed, 3),
                number(f.errors.exact, 3),
                number(f.ratio, 3),
                number(f.seconds, 3),
            ];
            forecasts.push(first.iter().cloned().chain(own).collect());
        }
    }
    let forecast = [
        "missing",
        "seed",
        "forecast by",
        "population",
        "error, observed",
        "error, exact",
        "ratio to true",
        "s",
    ];
    format!(
        "{}\n{}",
        render(&header, &corrections),
        render(&forecast, &forecasts)
    )
}
