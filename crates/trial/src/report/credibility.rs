//! Why a reader may believe the model for this purpose, and how far.
//!
//! The order is that of ASME V&V 40 (2018) and of the guidance of the United States Food and Drug
//! Administration "Assessing the Credibility of Computational Modeling and Simulation in Medical
//! Device Submissions" (November 2023): the question, the context of use, the risk of relying on
//! the model, verification, validation, uncertainty, limits.

use super::section::Section;
use super::table::{Cell, Column, Table};

/// Three grades of influence and of consequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
}

impl Grade {
    fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// A grade and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graded {
    /// The grade.
    pub grade: Grade,
    /// Why.
    pub reason: String,
}

/// A check of the software or of the numerical solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// What was checked, such as "survival statistics against lifelines 0.30".
    pub check: String,
    /// What was found, with numbers.
    pub found: String,
    /// Where the check lives: a test, a script, a file of results.
    pub place: String,
}

/// A comparison of the model with a published figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// The quantity, such as "day of the lowest neutrophil count".
    pub quantity: String,
    /// Its published value with its unit.
    pub published: String,
    /// Its simulated value with its unit.
    pub simulated: String,
    /// Rule that was set beforehand; empty if there was none.
    pub rule: String,
    /// Whether the rule was met; `None` if there was none.
    pub met: Option<bool>,
    /// Whether these data were also used to build the model: then the agreement is no evidence
    /// of its own.
    pub used_to_build: bool,
    /// The publication.
    pub source: String,
}

/// A source of uncertainty and how it enters the results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncertainty {
    /// The source, such as "parameters of the population".
    pub source: String,
    /// How it was treated, such as "sampled between replicates" or "not considered".
    pub treatment: String,
    /// What it does to the results; may be empty.
    pub effect: String,
}

/// The credibility section of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credibility {
    /// Question of interest: the decision that the simulation is to inform.
    pub question: String,
    /// Context of use: what the model is used for here, with which inputs and outputs, and beside
    /// which other evidence.
    pub context: String,
    /// Influence of the model on the decision.
    pub influence: Graded,
    /// Consequence of a wrong decision.
    pub consequence: Graded,
    /// Checks of the software.
    pub verification: Vec<Verification>,
    /// Comparisons with published figures.
    pub validation: Vec<Validation>,
    /// Sources of uncertainty.
    pub uncertainty: Vec<Uncertainty>,
    /// What the model cannot say.
    pub limits: Vec<String>,
}

impl Credibility {
    /// The section. A part without entries says that nothing was done instead of being left out.
    pub fn section(&self) -> Section {
        let (influence, consequence) = (&self.influence, &self.consequence);
        let section = Section::new("Credibility of the model")
            .paragraph("In the order of ASME V&V 40 (2018) and of the guidance of the Food and Drug Administration on the credibility of computational modelling (2023).")
            .subheading("Question of interest")
            .paragraph(&self.question)
            .subheading("Context of use")
            .paragraph(&self.context)
            .subheading("Model risk")
            .paragraph(format!(
                "Model risk is influence times consequence: {} influence and {} consequence make level {} of 5.",
                influence.grade.name(),
                consequence.grade.name(),
                self.risk()
            ))
            .list(vec![
                format!("Influence on the decision, {}: {}", influence.grade.name(), influence.reason),
                format!("Consequence of a wrong decision, {}: {}", consequence.grade.name(), consequence.reason),
            ]);
        let section = self.verified(section.subheading("Verification"));
        let section = self.validated(section.subheading("Validation against published figures"));
        let section = self.uncertain(section.subheading("Uncertainty"));
        let section = section.subheading("Limits");
        if self.limits.is_empty() {
            section.paragraph("No limits were stated, which is an omission and not a finding.")
        } else {
            section.list(self.limits.clone())
        }
    }

    /// Risk of relying on the model, 1 to 5: low, medium and high count 1, 2 and 3, and the level
    /// is the sum less one.
    pub fn risk(&self) -> usize {
        let rank = |graded: &Graded| graded.grade as usize;
        rank(&self.influence) + rank(&self.consequence) + 1
    }

    fn verified(&self, section: Section) -> Section {
        if self.verification.is_empty() {
            return section.paragraph("No verification was recorded for this report.");
        }
        let mut table = Table::new("Verification")
            .column(Column::text("Check"))
            .column(Column::text("Found"))
            .column(Column::text("Where"));
        for check in &self.verification {
            let cells = [&check.check, &check.found, &check.place];
            table = table.row(cells.map(Cell::text).to_vec());
        }
        section.table(table)
    }

    fn validated(&self, section: Section) -> Section {
        if self.validation.is_empty() {
            return section.paragraph(
                "The model was not compared with published figures for this context of use.",
            );
        }
        let mut table = Table::new("Published and simulated figures")
            .column(Column::text("Quantity"))
            .column(Column::number("Published", ""))
            .column(Column::number("Simulated", ""))
            .column(Column::text("Rule"))
            .column(Column::text("Met"))
            .column(Column::text("Source"));
        let mut missed = 0;
        for check in &self.validation {
            let met = match check.met {
                Some(true) => Cell::text("yes"),
                Some(false) => {
                    missed += 1;
                    Cell::text("no").strong()
                }
                None => Cell::missing(),
            };
            let rule = match check.rule.as_str() {
                "" => "none set",
                rule => rule,
            };
            let star = if check.used_to_build { "*" } else { "" };
            table = table.row(vec![
                Cell::text(format!("{}{star}", check.quantity)),
                Cell::text(&check.published),
                Cell::text(&check.simulated),
                Cell::text(rule),
                met,
                Cell::text(&check.source),
            ]);
        }
        if self.validation.iter().any(|check| check.used_to_build) {
            table = table.note("* The model was built on these data: the agreement shows that it was built as described, not that it predicts.");
        }
        let section = section.table(table);
        match missed {
            0 => section,
            1 => section.callout("One comparison misses its rule."),
            many => section.callout(format!("{many} comparisons miss their rules.")),
        }
    }

    fn uncertain(&self, section: Section) -> Section {
        if self.uncertainty.is_empty() {
            return section.paragraph("Uncertainty was not analysed.");
        }
        let mut table = Table::new("Sources of uncertainty")
            .column(Column::text("Source"))
            .column(Column::text("How it was treated"))
            .column(Column::text("Effect on the results"));
        for part in &self.uncertainty {
            let effect = match part.effect.as_str() {
                "" => Cell::missing(),
                effect => Cell::text(effect),
            };
            table = table.row(vec![
                Cell::text(&part.source),
                Cell::text(&part.treatment),
                effect,
            ]);
        }
        section.table(table)
    }
}
