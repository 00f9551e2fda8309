//! What wrappers of environments do to the buffers after a decision, each in one small launch.

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::launch::DecisionBuffers;
use crate::device::Device;
use crate::launch::WORKGROUP;
use crate::random::{normal_from_words, philox4x32_10};

/// Philox stream of the noise that a wrapper adds to observations; the block is the feature.
pub const STREAM_OBSERVATION: u32 = 10;

/// Where an environment keeps who is in which lane: row `patient_row` of `[rows][lanes]` words is
/// the patient's number, the row after it the decision within his episode.
#[derive(Clone, Debug)]
pub struct LaneClock {
    pub context: Handle,
    /// Words of the buffer.
    pub len: usize,
    pub patient_row: usize,
    /// Seed of the lanes' random numbers.
    pub seed: u64,
}

/// `reward[now] = sum of weights[k] terms[k][now]`.
#[cube(launch_unchecked)]
fn reweigh(terms: &[f32], weights: &[f32], reward: &mut [f32], n: u32, steps: u32, t: u32) {
    let i = ABSOLUTE_POS;
    let lanes = n as usize;
    if i >= lanes {
        terminate!();
    }
    let all = steps as usize * lanes;
    let now = t as usize * lanes + i;
    let mut total = 0.0f32;
    for k in 0..weights.len() {
        total += weights[k] * terms[k * all + now];
    }
    reward[now] = total;
}

/// Adds `sd[k]` times a standard normal to feature `k` at decision `next`.
#[cube(launch_unchecked)]
fn disturb(
    observation: &mut [f32],
    context: &[u32],
    sd: &[f32],
    patient_row: u32,
    n: u32,
    steps: u32,
    next: u32,
    seed_lo: u32,
    seed_hi: u32,
) {
    let i = ABSOLUTE_POS;
    let lanes = n as usize;
    if i >= lanes {
        terminate!();
    }
    let who = patient_row as usize * lanes + i;
    for k in 0..sd.len() {
        let mut words = Array::<u32>::new(4usize);
        words[0] = context[who];
        words[1] = context[who + lanes];
        words[2] = STREAM_OBSERVATION.runtime();
        words[3] = k as u32;
        philox4x32_10(&mut words, seed_lo, seed_hi);
        let at = (k * (steps as usize + 1) + next as usize) * lanes + i;
        observation[at] += sd[k] * normal_from_words(words[0], words[1]);
    }
}

/// Writes the share of the horizon that is left to row `row` of the observation.
#[cube(launch_unchecked)]
fn remaining(
    observation: &mut [f32],
    context: &[u32],
    patient_row: u32,
    row: u32,
    horizon: u32,
    n: u32,
    steps: u32,
    next: u32,
) {
    let i = ABSOLUTE_POS;
    let lanes = n as usize;
    if i >= lanes {
        terminate!();
    }
    let decision = context[(patient_row as usize + 1) * lanes + i];
    let at = (row as usize * (steps as usize + 1) + next as usize) * lanes + i;
    observation[at] = 1.0f32 - f32::cast_from(decision) / f32::cast_from(horizon);
}

fn groups(threads: usize) -> CubeCount {
    CubeCount::Static((threads as u32).div_ceil(WORKGROUP), 1, 1)
}

/// The reward of decision `t` becomes the sum of its terms with these `weights` (`terms` of them).
pub fn weigh_terms(
    device: &Device,
    buffers: &DecisionBuffers,
    weights: &Handle,
    terms: usize,
    lanes: usize,
    t: usize,
) {
    // SAFETY: the buffers have the shapes that `decide` documents.
    unsafe {
        reweigh::launch_unchecked(
            &device.client,
            groups(lanes),
            CubeDim::new_1d(WORKGROUP),
            BufferArg::from_raw_parts(buffers.terms.0.clone(), buffers.terms.1.max(1)),
            BufferArg::from_raw_parts(weights.clone(), terms),
            BufferArg::from_raw_parts(buffers.reward.0.clone(), buffers.reward.1.max(1)),
            lanes as u32,
            buffers.steps as u32,
            t as u32,
        );
    }
}

/// Normal noise of standard deviations `sd` (`features` of them) on the observation at decision
/// `next`; a patient meets the same noise whatever his lane.
pub fn add_noise(
    device: &Device,
    buffers: &DecisionBuffers,
    clock: &LaneClock,
    sd: &Handle,
    features: usize,
    lanes: usize,
    next: usize,
) {
    // SAFETY: the buffers have the shapes that `decide` documents, the clock's rows exist.
    unsafe {
        disturb::launch_unchecked(
            &device.client,
            groups(lanes),
            CubeDim::new_1d(WORKGROUP),
            BufferArg::from_raw_parts(buffers.observation.0.clone(), buffers.observation.1.max(1)),
            BufferArg::from_raw_parts(clock.context.clone(), clock.len),
            BufferArg::from_raw_parts(sd.clone(), features),
            clock.patient_row as u32,
            lanes as u32,
            buffers.steps as u32,
            next as u32,
            clock.seed as u32,
            (clock.seed >> 32) as u32,
        );
    }
}

/// Row `row` of the observation at decision `next` becomes the share of `horizon` that is left.
pub fn write_remaining(
    device: &Device,
    buffers: &DecisionBuffers,
    clock: &LaneClock,
    row: usize,
    horizon: usize,
    lanes: usize,
    next: usize,
) {
    // SAFETY: as in `add_noise`; the caller's observation has more than `row` rows.
    unsafe {
        remaining::launch_unchecked(
            &device.client,
            groups(lanes),
            CubeDim::new_1d(WORKGROUP),
            BufferArg::from_raw_parts(buffers.observation.0.clone(), buffers.observation.1.max(1)),
            BufferArg::from_raw_parts(clock.context.clone(), clock.len),
            clock.patient_row as u32,
            row as u32,
            horizon as u32,
            lanes as u32,
            buffers.steps as u32,
            next as u32,
        );
    }
}
