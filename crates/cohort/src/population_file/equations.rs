//! Published equations of physiology, each with its paper. Units are those of the paper; callers
//! convert.

/// Which sex the equation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sex {
    Male,
    Female,
}

impl Sex {
    /// From a covariate that is 1 for women and 0 for men; `None` for anything else.
    pub fn of(female: f64) -> Option<Self> {
        match female {
            0.0 => Some(Self::Male),
            1.0 => Some(Self::Female),
            _ => None,
        }
    }
}

/// Glomerular filtration rate, mL/min/1.73 m2, from serum creatinine (mg/dL) and age (years):
/// CKD-EPI 2009 (Levey et al. 2009, Ann Intern Med 150:604) without its term for race, as
/// implemented by httk (`ckd_epi_eq.R`, commit 84443ccd).
pub fn ckd_epi_2009(creatinine: f64, age: f64, sex: Sex) -> f64 {
    let (kappa, alpha, factor) = match sex {
        Sex::Female => (0.7, -0.329, 1.018),
        Sex::Male => (0.9, -0.411, 1.0),
    };
    let ratio = creatinine / kappa;
    141.0 * ratio.min(1.0).powf(alpha) * ratio.max(1.0).powf(-1.209) * 0.993f64.powf(age) * factor
}

/// Body surface area, m2, from height (m) and weight (kg): Mosteller's formula as used by Huisinga
/// et al. 2012, CPT Pharmacometrics Syst Pharmacol 1:e5.
pub fn body_surface_area(height: f64, weight: f64) -> f64 {
    (height * weight / 36.0).sqrt()
}

/// Body mass index, kg/m2, from height (m) and weight (kg).
pub fn body_mass_index(height: f64, weight: f64) -> f64 {
    weight / (height * height)
}

/// Fat-free mass, kg, from height (m) and weight (kg): Janmahasatian et al. 2005, Clin Pharmacokinet
/// 44:1051, as used by Huisinga et al. 2012 for lean body weight.
pub fn fat_free_mass(height: f64, weight: f64, sex: Sex) -> f64 {
    let index = body_mass_index(height, weight);
    match sex {
        Sex::Male => 9270.0 * weight / (6680.0 + 216.0 * index),
        Sex::Female => 9270.0 * weight / (8780.0 + 244.0 * index),
    }
}

/// An equation as a population file names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equation {
    CkdEpi2009,
    BodySurfaceArea,
    BodyMassIndex,
    FatFreeMass,
}

/// An argument or result: its key, and the unit of the paper.
pub struct Quantity {
    pub key: &'static str,
    pub unit: &'static str,
}

const FEMALE: Quantity = Quantity {
    key: "female",
    unit: "1",
};
const HEIGHT: Quantity = Quantity {
    key: "height",
    unit: "m",
};
const WEIGHT: Quantity = Quantity {
    key: "weight",
    unit: "kg",
};

impl Equation {
    pub const ALL: [Self; 4] = [
        Self::CkdEpi2009,
        Self::BodySurfaceArea,
        Self::BodyMassIndex,
        Self::FatFreeMass,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::CkdEpi2009 => "ckd-epi-2009",
            Self::BodySurfaceArea => "body-surface-area",
            Self::BodyMassIndex => "body-mass-index",
            Self::FatFreeMass => "fat-free-mass",
        }
    }

    pub fn source(self) -> &'static str {
        match self {
            Self::CkdEpi2009 => "CKD-EPI 2009: Levey et al., Ann Intern Med 150:604",
            Self::BodySurfaceArea => {
                "sqrt(height * weight / 36), Huisinga et al. 2012, CPT PSP 1:e5"
            }
            Self::BodyMassIndex => "weight / height^2",
            Self::FatFreeMass => {
                "Janmahasatian et al. 2005, Clin Pharmacokinet 44:1051, as in Huisinga 2012"
            }
        }
    }

    pub fn arguments(self) -> &'static [Quantity] {
        match self {
            Self::CkdEpi2009 => &[
                Quantity {
                    key: "creatinine",
                    unit: "mg/dL",
                },
                Quantity {
                    key: "age",
                    unit: "yr",
                },
                FEMALE,
            ],
            Self::BodySurfaceArea | Self::BodyMassIndex => &[HEIGHT, WEIGHT],
            Self::FatFreeMass => &[HEIGHT, WEIGHT, FEMALE],
        }
    }

    pub fn result(self) -> &'static str {
        match self {
            Self::CkdEpi2009 => "mL/min/1.73m2",
            Self::BodySurfaceArea => "m^2",
            Self::BodyMassIndex => "kg/m^2",
            Self::FatFreeMass => "kg",
        }
    }

    /// Value for arguments in the order and units of [`Self::arguments`]; not a number where the
    /// sex is neither 0 nor 1.
    pub fn value(self, arguments: &[f64]) -> f64 {
        let sex = |i: usize| arguments.get(i).copied().and_then(Sex::of);
        match (self, arguments) {
            (Self::CkdEpi2009, &[creatinine, age, _]) => {
                sex(2).map_or(f64::NAN, |sex| ckd_epi_2009(creatinine, age, sex))
            }
            (Self::BodySurfaceArea, &[height, weight]) => body_surface_area(height, weight),
            (Self::BodyMassIndex, &[height, weight]) => body_mass_index(height, weight),
            (Self::FatFreeMass, &[height, weight, _]) => {
                sex(2).map_or(f64::NAN, |sex| fat_free_mass(height, weight, sex))
            }
            _ => f64::NAN,
        }
    }
}
