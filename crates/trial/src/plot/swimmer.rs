//! Swimmer plots: one lane per patient with the time on treatment and what happened.

use super::axis::Axis;
use super::figure::Figure;
use super::panel::Panel;
use super::style::{Colour, Marker, Style};
use super::text::fixed;
use super::thin::{ascending, evenly_spaced};
use super::{PlotError, Svg};

/// Lanes drawn at most, over all arms.
const LANES: usize = 60;
/// Height of a lane.
const LANE: f64 = 15.0;

/// What can be marked on a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SwimmerMark {
    /// A response begins.
    Response,
    /// Progression.
    Progression,
    /// A dose was delayed.
    Delay,
    /// The dose was reduced.
    Reduction,
    /// Treatment was stopped for toxicity.
    StoppedForToxicity,
    /// The patient left the trial.
    LeftTrial,
    /// Death.
    Death,
}

impl SwimmerMark {
    /// All of them, in the order of the legend.
    pub const ALL: [Self; 7] = [
        Self::Response,
        Self::Progression,
        Self::Delay,
        Self::Reduction,
        Self::StoppedForToxicity,
        Self::LeftTrial,
        Self::Death,
    ];

    /// Name in the legend.
    pub fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Progression => "progression",
            Self::Delay => "dose delayed",
            Self::Reduction => "dose reduced",
            Self::StoppedForToxicity => "stopped for toxicity",
            Self::LeftTrial => "left the trial",
            Self::Death => "death",
        }
    }

    fn style(self) -> Style {
        let (colour, marker, radius) = match self {
            Self::Response => (Colour::Green, Marker::Triangle, 4.0),
            Self::Progression => (Colour::Vermilion, Marker::Diamond, 3.6),
            Self::Delay => (Colour::Ink, Marker::Pause, 3.2),
            Self::Reduction => (Colour::Orange, Marker::TriangleDown, 4.0),
            Self::StoppedForToxicity => (Colour::Purple, Marker::Square, 3.2),
            Self::LeftTrial => (Colour::Ink, Marker::Plus, 3.6),
            Self::Death => (Colour::Ink, Marker::Cross, 3.6),
        };
        Style::default()
            .colour(colour)
            .marker(marker, radius)
            .with_rim()
    }
}

/// A stretch of treatment at one dose level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DoseSpan {
    /// Start, in the figure's unit of time.
    pub from: f64,
    /// End.
    pub to: f64,
    /// Index into [`Swimmer::levels`]; 0 is the full dose.
    pub level: usize,
}

/// One patient.
#[derive(Debug, Clone, PartialEq)]
pub struct SwimmerLane {
    /// Name of the patient.
    pub patient: String,
    /// Index of the arm.
    pub arm: usize,
    /// Stretches on treatment.
    pub spans: Vec<DoseSpan>,
    /// Events and their times.
    pub marks: Vec<(f64, SwimmerMark)>,
    /// End of follow-up if the patient was still followed then: drawn as an arrow.
    pub ongoing: Option<f64>,
}

impl SwimmerLane {
    /// Last time that the lane shows.
    pub fn end(&self) -> f64 {
        let spans = self.spans.iter().map(|span| span.to);
        let marks = self.marks.iter().map(|mark| mark.0);
        let ends = spans.chain(marks).chain(self.ongoing);
        ends.filter(|time| time.is_finite()).fold(0.0, f64::max)
    }
}

/// Lanes of patients by arm.
#[derive(Debug, Clone, PartialEq)]
pub struct Swimmer {
    title: String,
    time_label: String,
    arms: Vec<String>,
    levels: Vec<String>,
    lanes: Vec<SwimmerLane>,
    chosen: String,
    description: String,
}

impl Swimmer {
    /// `time_label` names the unit of time. `arms` names the arms that lanes refer to. `chosen`
    /// says which patients these are, for the caption: see [`Self::choose`].
    pub fn new(
        title: impl Into<String>,
        time_label: impl Into<String>,
        arms: Vec<String>,
        lanes: Vec<SwimmerLane>,
        chosen: impl Into<String>,
    ) -> Self {
        Self {
            title: title.into(),
            time_label: time_label.into(),
            arms,
            levels: vec!["on treatment".to_owned()],
            lanes,
            chosen: chosen.into(),
            description: String::new(),
        }
    }

    /// Names of the dose levels, the full dose first; five differ in colour.
    pub fn levels(mut self, levels: Vec<String>) -> Self {
        if !levels.is_empty() {
            self.levels = levels;
        }
        self
    }

    /// A longer description for screen readers.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Picks at most `count` patients, as many of each arm, evenly spaced by duration, and says so
    /// in a sentence for [`Self::new`]. `arms[i]` is the arm of the patient with `durations[i]`.
    pub fn choose(durations: &[f64], arms: &[usize], count: usize) -> (Vec<usize>, String) {
        let order: Vec<usize> = ascending(durations);
        let mut names: Vec<usize> = arms.to_vec();
        names.sort_unstable();
        names.dedup();
        let most = (count / names.len().max(1)).max(1);
        let mut chosen = Vec::new();
        for name in names {
            let members = order.iter().copied();
            let members: Vec<usize> = members.filter(|&at| arms.get(at) == Some(&name)).collect();
            let picked = evenly_spaced(members.len(), most);
            chosen.extend(picked.into_iter().map(|at| members[at]));
        }
        chosen.sort_unstable();
        let sentence = if chosen.len() == durations.len() {
            "All patients are shown.".to_owned()
        } else {
            format!(
                "{} of {} patients, in each arm evenly spaced by duration.",
                fixed(chosen.len() as f64, 0),
                fixed(durations.len() as f64, 0)
            )
        };
        (chosen, sentence)
    }

