//! One endpoint of a hierarchy, for both arms.

use serde::{Deserialize, Serialize};

use crate::statistics::error::{require_count, require_finite};
use crate::statistics::{StatisticsError, SurvivalSample};

/// Which of two values is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// The larger value; of an event time, the later.
    Higher,
    /// The smaller value; of an event time, the earlier (time to response).
    Lower,
}

/// One endpoint of a hierarchy, with a column for each arm.
#[derive(Debug, Clone, PartialEq)]
pub struct WinEndpoint {
    name: String,
    treated: Column,
    control: Column,
}

/// A patient with `reach` beats one with `guard` if `reach > guard`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Column {
    /// What the patient is known to reach; minus infinity if censoring leaves it open.
    pub(super) reach: Vec<f64>,
    /// What another patient must exceed to beat this one; infinite if censoring leaves it open.
    pub(super) guard: Vec<f64>,
}

impl WinEndpoint {
    /// A time to event. With [`Better::Higher`] a patient wins whose follow-up, with or without
    /// the event, is longer by more than `margin` than the other's time of event; with
    /// [`Better::Lower`] one whose event is earlier by more than `margin` than the end of the
    /// other's follow-up. Anything else is a tie, as in Pocock et al. 2012.
    ///
    /// # Errors
    /// [`StatisticsError::Setting`] unless `margin` is zero or more.
    pub fn time(
        name: impl Into<String>,
        treated: &SurvivalSample,
        control: &SurvivalSample,
        better: Better,
        margin: f64,
    ) -> Result<Self, StatisticsError> {
        require_margin(margin)?;
        let column = |sample: &SurvivalSample| {
            let rows = sample.times().iter().zip(sample.events());
            let (reach, guard) = rows
                .map(|(&time, &event)| match (better, event) {
                    (Better::Higher, true) => (time, time + margin),
                    (Better::Higher, false) => (time, f64::INFINITY),
                    (Better::Lower, true) => (-time, -time + margin),
                    (Better::Lower, false) => (f64::NEG_INFINITY, -time + margin),
                })
                .unzip();
            Column { reach, guard }
        };
        Ok(Self {
            name: name.into(),
            treated: column(treated),
            control: column(control),
        })
    }

    /// A number or an ordinal score, one value per patient. A patient wins who is better by more
    /// than `margin`.
    ///
    /// # Errors
    /// [`StatisticsError::TooFew`] if an arm is empty, `NotFinite`, or `Setting` unless `margin`
    /// is zero or more.
    pub fn number(
        name: impl Into<String>,
        treated: &[f64],
        control: &[f64],
        better: Better,
        margin: f64,
    ) -> Result<Self, StatisticsError> {
        require_margin(margin)?;
        let name = name.into();
        for (arm, values) in [("treated", treated), ("control", control)] {
            let column = format!("{name}, {arm}");
            require_count(METHOD, &column, values.len(), 1)?;
            require_finite(&column, values)?;
        }
        let column = |values: &[f64]| {
            let sign = match better {
                Better::Higher => 1.0,
                Better::Lower => -1.0,
            };
            Column {
                reach: values.iter().map(|value| sign * value).collect(),
                guard: values.iter().map(|value| sign * value + margin).collect(),
            }
        };
        let (treated, control) = (column(treated), column(control));
        Ok(Self {
            name,
            treated,
            control,
        })
    }

    /// Name, as shown in tables and messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn treated(&self) -> &Column {
        &self.treated
    }

    pub(super) fn control(&self) -> &Column {
        &self.control
    }
}

/// Patients of both arms, which all endpoints must agree on.
pub(super) fn require_same_patients(
    endpoints: &[WinEndpoint],
) -> Result<(usize, usize), StatisticsError> {
    let Some(first) = endpoints.first() else {
        return Err(StatisticsError::TooFew {
            name: "endpoints".to_owned(),
            method: METHOD,
            count: 0,
            needed: 1,
        });
    };
    let sizes =
        |endpoint: &WinEndpoint| (endpoint.treated.reach.len(), endpoint.control.reach.len());
    for other in endpoints {
        let pairs = [
            ("treated", sizes(first).0, sizes(other).0),
            ("control", sizes(first).1, sizes(other).1),
        ];
        for (arm, left_count, right_count) in pairs {
            crate::statistics::error::require_same_length(
                &format!("{}, {arm}", first.name),
                left_count,
                &format!("{}, {arm}", other.name),
                right_count,
            )?;
        }
    }
    Ok(sizes(first))
}

pub(super) const METHOD: &str = "win ratio";

fn require_margin(margin: f64) -> Result<(), StatisticsError> {
    if margin >= 0.0 && margin.is_finite() {
        return Ok(());
    }
    Err(StatisticsError::Setting {
        method: METHOD,
        name: "margin",
        value: margin,
        range: "zero or more",
    })
}
