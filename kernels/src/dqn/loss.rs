//! The loss of double Q-learning and its gradient with respect to the network's outputs, in one pass.
//!
//! An action of several factors has the value `Q(s, a) = sum_h q_h(s, a_h)`, whose best action is the
//! best level of every factor (Tang et al. 2022, "Leveraging factored action spaces for efficient
//! offline RL in healthcare"); with one factor it is the plain Q function. With what was sampled,
//!
//! ```text
//! y    = R + follow sum_h q'_h(s', argmax_l allowed q_h(s', l))     van Hasselt et al. 2016, eq. 4
//! loss = 1/W sum_i w_i H(Q(s, a) - y)                               H: Huber's loss of a given width
//! ```

use std::sync::Arc;

use cubecl::prelude::*;

use crate::policy::{Head, OutputLayout};

/// Rows of loss parts.
pub mod part {
    pub const LOSS: usize = 0;
    /// Size of the temporal difference.
    pub const ERROR: usize = 1;
    /// Value of the action taken.
    pub const VALUE: usize = 2;
    /// What it should be.
    pub const TARGET: usize = 3;
    /// Rows in all.
    pub const ALL: usize = 4;
}

/// Below every value.
const LOWEST: f32 = -3.0e38;

/// Levels of a categorical head; other heads have none.
fn levels(layout: &OutputLayout, h: usize) -> usize {
    match layout.heads[h] {
        Head::Categorical { levels } => levels as usize,
        Head::Gaussian => 0,
    }
}

/// Loss parts and gradient, one thread per sample.
///
/// | buffer | shape |
/// |---|---|
/// | `outputs` | `[rows][n]` of the network before the decision; heads' rows are values |
/// | `chooser`, `target` | `[rows][n]` of the network and the target network after it |
/// | `action` | `[heads][n]` index of the level |
/// | `mask` | `[heads][n]` after it: bit `l` is set where level `l` is allowed; 0 allows all |
/// | `returns`, `follow`, `weight` | `[n]` |
/// | `total` | `[1]` sum of the weights |
/// | `gradient` | `[rows][n]` of the mean loss |
/// | `parts` | `[part::ALL][n]` times the weight |
#[cube(launch_unchecked)]
pub fn double_q_loss(
    outputs: &[f32],
    chooser: &[f32],
    target: &[f32],
    action: &[f32],
    mask: &[u32],
    returns: &[f32],
    follow: &[f32],
    weight: &[f32],
    total: &[f32],
    gradient: &mut [f32],
    parts: &mut [f32],
    samples: u32,
    width: f32,
    #[comptime] layout: Arc<OutputLayout>,
) {
    let i = ABSOLUTE_POS;
    let n = samples as usize;
    if i >= n {
        terminate!();
    }
    let w = weight[i];
    let live = w > 0.0f32;
    let share = select(live, w / select(live, total[0], 1.0f32), 0.0f32);
    let mut value = 0.0f32;
    let mut next = 0.0f32;
    #[unroll]
    for h in 0..comptime![layout.heads.len()] {
        let row = comptime![layout.head_row(h)];
        let chosen = u32::cast_from(action[h * n + i]);
        let given = mask[h * n + i];
        let open = select(given == 0u32, 0xFFFF_FFFFu32, given);
        let mut best = f32::new(LOWEST);
        let mut worth = 0.0f32;
        #[unroll]
        for l in 0..comptime![levels(&layout, h)] {
            let at = comptime![row + l];
            let of = outputs[at * n + i];
            value += select(chosen == comptime![l as u32], of, 0.0f32);
            let allowed = ((open >> comptime![l as u32]) & 1u32) == 1u32;
            let seems = select(allowed, chooser[at * n + i], LOWEST);
            worth = select(seems > best, target[at * n + i], worth);
            best = f32::max(best, seems);
        }
        next += worth;
    }
    let share_of_next = follow[i];
    // not a product: what is not followed may be no number
    let wanted = returns[i] + select(share_of_next > 0.0f32, share_of_next * next, 0.0f32);
    let off = value - wanted;
    let near = f32::min(f32::max(off, -width), width);
    // a difference that is no number must be seen in the loss
    let loss = near * (off - 0.5f32 * near);
    #[unroll]
    for h in 0..comptime![layout.heads.len()] {
        let row = comptime![layout.head_row(h)];
        let chosen = u32::cast_from(action[h * n + i]);
        #[unroll]
        for l in 0..comptime![levels(&layout, h)] {
            let at = comptime![row + l];
            let slope = select(chosen == comptime![l as u32], share * near, 0.0f32);
            gradient[at * n + i] = select(live, slope, 0.0f32);
        }
    }
    // critics and beliefs have no part in this
    #[unroll]
    for row in comptime![layout.policy_rows()]..comptime![layout.rows()] {
        gradient[row * n + i] = 0.0f32;
    }
    parts[comptime![part::LOSS] * n + i] = select(live, w * loss, 0.0f32);
    parts[comptime![part::ERROR] * n + i] = select(live, w * f32::abs(off), 0.0f32);
    parts[comptime![part::VALUE] * n + i] = select(live, w * value, 0.0f32);
    parts[comptime![part::TARGET] * n + i] = select(live, w * wanted, 0.0f32);
}

/// Add the means of rows, whose partial sums are `partial`, `[rows][blocks]`, to `tally`, `[rows]`;
/// `first` begins anew. One thread per row.
#[cube(launch_unchecked)]
pub fn tally(
    partial: &[f32],
    total: &[f32],
    tally: &mut [f32],
    rows: u32,
    blocks: u32,
    first: u32,
) {
    let i = ABSOLUTE_POS;
    if i < rows as usize {
        let all = total[0];
        let some = all > 0.0f32;
        let mut sum = 0.0f32;
        for b in 0..blocks {
            sum += partial[i * blocks as usize + b as usize];
        }
        let mean = select(some, sum / select(some, all, 1.0f32), 0.0f32);
        tally[i] = select(first == 1u32, 0.0f32, tally[i]) + mean;
    }
}
