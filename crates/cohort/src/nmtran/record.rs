//! One row of an event table: its items, checked for themselves.

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::graph::Node;
use posology_model::model::Model;

use super::layout::Layout;
use super::schedule::Steady;
use crate::dosing::DoseRule;
use crate::table::Table;

/// Additional doses of one record beyond which ADDL is taken for a slip.
const MOST_ADDITIONAL: f64 = 100_000.0;

/// A row, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub row: usize,
    /// Model time unit.
    pub time: f64,
    pub kind: Kind,
    /// What PRED is.
    pub observable: usize,
    /// Coherent values of the slot columns; carried forward from earlier rows, or back from the
    /// first value of the patient.
    pub slots: Vec<f64>,
}

/// The EVID item with what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// EVID 0 and 2.
    Observation,
    /// EVID 1.
    Dose(Dose),
    /// EVID 3.
    Reset,
    /// EVID 4.
    ResetAndDose(Dose),
}

/// A dosing record; amounts in coherent units of the input, before its conversion to the state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dose {
    pub input: usize,
    pub amount: f64,
    pub rate: Rate,
    pub steady: Steady,
    pub interval: f64,
    pub additional: u32,
}

/// The RATE item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rate {
    Bolus,
    Given(f64),
    /// RATE = -1.
    Modelled,
    /// RATE = -2.
    ModelledDuration,
}

/// Reads rows one after the other.
pub(crate) struct Reader<'a> {
    pub(super) model: &'a Model,
    pub(super) table: &'a Table,
    pub(super) layout: &'a Layout,
    rules: Vec<DoseRule>,
    /// For each state the only observable that reads it, else the first.
    pub(super) observable_of_state: Vec<usize>,
}

pub(super) type Fallible<T> = Result<T, Diagnostic>;

