//! Exposure figures of the pharmacokinetic models. Where an AUC is dose over clearance the
//! tolerance is that of the integration; elsewhere it is the last digit of the printed figure.

use super::patient::{Patient, close};

/// Largest value of an expression on a grid of `step` from now to `end`, and the time above a threshold.
fn peak_and_time_above(
    patient: &mut Patient,
    text: &str,
    unit: &str,
    end: f64,
    step: f64,
    above: f64,
) -> (f64, f64) {
    let (mut peak, mut time) = (patient.value(text, unit), 0.0);
    while patient.time < end {
        patient.advance(patient.time + step);
        let value = patient.value(text, unit);
        peak = peak.max(value);
        time += if value > above { step } else { 0.0 };
    }
    (peak, time)
}

/// Values computed from the printed parameters with an independent integrator; the tolerance is
/// the grid on which peak and time are read.
#[test]
fn paclitaxel_exposure() {
    for (dose, hours, cmax, auc, above) in [
        (315.0, 3.0, 4.60, 15.7, 26.9),
        (144.0, 1.0, 3.67, 5.54, 9.14),
    ] {
        let mut patient = Patient::new("paclitaxel", &[], &[("cp", "umol/L")]);
        patient.infuse("paclitaxel", dose, hours);
        let (peak, after) = peak_and_time_above(&mut patient, "cp", "umol/L", 60.0, 0.05, 0.05);
        // during the infusion the threshold is passed within a minute of its start
        close("Cmax", peak, cmax, 0.003);
        close("time above 0.05", after + hours, above, 0.005);
        patient.advance(400.0);
        close("AUC", patient.integral(0, "umol*h/L"), auc, 0.003);
    }
}

/// Product information, 100 mg/m2: AUC 4.6 h ug/mL, Cmax 3.7 ug/mL, terminal half-life 11.1 h,
/// clearance 21 L/h/m2. Means of patients against a typical patient: within 8 %.
#[test]
fn docetaxel_product_information() {
    let mut patient = Patient::new("docetaxel", &[], &[("cp", "mg/L")]);
    patient.infuse("docetaxel", 180.0, 1.0);
    close("Cmax", patient.value("cp", "mg/L"), 3.7, 0.08);
    patient.advance(60.0);
    let early = patient.value("cp", "mg/L");
    patient.advance(80.0);
    let half_life = 20.0 * 2f64.ln() / (early / patient.value("cp", "mg/L")).ln();
    close("terminal half-life", half_life, 11.1, 0.08);
    patient.advance(500.0);
    close("AUC", patient.integral(0, "mg*h/L"), 4.6, 0.08);
    close(
        "AUC is dose over clearance",
        patient.integral(0, "mg*h/L"),
        180.0 / (5.2 * 7.4),
        1e-6,
    );
    close(
        "clearance",
        patient.value("k10*V1/BSA", "L/h/m^2"),
        21.0,
        0.08,
    );
}

/// AUC = dose/CL and Fm dose/CLm, the paper's own equations; printed 1.73 and 0.89 mg h/L.
#[test]
fn doxorubicin_and_doxorubicinol_exposure() {
    let mut patient = Patient::new("doxorubicin", &[], &[("cp", "mg/L"), ("cm", "mg/L")]);
    patient.infuse("doxorubicin", 108.0, 0.5);
    patient.advance(3000.0);
    close("AUC", patient.integral(0, "mg*h/L"), 108.0 / 62.4, 1e-6);
    close(
        "AUC of doxorubicinol",
        patient.integral(1, "mg*h/L"),
        0.22 * 108.0 / 26.8,
        1e-6,
    );
    close("AUC, printed", patient.integral(0, "mg*h/L"), 1.73, 0.003);
    close(
        "AUC of doxorubicinol, printed",
        patient.integral(1, "mg*h/L"),
        0.89,
        0.006,
    );
}

