//! Generalised advantage estimation (Schulman, Moritz, Levine, Jordan and Abbeel 2016, equations 11
//! to 16), for the reward and every cost in one launch.

use cubecl::prelude::*;

/// Bits of `flags`, as the environments write them.
pub mod flag {
    pub use crate::environment::{CUT, DIVERGED, RESET, TERMINATED, TRUNCATED};

    /// The transition was the last of its episode.
    pub const ENDED: u32 = TERMINATED | TRUNCATED | DIVERGED;
}

/// Words of `factors` per signal: discount, trace decay, whether a truncated episode goes on in the
/// critic's value (1) or is complete (0).
pub const FACTORS: usize = 3;

/// Advantages and returns, one thread per lane and signal, backwards in time.
///
/// | buffer | shape |
/// |---|---|
/// | `value` | `[signals][steps + 1][n]` what the critics expected, reward first |
/// | `reward` | `[steps][n]` |
/// | `cost` | `[signals - 1][steps][n]` |
/// | `flags` | `[steps][n]` bits of [`flag`] |
/// | `factors` | `[FACTORS][signals]` |
/// | `advantage`, `returns` | `[signals][steps][n]`; zero where there is no sample |
/// | `weight` | `[steps][n]` 1 for a sample, 0 otherwise |
///
/// `delta_t = r_t + gamma b_t V_{t+1} - V_t` and `A_t = delta_t + gamma lambda c_t A_{t+1}`, with
/// `c_t` 0 at the end of an episode and `b_t` 0 where nothing follows. `value` at `t + 1` is the
/// critic's at the last observation of the episode, because lanes reset in the step after.
#[cube(launch_unchecked)]
pub fn advantages(
    value: &[f32],
    reward: &[f32],
    cost: &[f32],
    flags: &[u32],
    factors: &[f32],
    advantage: &mut [f32],
    returns: &mut [f32],
    weight: &mut [f32],
    signals: u32,
    steps: u32,
    lanes: u32,
) {
    let i = ABSOLUTE_POS;
    let n = lanes as usize;
    if i < signals as usize * n {
        let signal = i / n;
        let lane = i % n;
        let all = signals as usize;
        let discount = factors[signal];
        let decay = discount * factors[all + signal];
        let goes_on = factors[2 * all + signal];
        let values = signal * (steps as usize + 1) * n + lane;
        let results = signal * steps as usize * n + lane;
        let mut trace = 0.0f32;
        let mut next = value[values + steps as usize * n];
        for back in 0..steps {
            let t = (steps - 1u32 - back) as usize;
            let at = t * n + lane;
            let flag = flags[at];
            let sample = (flag & flag::RESET) == 0u32;
            let ended = (flag & flag::ENDED) != 0u32;
            let terminal = (flag & flag::TERMINATED) != 0u32;
            let mut gain = reward[at];
            if signal == 0usize {
                weight[at] = select(sample, 1.0f32, 0.0f32);
            } else {
                gain = cost[(signal - 1usize) * steps as usize * n + at];
            }
            let here = value[values + t * n];
            let after = select(ended, select(terminal, 0.0f32, goes_on), 1.0f32);
            // not a product: what is not followed may be no number
            let follows = select(after > 0.0f32, discount * after * next, 0.0f32);
            let delta = gain + follows - here;
            trace = delta + select(ended, 0.0f32, decay * trace);
            trace = select(sample, trace, 0.0f32);
            advantage[results + t * n] = trace;
            returns[results + t * n] = select(sample, trace + here, 0.0f32);
            next = here;
        }
    }
}
