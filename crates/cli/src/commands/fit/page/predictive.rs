//! Visual predictive checks.

use posology_trial::plot::{Axis, Colour, Dash, Figure, Panel, Style, Svg};
use posology_trial::report::Section;
use posology_twin::goodness::Bin;

use crate::error::Failure;

use super::observed::{Observed, Tally, drawable};
use super::{About, count, plot, with_unit};

/// Names of the percentiles of a bin; the outer ones share an entry of the legend.
const PERCENTILES: [&str; 3] = ["5 and 95 %", "50 %", "5 and 95 %"];

pub(super) fn section(about: &About<'_>, observed: &[Observed<'_>]) -> Result<Section, Failure> {
    let mut section = Section::new("Visual predictive check");
    let of = |one: &Observed<'_>| -> Vec<&Bin> {
        let bins = about.goodness.bins.iter();
        bins.filter(|bin| bin.observable == one.index).collect()
    };
    if observed.iter().all(|one| of(one).is_empty()) {
        return Ok(section.paragraph(
            "There is no predictive check: no data were simulated, or every observation is \
             censored.",
        ));
    }
    section = section.paragraph(
        "Percentiles of the data in bins of time, over those of data sets simulated with the \
         estimates at the same times, doses and covariates. A model that describes the data keeps \
         the lines inside their bands.",
    );
    for one in observed {
        let bins = of(one);
        if bins.is_empty() {
            section = section.paragraph(format!("No bins of {}.", one.name));
            continue;
        }
        let censored = one.rows.iter().filter(|row| row.seen.censored()).count();
        let mut words = outside(one, &bins);
        if censored > 0 {
            words += &format!(
                " {} censored observations count in neither the observed nor the simulated \
                 percentiles, which may then differ near the limit.",
                count(censored)
            );
        }
        let mut tally = Tally::default();
        let drawing = check(one, &bins, &mut tally)?;
        let caption = format!(
            "{}: observed 5, 50 and 95 % percentiles (lines) over what 95 % of the simulated data \
             sets have (bands), and observations.{}",
            one.name,
            tally.words()
        );
        section = section.paragraph(words).figure(drawing, caption);
    }
    Ok(section)
}

/// How many observed percentiles lie outside the simulated ones.
fn outside(one: &Observed<'_>, bins: &[&Bin]) -> String {
    let (mut out, mut all, mut bad) = (0, 0, 0);
    for bin in bins {
        for (value, [low, _, high]) in bin.observed.iter().zip(&bin.simulated) {
            if ![*value, *low, *high].into_iter().all(drawable) {
                bad += 1;
                continue;
            }
            all += 1;
            out += usize::from(value < low || value > high);
        }
    }
    let mut words = format!(
        "{}: {out} of {all} observed percentiles in {} lie outside their band; about 5 % do by \
         chance.",
        one.name,
        match bins.len() {
            1 => "one bin".to_owned(),
            n => format!("{n} bins"),
        }
    );
    if bad > 0 {
        words += &format!(" {bad} are not finite and left out.");
    }
    words
}

fn check(one: &Observed<'_>, bins: &[&Bin], tally: &mut Tally) -> Result<Svg, Failure> {
    let shown = |value: f64| match one.shown(value) {
        value if drawable(value) => value,
        // leaves a gap
        _ => f64::NAN,
    };
    let time: Vec<f64> = bins.iter().map(|bin| bin.time).collect();
    let column =
        |of: &dyn Fn(&Bin) -> f64| -> Vec<f64> { bins.iter().map(|bin| shown(of(bin))).collect() };
    let all = bins.iter().flat_map(|bin| {
        let simulated = bin.simulated.iter().flatten();
        bin.observed.iter().chain(simulated).copied()
    });
    let positive = all.filter(|v| drawable(*v)).all(|v| v > 0.0);
    let axis = with_unit(one.name, one.unit);
    let axis = if one.log && positive {
        Axis::new(axis).log()
    } else {
        Axis::new(axis)
    };
    let mut panel = Panel::new("").x(one.time_axis()).y(axis);
    for (k, name) in PERCENTILES.iter().enumerate() {
        let (low, high) = (
            column(&|bin| bin.simulated[k][0]),
            column(&|bin| bin.simulated[k][2]),
        );
        let colour = if k == 1 {
            Colour::Vermilion
        } else {
            Colour::Sky
        };
        let style = Style::series(0).colour(colour).opacity(0.35);
        let label = format!("simulated {name}");
        panel = match bins.len() {
            // one bin makes no band
            1 => panel.errors(&label, &time, &low, &high, style.opacity(1.0).width(4.0)),
            _ => panel.ribbon(&label, &time, &low, &high, style),
        };
    }
    let points: Vec<(f64, f64)> = one
        .rows
        .iter()
        .filter(|row| !row.seen.censored())
        .map(|row| (row.time, one.shown(row.seen.number())))
        .collect();
    let grey = Style::series(0).colour(Colour::Grey);
    panel = tally.points(
        panel,
        "observations",
        &points,
        grey.marker(grey.marker, 1.8),
    );
    for (k, name) in PERCENTILES.iter().enumerate() {
        let dash = if k == 1 { Dash::Solid } else { Dash::Dashed };
        let style = Style::ink().width(1.8).dash(dash).with_marker();
        let values = column(&|bin| bin.observed[k]);
        panel = panel.line(&format!("observed {name}"), &time, &values, style);
    }
    Figure::new(format!("Visual predictive check of {}", one.name), panel)
        .panel_size(560.0, 360.0)
        .description(outside(one, bins))
        .render()
        .map_err(plot)
}
