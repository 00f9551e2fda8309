//! What a run carries from update to update on the host.

use serde::{Deserialize, Serialize};

use crate::ppo::multipliers::Controller;
use crate::ppo::risk::Tail;
use crate::ppo::scale::Scale;
use crate::spec::Spec;

/// The best checkpoint so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub update: u64,
    /// Whether the upper bound of every risk lay within its limit: this comes before the return.
    pub feasible: bool,
    pub mean_return: f64,
    /// How far the worst bound lay beyond its limit, as a share of it.
    #[serde(default)]
    pub excess: f64,
}

impl Best {
    /// Of an update, by its return and the upper bound of every risk beside its limit.
    pub fn of(update: u64, mean_return: f64, bounds: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut best = Self {
            update,
            feasible: true,
            mean_return,
            excess: 0.0,
        };
        for (upper, limit) in bounds {
            // a bound that is no number is none
            best.feasible &= upper <= limit;
            best.excess = best.excess.max((upper - limit) / limit.abs().max(1e-9));
        }
        best
    }

    /// Whether this one is better than another: by the return where both keep the limits, by what
    /// they lie beyond them where neither does.
    pub fn beats(&self, other: Option<&Self>) -> bool {
        other.is_none_or(|other| match (self.feasible, other.feasible) {
            (true, false) => true,
            (false, true) => false,
            (true, true) => self.mean_return > other.mean_return,
            (false, false) => self.excess < other.excess,
        })
    }
}

/// Counters, controllers and running estimates; everything else of a run is on the device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Updates done.
    pub update: u64,
    /// Episodes and the sum of their returns since the last checkpoint.
    pub recent_episodes: f64,
    pub recent_returns: f64,
    pub best: Option<Best>,
    /// Share of each limit that training keeps, as validations have calibrated it.
    #[serde(default)]
    pub kept: Vec<f64>,
    /// Reward first, then costs.
    pub scales: Vec<Scale>,
    pub controllers: Vec<Controller>,
    pub tails: Vec<Tail>,
}

impl State {
    /// Before the first update.
    pub fn new(costs: usize) -> Self {
        Self {
            scales: vec![Scale::default(); 1 + costs],
            kept: vec![1.0; costs],
            controllers: vec![Controller::default(); costs],
            tails: vec![Tail::default(); costs],
            ..Self::default()
        }
    }

    /// Judge the updates since the last regular checkpoint by training's own episodes; whether they
    /// are the best so far.
    pub fn judge(&mut self, spec: &Spec) -> bool {
        let seen = spec.costs.iter().zip(&self.tails);
        let bounds: Vec<(f64, f64)> = seen
            .map(|(cost, tail)| (tail.upper(cost), cost.limit))
            .collect();
        let episodes = std::mem::take(&mut self.recent_episodes);
        let returns = std::mem::take(&mut self.recent_returns);
        if episodes <= 0.0 {
            return false;
        }
        self.choose(Best::of(
            self.update,
            returns / episodes,
            bounds.into_iter(),
        ))
    }

    /// Whether a candidate is the best so far.
    pub fn choose(&mut self, new: Best) -> bool {
        let better = new.beats(self.best.as_ref());
        if better {
            self.best = Some(new);
        }
        better
    }

    /// As text from which the same bits are read: decimal numbers of TOML are the shortest that
    /// give the number back.
    pub fn to_text(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// From [`State::to_text`].
    pub fn from_text(text: &str) -> Option<Self> {
        toml::from_str(text).ok()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_kept_limit_comes_before_the_return() {
        let of = |feasible, mean_return| Best {
            update: 1,
            feasible,
            mean_return,
            excess: 0.0,
        };
        assert!(of(true, 1.0).beats(None));
        assert!(of(true, 1.0).beats(Some(&of(false, 9.0))));
        assert!(!of(false, 9.0).beats(Some(&of(true, 1.0))));
        assert!(of(true, 2.0).beats(Some(&of(true, 1.0))));
        assert!(!of(true, f64::NAN).beats(Some(&of(true, 1.0))));
        let bounds = |upper: f64| Best::of(1, 1.0, [(0.5, 1.0), (upper, 2.0)].into_iter());
        assert!(bounds(2.0).feasible && !bounds(f64::NAN).feasible);
        assert_eq!(bounds(3.0).excess, 0.5);
        assert!(bounds(2.5).beats(Some(&bounds(3.0))));
    }

    proptest! {
        #[test]
        fn every_bit_is_read_back(bits in prop::collection::vec(any::<f64>(), 9), update in 0u64..1 << 40) {
            let number = |i: usize| if bits[i].is_nan() { 0.25 } else { bits[i] };
            let mut state = State::new(1);
            state.update = update;
            state.recent_returns = number(0);
            state.scales[0] = Scale { square: number(1), weight: number(2) };
            state.controllers[0] = Controller {
                multiplier: number(3),
                integral: number(4),
                smoothed: Some(number(5)),
            };
            state.tails[0] = Tail { value_at_risk: number(6), mean: number(7), ..Tail::default() };
            state.best = Some(Best { update, feasible: true, mean_return: number(8), excess: 0.0 });
            let read = State::from_text(&state.to_text()).unwrap();
            prop_assert_eq!(&read, &state);
            prop_assert_eq!(read.to_text(), state.to_text());
        }
    }
}
