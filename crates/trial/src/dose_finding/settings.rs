//! What a trial file says about dose finding.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{
    Coherence, Confirmation, Crm, CrmSettings, DoseDesign, DoseFindingError, Escalation,
    IntervalDesign, IntervalRule, IntervalSettings, ThreePlusThree, skeleton,
};

/// Dose-finding designs by the name that they have in a trial file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DesignKind {
    /// 3+3.
    #[serde(rename = "3+3")]
    ThreePlusThree,
    /// Bayesian optimal interval.
    #[serde(rename = "boin")]
    Boin,
    /// Keyboard.
    #[serde(rename = "keyboard")]
    Keyboard,
    /// Continual reassessment method.
    #[serde(rename = "crm")]
    Crm,
}

impl DesignKind {
    /// Every design.
    pub const ALL: [Self; 4] = [Self::ThreePlusThree, Self::Boin, Self::Keyboard, Self::Crm];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThreePlusThree => "3+3",
            Self::Boin => "boin",
            Self::Keyboard => "keyboard",
            Self::Crm => "crm",
        }
    }
}

impl FromStr for DesignKind {
    /// The names that would have been valid.
    type Err = Vec<&'static str>;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| Self::ALL.map(Self::name).to_vec())
    }
}

/// A design with its settings, as a trial file has them. Settings that a design does not have are
/// refused; those left out take the design's defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoseFindingSettings {
    /// Design.
    pub design: DesignKind,
    /// Probability of toxicity that is aimed at; for the 3+3 only what figures report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Most patients (not for the 3+3, which has at most six per dose).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patients: Option<u32>,
    /// Patients per cohort; default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort_size: Option<u32>,
    /// First dose, counted from one; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<usize>,
    /// BOIN, keyboard: see [`IntervalSettings::stop_at`]; CRM: [`CrmSettings::stop_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_at: Option<u32>,
    /// BOIN, keyboard: posterior probability that eliminates a dose; default 0.95. CRM:
    /// [`CrmSettings::overdose_stop`], off by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elimination: Option<f64>,
    /// BOIN: highest probability that is too low; default 0.6 of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<f64>,
    /// BOIN: lowest probability that is too high; default 1.4 of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toxic: Option<f64>,
    /// BOIN, keyboard: see [`IntervalSettings::extra_safe`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_safe: Option<f64>,
    /// BOIN, keyboard: see [`IntervalSettings::stay_at_one_of_three`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stay_at_one_of_three: Option<bool>,
    /// Keyboard: half-width of the target key; default 0.05. CRM: half-width of the indifference
    /// interval of the skeleton; default 0.05.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halfwidth: Option<f64>,
    /// CRM: prior guesses of toxicity, one per dose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skeleton: Option<Vec<f64>>,
    /// CRM without a skeleton: the dose (from one) that is thought to be the MTD; default the middle
    /// one, of two the lower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior_mtd: Option<usize>,
    /// CRM: standard deviation of the prior; default the square root of 1.34.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior_sd: Option<f64>,
    /// CRM: see [`Escalation`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<Escalation>,
    /// CRM: see [`Coherence`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coherence: Option<Coherence>,
    /// 3+3: see [`Confirmation`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
}

impl DoseFindingSettings {
    /// A design with nothing set.
    pub fn new(design: DesignKind) -> Self {
        Self {
            design,
            target: None,
            patients: None,
            cohort_size: None,
            start: None,
            stop_at: None,
            elimination: None,
            safe: None,
            toxic: None,
            extra_safe: None,
            stay_at_one_of_three: None,
            halfwidth: None,
            skeleton: None,
            prior_mtd: None,
            prior_sd: None,
            escalation: None,
            coherence: None,
            confirmation: None,
        }
    }

    /// The design for a number of doses.
    ///
    /// # Errors
    /// [`DoseFindingError`], one variant per kind of mistake.
    pub fn build(&self, doses: usize) -> Result<Box<dyn DoseDesign>, DoseFindingError> {
        self.refuse_foreign()?;
        let start = self
            .counted_from_zero("start", self.start, doses)?
            .unwrap_or(0);
        match self.design {
            DesignKind::ThreePlusThree => {
                let confirmation = self.confirmation.unwrap_or_default();
                let design = ThreePlusThree::new(doses, start, confirmation)?;
                Ok(Box::new(match self.target {
                    Some(target) => design.reported_with_target(target),
                    None => design,
                }))
            }
            DesignKind::Boin | DesignKind::Keyboard => {
                Ok(Box::new(IntervalDesign::new(self.interval(doses, start)?)?))
            }
            DesignKind::Crm => Ok(Box::new(Crm::new(self.crm(doses, start)?)?)),
        }
    }

    fn interval(&self, doses: usize, start: usize) -> Result<IntervalSettings, DoseFindingError> {
        let target = self.need_target()?;
        let defaults = IntervalSettings::boin(doses, target, self.need_patients()?);
        let rule = match self.design {
            DesignKind::Keyboard => {
                let halfwidth = self.halfwidth.unwrap_or(0.05);
                IntervalRule::Keyboard {
                    below: halfwidth,
                    above: halfwidth,
                }
            }
            _ => IntervalRule::Boin {
                safe: self.safe.unwrap_or(0.6 * target),
                toxic: self.toxic.unwrap_or(1.4 * target),
            },
        };
        Ok(IntervalSettings {
            rule,
            cohort_size: self.cohort_size.unwrap_or(defaults.cohort_size),
            start,
            elimination: self.elimination.unwrap_or(defaults.elimination),
            extra_safe: self.extra_safe,
            stop_at: self.stop_at,
            stay_at_one_of_three: self.stay_at_one_of_three.unwrap_or(false),
            ..defaults
        })
    }

