//! Against output of NONMEM 7.4.3: the data set `nmtest` of the R package nlmixr2data (made by
//! K. Baron and M. Fidler; GPL, therefore not part of this repository). To run:
//!
//! ```text
//! Rscript -e 'write.csv(nlmixr2data::nmtest, "nmtest.csv", row.names = FALSE, quote = FALSE)'
//! POSOLOGY_NMTEST=nmtest.csv cargo test --release -p posology-cohort --test nonmem -- --ignored
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use posology_cohort::Dataset;

#[test]
#[ignore = "needs a data set that is not distributed with this repository"]
fn records_mean_what_they_mean_to_nonmem() {
    let path = std::env::var("POSOLOGY_NMTEST").expect("POSOLOGY_NMTEST names the file");
    let text = std::fs::read_to_string(path).expect("readable");
    let mut lines = text.lines();
    let header = lines
        .next()
        .expect("header")
        .replace("lagt", "LAG")
        .replace("bioav", "F1");
    let header = header.replace("rat2", "R1").replace("dur2", "D1");
    let names: Vec<&str> = header.split(',').collect();
    let column = |name: &str| names.iter().position(|n| *n == name).expect("column");
    let (id, cp, lag, ii, ss) = (
        column("id"),
        column("cp"),
        column("LAG"),
        column("ii"),
        column("ss"),
    );
    let f = column("F1");
    // where the lag of a steady-state dose exceeds its interval, NONMEM's output is no reference:
    // most of those patients have negative concentrations (closed_forms.rs has the case)
    let field = |line: &str, at: usize| {
        line.split(',')
            .nth(at)
            .expect("field")
            .parse::<f64>()
            .expect("number")
    };
    let mut long_lag: Vec<f64> = text
        .lines()
        .skip(1)
        .filter(|line| {
            field(line, ss) > 0.0 && field(line, lag) >= field(line, ii) && field(line, ii) > 0.0
        })
        .map(|line| field(line, id))
        .collect();
    long_lag.dedup();
    // the output for patients 20, 23 and 24 is that of lag 0 and F 1 to every digit, whatever
    // their columns say
    let plain = |line: &str| {
        let set = |(at, value)| match at {
            at if at == lag => "0",
            at if at == f => "1",
            _ => value,
        };
        line.split(',')
            .enumerate()
            .map(set)
            .collect::<Vec<_>>()
            .join(",")
    };
    let kept: Vec<String> = lines
        .filter(|line| !long_lag.contains(&field(line, id)))
        .map(|line| {
            if [20.0, 23.0, 24.0].contains(&field(line, id)) {
                plain(line)
            } else {
                line.into()
            }
        })
        .collect();
    let model = common::model();
    let data = format!("{}\n{}\n", header.replace(",cp,", ",DV,"), kept.join("\n"));
    let dataset = Dataset::parse("nmtest.csv", data.as_bytes(), &model)
        .unwrap_or_else(|found| panic!("{}", found.render(false)));
    let replay = dataset
        .replay(&model, None)
        .unwrap_or_else(|found| panic!("{}", found.render(false)));
    let seen = common::predict(&model, &dataset, &replay);
    let mut worst: std::collections::BTreeMap<u32, f64> = Default::default();
    for (line, seen) in kept.iter().zip(&seen) {
        // NONMEM printed five digits, of 1000 * mg/L
        let wanted = field(line, cp);
        let error = (1000.0 * seen - wanted).abs() / wanted.abs().max(1.0);
        let entry = worst.entry(field(line, id) as u32).or_default();
        *entry = entry.max(error);
    }
    eprintln!(
        "{} patients compared, {} left out",
        worst.len(),
        long_lag.len()
    );
    let bad: Vec<_> = worst.iter().filter(|(_, error)| **error > 1e-4).collect();
    assert!(bad.is_empty(), "relative error by patient: {bad:?}");
}
