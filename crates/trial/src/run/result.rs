//! What is kept of a cohort in an arm, and how it is written down.

use posology_kernels::simulate::Status;

use super::clinician::Orders;
use crate::table::{Table, Values};

/// A cohort in one arm. Everything per patient is in the order of `members`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArmResult {
    /// Index in the cohort of each patient in this arm, ascending.
    pub members: Vec<usize>,
    /// `[endpoint][member]` in the endpoint's unit. A time without its event is that of its
    /// censoring; NaN for patients who diverged, and for numbers that do not exist.
    pub values: Vec<Vec<f64>>,
    /// `[endpoint][member]`: the event happened, the answer is yes, the response is objective; empty
    /// for endpoints that are numbers.
    pub events: Vec<Vec<bool>>,
    /// How each patient's integration ended.
    pub status: Vec<Status>,
    /// `[toxicity][member]` worst value in the toxicity's unit.
    pub worst: Vec<Vec<f64>>,
    /// `[toxicity][member]` worst grade, 0 if none.
    pub grade: Vec<Vec<f64>>,
    /// Until when the patient was observed, model time: the horizon, his leaving, or the end of the
    /// trial counted from his entry.
    pub until: Vec<f64>,
    /// Treatment as it was given; only under visits.
    pub course: Option<CourseResult>,
    /// What was measured; only under visits.
    pub visits: Option<VisitResult>,
    /// What a clinician ordered; only where one decides.
    pub given: Option<GivenResult>,
    /// Integration steps of all patients.
    pub patient_steps: u64,
}

/// Treatment as it was given to each patient; times are model time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CourseResult {
    /// Cycles begun.
    pub cycles: Vec<f64>,
    /// Cycles that waited at least one visit.
    pub delays: Vec<f64>,
    /// Visits at which a dose level fell.
    pub reductions: Vec<f64>,
    /// End of treatment: stopped, left, all cycles given, or the end of observation.
    pub treated_until: Vec<f64>,
    /// [`crate::protocol::reason`]
    pub reason: Vec<f64>,
    /// Index of each input that is given.
    pub inputs: Vec<usize>,
    /// `[input][member]` given over planned for the whole course.
    pub intensity: Vec<Vec<f64>>,
    /// `[input][member]` amount given, in the input's unit.
    pub dose: Vec<Vec<f64>>,
}

/// Doses that were ordered for each patient.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GivenResult {
    /// When and how.
    pub orders: Orders,
    /// `[drug][member * decisions + decision]` amount given each time, in the input's unit; 0 if
    /// none.
    pub amounts: Vec<Vec<f64>>,
}

/// What was measured at visits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VisitResult {
    /// Times of the visits, model time.
    pub times: Vec<f64>,
    /// `[observed][member * visits + visit]` in the observable's unit; NaN where nothing was measured.
    pub seen: Vec<Vec<f64>>,
    /// `[member * visits + visit]` dose level given at the visit, 0 if none.
    pub level: Vec<f64>,
}

impl ArmResult {
    /// Appends a later part of the same arm.
    pub(crate) fn append(&mut self, part: Self) {
        if self.members.is_empty() {
            *self = part;
            return;
        }
        let join = |all: &mut Vec<Vec<f64>>, part: Vec<Vec<f64>>| {
            for (all, part) in all.iter_mut().zip(part) {
                all.extend(part);
            }
        };
        self.members.extend(part.members);
        join(&mut self.values, part.values);
        for (all, part) in self.events.iter_mut().zip(part.events) {
            all.extend(part);
        }
        self.status.extend(part.status);
        join(&mut self.worst, part.worst);
        join(&mut self.grade, part.grade);
        self.until.extend(part.until);
        self.patient_steps += part.patient_steps;
        if let (Some(all), Some(part)) = (&mut self.course, part.course) {
            for (all, part) in all.columns_mut().into_iter().zip(part.into_columns()) {
                all.extend(part);
            }
        }
        if let (Some(all), Some(part)) = (&mut self.visits, part.visits) {
            join(&mut all.seen, part.seen);
            all.level.extend(part.level);
        }
        if let (Some(all), Some(part)) = (&mut self.given, part.given) {
            join(&mut all.amounts, part.amounts);
        }
    }

