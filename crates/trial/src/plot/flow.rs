//! Flow of patients through a trial, in the order of the CONSORT diagram (Schulz et al. 2010).

use super::canvas::{Anchor, Canvas, TextStyle};
use super::style::Style;
use super::text::{BOLD, coordinate as c, fixed, wrap};
use super::{PlotError, Svg};

const FONT: f64 = 12.5;
const LINE: f64 = 1.35 * FONT;
const PAD: f64 = 8.0;
/// Space between rows, for the arrows.
const GAP: f64 = 24.0;

/// A reason and how many patients it concerned.
pub type Reason = (String, usize);

/// How patients came into arms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// Each patient into one arm.
    Randomised,
    /// Each patient through every arm.
    EveryArm,
}

/// One arm. What follows from the other numbers is worked out, so that the diagram adds up:
/// received = allocated - not started; completed = received - discontinued - ongoing;
/// analysed = allocated - left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlowArm {
    /// Name of the arm.
    pub name: String,
    /// Patients allocated.
    pub allocated: usize,
    /// Those who received no treatment, by reason.
    pub not_started: Vec<Reason>,
    /// Those who stopped early, by reason.
    pub discontinued: Vec<Reason>,
    /// Those still on treatment at the end.
    pub ongoing: usize,
    /// Those left out of the analysis, by reason.
    pub left_out: Vec<Reason>,
}

/// The diagram, for up to eight arms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    title: String,
    source: String,
    assessed: usize,
    excluded: Vec<Reason>,
    allocation: Allocation,
    arms: Vec<FlowArm>,
}

/// A box: its first line is bold. `true` marks lines that are reasons.
type Lines = Vec<(String, bool)>;
/// What an arm's box says.
type Row = fn(&Flow, &FlowArm) -> Result<Lines, PlotError>;

impl Flow {
    /// `source` says what was done to get the first number, such as "Sampled from the virtual
    /// population". `excluded` are those who did not enter, by reason.
    pub fn new(
        title: impl Into<String>,
        (source, assessed): (impl Into<String>, usize),
        excluded: Vec<Reason>,
        allocation: Allocation,
        arms: Vec<FlowArm>,
    ) -> Self {
        Self {
            title: title.into(),
            source: source.into(),
            assessed,
            excluded,
            allocation,
            arms,
        }
    }

    /// Patients who entered the trial.
    ///
    /// # Errors
    /// [`PlotError::Counts`] if more were excluded than assessed, or the arms do not add up to
    /// those who entered.
    pub fn entered(&self) -> Result<usize, PlotError> {
        let entered = self.rest("excluded", self.assessed, &self.excluded)?;
        let allocated = self.arms.iter().map(|arm| arm.allocated);
        let found = match self.allocation {
            Allocation::Randomised => vec![allocated.sum::<usize>()],
            Allocation::EveryArm => allocated.collect(),
        };
        if let Some(&found) = found.iter().find(|&&found| found != entered) {
            return Err(self.counts("allocated", entered, found));
        }
        Ok(entered)
    }

