//! The page holds what it was given, whatever that is.

use posology_cohort::nmtran::Seen;
use posology_twin::population::fisher::Estimate;

mod markup;
mod sample;

use super::*;
use markup::{has, lacks, sound};
use sample::{Fit, fit};

fn page(fit: &Fit, method: &str) -> String {
    let path = Path::new("models/decay.toml");
    let hashes = [("model", path, "abc123".to_owned())];
    let about = About {
        model: &fit.model,
        method,
        patients: &fit.patients,
        everyone: fit.patients.len(),
        space: &fit.space,
        uncertainty: fit.uncertainty.as_ref(),
        marginal: fit.marginal.as_ref(),
        individuals: &fit.individuals,
        goodness: &fit.goodness,
        trace: &fit.trace,
        explore: 40,
        trained: None,
        missing: 4,
        notes: &fit.notes,
        seed: 17,
        hashes: &hashes,
    };
    let page = html(&about).unwrap_or_else(|failure| panic!("{}", failure.render(false)));
    sound(&page);
    page
}

const SECTIONS: [&str; 8] = [
    "<h2>Data and findings</h2>",
    "<h2>Parameters</h2>",
    "<h2>Individual estimates</h2>",
    "<h2>Goodness of fit</h2>",
    "<h2>Visual predictive check</h2>",
    "<h2>Individual fits</h2>",
    "<h2>Provenance</h2>",
    "<h2>Limits and use</h2>",
];

#[test]
fn a_population_fit_shows_estimates_warnings_and_figures() {
    let page = page(&fit(), "population (SAEM)");
    has(&page, &SECTIONS);
    has(
        &page,
        &[
            "<h2>Convergence</h2>",
            "Estimates over 60 iterations",
            "After 40 ",
        ],
    );
    has(
        &page,
        &[
            "1,234.57",
            "0.43",
            "1,248.50",
            "1,255.25",
            "56.8",
            "not clinical advice",
        ],
    );
    has(
        &page,
        &[
            "Drug &amp; size &lt;test&gt;",
            "3 doses of nobody",
            "models/decay.toml",
            "abc123",
        ],
    );
    has(
        &page,
        &[
            "21.37",
            "19.23 to 23.51",
            "4.2",
            "0.1931",
            "0.2113",
            "(mm)\u{b2}",
        ],
    );
    // 100 sqrt(exp(0.09) - 1), and 0.03 / sqrt(0.09 * 0.04)
    has(&page, &["30.7 %", "r = 0.50", "12.3"]);
    has(
        &page,
        &[
            "do not tell these parameters apart: V, k",
            "above 50 %: omega(V,k) (77 %)",
            "No standard error: omega2(base)",
            "Shrinkage above 30 %: omega2(k)",
            "Not converged: ID&lt;7&gt;",
            "converged in 19",
            // posterior SD of V without a unit, of base in mm
            "0.1000",
            "2.000",
            "4 observation records without a value",
        ],
    );
    has(
        &page,
        &[
            "limit, value below",
            "limit, value above",
            "equal",
            "standard normal",
        ],
    );
    has(
        &page,
        &[
            "5 of 15 observed percentiles",
            "12 of 20 patients",
            "NPDE: mean",
        ],
    );
    lacks(&page, &["UNSEEN", "No population was estimated"]);
    // ug/L: coherent is mg/L
    has(&page, &["CONC (ug/L)", ">2,000<"]);
}

#[test]
fn individual_fits_have_no_table_of_estimates() {
    let mut fit = fit();
    fit.uncertainty = None;
    fit.marginal = None;
    fit.trace.clear();
    let page = page(&fit, "individual (maximum a posteriori)");
    has(&page, &SECTIONS);
    has(
        &page,
        &[
            "individual (maximum a posteriori)",
            "No population was estimated",
        ],
    );
    has(
        &page,
        &["Parameters in the model file", "log-normal", "0.08618"],
    );
    lacks(
        &page,
        &[
            "<h2>Convergence</h2>",
            "AIC",
            "Condition number",
            "Shrinkage above",
        ],
    );
}

