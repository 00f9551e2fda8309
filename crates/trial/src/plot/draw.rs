//! Drawing the layers of a panel into its plot area.

use super::axis::Scale;
use super::canvas::Canvas;
use super::layer::{Layer, Shape};
use super::simplify::{along_lines, by_column};
use super::style::{Dash, Style};
use super::text::coordinate as c;

/// Least distance of the ticks of censored patients.
const CENSORINGS: f64 = 4.0;

/// Plot area: scales, and its size in units of the figure. The origin is its top left corner.
pub(super) struct Area<'a> {
    pub x: &'a Scale,
    pub y: &'a Scale,
    pub width: f64,
    pub height: f64,
}

impl Area<'_> {
    fn point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        Some((self.across(x)?, self.up(y)?))
    }

    pub(super) fn across(&self, x: f64) -> Option<f64> {
        self.x.share(x).map(|share| share * self.width)
    }

    pub(super) fn up(&self, y: f64) -> Option<f64> {
        self.y.share(y).map(|share| (1.0 - share) * self.height)
    }

    /// Runs of points between gaps.
    fn runs(&self, x: &[f64], y: &[f64]) -> Vec<Vec<(f64, f64)>> {
        let mut runs = vec![Vec::new()];
        for (&x, &y) in x.iter().zip(y) {
            match (self.point(x, y), runs.last_mut()) {
                (Some(point), Some(run)) => run.push(point),
                _ => runs.push(Vec::new()),
            }
        }
        runs.retain(|run| !run.is_empty());
        runs
    }
}

/// Draws one layer.
pub(super) fn layer(canvas: &mut Canvas, area: &Area, layer: &Layer) {
    let style = &layer.style;
    match &layer.shape {
        Shape::Line { x, y } => {
            let runs = area.runs(x, y);
            let path: String = runs
                .iter()
                .map(|run| joined(&along_lines(&by_column(run))))
                .collect();
            canvas.stroke(&path, style);
            if style.marked {
                markers(canvas, &runs.concat(), style);
            }
        }
        Shape::Step { x, y } => {
            let path: String = area
                .runs(x, y)
                .iter()
                .map(|run| joined(&corners(run)))
                .collect();
            canvas.stroke(&path, style);
        }
        Shape::Ribbon {
            x,
            low,
            high,
            stepped,
        } => ribbon(canvas, area, (x, low, high), *stepped, style),
        Shape::Points { x, y } => markers(canvas, &area.runs(x, y).concat(), style),
        Shape::Errors { x, low, high } => errors(canvas, area, (x, low, high), style),
        Shape::Censorings { x, y } => {
            // Ticks closer than this would merge into a bar.
            let mut free = f64::NEG_INFINITY;
            let mut ticks = area.runs(x, y).concat();
            ticks.retain(|(x, _)| {
                let keep = *x >= free;
                if keep {
                    free = x + CENSORINGS;
                }
                keep
            });
            let path: String = ticks
                .iter()
                .map(|(x, y)| format!("M{} {}v8", c(*x), c(y - 4.0)))
                .collect();
            canvas.stroke(
                &path,
                &Style {
                    width: 1.3,
                    dash: Dash::Solid,
                    ..*style
                },
            );
        }
        Shape::Spans { from, to } => {
            let edges = from.iter().zip(to).filter_map(|(&from, &to)| {
                let (start, end) = (area.across(from)?, area.across(to)?);
                (end > start).then_some((start, end))
            });
            let path: String = edges
                .map(|(start, end)| {
                    format!(
                        "M{} 0H{}V{}H{}z",
                        c(start),
                        c(end),
                        c(area.height),
                        c(start)
                    )
                })
                .collect();
            canvas.fill(&path, style.colour.css(), style.opacity);
        }
        Shape::Blocks { rectangles } => blocks(canvas, area, rectangles, style),
        Shape::Intervals { y, low, high } => intervals(canvas, area, (y, low, high), style),
        // Text is drawn outside the clipped area, by the layout.
        Shape::Labels { .. } => {}
        Shape::Bars { edges, heights } => bars(canvas, area, edges, heights, style),
        Shape::Level { y } => {
            if let Some(y) = area.up(*y) {
                canvas.stroke(&format!("M0 {}H{}", c(y), c(area.width)), style);
            }
        }
        Shape::Moment { x } => {
            if let Some(x) = area.across(*x) {
                canvas.stroke(&format!("M{} 0V{}", c(x), c(area.height)), style);
            }
        }
    }
}

fn joined(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    let mut last = (String::new(), String::new());
    for (index, (x, y)) in points.iter().enumerate() {
        let (x, y) = (c(*x), c(*y));
        match (index > 0 && x == last.0, index > 0 && y == last.1) {
            _ if index == 0 => path.push_str(&format!("M{x} {y}")),
            (true, true) => {}
            (true, false) => path.push_str(&format!("V{y}")),
            (false, true) => path.push_str(&format!("H{x}")),
            (false, false) => path.push_str(&format!("L{x} {y}")),
        }
        last = (x, y);
    }
    // A lone point is drawn as a dot by the line's end, which needs a length.
    if points.len() == 1 {
        path.push_str("h.1");
    }
    path
}