    /// Draws the diagram.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without arms, [`PlotError::Counts`] where numbers do not add up.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.arms.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "arm",
            });
        }
        let entered = self.entered()?;
        let columns = self.arms.len() as f64;
        let total = (185.0 * columns).max(680.0);
        let pitch = total / columns;
        let wide = (pitch - 14.0).min(300.0);
        let mut canvas = Canvas::default();
        let middle = 0.5 * total;

        let head = vec![count(&self.source, self.assessed)];
        let main = 260.0;
        let head_height = height(&head, main);
        let excluded = self.excluded_lines();
        let side = 0.5 * total - 30.0;
        let side_height = if excluded.is_empty() {
            0.0
        } else {
            height(&excluded, side)
        };
        let mut y = 1.0;
        boxed(
            &mut canvas,
            (middle - 0.5 * main, y, main, head_height),
            &head,
        );
        let below = y + head_height;
        let between = side_height.max(0.0) + if excluded.is_empty() { GAP } else { 2.0 * 10.0 };
        arrow(&mut canvas, (middle, below), (middle, below + between));
        if !excluded.is_empty() {
            let (left, top) = (middle + 24.0, below + 10.0);
            let at = top + 0.5 * side_height;
            arrow(&mut canvas, (middle, at), (left, at));
            boxed(&mut canvas, (left, top, side, side_height), &excluded);
        }
        y = below + between;
        let label = match self.allocation {
            Allocation::Randomised => "Randomised",
            Allocation::EveryArm => "Simulated in every arm",
        };
        let head = vec![count(label, entered)];
        let head_height = height(&head, main);
        boxed(
            &mut canvas,
            (middle - 0.5 * main, y, main, head_height),
            &head,
        );
        y += head_height;

        let centre = |arm: usize| pitch * (arm as f64 + 0.5);
        let fork = y + 0.5 * GAP;
        let last = centre(self.arms.len() - 1);
        if self.arms.len() > 1 {
            let path = format!(
                "M{m} {}V{f}M{} {f}H{}",
                c(y),
                c(centre(0)),
                c(last),
                m = c(middle),
                f = c(fork)
            );
            canvas.stroke(&path, &line_style());
        }
        let start = if self.arms.len() > 1 { fork } else { y };
        for arm in 0..self.arms.len() {
            let x = centre(arm);
            arrow(&mut canvas, (x, start), (x, y + GAP));
        }
        y += GAP;
        let rows: [Row; 3] = [Self::allocation, Self::follow_up, Self::analysis];
        for (number, row) in rows.iter().enumerate() {
            let boxes = self.arms.iter().map(|arm| row(self, arm));
            let boxes = boxes.collect::<Result<Vec<Lines>, _>>()?;
            let tallest = boxes.iter().map(|lines| height(lines, wide));
            let tallest = tallest.fold(0.0, f64::max);
            for (arm, lines) in boxes.iter().enumerate() {
                let left = centre(arm) - 0.5 * wide;
                boxed(&mut canvas, (left, y, wide, tallest), lines);
                if number + 1 < rows.len() {
                    let (x, from) = (centre(arm), y + tallest);
                    arrow(&mut canvas, (x, from), (x, from + GAP));
                }
            }
            y += tallest + if number + 1 < rows.len() { GAP } else { 1.0 };
        }
        Ok(canvas.finish(&self.title, &self.words(entered), (total, y), 1.15))
    }

    fn excluded_lines(&self) -> Lines {
        let total = sum(&self.excluded);
        if total == 0 {
            return Vec::new();
        }
        let mut lines = vec![count("Excluded", total)];
        reasons(&mut lines, &self.excluded);
        lines
    }

    fn allocation(&self, arm: &FlowArm) -> Result<Lines, PlotError> {
        let received = self.rest("not started", arm.allocated, &arm.not_started)?;
        let mut lines = vec![
            (arm.name.clone(), false),
            count("Allocated", arm.allocated),
            count("Received treatment", received),
        ];
        if received < arm.allocated {
            lines.push(count("Not started", arm.allocated - received));
            reasons(&mut lines, &arm.not_started);
        }
        Ok(lines)
    }

    fn follow_up(&self, arm: &FlowArm) -> Result<Lines, PlotError> {
        let received = self.rest("not started", arm.allocated, &arm.not_started)?;
        let left = self.rest("discontinued", received, &arm.discontinued)?;
        let ongoing = [(String::new(), arm.ongoing)];
        let completed = self.rest("on treatment at the end", left, &ongoing)?;
        let mut lines = vec![
            ("Treatment".to_owned(), false),
            count("Completed", completed),
        ];
        if arm.ongoing > 0 {
            lines.push(count("On treatment at the end", arm.ongoing));
        }
        lines.push(count("Stopped early", received - left));
        reasons(&mut lines, &arm.discontinued);
        Ok(lines)
    }

    fn analysis(&self, arm: &FlowArm) -> Result<Lines, PlotError> {
        let analysed = self.rest("left out of the analysis", arm.allocated, &arm.left_out)?;
        let mut lines = vec![("Analysis".to_owned(), false), count("Analysed", analysed)];
        if analysed < arm.allocated {
            lines.push(count("Left out", arm.allocated - analysed));
            reasons(&mut lines, &arm.left_out);
        }
        Ok(lines)
    }

    fn rest(&self, what: &'static str, of: usize, less: &[Reason]) -> Result<usize, PlotError> {
        let less = sum(less);
        of.checked_sub(less)
            .ok_or_else(|| self.counts(what, of, less))
    }

    fn counts(&self, what: &'static str, expected: usize, found: usize) -> PlotError {
        PlotError::Counts {
            plot: self.title.clone(),
            what,
            expected,
            found,
        }
    }

    fn words(&self, entered: usize) -> String {
        let arms = self.arms.iter().map(|arm| {
            format!(
                "{}: {} allocated, {} stopped early, {} analysed",
                arm.name,
                arm.allocated,
                sum(&arm.discontinued),
                arm.allocated.saturating_sub(sum(&arm.left_out))
            )
        });
        let arms: Vec<String> = arms.collect();
        format!(
            "{} {}; {} entered. {}.",
            self.assessed,
            self.source.to_lowercase(),
            entered,
            arms.join("; ")
        )
    }
}