    fn crm(&self, doses: usize, start: usize) -> Result<CrmSettings, DoseFindingError> {
        let target = self.need_target()?;
        let prior_mtd = self.counted_from_zero("prior_mtd", self.prior_mtd, doses)?;
        let prior = match (&self.skeleton, prior_mtd) {
            (Some(prior), None) if self.halfwidth.is_none() => prior.clone(),
            (Some(_), _) => {
                return Err(DoseFindingError::NoSuchSetting {
                    design: "crm with a skeleton",
                    setting: if prior_mtd.is_some() {
                        "prior_mtd"
                    } else {
                        "halfwidth"
                    },
                    meant: "a crm without `skeleton`",
                });
            }
            (None, mtd) => {
                let middle = doses.saturating_sub(1) / 2;
                let halfwidth = self.halfwidth.unwrap_or(0.05);
                skeleton(halfwidth, target, mtd.unwrap_or(middle), doses)?
            }
        };
        if prior.len() != doses {
            return Err(DoseFindingError::DoseCount {
                what: "skeleton",
                count: prior.len(),
                doses,
            });
        }
        let defaults = CrmSettings::new(target, prior, self.need_patients()?);
        Ok(CrmSettings {
            prior_sd: self.prior_sd.unwrap_or(defaults.prior_sd),
            cohort_size: self.cohort_size.unwrap_or(3),
            start,
            escalation: self.escalation.unwrap_or_default(),
            coherence: self.coherence.unwrap_or_default(),
            overdose_stop: self.elimination,
            stop_at: self.stop_at,
            restrict_recommendation: true,
            ..defaults
        })
    }

    fn counted_from_zero(
        &self,
        setting: &'static str,
        dose: Option<usize>,
        doses: usize,
    ) -> Result<Option<usize>, DoseFindingError> {
        match dose {
            Some(dose) if dose == 0 || dose > doses => Err(DoseFindingError::Range {
                design: self.design.name(),
                setting,
                value: dose as f64,
                allowed: format!("a dose between 1 and {doses}"),
            }),
            dose => Ok(dose.map(|dose| dose - 1)),
        }
    }

    fn need_target(&self) -> Result<f64, DoseFindingError> {
        self.target.ok_or(DoseFindingError::Missing {
            design: self.design.name(),
            setting: "target",
            help: "give the probability of toxicity that is aimed at, for example 0.30",
        })
    }

    fn need_patients(&self) -> Result<u32, DoseFindingError> {
        self.patients.ok_or(DoseFindingError::Missing {
            design: self.design.name(),
            setting: "patients",
            help: "give the most patients of the trial, for example 30",
        })
    }

    /// Refuses settings of other designs.
    fn refuse_foreign(&self) -> Result<(), DoseFindingError> {
        use DesignKind::{Boin, Crm, Keyboard};
        let three = "boin, keyboard or crm";
        let rules: [(&'static str, bool, &[DesignKind], &'static str); 14] = [
            (
                "patients",
                self.patients.is_some(),
                &[Boin, Keyboard, Crm],
                three,
            ),
            (
                "cohort_size",
                self.cohort_size.is_some(),
                &[Boin, Keyboard, Crm],
                three,
            ),
            (
                "stop_at",
                self.stop_at.is_some(),
                &[Boin, Keyboard, Crm],
                three,
            ),
            (
                "elimination",
                self.elimination.is_some(),
                &[Boin, Keyboard, Crm],
                three,
            ),
            ("safe", self.safe.is_some(), &[Boin], "boin"),
            ("toxic", self.toxic.is_some(), &[Boin], "boin"),
            (
                "extra_safe",
                self.extra_safe.is_some(),
                &[Boin, Keyboard],
                "boin or keyboard",
            ),
            (
                "stay_at_one_of_three",
                self.stay_at_one_of_three.is_some(),
                &[Boin, Keyboard],
                "boin or keyboard",
            ),
            (
                "halfwidth",
                self.halfwidth.is_some(),
                &[Keyboard, Crm],
                "keyboard or crm",
            ),
            ("skeleton", self.skeleton.is_some(), &[Crm], "crm"),
            ("prior_mtd", self.prior_mtd.is_some(), &[Crm], "crm"),
            ("prior_sd", self.prior_sd.is_some(), &[Crm], "crm"),
            ("escalation", self.escalation.is_some(), &[Crm], "crm"),
            ("coherence", self.coherence.is_some(), &[Crm], "crm"),
        ];
        let confirmation = (
            "confirmation",
            self.confirmation.is_some(),
            &[DesignKind::ThreePlusThree][..],
            "3+3",
        );
        for (setting, given, designs, meant) in rules.into_iter().chain([confirmation]) {
            if given && !designs.contains(&self.design) {
                return Err(DoseFindingError::NoSuchSetting {
                    design: self.design.name(),
                    setting,
                    meant,
                });
            }
        }
        Ok(())
    }
}
