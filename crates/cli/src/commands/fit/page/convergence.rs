//! Courses of the estimates over the iterations.

use posology_trial::plot::{Axis, Dash, Figure, Panel, Style};
use posology_trial::report::Section;
use posology_twin::space::{Entry, Population, Scale};

use crate::error::Failure;

use super::observed::drawable;
use super::{About, count, plot, with_unit};

/// Name and value of an estimate in each iteration.
struct Trace {
    name: String,
    values: Vec<f64>,
}

pub(super) fn section(about: &About<'_>) -> Result<Section, Failure> {
    let iterations = about.trace.len();
    let x: Vec<f64> = (1..=iterations).map(|i| i as f64).collect();
    let (mut panels, mut gaps) = (Vec::new(), 0);
    for trace in traces(about) {
        let values: Vec<f64> = trace
            .values
            .into_iter()
            .map(|value| if drawable(value) { value } else { f64::NAN })
            .collect();
        gaps += values.iter().filter(|value| value.is_nan()).count();
        let mut panel = Panel::new(trace.name)
            .x(Axis::new("Iteration"))
            .y(Axis::new(""))
            .line("", &x, &values, Style::series(0).width(1.4));
        if about.explore > 0 && about.explore < iterations {
            let style = Style::ink().dash(Dash::Dashed).width(0.9);
            panel = panel.moment("", about.explore as f64, style);
        }
        panels.push(panel);
    }
    let mut words = format!("Estimates over {} iterations.", count(iterations));
    if about.explore > 0 && about.explore < iterations {
        words += &format!(
            " After {} (dashed) the steps become smaller, so that estimates average over the \
             iterations and settle; one that still drifts there has not converged.",
            count(about.explore)
        );
    }
    if gaps > 0 {
        words += &format!(" {} values that are not finite leave gaps.", count(gaps));
    }
    let section = Section::new("Convergence").paragraph(words);
    if panels.is_empty() {
        return Ok(section.paragraph("Nothing was estimated."));
    }
    let drawings = Figure::grid("Convergence", panels, 3)
        .panel_size(250.0, 170.0)
        .render_each()
        .map_err(plot)?;
    Ok(section.figure_grid(
        drawings,
        "Typical values and fixed effects in their units, variances and covariances of the random \
         effects (omega2, omega), residual errors.",
    ))
}

/// What a fit moves.
fn traces(about: &About<'_>) -> Vec<Trace> {
    let space = about.space;
    let p = space.random.len();
    let set = |flags: &[bool], at: usize| flags.get(at).copied().unwrap_or(false);
    let course = |name: String, of: &dyn Fn(&Population) -> Option<f64>| Trace {
        name,
        values: about
            .trace
            .iter()
            .map(|population| of(population).unwrap_or(f64::NAN))
            .collect(),
    };
    let shown = |entry: &Entry, phi: Option<&f64>| Some(entry.scale.value(*phi?) / entry.shown);
    let mut out = Vec::new();
    for (k, entry) in space.random.iter().enumerate() {
        if !set(&space.held, k) {
            let name = with_unit(&entry.name, &entry.unit);
            out.push(course(name, &|one| shown(entry, one.mu.get(k))));
        }
    }
    for (k, entry) in space.fixed.iter().enumerate() {
        let name = with_unit(&entry.name, &entry.unit);
        out.push(course(name, &|one| shown(entry, one.fixed.get(k))));
    }
    for (i, a) in space.random.iter().enumerate() {
        for (j, b) in space.random.iter().enumerate().take(i + 1) {
            let held = set(&space.held_omega, i) || set(&space.held_omega, j);
            if held || !set(&space.pattern, i * p + j) {
                continue;
            }
            let name = if i == j {
                format!("omega2({})", a.name)
            } else {
                format!("omega({},{})", b.name, a.name)
            };
            let scale = size(a) * size(b);
            out.push(course(name, &|one| Some(one.omega.get(i * p + j)? / scale)));
        }
    }
    for (o, observable) in about.model.observables.iter().enumerate() {
        let scale = about.model.units.scale(&observable.unit);
        for (part, name) in ["additive", "proportional", "lognormal"].iter().enumerate() {
            let error = |one: &Population| Some(one.errors.get(o)?[part]);
            // a part that the model does not have stays zero
            let used = about.trace.iter().any(|one| error(one) > Some(0.0));
            if !set(&space.errors, o) || !used {
                continue;
            }
            let scale = if part == 0 { scale } else { 1.0 };
            let name = format!("{name}({})", observable.name);
            out.push(course(name, &|one| Some(error(one)? / scale)));
        }
    }
    out
}

/// Variances of normal parameters carry their unit, others are plain numbers.
fn size(entry: &Entry) -> f64 {
    match entry.scale {
        Scale::Identity => entry.shown,
        _ => 1.0,
    }
}