    /// Patients who completed, by position in `members`.
    pub fn complete(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.members.len()).filter(|&k| self.status[k] == Status::Completed)
    }

    /// Whether the patient at a position in `members` completed.
    pub fn complete_at(&self, k: usize) -> bool {
        self.status.get(k) == Some(&Status::Completed)
    }

    /// As numbers, so that a part can be stored and read back without loss.
    pub(crate) fn to_table(&self, name: &str) -> Table {
        let mut table = Table::new(name);
        let mut push = |name: String, values: Vec<f64>| {
            table.push(name, "", "", Values::Number(values));
        };
        let n = self.members.len();
        push(
            "member".into(),
            self.members.iter().map(|&m| m as f64).collect(),
        );
        push(
            "status".into(),
            self.status.iter().map(|&s| f64::from(s as u32)).collect(),
        );
        push("until".into(), self.until.clone());
        push("steps".into(), vec![self.patient_steps as f64; n]);
        for (e, values) in self.values.iter().enumerate() {
            push(format!("value {e}"), values.clone());
        }
        for (e, events) in self
            .events
            .iter()
            .enumerate()
            .filter(|(_, events)| !events.is_empty())
        {
            push(
                format!("event {e}"),
                events
                    .iter()
                    .map(|&event| f64::from(u8::from(event)))
                    .collect(),
            );
        }
        for (t, values) in self.worst.iter().enumerate() {
            push(format!("worst {t}"), values.clone());
        }
        for (t, values) in self.grade.iter().enumerate() {
            push(format!("grade {t}"), values.clone());
        }
        if let Some(course) = &self.course {
            for (k, values) in course.clone().into_columns().into_iter().enumerate() {
                push(format!("course {k}"), values);
            }
        }
        if let Some(visits) = &self.visits {
            let count = visits.times.len();
            for (o, seen) in visits.seen.iter().enumerate() {
                for v in 0..count {
                    let at = (0..n).map(|k| seen[k * count + v]).collect();
                    push(format!("seen {o} {v}"), at);
                }
            }
            for v in 0..count {
                let at = (0..n).map(|k| visits.level[k * count + v]).collect();
                push(format!("level {v}"), at);
            }
        }
        if let Some(given) = &self.given {
            let count = given.orders.decisions;
            for (drug, amounts) in given.amounts.iter().enumerate() {
                for d in 0..count {
                    let at = (0..n).map(|k| amounts[k * count + d]).collect();
                    push(format!("given {drug} {d}"), at);
                }
            }
        }
        table
    }

    /// The reverse of [`ArmResult::to_table`]; `like` has the shape (an empty part of the arm).
    pub(crate) fn from_table(table: &Table, like: &Self) -> Option<Self> {
        let column = |name: &str| {
            let column = table.columns.iter().find(|column| column.name == name)?;
            match &column.values {
                Values::Number(values) => Some(values.clone()),
                _ => None,
            }
        };
        let members: Vec<usize> = column("member")?.into_iter().map(|m| m as usize).collect();
        let n = members.len();
        let all = |what: &str, count: usize| -> Option<Vec<Vec<f64>>> {
            (0..count).map(|k| column(&format!("{what} {k}"))).collect()
        };
        let mut events = Vec::new();
        for e in 0..like.values.len() {
            events.push(
                column(&format!("event {e}")).map_or_else(Vec::new, |values| {
                    values.iter().map(|&v| v != 0.0).collect()
                }),
            );
        }
        let course = match &like.course {
            None => None,
            Some(course) => {
                let mut out = course.clone();
                let count = out.columns_mut().len();
                for (k, values) in out.columns_mut().into_iter().enumerate() {
                    *values = column(&format!("course {k}"))?;
                }
                debug_assert!(count >= 5);
                Some(out)
            }
        };
        let gather = |prefix: &str, count: usize| -> Option<Vec<f64>> {
            let columns: Vec<Vec<f64>> = (0..count)
                .map(|v| column(&format!("{prefix} {v}")))
                .collect::<Option<_>>()?;
            Some(
                (0..n)
                    .flat_map(|k| columns.iter().map(move |c| c[k]))
                    .collect(),
            )
        };
        let given = match &like.given {
            None => None,
            Some(given) => {
                let drugs = 0..given.orders.drugs.len();
                let amounts = drugs.map(|k| gather(&format!("given {k}"), given.orders.decisions));
                Some(GivenResult {
                    orders: given.orders.clone(),
                    amounts: amounts.collect::<Option<_>>()?,
                })
            }
        };
        let visits = match &like.visits {
            None => None,
            Some(visits) => {
                let count = visits.times.len();
                Some(VisitResult {
                    times: visits.times.clone(),
                    seen: (0..visits.seen.len())
                        .map(|o| gather(&format!("seen {o}"), count))
                        .collect::<Option<_>>()?,
                    level: gather("level", count)?,
                })
            }
        };
        let status = column("status")?
            .into_iter()
            .map(|code| Status::from_code(code as u32));
        Some(Self {
            values: all("value", like.values.len())?,
            events,
            status: status.collect(),
            worst: all("worst", like.worst.len())?,
            grade: all("grade", like.grade.len())?,
            until: column("until")?,
            patient_steps: column("steps")?.first().map_or(0, |&steps| steps as u64),
            course,
            visits,
            given,
            members,
        })
    }
}

impl CourseResult {
    fn columns_mut(&mut self) -> Vec<&mut Vec<f64>> {
        let mut out = vec![
            &mut self.cycles,
            &mut self.delays,
            &mut self.reductions,
            &mut self.treated_until,
            &mut self.reason,
        ];
        out.extend(self.intensity.iter_mut());
        out.extend(self.dose.iter_mut());
        out
    }

    fn into_columns(self) -> Vec<Vec<f64>> {
        let mut out = vec![
            self.cycles,
            self.delays,
            self.reductions,
            self.treated_until,
            self.reason,
        ];
        out.extend(self.intensity);
        out.extend(self.dose);
        out
    }
}