fn sum(reasons: &[Reason]) -> usize {
    reasons.iter().map(|reason| reason.1).sum()
}

fn count(what: &str, patients: usize) -> (String, bool) {
    (format!("{what}: {}", fixed(patients as f64, 0)), false)
}

fn reasons(lines: &mut Lines, reasons: &[Reason]) {
    let given = reasons.iter().filter(|reason| reason.1 > 0);
    lines.extend(given.map(|(why, patients)| (count(why, *patients).0, true)));
}

fn line_style() -> Style {
    Style::ink().opacity(0.75)
}

/// The lines of a box as they break in its width: text, indent, bold.
fn broken(lines: &Lines, room: f64) -> Vec<(String, f64, bool)> {
    let mut all = Vec::new();
    for (index, (text, reason)) in lines.iter().enumerate() {
        let bold = index == 0;
        let indent = if *reason { 12.0 } else { 0.0 };
        let size = if bold { BOLD * FONT } else { FONT };
        let parts = wrap(text, size, room - 2.0 * PAD - indent, 8);
        all.extend(parts.into_iter().map(|text| (text, indent, bold)));
    }
    all
}

fn height(lines: &Lines, room: f64) -> f64 {
    broken(lines, room).len() as f64 * LINE + 2.0 * PAD - 0.2 * FONT
}

fn boxed(canvas: &mut Canvas, (x, y, wide, high): (f64, f64, f64, f64), lines: &Lines) {
    let path = format!("M{} {}h{}v{}h-{}z", c(x), c(y), c(wide), c(high), c(wide));
    canvas.stroke(&path, &line_style());
    for (index, (text, indent, bold)) in broken(lines, wide).iter().enumerate() {
        let base = y + PAD + 0.82 * FONT + index as f64 * LINE;
        let style = TextStyle {
            bold: *bold,
            ..TextStyle::new(FONT, Anchor::Start)
        };
        canvas.text(x + PAD + indent, base, text, style);
    }
}

/// A line with a head at its end; along one axis.
fn arrow(canvas: &mut Canvas, from: (f64, f64), to: (f64, f64)) {
    let head = if from.0 == to.0 {
        "m-4-6l4 6l4-6"
    } else {
        "m-6-4l6 4l-6 4"
    };
    let path = format!("M{} {}L{} {}{head}", c(from.0), c(from.1), c(to.0), c(to.1));
    canvas.stroke(&path, &line_style());
}
