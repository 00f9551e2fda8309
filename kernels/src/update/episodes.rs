//! Accounts of episodes: totals that outlast a rollout, tail costs, and sums for the metrics.

use cubecl::prelude::*;

use super::advantage::flag;

/// Rows that are carried from one rollout to the next besides the costs: return, length.
pub const CARRIED: usize = 2;
/// Rows of sums besides the costs: episodes, return, its square, length, terminated, diverged.
pub const SUMS: usize = 6;
/// Rows of sums per cost: total, its square, episodes above the value at risk, the excess above it,
/// the square of that.
pub const COST_SUMS: usize = 5;

/// Take every lane through the rollout, one thread per lane.
///
/// | buffer | shape |
/// |---|---|
/// | `reward` | `[steps][n]` |
/// | `cost` | `[costs][steps][n]` |
/// | `flags` | `[steps][n]` |
/// | `risk` | `[2][costs]` value at risk, and `1 / (1 - alpha)`: 0 for a cost limited in the mean |
/// | `carried` | `[CARRIED + costs][n]` what the episode under way has collected so far; in place |
/// | `charged` | `[costs][steps][n]` the costs that the critics learn |
/// | `sums` | `[SUMS + COST_SUMS costs][n]` of the lane's finished episodes |
/// | `last` | `[1 + costs][steps][n]` totals of an episode at its last transition |
///
/// A cost limited in its tail is charged once, at the last transition of the episode:
/// `max(C - eta, 0) / (1 - alpha)`, whose expectation plus `eta` is an upper bound of the
/// conditional value at risk, and equal to it at the best `eta` (Rockafellar and Uryasev 2000,
/// equation 4). `last` is written where an episode ends and nowhere else.
#[cube(launch_unchecked)]
pub fn accounts(
    reward: &[f32],
    cost: &[f32],
    flags: &[u32],
    risk: &[f32],
    carried: &mut [f32],
    charged: &mut [f32],
    sums: &mut [f32],
    last: &mut [f32],
    steps: u32,
    lanes: u32,
    #[comptime] costs: usize,
) {
    let lane = ABSOLUTE_POS;
    let n = lanes as usize;
    if lane < n {
        let width = steps as usize * n;
        let rows = comptime![SUMS + COST_SUMS * costs];
        let mut total = Array::<f32>::new(comptime![costs.max(1)]);
        let mut sum = Array::<f32>::new(rows);
        #[unroll]
        for k in 0..rows {
            sum[k] = 0.0f32;
        }
        let mut gained = carried[lane];
        let mut length = carried[n + lane];
        #[unroll]
        for k in 0..costs {
            total[k] = carried[comptime![CARRIED + k] * n + lane];
        }
        for t in 0..steps {
            let at = t as usize * n + lane;
            let flag = flags[at];
            let sample = (flag & flag::RESET) == 0u32;
            let ended = sample && (flag & flag::ENDED) != 0u32;
            gained += select(sample, reward[at], 0.0f32);
            length += select(sample, 1.0f32, 0.0f32);
            #[unroll]
            for k in 0..costs {
                let now = select(sample, cost[k * width + at], 0.0f32);
                total[k] += now;
                let tail = risk[comptime![costs + k]];
                let excess = f32::max(total[k] - risk[k], 0.0f32);
                let at_end = select(ended, excess * tail, 0.0f32);
                charged[k * width + at] = select(tail > 0.0f32, at_end, now);
            }
            if ended {
                // an episode that was cut short says nothing about whole ones
                if (flag & flag::CUT) == 0u32 {
                    sum[0] += 1.0f32;
                    sum[1] += gained;
                    sum[2] += gained * gained;
                    sum[3] += length;
                    sum[4] += select((flag & flag::TERMINATED) != 0u32, 1.0f32, 0.0f32);
                    sum[5] += select((flag & flag::DIVERGED) != 0u32, 1.0f32, 0.0f32);
                    last[at] = gained;
                    #[unroll]
                    for k in 0..costs {
                        let over = total[k] - risk[k];
                        let row = comptime![SUMS + COST_SUMS * k];
                        sum[row] += total[k];
                        sum[row + 1] += total[k] * total[k];
                        sum[row + 2] += select(over > 0.0f32, 1.0f32, 0.0f32);
                        let excess = f32::max(over, 0.0f32);
                        sum[row + 3] += excess;
                        sum[row + 4] += excess * excess;
                        last[comptime![1 + k] * width + at] = total[k];
                    }
                }
                #[unroll]
                for k in 0..costs {
                    total[k] = 0.0f32;
                }
                gained = 0.0f32;
                length = 0.0f32;
            }
        }
        carried[lane] = gained;
        carried[n + lane] = length;
        #[unroll]
        for k in 0..costs {
            carried[comptime![CARRIED + k] * n + lane] = total[k];
        }
        #[unroll]
        for k in 0..rows {
            sums[k * n + lane] = sum[k];
        }
    }
}

/// Histograms of the totals in `last`, `[rows][samples]`, where an episode ended: bin `b` of row
/// `r` counts totals in `low + [b, b + 1) * width`, the outer bins everything beyond. `ranges` is
/// `[2][rows]`, lowest value and width of a bin; `bins`, `[rows][bin_count]`, is added to. Counting
/// is exact, so the order of threads does not matter.
#[cube(launch_unchecked)]
pub fn histogram(
    last: &[f32],
    flags: &[u32],
    ranges: &[f32],
    bins: &mut [Atomic<u32>],
    rows: u32,
    samples: u32,
    bin_count: u32,
) {
    let i = ABSOLUTE_POS;
    let n = samples as usize;
    if i < rows as usize * n {
        let row = i / n;
        let flag = flags[i % n];
        let ended = (flag & flag::ENDED) != 0u32;
        if ended && (flag & (flag::RESET | flag::CUT)) == 0u32 {
            let place = (last[i] - ranges[row]) / ranges[rows as usize + row];
            let top = f32::cast_from(bin_count - 1u32);
            let bin = u32::cast_from(f32::min(f32::max(place, 0.0f32), top));
            bins[row * bin_count as usize + bin as usize].fetch_add(1u32);
        }
    }
}
