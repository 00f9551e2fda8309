//! Individual estimates, and courses of a few patients.

use posology_trial::plot::{Figure, Panel, evenly_spaced};
use posology_trial::report::{Cell, Column, Section, Table};
use posology_twin::forecast::quantile;
use posology_twin::goodness::Row;
use posology_twin::space::Scale;

use crate::error::Failure;

use super::observed::{Observed, Tally, drawable, line};
use super::{About, count, figure, names, plot, with_unit};

/// Patients with a drawing at most.
const DRAWN: usize = 12;

pub(super) fn section(about: &About<'_>) -> Section {
    let individuals = about.individuals;
    let mut section = Section::new("Individual estimates");
    let stuck: Vec<String> = individuals
        .iter()
        .enumerate()
        .filter(|(_, one)| !one.converged)
        .map(|(i, _)| name(about, i))
        .collect();
    section = section.paragraph(format!(
        "Maximum a posteriori estimates of {} patients; the search converged in {}.",
        count(individuals.len()),
        count(individuals.len() - stuck.len())
    ));
    if !stuck.is_empty() {
        section = section.callout(format!("Not converged: {}.", names(&stuck)));
    }
    let entries = &about.space.random;
    if individuals.is_empty() || entries.is_empty() {
        return section;
    }
    let mut table = Table::new("Estimates over the patients")
        .column(Column::text("Parameter"))
        .column(Column::text("Unit"))
        .column(Column::number("Median", ""))
        .column(Column::number("5 %", ""))
        .column(Column::number("95 %", ""))
        .column(Column::number("Smallest", ""))
        .column(Column::number("Largest", ""))
        .column(Column::number("Posterior SD", "median"));
    let mut left_out = 0;
    for (k, entry) in entries.iter().enumerate() {
        let phis = individuals.iter().filter_map(|one| one.phi.get(k));
        let values = sorted(phis.map(|&phi| entry.scale.value(phi) / entry.shown));
        left_out += individuals.len() - values.len();
        let diagonal = k * (entries.len() + 1);
        let variances = individuals
            .iter()
            .filter_map(|one| one.covariance.get(diagonal));
        let size = match entry.scale {
            Scale::Identity => entry.shown,
            _ => 1.0,
        };
        let deviations = sorted(variances.map(|v| v.sqrt() / size));
        let at = |values: &[f64], share| Cell::text(figure(quantile(values, share)));
        table = table.row(vec![
            Cell::text(entry.name.clone()),
            Cell::text(if entry.unit == "1" { "" } else { &entry.unit }),
            at(&values, 0.5),
            at(&values, 0.05),
            at(&values, 0.95),
            at(&values, 0.0),
            at(&values, 1.0),
            at(&deviations, 0.5),
        ]);
    }
    table = table.note(
        "Posterior SD: normal approximation; of a log-normal parameter that of its logarithm, of \
         a logit-normal one that of its logit.",
    );
    if left_out > 0 {
        table = table.note(format!(
            "{} values that are not finite are left out.",
            count(left_out)
        ));
    }
    section.table(table)
}

/// Courses of a few patients.
pub(super) fn courses(about: &About<'_>, observed: &[Observed<'_>]) -> Result<Section, Failure> {
    let mut section = Section::new("Individual fits");
    if observed.is_empty() {
        return Ok(section.paragraph("There are no observations to draw."));
    }
    for one in observed {
        let all = one.patients();
        let chosen: Vec<usize> = evenly_spaced(all.len(), DRAWN)
            .into_iter()
            .map(|i| all[i])
            .collect();
        let mut tally = Tally::default();
        let mut gaps = 0;
        let panels = chosen
            .iter()
            .map(|&patient| course(about, one, patient, &mut tally, &mut gaps))
            .collect();
        let drawings = Figure::grid(format!("Individual fits of {}", one.name), panels, 3)
            .panel_size(260.0, 190.0)
            .render_each()
            .map_err(plot)?;
        let mut caption = format!(
            "{}: observations, and predictions at the times of observation, joined by lines.",
            with_unit(one.name, one.unit)
        );
        if chosen.len() < all.len() {
            caption += &format!(
                " {} of {} patients, every so many in their order.",
                count(chosen.len()),
                count(all.len())
            );
        }
        if gaps > 0 {
            caption += &format!(
                " {} predictions that are not finite leave gaps.",
                count(gaps)
            );
        }
        caption += &tally.words();
        section = section.figure_grid(drawings, caption);
    }
    Ok(section)
}

fn course(
    about: &About<'_>,
    one: &Observed<'_>,
    patient: usize,
    tally: &mut Tally,
    gaps: &mut usize,
) -> Panel {
    let mut rows: Vec<&Row> = one
        .rows
        .iter()
        .filter(|row| row.patient == patient)
        .copied()
        .collect();
    rows.sort_by(|a, b| a.time.total_cmp(&b.time));
    let time: Vec<f64> = rows.iter().map(|row| row.time).collect();
    let mut panel = Panel::new(name(about, patient))
        .x(one.time_axis())
        .y(one.axis(one.name));
    type Value = fn(&Row) -> f64;
    let lines: [(&str, bool, Value); 2] = [
        ("PRED", false, |row| row.pred),
        ("IPRED", true, |row| row.ipred),
    ];
    for (label, individual, of) in lines {
        let values: Vec<f64> = rows
            .iter()
            .map(|row| one.shown(of(row)))
            .map(|value| if drawable(value) { value } else { f64::NAN })
            .collect();
        *gaps += values.iter().filter(|value| value.is_nan()).count();
        panel = panel.line(label, &time, &values, line(individual));
    }
    one.marks(panel, tally, &rows, |row| row.time)
}

fn name(about: &About<'_>, patient: usize) -> String {
    let names = about.patients.get(patient);
    names.map_or_else(|| format!("patient {}", patient + 1), Clone::clone)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.filter(|value| drawable(*value)).collect();
    values.sort_by(f64::total_cmp);
    values
}
