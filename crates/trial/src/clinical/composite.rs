//! Times to the first of several events, and when observation ends.
//!
//! An event at the very time at which observation ends is seen, as in a survival curve, where
//! events go before censorings at the same time.

/// A time to an event, or to the end of its observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeToEvent {
    /// When.
    pub time: f64,
    /// Whether the event happened then; otherwise the patient was last known to be free of it.
    pub event: bool,
}

impl TimeToEvent {
    /// The event happened.
    pub const fn event(time: f64) -> Self {
        Self { time, event: true }
    }

    /// No event up to this time.
    pub const fn censored(time: f64) -> Self {
        Self { time, event: false }
    }

    /// From a time that may never come (infinite or NaN: never), seen until `end`.
    pub fn seen_until(time: f64, end: f64) -> Self {
        if time <= end {
            Self::event(time)
        } else {
            Self::censored(end)
        }
    }

    /// As seen by someone who stops looking at `end`.
    #[must_use]
    pub fn until(self, end: f64) -> Self {
        if self.time <= end {
            self
        } else {
            Self::censored(end)
        }
    }

    /// Counted from `start` on; never below zero.
    #[must_use]
    pub fn since(self, start: f64) -> Self {
        Self {
            time: (self.time - start).max(0.0),
            ..self
        }
    }
}

/// One of the events of a composite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Component {
    /// Its time or censoring.
    pub outcome: TimeToEvent,
    /// Whether its censoring also ends the observation of the others. It does for death (the
    /// patient has left), not for progression: who has had the last scan may still be known to
    /// have died.
    pub ends_observation: bool,
}

/// The first of several events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct First {
    /// When, or the end of observation.
    pub time: f64,
    /// Position of the event that came first in the list given; nothing if censored.
    pub cause: Option<usize>,
}

impl First {
    /// Coding of competing risks (Aalen-Johansen): 0 is censored, k is the k-th event, from 1.
    pub fn code(&self) -> u32 {
        self.cause.map_or(0, |cause| cause as u32 + 1)
    }

    /// Without the cause.
    pub fn outcome(&self) -> TimeToEvent {
        TimeToEvent {
            time: self.time,
            event: self.cause.is_some(),
        }
    }
}

/// The earliest event that happens while the patient is observed: until `end`, and until the
/// first censoring that [ends observation](Component::ends_observation). Without an event, the
/// patient is censored at the earliest censoring of all components, since only until then all of
/// them were known to be absent. Of events at the same time the first in the list counts.
pub fn earliest(components: &[Component], end: f64) -> First {
    let observed = components
        .iter()
        .filter(|component| component.ends_observation && !component.outcome.event)
        .fold(end, |end, component| end.min(component.outcome.time));
    let mut first = first_event(components.iter().map(|c| c.outcome), observed);
    if first.cause.is_none() {
        first.time = components
            .iter()
            .filter(|component| !component.outcome.event)
            .fold(observed, |time, component| time.min(component.outcome.time));
    }
    first
}

/// The first of several causes that exclude each other, every censoring ending observation.
pub fn competing(causes: &[TimeToEvent], end: f64) -> First {
    let observed = causes
        .iter()
        .filter(|outcome| !outcome.event)
        .fold(end, |end, outcome| end.min(outcome.time));
    first_event(causes.iter().copied(), observed)
}

/// The first event up to `observed`; of several at one time the first in the list.
fn first_event(outcomes: impl Iterator<Item = TimeToEvent>, observed: f64) -> First {
    let mut first = First {
        time: observed,
        cause: None,
    };
    for (cause, outcome) in outcomes.enumerate() {
        let earlier = first.cause.is_none() || outcome.time < first.time;
        if outcome.event && outcome.time <= observed && earlier {
            first = First {
                time: outcome.time,
                cause: Some(cause),
            };
        }
    }
    first
}

/// Progression-free survival: progression or death, whichever comes first (cause 0 or 1);
/// otherwise censored at the last scan. `death` is censored when observation ends.
pub fn progression_free(progression: TimeToEvent, death: TimeToEvent) -> First {
    earliest(
        &[
            Component {
                outcome: progression,
                ends_observation: false,
            },
            Component {
                outcome: death,
                ends_observation: true,
            },
        ],
        f64::INFINITY,
    )
}

/// From the first response to progression or death, of a patient who responded.
pub fn response_duration(
    first_response: Option<f64>,
    progression: TimeToEvent,
    death: TimeToEvent,
) -> Option<TimeToEvent> {
    first_response.map(|since| progression_free(progression, death).outcome().since(since))
}

/// Why observation of a patient ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The patient left the trial.
    Dropout,
    /// The data were cut: administrative censoring.
    Cutoff,
}

/// End of observation of a patient, on the patient's own clock (zero at entry): drop-out, or the
/// cut-off of the data, whichever comes first. `cutoff` and `entry` are on the trial's clock; a
/// patient who enters after the cut-off is observed for no time at all.
pub fn observation(dropout: f64, entry: f64, cutoff: f64) -> (f64, EndReason) {
    let follow_up = (cutoff - entry).max(0.0);
    if dropout < follow_up {
        (dropout, EndReason::Dropout)
    } else {
        (follow_up, EndReason::Cutoff)
    }
}

/// Time at which a cumulative hazard, known at increasing times and straight between them, first
/// reaches a unit exponential variate: the time of the event with this hazard (inverse transform,
/// Bender et al. 2005, Stat Med 24:1713). Nothing if it does not within the times given.
pub fn first_crossing(times: &[f64], cumulative: &[f64], variate: f64) -> Option<f64> {
    let count = times.len().min(cumulative.len());
    let at = cumulative[..count]
        .iter()
        .position(|&hazard| hazard >= variate)?;
    let Some(before) = at.checked_sub(1) else {
        return Some(times[0]);
    };
    let share = (variate - cumulative[before]) / (cumulative[at] - cumulative[before]);
    Some(times[before] + share * (times[at] - times[before]))
}
