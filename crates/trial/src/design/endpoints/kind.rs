//! What an endpoint is.

use posology_model::graph::NodeId;

/// What an endpoint is. Times are model time; `observed` is an index into [`Visits::observed`](crate::design::Visits::observed).
#[derive(Clone, Debug, PartialEq)]
pub enum EndpointKind {
    /// First time at which the margin is positive; censored at the horizon.
    FirstTime(NodeId),
    /// Integral over time.
    Integral(NodeId),
    /// Integral divided by the time it was taken over.
    Mean(NodeId),
    /// Value at the end.
    Last(NodeId),
    /// Smallest value.
    Min(NodeId),
    /// Largest value.
    Max(NodeId),
    /// Value at a time.
    At {
        /// What.
        node: NodeId,
        /// When.
        time: f64,
    },
    /// A time to an event that the model draws, evaluated at `time`.
    Drawn {
        /// The time to the event, coherent.
        node: NodeId,
        /// When it is evaluated.
        time: f64,
    },
    /// Time to an event with a hazard: its integral, a further state of the model, passes a
    /// standard exponential number, a further covariate.
    Hazard {
        /// Positive after the event.
        margin: NodeId,
        /// Slot of the exponential number.
        threshold: usize,
    },
    /// Best overall response by RECIST 1.1 on scans as measured.
    Response {
        /// The sum of diameters.
        observed: usize,
        /// Shortest time to a confirming scan; without, one scan is enough.
        confirm: Option<f64>,
    },
    /// Time to progression by RECIST 1.1 on scans as measured.
    Progression {
        /// The sum of diameters.
        observed: usize,
    },
    /// Whether a marker falls.
    Decline {
        /// The marker.
        observed: usize,
        /// Share of the first value.
        by: f64,
        /// Shortest time to a confirming value; 0: one is enough.
        confirm: f64,
    },
    /// Time to the rise of a marker from its lowest value.
    Rise {
        /// The marker.
        observed: usize,
        /// Share of the lowest value.
        by: f64,
        /// Least rise, coherent.
        at_least: f64,
        /// Shortest time to a confirming value; 0: one is enough.
        confirm: f64,
        /// Time before which a rise without any fall does not count.
        flare: f64,
    },
    /// The earliest of several times to events.
    Earliest(Vec<usize>),
    /// Whether a toxicity reaches a grade.
    Toxicity {
        /// Index of the model's toxicity.
        toxicity: usize,
        /// This grade or worse.
        grade: u8,
        /// Within this time from the start; the whole time if absent.
        within: Option<f64>,
        /// The toxicity's value, neutral after `within`.
        node: NodeId,
    },
    /// Amount given over amount planned.
    DoseIntensity {
        /// Index of the model's input.
        input: usize,
    },
    /// Amount given.
    Dose {
        /// Index of the model's input.
        input: usize,
    },
    /// From the first dose to the end of treatment.
    TimeOnTreatment,
}

/// How an endpoint is analysed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A time to an event, possibly censored.
    Time,
    /// An event or its absence.
    YesNo,
    /// A number.
    Number,
    /// A best response, with the objective ones as its events.
    Response,
}

impl EndpointKind {
    /// How it is analysed.
    pub fn class(&self) -> Class {
        match self {
            Self::FirstTime(_)
            | Self::Drawn { .. }
            | Self::Hazard { .. }
            | Self::Progression { .. }
            | Self::Rise { .. }
            | Self::Earliest(_) => Class::Time,
            Self::Decline { .. } | Self::Toxicity { .. } => Class::YesNo,
            Self::Response { .. } => Class::Response,
            Self::Integral(_)
            | Self::Mean(_)
            | Self::Last(_)
            | Self::Min(_)
            | Self::Max(_)
            | Self::At { .. }
            | Self::DoseIntensity { .. }
            | Self::Dose { .. }
            | Self::TimeOnTreatment => Class::Number,
        }
    }

    /// Index into the visits' observed quantities of what it looks at.
    pub fn observed(&self) -> Option<usize> {
        match *self {
            Self::Response { observed, .. }
            | Self::Progression { observed }
            | Self::Decline { observed, .. }
            | Self::Rise { observed, .. } => Some(observed),
            _ => None,
        }
    }

    /// The margin whose first positive time is the event, if it shows while simulating.
    pub fn margin(&self) -> Option<NodeId> {
        match *self {
            Self::FirstTime(margin) | Self::Hazard { margin, .. } => Some(margin),
            _ => None,
        }
    }
}
