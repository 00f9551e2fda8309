//! What a run carries from update to update on the host.

use serde::{Deserialize, Serialize};

use crate::ppo::multipliers::Controller;
use crate::ppo::risk::Tail;
use crate::ppo::scale::Scale;

/// The best checkpoint so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub update: u64,
    /// Whether every limit was kept: this comes before the return.
    pub feasible: bool,
    pub mean_return: f64,
}

impl Best {
    /// Whether this one is better than another.
    pub fn beats(&self, other: Option<&Self>) -> bool {
        other.is_none_or(|other| match (self.feasible, other.feasible) {
            (true, false) => true,
            (false, true) => false,
            _ => self.mean_return > other.mean_return,
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
            controllers: vec![Controller::default(); costs],
            tails: vec![Tail::default(); costs],
            ..Self::default()
        }
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
        };
        assert!(of(true, 1.0).beats(None));
        assert!(of(true, 1.0).beats(Some(&of(false, 9.0))));
        assert!(!of(false, 9.0).beats(Some(&of(true, 1.0))));
        assert!(of(true, 2.0).beats(Some(&of(true, 1.0))));
        assert!(!of(true, f64::NAN).beats(Some(&of(true, 1.0))));
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
            state.best = Some(Best { update, feasible: true, mean_return: number(8) });
            let read = State::from_text(&state.to_text()).unwrap();
            prop_assert_eq!(&read, &state);
            prop_assert_eq!(read.to_text(), state.to_text());
        }
    }
}
