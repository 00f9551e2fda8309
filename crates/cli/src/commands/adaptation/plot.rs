//! Regret over the treatment cycles.

use posology_agent::adapt::Adaptation;
use posology_agent::train::evaluate::Estimate;
use posology_trial::plot::{Axis, Dash, Figure, Panel, PlotError, Style, Svg};

/// Cumulative regret, what each cycle adds, and every cost with its limit.
pub fn curves(found: &Adaptation) -> Result<Svg, PlotError> {
    let cycles: Vec<f64> = (1..=found.cycles).map(|c| c as f64).collect();
    let x = || Axis::new("Treatment cycle").range(0.0, found.cycles as f64 + 0.5);
    let zero = |panel: Panel| panel.level("", 0.0, Style::ink().opacity(0.5));
    let mut regret = Panel::new("Regret so far").x(x()).y(Axis::new("Reward"));
    let mut increment = Panel::new("Regret of the cycle")
        .x(x())
        .y(Axis::new("Reward"));
    for (k, curve) in found.policies.iter().enumerate() {
        regret = band(regret, &curve.label, &cycles, &curve.regret, k);
        increment = band(increment, "", &cycles, &curve.increment, k);
    }
    let mut panels = vec![zero(regret), zero(increment)];
    for (c, cost) in found.limits.iter().enumerate() {
        let title = format!("{}, mean so far", cost.name);
        let mut panel = Panel::new(title).x(x()).y(Axis::new("Cost").include(0.0));
        for (k, curve) in found.policies.iter().enumerate() {
            panel = band(panel, "", &cycles, &curve.costs[c], k);
        }
        let of: Vec<f64> = found.oracle.costs[c].iter().map(|e| e.value).collect();
        let ink = Style::ink().dash(Dash::Dashed);
        panel = panel.line(if c == 0 { "oracle" } else { "" }, &cycles, &of, ink);
        if cost.cvar.is_none() {
            let label = if c == 0 { "limit" } else { "" };
            panel = panel.level(label, cost.limit, Style::ink().dash(Dash::Dotted));
        }
        panels.push(panel);
    }
    Figure::grid(
        format!("Regret to each patient's oracle, {}", found.task),
        panels,
        2,
    )
    .panel_size(380.0, 260.0)
    .description(
        "Means over patients with 95 % bootstrap bands, by treatment cycle: regret so far, \
         what each cycle adds, and the costs.",
    )
    .render()
}

fn band(panel: Panel, label: &str, x: &[f64], of: &[Estimate], k: usize) -> Panel {
    let row = |value: fn(&Estimate) -> f64| of.iter().map(value).collect::<Vec<f64>>();
    panel
        .ribbon(
            "",
            x,
            &row(|e| e.low),
            &row(|e| e.high),
            Style::series(k).opacity(0.2),
        )
        .line(label, x, &row(|e| e.value), Style::series(k).width(2.0))
}
