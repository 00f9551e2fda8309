//! Time against error.

use posology_trial::plot::{Axis, Figure, Panel, PlotError, Style};

use super::CompareReport;

/// As an SVG file: a panel per model, seconds per patient over the achieved error.
pub fn precision(report: &CompareReport) -> Result<String, PlotError> {
    let mut panels = Vec::new();
    for model in &report.models {
        let n = model.patients as f64;
        let mut panel = Panel::new(model.model.clone())
            .x(Axis::new("Error over range").log())
            .y(Axis::new("Seconds per patient").log());
        let ours: Vec<(f64, f64)> = model
            .ours
            .iter()
            .map(|row| (row.error, row.seconds.median / n))
            .collect();
        panel = line(panel, "posology", &ours, 0);
        let mut names: Vec<&str> = Vec::new();
        for row in &model.peers {
            if !names.contains(&row.peer) {
                names.push(row.peer);
            }
        }
        for (k, name) in names.iter().enumerate() {
            let own = model.peers.iter().filter(|row| row.peer == *name);
            let points: Vec<(f64, f64)> = own
                .map(|row| (row.error, row.seconds.median / row.patients as f64))
                .collect();
            panel = line(panel, name, &points, k + 1);
        }
        panels.push(panel);
    }
    let name = report.adapter["name"].as_str().unwrap_or("unknown adapter");
    let figure = Figure::grid(format!("Work and precision on {name}"), panels, 2).description(
        "Seconds per patient against the achieved error, by program, one panel per model.",
    );
    Ok(figure.render()?.to_file())
}

fn line(panel: Panel, label: &str, points: &[(f64, f64)], series: usize) -> Panel {
    let mut points: Vec<(f64, f64)> = points
        .iter()
        .copied()
        .filter(|(x, y)| *x > 0.0 && *y > 0.0 && x.is_finite())
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (x, y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
    panel.line(label, &x, &y, Style::series(series).with_marker())
}
