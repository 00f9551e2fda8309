//! Moments of samples and accounts of episodes, on the device.

use posology_kernels::device::{Device, DeviceError};
use posology_kernels::update::episodes::{self, CARRIED, COST_SUMS, SUMS};
use posology_kernels::update::moments::{self, MOMENTS};
use posology_kernels::update::sums::blocks;
use posology_kernels::update::{grid, group};

use crate::ops::sums::{argument, sum_rows};
use crate::rollout::{Buffer, Rollout};
use crate::spec::CostSpec;

/// Moments `[rows][3]` of `x`, `[rows][n]`, over samples of `weight`, `[n]`: weight, mean, variance.
pub fn moments(device: &Device, x: &Buffer, weight: &Buffer) -> Buffer {
    let (client, rows, n) = (&device.client, x.rows, x.columns);
    let blocks = blocks(n);
    let partial = Buffer::empty(client, rows * MOMENTS, blocks);
    let moments = Buffer::empty(client, rows, MOMENTS);
    // SAFETY: the shapes are those that the kernels document; threads beyond are checked.
    unsafe {
        moments::partial_moments::launch_unchecked(
            client,
            grid(rows * blocks),
            group(),
            argument(x),
            argument(weight),
            argument(&partial),
            rows as u32,
            n as u32,
            blocks as u32,
        );
        moments::finish_moments::launch_unchecked(
            client,
            grid(rows),
            group(),
            argument(&partial),
            argument(&moments),
            rows as u32,
            blocks as u32,
        );
    }
    moments
}

/// Which rows lose their mean, and which are divided by their standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Normalisation {
    /// Bit `r` for row `r`.
    pub centred: u32,
    /// Bit `r` for row `r`.
    pub scaled: u32,
    /// Added to the standard deviation.
    pub epsilon: f32,
}

impl Default for Normalisation {
    fn default() -> Self {
        Self {
            centred: u32::MAX,
            scaled: u32::MAX,
            epsilon: 1e-8,
        }
    }
}

/// Normalise the rows of `x` in place by their own moments, which stay on the device and are
/// returned. At most 32 rows.
pub fn normalise(device: &Device, x: &Buffer, weight: &Buffer, how: &Normalisation) -> Buffer {
    let moments = moments(device, x, weight);
    // SAFETY: `x` is `[rows][n]`, `weight` `[n]`, `moments` `[rows][3]`; threads beyond are checked.
    unsafe {
        moments::normalise::launch_unchecked(
            &device.client,
            grid(x.rows * x.columns),
            group(),
            argument(x),
            argument(weight),
            argument(&moments),
            x.rows as u32,
            x.columns as u32,
            how.centred,
            how.scaled,
            how.epsilon,
        );
    }
    moments
}

/// Totals of the episodes of every lane, which outlast a rollout.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// `[2 + costs][lanes]`: return, length and costs of the episode under way.
    pub carried: Buffer,
    costs: usize,
}

/// What [`Accounts::take`] leaves on the device.
#[derive(Clone, Debug)]
pub struct Taken {
    /// `[costs][steps * lanes]`: the costs that the critics learn; those limited in their tail are
    /// charged at the last transition of the episode.
    pub charged: Buffer,
    /// `[6 + 5 costs][1]`, see [`EpisodeSums`].
    pub sums: Buffer,
    /// `[1 + costs][steps * lanes]`: totals of an episode, where it ended; unwritten elsewhere.
    pub last: Buffer,
}

impl Accounts {
    /// Before the first rollout.
    pub fn new(device: &Device, costs: usize, lanes: usize) -> Self {
        let rows = CARRIED + costs;
        Self {
            carried: Buffer::from_words(&device.client, &vec![0; rows * lanes], rows, lanes),
            costs,
        }
    }

    /// `[2][costs]` what the kernel needs to know about the constraints: the values at risk and
    /// the weights of the tails.
    pub fn risk(device: &Device, costs: &[CostSpec], value_at_risk: &[f64]) -> Buffer {
        let mut words: Vec<u32> = (0..costs.len())
            .map(|k| {
                value_at_risk
                    .get(k)
                    .map_or(0.0, |&eta| eta as f32)
                    .to_bits()
            })
            .collect();
        words.extend(costs.iter().map(|cost| {
            let tail = cost.cvar.map_or(0.0, |alpha| 1.0 / (1.0 - alpha));
            (tail as f32).to_bits()
        }));
        Buffer::from_words(&device.client, &words, 2, costs.len())
    }

