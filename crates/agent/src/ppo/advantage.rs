//! Advantages and returns of a rollout, and their normalisation, on the device.

use posology_kernels::device::Device;
use posology_kernels::update::advantage::{FACTORS, advantages};
use posology_kernels::update::{grid, group};

use crate::ops::sums::argument;
use crate::rollout::{Buffer, Rollout};

/// How one signal (the reward or a cost) is credited to earlier decisions.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Credit {
    /// Discount per decision; 1 for a cost that is a plain sum over the episode.
    pub discount: f32,
    /// Decay of the trace, `lambda` of Schulman 2016.
    pub trace: f32,
    /// Whether what would follow a truncated episode counts, as the critic expects it. A sum over
    /// the episode ends with the episode.
    pub beyond_truncation: bool,
}

impl Credit {
    /// Of a discounted reward.
    pub fn reward(discount: f32, trace: f32) -> Self {
        Self {
            discount,
            trace,
            beyond_truncation: true,
        }
    }

    /// Of a cost that is a plain sum over the episode.
    pub fn cost(trace: f32) -> Self {
        Self {
            discount: 1.0,
            trace,
            beyond_truncation: false,
        }
    }
}

/// Advantages of a rollout.
#[derive(Clone, Debug)]
pub struct Advantages {
    /// `[1 + costs][steps * lanes]`, 0 where there is no sample.
    pub advantage: Buffer,
    /// `[1 + costs][steps * lanes]`: advantage plus value.
    pub returns: Buffer,
    /// `[1][steps * lanes]`: 1 for a sample, 0 otherwise.
    pub weight: Buffer,
}

/// Generalised advantage estimation of the reward and every cost, in one launch. `charged`,
/// `[costs][steps * lanes]`, are the costs to learn (see
/// [`accounts`](super::statistics::Accounts)); `credits`, reward first, has one entry per signal.
pub fn advantages_of(
    device: &Device,
    rollout: &Rollout,
    charged: &Buffer,
    credits: &[Credit],
) -> Advantages {
    let client = &device.client;
    let (signals, all) = (credits.len(), rollout.steps * rollout.lanes);
    let mut factors: Vec<u32> = Vec::with_capacity(FACTORS * signals);
    factors.extend(credits.iter().map(|c| c.discount.to_bits()));
    factors.extend(credits.iter().map(|c| c.trace.to_bits()));
    factors.extend(credits.iter().map(|c| {
        let goes_on: f32 = if c.beyond_truncation { 1.0 } else { 0.0 };
        goes_on.to_bits()
    }));
    let factors = Buffer::from_words(client, &factors, FACTORS, signals);
    let made = Advantages {
        advantage: Buffer::empty(client, signals, all),
        returns: Buffer::empty(client, signals, all),
        weight: Buffer::empty(client, 1, all),
    };
    // SAFETY: the shapes are those that the kernel documents; threads beyond are checked.
    unsafe {
        advantages::launch_unchecked(
            client,
            grid(signals * rollout.lanes),
            group(),
            argument(&rollout.value),
            argument(&rollout.reward),
            argument(charged),
            argument(&rollout.flags),
            argument(&factors),
            argument(&made.advantage),
            argument(&made.returns),
            argument(&made.weight),
            signals as u32,
            rollout.steps as u32,
            rollout.lanes as u32,
        );
    }
    made
}