#[test]
fn a_sure_fit_has_no_warning() {
    let mut fit = fit();
    if let Some(uncertainty) = &mut fit.uncertainty {
        uncertainty.weak.clear();
        uncertainty.condition = f64::INFINITY;
        let good = |one: &Estimate| one.rse.is_some_and(|rse| rse < 50.0);
        uncertainty.estimates.retain(good);
        uncertainty
            .estimates
            .iter_mut()
            .for_each(|one| one.shrinkage = None);
    }
    fit.notes.clear();
    fit.individuals
        .iter_mut()
        .for_each(|one| one.converged = true);
    let page = page(&fit, "population (SAEM)");
    has(
        &page,
        &[
            "no relative standard error exceeds 50 %",
            "no findings",
            "infinite",
        ],
    );
    lacks(
        &page,
        &["Not identified", "No standard error", "Not converged"],
    );
}

#[test]
fn censored_data_and_no_check_leave_words_in_place_of_figures() {
    let mut fit = fit();
    fit.goodness.bins.clear();
    for row in &mut fit.goodness.rows {
        row.seen = Seen::Below(1.5);
        (row.iwres, row.cwres, row.npde) = (None, None, None);
    }
    let page = page(&fit, "population (SAEM)");
    has(&page, &SECTIONS);
    has(
        &page,
        &[
            "There is no predictive check",
            "too few NPDE",
            "limit, value below",
        ],
    );
    has(&page, &["Residuals without any value have no figure"]);
    lacks(&page, &["limit, value above"]);
}

#[test]
fn numbers_gone_wrong_are_counted_and_left_out() {
    let mut fit = fit();
    for (i, row) in fit.goodness.rows.iter_mut().enumerate() {
        match i % 5 {
            0 => row.pred = f64::NAN,
            1 => row.ipred = f64::INFINITY,
            2 => row.seen = Seen::Value(-1e300),
            3 => (row.iwres, row.cwres) = (Some(f64::NAN), Some(f64::NEG_INFINITY)),
            _ => row.npde = Some(f64::NAN),
        }
    }
    for bin in &mut fit.goodness.bins {
        bin.observed[0] = f64::NAN;
        bin.simulated[2] = [f64::NAN, f64::INFINITY, -1.0];
    }
    fit.individuals[3].phi[0] = f64::NAN;
    fit.individuals[4].covariance[0] = -1.0;
    fit.trace[5].mu[0] = f64::NAN;
    fit.trace[6].errors.clear();
    if let Some(uncertainty) = &mut fit.uncertainty {
        uncertainty.estimates[0].value = f64::NAN;
        uncertainty.estimates[1].rse = Some(f64::NAN);
        uncertainty.estimates[1].interval = Some((f64::NAN, f64::INFINITY));
    }
    let marked = page(&fit, "population (SAEM)");
    has(
        &marked,
        &[
            "40 at typical parameters, 40 at individual estimates",
            "left out",
        ],
    );
    has(
        &marked,
        &[
            "1 values that are not finite are left out",
            "10 are not finite",
        ],
    );
    // nothing at all has a place
    for row in &mut fit.goodness.rows {
        (row.pred, row.ipred, row.seen) = (f64::NAN, f64::NAN, Seen::Value(f64::NAN));
        row.time = f64::NAN;
    }
    has(&page(&fit, "population (SAEM)"), &SECTIONS);
}

#[test]
fn nothing_makes_a_page_too() {
    let mut fit = fit();
    fit.goodness = Goodness::default();
    fit.individuals.clear();
    fit.patients.clear();
    fit.trace.truncate(1);
    let page = page(&fit, "population (SAEM)");
    has(&page, &SECTIONS);
    has(&page, &["There are no observations to look at"]);
}

#[test]
fn many_points_are_thinned_and_one_bin_is_drawn() {
    let mut fit = fit();
    let rows = fit.goodness.rows.clone();
    fit.goodness.rows = (0..60).flat_map(|_| rows.clone()).collect();
    fit.goodness.bins.truncate(1);
    let page = page(&fit, "population (SAEM)");
    has(
        &page,
        &["points are drawn, every so many", "percentiles in one bin"],
    );
    assert!(page.len() < 3_000_000, "{}", page.len());
}