/// The corners of a step curve, simplified: fine stairs become slopes that look the same.
fn corners(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut corners = Vec::with_capacity(2 * points.len());
    for (index, point) in points.iter().enumerate() {
        if index > 0 {
            corners.push((point.0, points[index - 1].1));
        }
        corners.push(*point);
    }
    along_lines(&by_column(&corners))
}

fn ribbon(
    canvas: &mut Canvas,
    area: &Area,
    (x, low, high): (&[f64], &[f64], &[f64]),
    steps: bool,
    style: &Style,
) {
    let mut path = String::new();
    let rows: Vec<_> = x
        .iter()
        .zip(low.iter().zip(high))
        .map(|(&x, (&l, &h))| Some((area.point(x, l)?, area.point(x, h)?)))
        .collect();
    for run in rows.split(Option::is_none) {
        let (low, high): (Vec<_>, Vec<_>) = run.iter().flatten().copied().unzip();
        if low.len() < 2 {
            continue;
        }
        let edge = |points: &[(f64, f64)]| {
            if steps {
                corners(points)
            } else {
                along_lines(&by_column(points))
            }
        };
        let mut outline = edge(&high);
        outline.extend(edge(&low).into_iter().rev());
        path.push_str(&joined(&outline));
        path.push('z');
    }
    canvas.fill(&path, style.colour.css(), style.opacity);
}

fn markers(canvas: &mut Canvas, points: &[(f64, f64)], style: &Style) {
    let shape = style.marker.path(style.radius);
    let path: String = distinct(points, 0.3)
        .iter()
        .map(|(x, y)| format!("M{} {}{shape}", c(*x), c(*y)))
        .collect();
    canvas.markers(&path, style);
}

/// Points without those that would print on top of an earlier one.
fn distinct(points: &[(f64, f64)], grid: f64) -> Vec<(f64, f64)> {
    let mut seen = std::collections::BTreeSet::new();
    let cell = |value: f64| (value / grid).round() as i64;
    points
        .iter()
        .filter(|(x, y)| seen.insert((cell(*x), cell(*y))))
        .copied()
        .collect()
}

fn errors(
    canvas: &mut Canvas,
    area: &Area,
    (x, low, high): (&[f64], &[f64], &[f64]),
    style: &Style,
) {
    let mut path = String::new();
    for ((&x, &low), &high) in x.iter().zip(low).zip(high) {
        if let (Some(x), Some(low), Some(high)) = (area.across(x), area.up(low), area.up(high)) {
            let (left, x) = (c(x - 3.0), c(x));
            path.push_str(&format!(
                "M{left} {0}h6M{left} {1}h6M{x} {0}V{1}",
                c(low),
                c(high)
            ));
        }
    }
    canvas.stroke(
        &path,
        &Style {
            dash: Dash::Solid,
            ..*style
        },
    );
}

fn bars(canvas: &mut Canvas, area: &Area, edges: &[f64], heights: &[f64], style: &Style) {
    let mut path = String::new();
    for (pair, &height) in edges.windows(2).zip(heights) {
        let (Some(left), Some(right)) = (area.across(pair[0]), area.across(pair[1])) else {
            continue;
        };
        if let Some(top) = area.up(height).filter(|_| height > 0.0) {
            let gap = if right - left > 4.0 { 0.5 } else { 0.0 };
            let (left, right) = (c(left + gap), c(right - gap));
            path.push_str(&format!(
                "M{left} {}V{}H{right}V{}z",
                c(area.height),
                c(top),
                c(area.height)
            ));
        }
    }
    canvas.fill(&path, style.colour.css(), style.opacity);
}

fn blocks(canvas: &mut Canvas, area: &Area, rectangles: &[[f64; 4]], style: &Style) {
    let mut path = String::new();
    for [x0, x1, y0, y1] in rectangles {
        let (Some(left), Some(right)) = (area.across(*x0), area.across(*x1)) else {
            continue;
        };
        let (Some(top), Some(bottom)) = (area.up(*y1), area.up(*y0)) else {
            continue;
        };
        let (left, right) = (c(left), c(right));
        if left != right {
            path.push_str(&format!(
                "M{left} {}V{}H{right}V{}z",
                c(bottom),
                c(top),
                c(bottom)
            ));
        }
    }
    canvas.fill(&path, style.colour.css(), style.opacity);
}

fn intervals(
    canvas: &mut Canvas,
    area: &Area,
    (y, low, high): (&[f64], &[f64], &[f64]),
    style: &Style,
) {
    let mut path = String::new();
    for ((&y, &low), &high) in y.iter().zip(low).zip(high) {
        if let (Some(y), Some(low), Some(high)) = (area.up(y), area.across(low), area.across(high))
        {
            let (top, y) = (c(y - 3.0), c(y));
            path.push_str(&format!(
                "M{0} {top}v6M{1} {top}v6M{0} {y}H{1}",
                c(low),
                c(high)
            ));
        }
    }
    canvas.stroke(
        &path,
        &Style {
            dash: Dash::Solid,
            ..*style
        },
    );
}
