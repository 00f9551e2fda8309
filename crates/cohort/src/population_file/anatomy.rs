//! Anatomy by lean body weight: Huisinga, Solms, Fronton and Pilari 2012, "Modeling
//! interindividual variability in physiologically based pharmacokinetics and its link to
//! mechanistic covariate modeling", CPT Pharmacometrics Syst Pharmacol 1:e5.
//!
//! The reference man and woman (ICRP Publication 89) are a table; a person is the reference of the
//! same sex with
//!
//! * adipose tissue times `(BW - LBW) / (BW_ref - LBW_ref)`,
//! * skin times `BSA / BSA_ref`,
//! * the brain as it is,
//! * everything else, all flows and the cardiac output times
//!   `SV = (BW - adipose - brain - skin) / (same of the reference)`.
//!
//! LBW is the fat-free mass and BSA the formula of [`super::equations`], for the reference too, so
//! that a person of the reference's height and weight has exactly the reference's organs. What the
//! table's organs leave of the reference's weight is an organ `rest`, and what their flows leave of
//! the cardiac output is its flow, so that masses sum to body weight and flows to cardiac output.

mod table;

use std::path::Path;

use posology_model::diagnostic::Diagnostics;

use super::equations::{Sex, body_surface_area, fat_free_mass};

/// How a mass of the table scales with the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    Adipose,
    Skin,
    Constant,
    Lean,
}

/// An organ of the reference man and woman.
#[derive(Clone, Debug, PartialEq)]
pub struct Organ {
    pub name: String,
    pub scaling: Scaling,
    /// kg, of the man and the woman.
    pub mass: [f64; 2],
    /// Share of the cardiac output, of the man and the woman.
    pub flow: Option<[f64; 2]>,
    /// The organ whose mass contains this one (active marrow in the skeleton).
    pub part_of: Option<String>,
    /// The organ whose flow contains this one (the intestine's in the liver's).
    pub flow_into: Option<String>,
}

/// The reference man and woman.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    pub organs: Vec<Organ>,
    /// m, of the man and the woman.
    pub height: [f64; 2],
    /// kg
    pub weight: [f64; 2],
    /// L/min
    pub cardiac_output: [f64; 2],
    /// L, of the plasma and of the erythrocytes.
    pub plasma: [f64; 2],
    pub erythrocytes: [f64; 2],
}

/// A person's anatomy.
#[derive(Clone, Debug, PartialEq)]
pub struct Anatomy {
    /// kg, in the order of [`Reference::organs`].
    pub masses: Vec<f64>,
    /// L/min, in the order of [`Reference::organs`]; not a number where the table gives none.
    pub flows: Vec<f64>,
    /// kg, what the table does not name.
    pub rest: f64,
    /// L/min, to what the table gives no flow.
    pub rest_flow: f64,
    /// L/min
    pub cardiac_output: f64,
    /// kg
    pub fat_free_mass: f64,
    /// L
    pub plasma: f64,
    /// Share of erythrocytes in blood.
    pub haematocrit: f64,
}

impl Reference {
    /// Reads a table of organs (CSV; see `configs/populations/data/icrp89.csv`).
    ///
    /// # Errors
    /// `D005` for a file that cannot be read, those of tables, `D141` for what the anatomy cannot
    /// be computed from.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        table::load(path)
    }

    /// Kilograms of the reference that the table does not name.
    pub fn rest(&self, sex: Sex) -> f64 {
        self.weight[sex as usize] - self.sum_of_masses(sex)
    }

    fn sum_of_masses(&self, sex: Sex) -> f64 {
        let whole = self.organs.iter().filter(|organ| organ.part_of.is_none());
        whole.map(|organ| organ.mass[sex as usize]).sum()
    }

    /// Share of the cardiac output that goes to no organ of the table.
    pub fn rest_flow(&self, sex: Sex) -> f64 {
        let named = self
            .organs
            .iter()
            .filter(|organ| organ.flow_into.is_none() && organ.part_of.is_none())
            .filter_map(|organ| organ.flow);
        1.0 - named.map(|flow| flow[sex as usize]).sum::<f64>()
    }

    /// The anatomy of a person of this height (m) and weight (kg); `None` where none is possible:
    /// less fat than none, or nothing left beside fat, skin and brain.
    pub fn anatomy(&self, sex: Sex, height: f64, weight: f64) -> Option<Anatomy> {
        let at = sex as usize;
        let (ref_height, ref_weight) = (self.height[at], self.weight[at]);
        let lean = fat_free_mass(height, weight, sex);
        let fat = (weight - lean) / (ref_weight - fat_free_mass(ref_height, ref_weight, sex));
        let skin = body_surface_area(height, weight) / body_surface_area(ref_height, ref_weight);
        // the equation for SV, Huisinga 2012: what is neither fat, skin nor brain
        let special = |of: [f64; 2]| -> f64 {
            let organs = self.organs.iter().filter(|organ| organ.part_of.is_none());
            organs
                .map(|organ| match organ.scaling {
                    Scaling::Adipose => organ.mass[at] * of[0],
                    Scaling::Skin => organ.mass[at] * of[1],
                    Scaling::Constant => organ.mass[at],
                    Scaling::Lean => 0.0,
                })
                .sum()
        };
        let factor = (weight - special([fat, skin])) / (ref_weight - special([1.0, 1.0]));
        if !(fat >= 0.0 && factor > 0.0 && factor.is_finite()) {
            return None;
        }
        let scale = |organ: &Organ| match organ.scaling {
            Scaling::Adipose => fat,
            Scaling::Skin => skin,
            Scaling::Constant => 1.0,
            Scaling::Lean => factor,
        };
        let cardiac_output = self.cardiac_output[at] * factor;
        let flow = |organ: &Organ| {
            organ
                .flow
                .map_or(f64::NAN, |share| share[at] * cardiac_output)
        };
        let blood = self.plasma[at] + self.erythrocytes[at];
        Some(Anatomy {
            masses: self
                .organs
                .iter()
                .map(|organ| organ.mass[at] * scale(organ))
                .collect(),
            flows: self.organs.iter().map(flow).collect(),
            rest: self.rest(sex) * factor,
            rest_flow: self.rest_flow(sex) * cardiac_output,
            cardiac_output,
            fat_free_mass: lean,
            plasma: self.plasma[at] * factor,
            haematocrit: self.erythrocytes[at] / blood,
        })
    }
}

impl Anatomy {
    /// Sum of the masses of whole organs and the rest, kg: the body weight.
    pub fn sum_of_masses(&self, reference: &Reference) -> f64 {
        let organs = reference.organs.iter().zip(&self.masses);
        let whole = organs.filter(|(organ, _)| organ.part_of.is_none());
        self.rest + whole.map(|(_, mass)| mass).sum::<f64>()
    }

    /// Sum of the flows that leave the arteries, L/min: the cardiac output.
    pub fn sum_of_flows(&self, reference: &Reference) -> f64 {
        let organs = reference.organs.iter().zip(&self.flows);
        let arterial = organs.filter(|(organ, flow)| {
            organ.flow_into.is_none() && organ.part_of.is_none() && flow.is_finite()
        });
        self.rest_flow + arterial.map(|(_, flow)| flow).sum::<f64>()
    }
}