    /// Draws the figure, 700 wide, longest lane first in each arm; beyond 60 lanes every arm is
    /// thinned evenly, which the note says.
    ///
    /// # Errors
    /// [`PlotError::Empty`] without lanes.
    pub fn render(&self) -> Result<Svg, PlotError> {
        if self.lanes.is_empty() {
            return Err(PlotError::Empty {
                plot: self.title.clone(),
                missing: "lane",
            });
        }
        let longest = self.lanes.iter().map(SwimmerLane::end).fold(0.0, f64::max);
        let arms = self
            .lanes
            .iter()
            .map(|lane| lane.arm + 1)
            .max()
            .unwrap_or(1);
        let count = self.lanes.len();
        let mut panels = Vec::new();
        let mut heights = Vec::new();
        let mut drawn = 0;
        for arm in 0..arms {
            let members = self.lanes.iter().filter(|lane| lane.arm == arm);
            let members: Vec<&SwimmerLane> = members.collect();
            let most = (LANES * members.len() / count.max(LANES)).max(1);
            let ends: Vec<f64> = members.iter().map(|lane| lane.end()).collect();
            let mut order = ascending(&ends);
            order.reverse();
            let most = if count <= LANES { members.len() } else { most };
            let lanes: Vec<&SwimmerLane> = evenly_spaced(order.len(), most)
                .into_iter()
                .map(|at| members[order[at]])
                .collect();
            if lanes.is_empty() {
                continue;
            }
            drawn += lanes.len();
            heights.push(lanes.len() as f64 * LANE + 50.0);
            panels.push(self.panel(arm, &lanes, longest.max(1e-9)));
        }
        if let [height] = heights.as_mut_slice() {
            // A single panel carries the label of the time axis itself.
            *height += 20.0;
        }
        let figure = Figure::grid(&self.title, panels, 1)
            .panel_size(680.0, 200.0)
            .panel_heights(heights)
            .description(self.description.clone());
        let mut note = self.chosen.clone();
        if drawn < count {
            let space = if note.is_empty() { "" } else { " " };
            note.push_str(&format!(
                "{space}Of these {} lanes {} are drawn, evenly spaced by length within each arm.",
                fixed(count as f64, 0),
                fixed(drawn as f64, 0)
            ));
        }
        Ok(figure.render()?.noted(&note))
    }

    fn uses(&self, what: impl Fn(&SwimmerLane) -> bool) -> bool {
        self.lanes.iter().any(what)
    }

    fn panel(&self, arm: usize, lanes: &[&SwimmerLane], longest: f64) -> Panel {
        let names: Vec<&str> = lanes.iter().map(|lane| lane.patient.as_str()).collect();
        let title = self.arms.get(arm).map_or("", String::as_str);
        let mut panel = Panel::new(title)
            .x(Axis::new(&self.time_label).range(0.0, 1.03 * longest))
            .y(Axis::rows("", &names));
        let followed: Vec<[f64; 4]> = lanes
            .iter()
            .enumerate()
            .map(|(row, lane)| {
                let at = Axis::row_at(row);
                [0.0, lane.end(), at - 0.05, at + 0.05]
            })
            .collect();
        let thin = Style::default().colour(Colour::Grey).opacity(0.6);
        panel = panel.blocks("followed", &followed, thin);
        for (level, name) in self.levels.iter().enumerate() {
            let last = level + 1 == self.levels.len();
            let bars: Vec<[f64; 4]> = lanes
                .iter()
                .enumerate()
                .flat_map(|(row, lane)| {
                    let at = Axis::row_at(row);
                    lane.spans
                        .iter()
                        .filter(move |span| span.level == level || (last && span.level > level))
                        .map(move |span| [span.from, span.to, at - 0.33, at + 0.33])
                })
                .collect();
            // Also without bars, so that the legend is the same for every arm.
            if self.uses(|lane| lane.spans.iter().any(|span| span.level >= level)) {
                let step = u8::try_from(level).unwrap_or(4);
                panel = panel.blocks(
                    name,
                    &bars,
                    Style::default().colour(Colour::Depth(step + 1)),
                );
            }
        }
        for mark in SwimmerMark::ALL {
            let (x, y): (Vec<f64>, Vec<f64>) = lanes
                .iter()
                .enumerate()
                .flat_map(|(row, lane)| {
                    let marks = lane.marks.iter().filter(move |(_, kind)| *kind == mark);
                    marks.map(move |(time, _)| (*time, Axis::row_at(row)))
                })
                .unzip();
            if self.uses(|lane| lane.marks.iter().any(|(_, kind)| *kind == mark)) {
                panel = panel.points(mark.name(), &x, &y, mark.style());
            }
        }
        let (x, y): (Vec<f64>, Vec<f64>) = lanes
            .iter()
            .enumerate()
            .filter_map(|(row, lane)| Some((lane.ongoing?, Axis::row_at(row))))
            .unzip();
        if self.uses(|lane| lane.ongoing.is_some()) {
            let style = Style::default()
                .marker(Marker::TriangleRight, 4.2)
                .with_rim();
            panel = panel.points("still followed", &x, &y, style);
        }
        panel
    }
}