impl<'a> Reader<'a> {
    pub fn new(model: &'a Model, table: &'a Table, layout: &'a Layout) -> Self {
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); model.states.len()];
        for (i, observable) in model.observables.iter().enumerate() {
            for node in model.graph.reachable(&[observable.node]) {
                if let Node::State(state) = model.graph.node(node)
                    && let Some(list) = readers.get_mut(state as usize)
                {
                    list.push(i);
                }
            }
        }
        let only = |list: &Vec<usize>| if list.len() == 1 { list[0] } else { 0 };
        let observable_of_state = readers.iter().map(only).collect();
        Self {
            model,
            table,
            layout,
            rules: DoseRule::all(model),
            observable_of_state,
        }
    }

    /// The record of a row, without slot values.
    ///
    /// # Errors
    /// Every finding of the row goes to `found`.
    pub fn record(&self, row: usize, found: &mut Diagnostics) -> Option<Record> {
        let time = self.time(row);
        let kind = self.kind(row);
        let observable = self.observable(row);
        let mut keep = |diagnostic| found.push(diagnostic);
        let time = time.map_err(&mut keep).ok();
        let kind = kind.map_err(&mut keep).ok();
        let observable = observable.map_err(&mut keep).ok();
        Some(Record {
            row,
            time: time?,
            kind: kind?,
            observable: observable?,
            slots: Vec::new(),
        })
    }

    pub(super) fn text(&self, row: usize, column: usize) -> &str {
        self.table.rows.get(row).map_or("", |row| row.field(column))
    }

    pub(super) fn error(
        &self,
        code: &'static str,
        row: usize,
        column: Option<usize>,
        message: String,
    ) -> Diagnostic {
        let span = match column {
            Some(column) => self.table.field_span(row, column),
            None => self.table.row_span(row),
        };
        Diagnostic::error(code, message).at(&self.table.source, span)
    }

    fn number(&self, row: usize, column: Option<usize>) -> Fallible<f64> {
        Ok(self.optional(row, column)?.unwrap_or(0.0))
    }

    fn optional(&self, row: usize, column: Option<usize>) -> Fallible<Option<f64>> {
        column.map_or(Ok(None), |column| self.table.number(row, column))
    }

    fn time(&self, row: usize) -> Fallible<f64> {
        let column = self.layout.time;
        let text = self.text(row, column);
        if text.contains(':') || text.matches(['-', '/']).count() >= 2 {
            return Err(self
                .error(
                    "D022",
                    row,
                    Some(column),
                    format!("`{text}` is a date or a time of day"),
                )
                .help("give the time since the patient's first record as a number"));
        }
        let Some(time) = self.table.number(row, column)? else {
            return Err(self
                .error("D011", row, Some(column), "TIME is missing".into())
                .help("every record needs a time"));
        };
        let time = time * self.layout.time_scale;
        if !time.is_finite() {
            return Err(self
                .error("D010", row, Some(column), "this TIME is too large".into())
                .help("check the unit of TIME"));
        }
        Ok(time)
    }

    fn kind(&self, row: usize) -> Fallible<Kind> {
        let l = self.layout;
        let amount = self.number(row, l.amt)?;
        let rate = self.number(row, l.rate)?;
        let steady = self.number(row, l.ss)?;
        let mdv = self.number(row, l.mdv)?;
        // 100 and 101 are NONMEM 7's way to leave a record out of the estimation only
        if ![0.0, 1.0, 100.0, 101.0].contains(&mdv) {
            let message = format!("MDV is {mdv}, but can only be 0 or 1");
            return Err(self
                .error("D012", row, l.mdv, message)
                .help("1 where DV is no observation, else 0"));
        }
        let evid = match self.optional(row, l.evid)? {
            Some(evid) => evid,
            None if amount != 0.0 || (steady != 0.0 && rate != 0.0) => 1.0,
            None => 0.0,
        };
        let kind = match evid {
            0.0 | 2.0 => Kind::Observation,
            1.0 => Kind::Dose(self.dose(row, amount, rate, steady)?),
            3.0 => Kind::Reset,
            4.0 => Kind::ResetAndDose(self.dose(row, amount, rate, steady)?),
            _ => {
                return Err(self
                    .error("D030", row, l.evid, format!("EVID is {evid}"))
                    .help("0 observation, 1 dose, 2 other event, 3 reset, 4 reset and dose"));
            }
        };
        if matches!(kind, Kind::Observation | Kind::Reset) {
            for (name, column, value) in [
                ("AMT", l.amt, amount),
                ("RATE", l.rate, rate),
                ("SS", l.ss, steady),
            ] {
                if value != 0.0 {
                    let message =
                        format!("{name} is {value} on a record that is not a dose (EVID {evid})");
                    return Err(self.error("D038", row, column, message).help(
                        "a dose has EVID 1 or 4; elsewhere AMT, RATE and SS are 0 or missing",
                    ));
                }
            }
        }
        Ok(kind)
    }

    fn dose(&self, row: usize, amount: f64, rate: f64, steady: f64) -> Fallible<Dose> {
        let l = self.layout;
        let input = self.input(row)?;
        let steady = match steady {
            0.0 => Steady::No,
            1.0 => Steady::Replace,
            2.0 => Steady::Superpose,
            _ => {
                return Err(self
                    .error("D034", row, l.ss, format!("SS is {steady}"))
                    .help("0 no, 1 steady state, 2 steady state added to the present state"));
            }
        };
        let (amount, rate) = self.amount_and_rate(row, input, amount, rate, steady)?;
        let constant = amount == 0.0;
        let interval = self.number(row, l.ii)? * l.ii_scale;
        let additional = self.number(row, l.addl)?;
        if !(0.0..f64::INFINITY).contains(&interval) {
            return Err(self
                .error("D033", row, l.ii, "II must not be negative".into())
                .help("II is the time between doses"));
        }
        if additional.fract() != 0.0 || !(0.0..=MOST_ADDITIONAL).contains(&additional) {
            return Err(self
                .error("D033", row, l.addl, format!("ADDL is {additional}"))
                .help(format!(
                    "a number of additional doses, 0 to {MOST_ADDITIONAL}"
                )));
        }
        if additional > 0.0 && (constant || interval == 0.0) {
            let message = match constant {
                true => "a constant infusion at steady state has no additional doses",
                false => "ADDL needs the interval between the doses in II",
            };
            return Err(self
                .error("D033", row, l.addl, message.into())
                .help("ADDL counts the doses after the record's own, II apart"));
        }
        if constant && interval != 0.0 {
            return Err(self
                .error(
                    "D033",
                    row,
                    l.ii,
                    "a constant infusion at steady state has no interval".into(),
                )
                .help("with AMT = 0, RATE > 0 and SS > 0 the infusion never paused: II is 0"));
        }
        if steady != Steady::No && !constant && interval == 0.0 {
            return Err(self
                .error(
                    "D034",
                    row,
                    l.ss,
                    "steady state needs the dosing interval in II".into(),
                )
                .help("only a constant infusion (AMT = 0, RATE > 0) has no interval"));
        }
        Ok(Dose {
            input,
            amount,
            rate,
            steady,
            interval,
            additional: additional as u32,
        })
    }

    fn amount_and_rate(
        &self,
        row: usize,
        input: usize,
        amount: f64,
        rate: f64,
        steady: Steady,
    ) -> Fallible<(f64, Rate)> {
        let l = self.layout;
        let name = &self.model.inputs[input].name;
        let rule = &self.rules[input];
        let modelled = |has: bool, code: f64, key: &str, rate: Rate| match has {
            true => Ok(rate),
            false => Err(self
                .error(
                    "D037",
                    row,
                    l.rate,
                    format!("RATE is {code}, but input `{name}` has no modelled {key}"),
                )
                .help(format!(
                    "declare `{key}` in [inputs.{name}], or give a rate"
                ))),
        };
        let does_not_fit = |column, item| {
            let unit = &self.model.inputs[input].unit;
            Err(self
                .error(
                    "D008",
                    row,
                    column,
                    format!("the unit of {item} does not fit input `{name}`"),
                )
                .help(format!("amounts of `{name}` are in `{unit}`")))
        };
        let rate = match rate {
            0.0 => Rate::Bolus,
            -1.0 => modelled(rule.models_rate, -1.0, "rate", Rate::Modelled)?,
            -2.0 => modelled(
                rule.models_duration,
                -2.0,
                "duration",
                Rate::ModelledDuration,
            )?,
            _ if rate > 0.0 => match l.rate_scale[input] {
                Some(scale) => Rate::Given(rate * scale),
                None => return does_not_fit(l.rate, "RATE"),
            },
            _ => {
                return Err(self
                    .error("D032", row, l.rate, format!("RATE is {rate}"))
                    .help("0 bolus, positive rate of an infusion, -1 modelled rate, -2 modelled duration"));
            }
        };
        let Some(scale) = l.amt_scale[input] else {
            return does_not_fit(l.amt, "AMT");
        };
        let constant = steady != Steady::No && matches!(rate, Rate::Given(_) | Rate::Modelled);
        let amount = amount * scale;
        if !(amount > 0.0 && amount.is_finite() || amount == 0.0 && constant) {
            let help = match constant {
                true => "AMT is positive, or 0 for a constant infusion at steady state",
                false => "a dose (EVID 1 or 4) has a positive AMT; an observation has EVID 0",
            };
            let shown = amount / scale;
            return Err(self
                .error("D031", row, l.amt, format!("AMT of the dose is {shown}"))
                .help(help));
        }
        if let Rate::Given(rate) = rate
            && !rate.is_finite()
        {
            return Err(self
                .error("D032", row, l.rate, "this RATE is too large".into())
                .help("check the unit of RATE"));
        }
        Ok((amount, rate))
    }
}
