//! Tumour growth inhibition and survival of Bruno 2012.

use super::patient::{Patient, close};

/// Terms of a log median (months) for 75 mm, ECOG 0, several sites, NO16853, at a change of `change`:
/// printed coefficient, half a unit of its last digit, what it is multiplied by.
fn bruno_terms(survival: bool, change: f64) -> Vec<(f64, f64, f64)> {
    if survival {
        vec![
            (3.02, 0.005, 1.0),
            (-0.00231, 0.000005, 75.0),
            (-0.801, 0.0005, change),
            (-0.200, 0.0005, 2.0),
            (0.131, 0.0005, 2.0),
        ]
    } else {
        vec![
            (1.38, 0.005, 1.0),
            (-0.00165, 0.000005, 75.0),
            (-1.18, 0.005, change),
            (0.216, 0.0005, 2.0),
        ]
    }
}

/// 75 mm, ECOG 0, several sites, NO16853: OS 11.8 and 19.3, PFS 3.8 and 7.7 months at +-0.30. Each
/// median must lie where the rounding of the printed coefficients and of the printed median allow;
/// the file must compute what the coefficients say. The 19.3 months do not: see the next test.
#[test]
fn bruno_survival() {
    for (change, os, pfs) in [(0.3, 11.8, 3.8), (-0.3, 19.1, 7.7)] {
        let mut patient = Patient::typical("bruno-tgi");
        patient.put("SLD", 75.0 * (1.0 + change));
        for (survival, name, printed) in [(true, "os_median", os), (false, "pfs_median", pfs)] {
            let terms = bruno_terms(survival, change);
            let centre: f64 = terms.iter().map(|(c, _, x)| c * x).sum();
            let rounding: f64 = terms.iter().map(|(_, half, x)| half * x.abs()).sum();
            let got = patient.value(name, "mo");
            close(name, got, centre.exp(), 1e-12);
            let (low, high) = ((centre - rounding).exp(), (centre + rounding).exp());
            assert!(
                low <= printed + 0.05 && high >= printed - 0.05,
                "{name} {change}: {low} to {high} against {printed}"
            );
            // and the file itself rounds to the printed figure
            assert!((got - printed).abs() < 0.05, "{name} {change}: {got}");
        }
    }
}

/// The published 19.3 months at -0.30 cannot come from the printed coefficients: with every one of
/// them at the end of its rounding the median stays below 19.25. The ratio to the 11.8 months at
/// +0.30 depends on the coefficient of the change alone and is out of reach as well, so no other
/// reference patient would help. 19.1 lies inside the published interval of 17.3 to 21.6.
#[test]
fn bruno_survival_at_shrinkage_is_not_in_the_printed_coefficients() {
    let terms = bruno_terms(true, -0.3);
    let highest: f64 = terms
        .iter()
        .map(|(c, half, x)| c * x + half * x.abs())
        .sum();
    assert!(highest.exp() < 19.25, "{}", highest.exp());
    let steepest = (0.6 * (0.801 + 0.0005f64)).exp();
    assert!(steepest < 19.25 / 11.85, "{steepest}");
    let mut patient = Patient::typical("bruno-tgi");
    patient.put("SLD", 75.0 * 0.7);
    assert!((17.3..21.6).contains(&patient.value("os_median", "mo")));
}

/// A drawn time is the median times exp(sigma z): its quantiles by hand.
#[test]
fn bruno_drawn_times() {
    let slots = [("z_os", 1.0), ("z_pfs", -2.0)];
    let mut patient = Patient::new("bruno-tgi", &slots, &[]);
    let (os, pfs) = (
        patient.value("os_median", "mo"),
        patient.value("pfs_median", "mo"),
    );
    close(
        "OS",
        patient.value("os_time", "mo"),
        os * 0.773f64.exp(),
        1e-12,
    );
    close(
        "PFS",
        patient.value("pfs_time", "mo"),
        pfs * (-2.0 * 0.799f64).exp(),
        1e-12,
    );
}

/// Without treatment the tumour grows at KL; a single docetaxel dose has a closed form:
/// ln(S/S0) = KL t - KD dose KP (1 - exp(-(KP + lambda) t))/(KP + lambda).
#[test]
fn bruno_tumour_in_closed_form() {
    let mut patient = Patient::typical("bruno-tgi");
    patient.bolus("docetaxel", 135.0);
    patient.advance(6.0);
    let rate = 0.1 + 0.045;
    let killed = 0.00128 * 135.0 * 0.1 * (1.0 - f64::exp(-rate * 6.0)) / rate;
    let expected = 75.0 * f64::exp(0.00437 * 6.0 - killed);
    // the numerical limit of 1e9 mm takes 75e-9 of the net growth
    close("size at week 6", patient.value("SLD", "mm"), expected, 1e-8);
}
