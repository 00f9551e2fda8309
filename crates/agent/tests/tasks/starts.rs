//! Where the treatment of the 32 men began: what the model's virtual men and the evaluation of the
//! abiraterone task start from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use posology_agent::baseline::host::{HostModel, Watched};

use crate::shipped;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../configs/trials/data/abiraterone")
        .join(name)
}

fn rows(path: PathBuf) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}

/// Man, sensitive and resistant cells at his first record on drug: the model carries him,
/// untreated, from his first record to it.
fn starts() -> Vec<(String, f64, f64)> {
    let watched = [Watched::Value("S", "cells"), Watched::Value("R", "cells")];
    let host = HostModel::new(shipped("abiraterone-psa"), &watched).unwrap();
    let number = |row: &BTreeMap<String, String>, key: &str| row[key].parse::<f64>().unwrap();
    let records = rows(data("psa.csv"));
    let mut out = Vec::new();
    for fit in rows(data("published_fits.csv")) {
        let mut slots = host.model.typical_slots();
        for (name, column) in [("S0", "yS0"), ("R0", "yR0"), ("alpha", "alpha")] {
            let slot = host.slot(name).unwrap();
            slots[slot] = number(&fit, column) * host.slot_scale(slot);
        }
        let drug = host.slot("abi_on").unwrap();
        slots[drug] = 0.0;
        let mut walk = host.start(&slots);
        let his = records.iter().filter(|r| r["patient"] == fit["patient"]);
        let first = his.clone().find(|r| number(r, "abi_on") > 0.0).unwrap();
        let begin = number(his.clone().next().unwrap(), "day");
        walk.advance(number(first, "day") - begin, 8);
        out.push((fit["patient"].clone(), walk.watched(0), walk.watched(1)));
    }
    out
}

/// The file beside the population holds what the model and the fits give.
#[test]
fn the_starts_are_those_of_the_fits() {
    let starts = starts();
    let mut text = "patient,S0,R0\n".to_owned();
    for (man, s, r) in &starts {
        writeln!(text, "{man},{s:.4},{r:.4}").unwrap();
    }
    let path = data("../../../populations/data/abiraterone-starts.csv");
    let shipped = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(shipped, text, "the file should be:\n{text}");
}

/// Typical values, standard deviations and correlation of the model's virtual men are those of the
/// logarithms of the 32 starts, to the digits printed.
#[test]
fn virtual_men_scatter_around_the_starts() {
    let starts = starts();
    let model = shipped("abiraterone-psa");
    let n = starts.len() as f64;
    let logs = |of: fn(&(String, f64, f64)) -> f64| -> Vec<f64> {
        starts.iter().map(|start| of(start).ln()).collect()
    };
    let both = [logs(|s| s.1), logs(|s| s.2)];
    let means = both.each_ref().map(|x| x.iter().sum::<f64>() / n);
    let product = |a: usize, b: usize| {
        let pairs = both[a].iter().zip(&both[b]);
        let sum: f64 = pairs.map(|(x, y)| (x - means[a]) * (y - means[b])).sum();
        sum / (n - 1.0)
    };
    for (k, name) in ["S0", "R0"].into_iter().enumerate() {
        let of = model.parameters.iter().find(|p| p.name == name).unwrap();
        let sd = of.iiv.unwrap().omega2.sqrt();
        let (centre, spread) = (means[k].exp(), product(k, k).sqrt());
        println!("{name}: {centre:.2}, sd {spread:.4}");
        assert!((of.value / centre - 1.0).abs() < 1e-3, "{name}: {centre}");
        assert!((sd - spread).abs() < 1e-3, "{name}: {spread}");
    }
    let correlation = product(0, 1) / (product(0, 0) * product(1, 1)).sqrt();
    println!("correlation {correlation:.4}");
    assert!(
        (model.correlations[0].2 - correlation).abs() < 1e-3,
        "{correlation}"
    );
}
