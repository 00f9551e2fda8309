//! Operating characteristics as text.

use std::fmt;

use super::{DoseFigures, Figure, OperatingCharacteristics, StopReason};

/// How a number is written.
type Format = fn(f64) -> String;

/// The usual table: doses across, then the figures of the whole trial. Percentages and means, with
/// Monte Carlo standard errors in a row of their own.
impl fmt::Display for OperatingCharacteristics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trials = match self.replicates {
            Some(count) => format!("{count} trials"),
            None => "every path".to_owned(),
        };
        let mtd = match self.mtd {
            Some(dose) => format!("dose {} is right", dose + 1),
            None => "every dose is too toxic".to_owned(),
        };
        let target = 100.0 * self.target;
        writeln!(f, "{}, target {target:.1} %, {mtd}, {trials}", self.design)?;
        let row = |f: &mut fmt::Formatter<'_>, label: &str, cells: &[String]| {
            write!(f, "{label:<22}")?;
            cells.iter().try_for_each(|cell| write!(f, "{cell:>8}"))?;
            writeln!(f)
        };
        let mut head: Vec<String> = (1..=self.doses.len())
            .map(|dose| dose.to_string())
            .collect();
        head.push("none".to_owned());
        row(f, "dose", &head)?;
        let truth: Vec<String> = self.doses.iter().map(|dose| percent(dose.truth)).collect();
        row(f, "true toxicity, %", &truth)?;
        let mut selected: Vec<Figure> = self.doses.iter().map(|dose| dose.selected).collect();
        selected.push(self.none_selected);
        let column =
            |of: fn(&DoseFigures) -> Figure| -> Vec<Figure> { self.doses.iter().map(of).collect() };
        let rows: [(&str, Vec<Figure>, Format); 3] = [
            ("selected, %", selected, percent),
            ("patients", column(|dose| dose.patients), plain),
            ("toxicities", column(|dose| dose.toxicities), plain),
        ];
        for (label, figures, text) in rows {
            let values: Vec<String> = figures.iter().map(|figure| text(figure.value)).collect();
            row(f, label, &values)?;
            if self.replicates.is_some() {
                let errors = figures.iter().map(|figure| text(figure.standard_error));
                row(f, "  standard error", &errors.collect::<Vec<_>>())?;
            }
        }
        let with_error = |figure: Figure, text: Format| match self.replicates {
            Some(_) => format!("{} ({})", text(figure.value), text(figure.standard_error)),
            None => text(figure.value),
        };
        let lines = [
            ("correct selection, %", self.correct),
            ("selection too high, %", self.too_high),
            ("patients at the right dose, %", self.patients_at_mtd),
            ("patients above it, %", self.overdosed),
            ("trials with over 60 % above it, %", self.overdosed_60),
            ("trials with over 80 % above it, %", self.overdosed_80),
            ("patients with toxicity, %", self.toxicity_rate),
        ];
        for (label, figure) in lines {
            writeln!(f, "{label:<36}{}", with_error(figure, percent))?;
        }
        writeln!(
            f,
            "{:<36}{}",
            "patients per trial",
            with_error(self.sample_size, plain)
        )?;
        for &(reason, share) in &self.stopped {
            if share.value > 0.0 {
                let label = format!("ended: {}, %", ending(reason));
                writeln!(f, "{label:<36}{}", with_error(share, percent))?;
            }
        }
        Ok(())
    }
}

fn percent(value: f64) -> String {
    format!("{:.1}", 100.0 * value)
}

fn plain(value: f64) -> String {
    format!("{value:.2}")
}

fn ending(reason: StopReason) -> &'static str {
    match reason {
        StopReason::SampleSize => "all patients treated",
        StopReason::TooToxic => "lowest dose too toxic",
        StopReason::EnoughAtDose => "enough at one dose",
        StopReason::Complete => "rules complete",
    }
}
