//! Radiation doses in the terms of radiotherapy. The dose-rate history itself is the model's.

/// Biologically effective dose of fractions, `D (1 + d / (alpha/beta))`: Fowler 1989, Br J Radiol
/// 62:679. Doses in Gy.
pub fn bed_of_fractions(total: f64, per_fraction: f64, alpha_beta: f64) -> f64 {
    total * (1.0 + per_fraction / alpha_beta)
}

/// The dose in fractions of 2 Gy with the same biologically effective dose (EQD2): Withers et al.
/// 1983, Radiother Oncol 1:187.
pub fn eqd2(bed: f64, alpha_beta: f64) -> f64 {
    bed / (1.0 + 2.0 / alpha_beta)
}

/// Biologically effective dose of a dose rate that decays at rate `decay`, with sublethal damage
/// repaired at rate `repair` (per the same time), to the end of the decay:
/// `D (1 + D decay / ((decay + repair) alpha/beta))`: Dale 1985, Br J Radiol 58:515.
pub fn bed_of_decay(dose: f64, decay: f64, repair: f64, alpha_beta: f64) -> f64 {
    dose * (1.0 + dose * decay / ((decay + repair) * alpha_beta))
}