    /// Take every lane through a rollout; `risk` as from [`Accounts::risk`].
    pub fn take(&mut self, device: &Device, rollout: &Rollout, risk: &Buffer) -> Taken {
        let client = &device.client;
        let (all, lanes) = (rollout.steps * rollout.lanes, rollout.lanes);
        let charged = Buffer::empty(client, self.costs, all);
        let last = Buffer::empty(client, 1 + self.costs, all);
        let sums = Buffer::empty(client, SUMS + COST_SUMS * self.costs, lanes);
        // SAFETY: the shapes are those that the kernel documents; threads beyond are checked.
        unsafe {
            episodes::accounts::launch_unchecked(
                client,
                grid(lanes),
                group(),
                argument(&rollout.reward),
                argument(&rollout.cost),
                argument(&rollout.flags),
                argument(risk),
                argument(&self.carried),
                argument(&charged),
                argument(&sums),
                argument(&last),
                rollout.steps as u32,
                lanes as u32,
                self.costs,
            );
        }
        Taken {
            charged,
            sums: sum_rows(device, &sums),
            last,
        }
    }
}

/// Count the episodes that ended in a rollout into bins: row `r` of `last` in `bins` equal bins
/// from `ranges[r].0` to `ranges[r].1`, the outer bins with everything beyond. `[rows][bins]` u32.
pub fn histogram(
    device: &Device,
    rollout: &Rollout,
    last: &Buffer,
    ranges: &[(f32, f32)],
    bins: usize,
) -> Buffer {
    let client = &device.client;
    let rows = last.rows.min(ranges.len());
    let mut words: Vec<u32> = ranges.iter().take(rows).map(|r| r.0.to_bits()).collect();
    let width = |range: &(f32, f32)| ((range.1 - range.0) / bins as f32).to_bits();
    words.extend(ranges.iter().take(rows).map(width));
    let ranges = Buffer::from_words(client, &words, 2, rows);
    let counts = Buffer::from_words(client, &vec![0; rows * bins], rows, bins);
    // SAFETY: `last` is `[rows][samples]`, `flags` `[samples]`, places are kept within the bins;
    // threads beyond are checked.
    unsafe {
        episodes::histogram::launch_unchecked(
            client,
            grid(rows * last.columns),
            group(),
            argument(last),
            argument(&rollout.flags),
            argument(&ranges),
            argument(&counts),
            rows as u32,
            last.columns as u32,
            bins as u32,
        );
    }
    counts
}

/// Sums over the episodes that ended in a rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpisodeSums {
    pub episodes: f64,
    pub returns: f64,
    pub return_squares: f64,
    /// Decisions.
    pub length: f64,
    /// Episodes that ended in a terminal state.
    pub terminated: f64,
    /// Episodes whose state left the numbers.
    pub diverged: f64,
    pub costs: Vec<CostSums>,
}

/// Sums of one cost over the episodes that ended in a rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CostSums {
    pub total: f64,
    pub squares: f64,
    /// Episodes with a cost above the value at risk.
    pub above: f64,
    /// Sum of what they cost above it.
    pub excess: f64,
    /// Sum of its squares.
    pub excess_squares: f64,
}

impl EpisodeSums {
    /// The few numbers of a rollout's metrics, from the device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(device: &Device, sums: &Buffer) -> Result<Self, DeviceError> {
        Ok(Self::from_rows(&sums.floats(&device.client)?))
    }

    /// From these numbers; missing ones are 0.
    pub fn from_rows(rows: &[f32]) -> Self {
        let row = |at: usize| f64::from(rows.get(at).copied().unwrap_or_default());
        let costs = rows.len().saturating_sub(SUMS) / COST_SUMS;
        let cost = |k: usize| {
            let at = SUMS + COST_SUMS * k;
            CostSums {
                total: row(at),
                squares: row(at + 1),
                above: row(at + 2),
                excess: row(at + 3),
                excess_squares: row(at + 4),
            }
        };
        Self {
            episodes: row(0),
            returns: row(1),
            return_squares: row(2),
            length: row(3),
            terminated: row(4),
            diverged: row(5),
            costs: (0..costs).map(cost).collect(),
        }
    }
}
