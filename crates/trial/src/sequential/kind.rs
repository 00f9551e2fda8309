//! Families of boundaries.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SequentialError;
use super::normal::{upper, upper_quantile};

/// How critical values are spread over the looks. The names are those of a trial file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BoundaryKind {
    /// Constant on the scale of W: hardly anything early. O'Brien and Fleming 1979,
    /// Biometrics 35:549.
    #[serde(rename = "obrien-fleming")]
    ObrienFleming,
    /// The same critical value at each look. Pocock 1977, Biometrika 64:191.
    #[serde(rename = "pocock")]
    Pocock,
    /// `C t^(shape - 1/2)`; shape 0 is O'Brien-Fleming, 1/2 is Pocock. Wang and Tsiatis 1987,
    /// Biometrics 43:193.
    #[serde(rename = "wang-tsiatis")]
    WangTsiatis,
    /// Spending like O'Brien-Fleming. Lan and DeMets 1983, Biometrika 70:659.
    #[serde(rename = "lan-demets-of")]
    LanDeMetsObrienFleming,
    /// Spending like Pocock. Lan and DeMets 1983.
    #[serde(rename = "lan-demets-pocock")]
    LanDeMetsPocock,
    /// Spending `alpha t^shape`. Kim and DeMets 1987, Biometrika 74:149.
    #[serde(rename = "lan-demets-power")]
    LanDeMetsPower,
    /// Spending `alpha (1 - exp(-shape t)) / (1 - exp(-shape))`. Hwang, Shih and DeCani 1990,
    /// Stat Med 9:1439.
    #[serde(rename = "hwang-shih-decani")]
    HwangShihDeCani,
}

/// How critical values are found.
pub(super) enum Family {
    /// `C t^exponent`, one constant for the whole design.
    Power(f64),
    /// From the level spent until each look.
    Spends(Spending),
}

impl BoundaryKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::ObrienFleming,
        Self::Pocock,
        Self::WangTsiatis,
        Self::LanDeMetsObrienFleming,
        Self::LanDeMetsPocock,
        Self::LanDeMetsPower,
        Self::HwangShihDeCani,
    ];

    /// Its name in a trial file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ObrienFleming => "obrien-fleming",
            Self::Pocock => "pocock",
            Self::WangTsiatis => "wang-tsiatis",
            Self::LanDeMetsObrienFleming => "lan-demets-of",
            Self::LanDeMetsPocock => "lan-demets-pocock",
            Self::LanDeMetsPower => "lan-demets-power",
            Self::HwangShihDeCani => "hwang-shih-decani",
        }
    }

    /// Whether the family has a parameter, `shape`.
    pub const fn has_shape(self) -> bool {
        matches!(
            self,
            Self::WangTsiatis | Self::LanDeMetsPower | Self::HwangShihDeCani
        )
    }

    /// The family with its parameter checked.
    pub(super) fn family(self, shape: Option<f64>) -> Result<Family, SequentialError> {
        let refuse = |reason| SequentialError::Shape {
            kind: self.name(),
            reason,
        };
        let shape = match (self.has_shape(), shape) {
            (true, Some(shape)) if shape.is_finite() => shape,
            (true, Some(_)) => return Err(refuse("`shape` must be a finite number")),
            (true, None) => return Err(refuse("give its parameter as `shape`")),
            (false, Some(_)) => return Err(refuse("it has no parameter; remove `shape`")),
            (false, None) => 0.0,
        };
        Ok(match self {
            Self::ObrienFleming => Family::Power(-0.5),
            Self::Pocock => Family::Power(0.0),
            Self::WangTsiatis if (-1.0..=1.0).contains(&shape) => Family::Power(shape - 0.5),
            Self::WangTsiatis => {
                return Err(refuse(
                    "`shape` must lie between -1 and 1 (0 is O'Brien-Fleming, 0.5 Pocock)",
                ));
            }
            Self::LanDeMetsObrienFleming => Family::Spends(Spending::ObrienFleming),
            Self::LanDeMetsPocock => Family::Spends(Spending::Pocock),
            Self::LanDeMetsPower if shape > 0.0 => Family::Spends(Spending::Power(shape)),
            Self::LanDeMetsPower => return Err(refuse("`shape` must be above 0, for example 3")),
            Self::HwangShihDeCani if shape.abs() <= 40.0 => {
                Family::Spends(Spending::HwangShihDeCani(shape))
            }
            Self::HwangShihDeCani => {
                return Err(refuse(
                    "`shape` must lie between -40 and 40, for example -4",
                ));
            }
        })
    }
}

impl FromStr for BoundaryKind {
    /// The names that would have been valid.
    type Err = Vec<&'static str>;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Self::ALL.map(Self::name).to_vec())
    }
}

/// A spending function: the error probability spent by an information fraction, from 0 at 0 to
/// the whole at 1. Jennison and Turnbull 2000, chapter 7.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spending {
    /// `2 (1 - Phi(z / sqrt(t)))` with `z` the upper `alpha / 2` quantile.
    ObrienFleming,
    /// `alpha ln(1 + (e - 1) t)`.
    Pocock,
    /// `alpha t^rho`.
    Power(f64),
    /// `alpha (1 - exp(-gamma t)) / (1 - exp(-gamma))`.
    HwangShihDeCani(f64),
}

impl Spending {
    /// Spent by `fraction` of the information, out of `alpha` (of one side of the test).
    pub fn spent(self, alpha: f64, fraction: f64) -> f64 {
        if fraction <= 0.0 {
            return 0.0;
        }
        if fraction >= 1.0 {
            return alpha;
        }
        match self {
            Self::ObrienFleming => 2.0 * upper(upper_quantile(0.5 * alpha) / fraction.sqrt()),
            Self::Pocock => alpha * ((std::f64::consts::E - 1.0) * fraction).ln_1p(),
            Self::Power(rho) => alpha * fraction.powf(rho),
            Self::HwangShihDeCani(gamma) if gamma.abs() < 1e-8 => alpha * fraction,
            Self::HwangShihDeCani(gamma) => {
                alpha * (-gamma * fraction).exp_m1() / (-gamma).exp_m1()
            }
        }
    }
}
