//! How the network of a correction was trained, and whether it is kept.

use posology_trial::plot::{Axis, Dash, Figure, Panel, Style};
use posology_trial::report::{Cell, Column, Section, Table};
use posology_twin::correction::{EpochLoss, Trained};

use crate::commands::fit::correction::verdict;
use crate::error::Failure;

use super::{figure, plot};

pub(super) fn section(trained: &Trained) -> Result<Section, Failure> {
    let epochs: Vec<f64> = (0..trained.losses.len()).map(|k| k as f64).collect();
    let course =
        |of: fn(&EpochLoss) -> f64| -> Vec<f64> { trained.losses.iter().map(of).collect() };
    let panel = Panel::new("Loss")
        .x(Axis::new("Epoch"))
        .y(Axis::new("\u{2212}log marginal likelihood per patient"))
        .line(
            "patients who train",
            &epochs,
            &course(|loss| loss.train),
            Style::series(0).width(1.4),
        )
        .line(
            "held-out patients",
            &epochs,
            &course(|loss| loss.held_out),
            Style::series(1).width(1.4),
        )
        .moment(
            "",
            trained.best as f64,
            Style::ink().dash(Dash::Dashed).width(0.9),
        );
    let mut table = Table::new("Shares of the output layer")
        .column(Column::number("Share", ""))
        .column(Column::number("Log likelihood per held-out patient", ""))
        .note(
            "Of the patients who choose; residual errors are estimated anew for every share. 0 is \
             the mechanism alone.",
        );
    for share in &trained.shares {
        table = table.row(vec![
            Cell::number(share.alpha, 2),
            Cell::text(figure(share.held_out)),
        ]);
    }
    let drawings = Figure::grid("Training", vec![panel], 1)
        .panel_size(420.0, 240.0)
        .render_each()
        .map_err(plot)?;
    let mut words = verdict(trained);
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Ok(Section::new("Correction")
        .paragraph(format!("{words}."))
        .paragraph(
            "The weights never saw held-out patients. Half of those say when to stop (dashed) and \
             which share of the output layer is best; the other half judges whether the correction \
             is kept.",
        )
        .figure_grid(
            drawings,
            "Losses by Laplace's approximation, over the epochs of training.",
        )
        .table(table))
}
