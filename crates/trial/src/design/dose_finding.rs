//! `[dose_finding]`: a phase I design over dose levels.

use posology_cohort::Regimen;
use posology_model::Model;
use posology_model::file::Text;
use posology_model::model::Origin;

use super::analysis::{Endpoints, share};
use super::patients::keep;
use super::reader::{Reader, Section};
use super::{Arm, Class};

/// A dose-finding design.
#[derive(Clone, Debug)]
pub struct DoseFinding {
    /// How the next dose is chosen.
    pub design: DoseFindingDesign,
    /// Wanted probability of a dose-limiting toxicity.
    pub target: f64,
    /// Patients who enter together.
    pub cohort_size: usize,
    /// Patients at most.
    pub patients: usize,
    /// From the lowest dose.
    pub doses: Vec<DoseLevel>,
    /// Index of the first dose.
    pub start: usize,
    /// Index of the endpoint that is the dose-limiting toxicity.
    pub dlt: usize,
    /// Prior probabilities of toxicity by dose (CRM); empty if the design chooses its own.
    pub skeleton: Vec<f64>,
    /// Simulated studies.
    pub replicates: usize,
}

/// How the next dose is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoseFindingDesign {
    /// 3+3.
    ThreePlusThree,
    /// Bayesian optimal interval design.
    Boin,
    /// Continual reassessment method.
    Crm,
}

impl DoseFindingDesign {
    /// As the trial file writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThreePlusThree => "3+3",
            Self::Boin => "boin",
            Self::Crm => "crm",
        }
    }
}

/// One dose.
#[derive(Clone, Debug)]
pub struct DoseLevel {
    /// Title of the arm, or the regimen as written.
    pub title: String,
    /// Index of the arm that has this regimen, if the file names one.
    pub arm: Option<usize>,
    /// What is given.
    pub regimen: Regimen,
    /// Where it stands.
    pub origin: Origin,
}

pub(super) fn dose_finding(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &Model,
    arms: &[Arm],
    arm_names: &[Text],
    endpoints: &Endpoints<'_>,
) -> Option<DoseFinding> {
    reader.only(
        section,
        &[
            "design",
            "target",
            "cohort_size",
            "patients",
            "doses",
            "start",
            "dlt",
            "skeleton",
            "replicates",
        ],
    );
    if !section.table.contains_key("design") {
        reader.missing(section, "design", "\"3+3\", \"boin\" or \"crm\"");
    }
    let design = reader.choice(
        section,
        "design",
        &[
            ("3+3", DoseFindingDesign::ThreePlusThree),
            ("boin", DoseFindingDesign::Boin),
            ("crm", DoseFindingDesign::Crm),
        ],
    );
    let target = share(reader, section, "target", 0.3);
    let cohort_size = reader.count(section, "cohort_size", (1, 100), 3) as usize;
    let patients = reader.count(section, "patients", (1, 10_000), 30) as usize;
    let replicates = reader.count(section, "replicates", (10, 10_000_000), 1000) as usize;
    if patients < cohort_size {
        let message = format!("{patients} patients are no cohort of {cohort_size}");
        reader.found.push(section.place.error("T013", message));
    }
    let dlt = reader
        .required_text(
            section,
            "dlt",
            "the endpoint that is the dose-limiting toxicity",
        )
        .and_then(|text| {
            let help = "such as an endpoint with `toxicity`, `grade` and `within`";
            endpoints.of_class(reader, &text, Class::YesNo, help)
        });
    let doses = doses(reader, section, model, arms, arm_names);
    let count = doses.as_ref().map_or(0, Vec::len);
    let start = reader.count(section, "start", (1, count.max(1) as u64), 1) as usize - 1;
    let skeleton = skeleton(reader, section, count);
    Some(DoseFinding {
        design: design?,
        target: target?,
        cohort_size,
        patients,
        doses: doses?,
        start,
        dlt: dlt?,
        skeleton: skeleton?,
        replicates,
    })
}

/// Each entry names an arm, or is a regimen.
fn doses(
    reader: &mut Reader,
    section: &Section<'_>,
    model: &Model,
    arms: &[Arm],
    arm_names: &[Text],
) -> Option<Vec<DoseLevel>> {
    let texts = reader.texts(section, "doses");
    reader.once(&texts, "dose");
    if !section.table.contains_key("doses") {
        let help = "arms or regimens from the lowest dose, such as `doses = [\"60 mg/m2 over 1 h\", \"75 mg/m2 over 1 h\"]`";
        reader.missing(section, "doses", help);
        return None;
    }
    if texts.len() < 2 {
        let message = "a dose-finding study has at least two doses";
        reader.found.push(section.place.error("T007", message));
    }
    let mut out = Vec::new();
    for text in &texts {
        let named = arm_names.iter().any(|name| name.value == text.value);
        if named {
            // an arm that failed was reported
            let index = arms.iter().position(|arm| arm.name == text.value)?;
            let Some((regimen, origin)) = &arms[index].regimen else {
                let message = format!("arm `{}` has no regimen", text.value);
                reader.found.push(text.error("T007", message));
                continue;
            };
            out.push(DoseLevel {
                title: arms[index].title.clone(),
                arm: Some(index),
                regimen: regimen.clone(),
                origin: origin.clone(),
            });
        } else if let Some(regimen) = keep(reader, Regimen::parse(model, &text.value, &text.origin))
        {
            out.push(DoseLevel {
                title: text.value.clone(),
                arm: None,
                regimen,
                origin: text.origin.clone(),
            });
        }
    }
    (out.len() == texts.len()).then_some(out)
}

/// Probabilities that rise with the dose.
fn skeleton(reader: &mut Reader, section: &Section<'_>, doses: usize) -> Option<Vec<f64>> {
    let Some(value) = section.table.get("skeleton") else {
        return Some(Vec::new());
    };
    let place = reader.place(value.span());
    let numbers = reader.numbers(section, "skeleton");
    let skeleton: Vec<f64> = numbers.iter().map(|number| number.value).collect();
    let rises = skeleton.windows(2).all(|pair| pair[0] < pair[1]);
    let inside = skeleton.iter().all(|p| *p > 0.0 && *p < 1.0);
    if rises && inside && (skeleton.len() == doses || doses == 0) {
        return Some(skeleton);
    }
    let message = format!("a skeleton is {doses} probabilities that rise with the dose");
    reader.found.push(place.error("T013", message));
    None
}