#[test]
fn epirubicin_exposure() {
    let mut patient = Patient::new("epirubicin", &[], &[("cp", "mg/L")]);
    patient.infuse("epirubicin", 162.0, 0.5);
    patient.advance(2000.0);
    close("AUC", patient.integral(0, "mg*h/L"), 162.0 / 71.7, 1e-6);
    close("AUC, printed", patient.integral(0, "mg*h/L"), 2.26, 0.003);
}

/// Calvert: the dose for AUC 5 is 5 (GFR + 25), and gives that AUC at any GFR.
#[test]
fn carboplatin_meets_its_target_auc() {
    for (gfr, dose) in [(114.667, 698.0), (50.0, 375.0), (125.0, 750.0)] {
        let mut patient = Patient::new("carboplatin", &[("GFR", gfr)], &[("cp", "mg/L")]);
        let calvert = 5.0 * (gfr + 25.0);
        close("dose", calvert, dose, 0.001);
        patient.infuse("carboplatin", calvert, 1.0);
        patient.advance(500.0);
        // 139.667 mL/min is 8.38002 L/h
        close("AUC", patient.integral(0, "mg*min/mL"), 5.0, 1e-5);
    }
    let mut patient = Patient::typical("carboplatin");
    close(
        "clearance",
        patient.value("clearance", "mL/min"),
        139.7,
        0.001,
    );
}

/// Tumour 8.10 and 16.2 Gy at 3 and 6 GBq are medians of simulations with residual error; the
/// typical patient is 8 % above (8.73, 17.48), as an independent reading of the paper found.
/// Salivary glands: 2.06 Gy is calibrated, 2.53 Gy follows within 1.5 % from saturation.
#[test]
fn lutetium_doses_under_the_papers_convention() {
    let integrals = [
        ("S_tumour_i*tumour", "Gy/h"),
        ("S_salivary*salivary", "Gy/h"),
    ];
    for (activity, tumour, derived, salivary) in
        [(3000.0, 8.10, 8.73, 2.06), (6000.0, 16.2, 17.48, 2.53)]
    {
        let mut patient = Patient::new("lu177-psma-siebinga", &[], &integrals);
        patient.bolus("lu177_psma", activity);
        patient.advance(168.0);
        close(
            "tumour, published",
            patient.integral(0, "Gy"),
            tumour,
            0.085,
        );
        close("tumour, derived", patient.integral(0, "Gy"), derived, 0.001);
        close(
            "salivary glands",
            patient.integral(1, "Gy"),
            salivary,
            0.015,
        );
    }
    let mut doubled = Patient::new("lu177-psma-siebinga", &[("TUM_VOL", 3.46)], &[]);
    // "a two-fold increase in tumour volume results in a 1.63-fold increase in k15"
    close(
        "volume effect",
        doubled.value("(TUM_VOL/VOL_ref)^vol_k15", "1"),
        1.63,
        0.002,
    );
}

/// The dose states re-apply decay: an organ that lost nothing to blood would receive
/// S A / lambda; tumour receives less than under the paper's convention over all time.
#[test]
fn lutetium_doses_with_decay() {
    let slots = [
        ("k51", 0.0),
        ("k10", 0.0),
        ("k21", 0.0),
        ("k31", 0.0),
        ("k41", 0.0),
        ("k61", 0.0),
    ];
    let mut patient = Patient::new("lu177-psma-siebinga", &slots, &[]);
    patient.put("tumour", 100.0);
    patient.advance(6000.0);
    let lambda = 2f64.ln() / (6.647 * 24.0);
    let expected = 0.0114e-3 * 3600.0 * 100.0 / lambda;
    close("tumour", patient.value("dose_tumour", "Gy"), expected, 1e-6);
    let mut patient = Patient::typical("lu177-psma-siebinga");
    patient.bolus("lu177_psma", 7400.0);
    patient.advance(4000.0);
    for (dose, per_gbq) in [
        ("dose_tumour", 2.504),
        ("dose_kidney", 0.447),
        ("dose_salivary", 0.299),
        ("dose_liver", 0.1244),
        ("dose_marrow", 0.02569),
    ] {
        close(dose, patient.value(dose, "Gy") / 7.4, per_gbq, 0.003);
    }
}
