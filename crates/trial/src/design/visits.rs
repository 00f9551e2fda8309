//! Visits and protocols: what is seen of a patient, when, and what follows from it.
//!
//! ```toml
//! [visits]
//! every = "7 d"                    # patients are seen, and doses are given, at these times only
//! missed = 0.03                    # probability: nothing is measured and nothing given
//! dropout = "0.0005/d"             # hazard of leaving the trial
//! [visits.observe.ANC]             # an observable, with the model's residual error
//! every = "7 d"                    # a multiple of the visits
//! error = true
//!
//! [protocols.standard]
//! rules = [
//!   "ANC < 1.5e9/L on day 1: delay 7 d up to 21 d",
//!   "grade 4 neutropenia: reduce 25 %; second time: stop",
//! ]
//! [arms.d100]
//! regimen = "100 mg/m2 over 1 h every 21 d x 6"
//! protocol = "standard"
//! ```

use posology_model::file::{Origin, Place};

/// When patients are seen and what is measured then.
#[derive(Clone, Debug)]
pub struct Visits {
    /// Time between visits, model time.
    pub every: f64,
    /// As written.
    pub every_text: String,
    /// Probability that a visit (not the first) is missed.
    pub missed: f64,
    /// Hazard of leaving the trial, per model time.
    pub dropout: f64,
    /// What is measured, in the order of the file.
    pub observed: Vec<Observed>,
}

/// An observable as it is measured at visits.
#[derive(Clone, Debug)]
pub struct Observed {
    /// Index of the model's observable.
    pub observable: usize,
    /// Its name.
    pub name: String,
    /// Visits between two measurements; the first visit measures.
    pub every: u32,
    /// With the model's residual error.
    pub error: bool,
    /// Values below are reported as this value, coherent.
    pub lloq: Option<f64>,
}

/// Dose modifications.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// Key in the file.
    pub name: String,
    /// In the order of the file; at the same visit all are looked at, and the strictest holds.
    pub rules: Vec<Rule>,
    /// The citation.
    pub source: String,
}

/// `CONDITION [on day N]: ACTION [; second time: ACTION ...]`
#[derive(Clone, Debug)]
pub struct Rule {
    /// As written.
    pub text: String,
    /// Where it stands.
    pub place: Place,
    /// When it applies.
    pub condition: Condition,
    /// Day of the cycle (from 1) at whose visit it is looked at; otherwise every visit counts, and
    /// what was met since the cycle began is acted on when the next one is due.
    pub day: Option<u32>,
    /// For the first time, the second, ...; the last also holds for every later time.
    pub actions: Vec<Action>,
}

/// What a rule looks at.
#[derive(Clone, Debug)]
pub enum Condition {
    /// `grade 4 neutropenia`: this grade or worse, from the measured value.
    Grade {
        /// Index of the model's toxicity.
        toxicity: usize,
        /// CTCAE grade.
        grade: u8,
    },
    /// A comparison of measured observables (`ANC`), their first and lowest measured values
    /// (`PSA_baseline`, `PSA_nadir`) and covariates; a number without unit beside an observable
    /// is in its unit.
    Measured {
        /// The expression, every number with its unit.
        text: String,
        /// Where it stands.
        origin: Origin,
    },
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `delay 7 d up to 21 d`: the cycle waits visit by visit as long as the condition holds;
    /// beyond the limit treatment stops. Without `up to` it waits for ever. Day 1 only.
    Delay {
        /// Longest wait, model time.
        limit: Option<f64>,
    },
    /// `reduce 25 %` or `reduce docetaxel 25 %`: doses are multiplied by 1 - share from now on.
    Reduce {
        /// Share of the present dose that is taken away.
        share: f64,
        /// Index of the input; all of them if absent.
        input: Option<usize>,
    },
    /// `skip`: the doses of this day (of the whole cycle on day 1) are left out.
    Skip,
    /// `stop`: no further dose.
    Stop,
}

/// How patients come to their arms.
#[derive(Clone, Debug)]
pub struct Allocation {
    /// Each virtual patient goes through every arm; otherwise each is randomised to one.
    pub every_arm: bool,
    /// Patients per arm in a block, in the order of the arms.
    pub ratio: Vec<u32>,
    /// Patients per randomisation block, a multiple of the sum of `ratio`.
    pub block: u32,
    /// Conditions on covariates; each combination has its own blocks.
    pub strata: Vec<Split>,
    /// Patients enter uniformly over this time (model time); follow-up ends for all at the horizon.
    pub accrual: f64,
}

impl Default for Allocation {
    fn default() -> Self {
        Self {
            every_arm: true,
            ratio: Vec::new(),
            block: 0,
            strata: Vec::new(),
            accrual: 0.0,
        }
    }
}

/// A condition on covariates at the start.
#[derive(Clone, Debug)]
pub struct Split {
    /// As written.
    pub text: String,
    /// Positive where it holds; reads slots only.
    pub node: posology_model::graph::NodeId,
}

/// A way to divide the patients.
#[derive(Clone, Debug)]
pub struct Subgroups {
    /// Key in the file.
    pub name: String,
    /// What reports call it.
    pub title: String,
    /// (name, condition), in the order of the file; a patient belongs to the first that holds.
    pub groups: Vec<(String, Split)>,
}
