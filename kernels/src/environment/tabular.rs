//! One decision of every lane of a tabular process: a finite set of states, tables of transitions.

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::context::LaneContext;
use super::decide::{RESET, TERMINATED, TRUNCATED};
use super::launch::DecisionBuffers;
use super::plan::Reset;
use crate::device::{Device, DeviceError};
use crate::launch::WORKGROUP;
use crate::random::philox4x32_10;

/// Philox stream of transitions; the step is the number of the decision within the episode, 0 for
/// the first state, the block tells several draws of one decision apart.
pub const STREAM_TRANSITIONS: u32 = 11;

/// Phases of a lane.
const RUNNING: u32 = 0;
const ENDED: u32 = 1;

/// Words that a lane carries: phase, patient, decision, state.
const CONTEXT: usize = 4;

/// What the kernel is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TabularPlan {
    /// Rows of the observation.
    pub features: u32,
    /// Rows of the hidden quantities.
    pub hidden: u32,
    /// Terms of the reward.
    pub terms: u32,
    pub costs: u32,
    pub reset: Reset,
}

/// The tables of a process, as the device reads them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TabularTables {
    pub states: usize,
    pub actions: usize,
    /// `[states][actions]` the row of transitions; several pairs may share one.
    pub row_of: Vec<u32>,
    /// `[rows + 1]` where each row begins in `next`; the last row is the start distribution.
    pub bounds: Vec<u32>,
    /// `[entries]` next states.
    pub next: Vec<u32>,
    /// `[entries]` cumulative probability up to and with this entry, times 2^32, as
    /// [`threshold`] rounds it; the last entry of a row takes what is left whatever it says.
    pub threshold: Vec<u32>,
    /// `[terms + costs][entries]`
    pub signals: Vec<f32>,
    /// `[states]` 1 where an episode ends.
    pub terminal: Vec<u32>,
    /// `[states]` bit `a` is set where action `a` is allowed.
    pub mask: Vec<u32>,
    /// `[features + hidden][states]`
    pub looks: Vec<f32>,
}

/// A cumulative probability as a word: a uniform word below it has this probability, to 2^-33.
pub fn threshold(cumulative: f64) -> u32 {
    // the conversion saturates, at both ends
    (cumulative * 4_294_967_296.0).round() as u32
}

/// Entry of row `row` that the uniform word `word` falls on.
#[cube]
fn draw_entry(bounds: &[u32], entries: &[u32], row: usize, word: u32) -> u32 {
    let mut low = bounds[row];
    let mut high = bounds[row + 1] - 1u32;
    while low < high {
        let middle = (low + high) / 2u32;
        if word < entries[middle as usize * 2 + 1] {
            high = middle;
        } else {
            low = middle + 1u32;
        }
    }
    low
}

/// The first word of the block `(patient, decision, STREAM_TRANSITIONS, 0)`.
#[cube]
fn draw_word(patient: u32, decision: u32, seed_lo: u32, seed_hi: u32) -> u32 {
    let mut words = Array::<u32>::new(4usize);
    words[0] = patient;
    words[1] = decision;
    words[2] = STREAM_TRANSITIONS.runtime();
    words[3] = 0u32;
    philox4x32_10(&mut words, seed_lo, seed_hi);
    words[0]
}

/// One decision of every lane; tables as in [`TabularTables`] (`entries` is next state and
/// threshold in turns, `facts` is `[terminal, mask][states]`), the other buffers as in
/// [`super::decide`]. A thread is a lane.
#[cube(launch_unchecked)]
fn transit(
    context: &mut [u32],
    row_of: &[u32],
    bounds: &[u32],
    entries: &[u32],
    facts: &[u32],
    signals: &[f32],
    looks: &[f32],
    weights: &[f32],
    action: &[f32],
    observation: &mut [f32],
    mask: &mut [u32],
    started: &mut [u32],
    hidden: &mut [f32],
    reward: &mut [f32],
    terms: &mut [f32],
    cost: &mut [f32],
    flags: &mut [u32],
    n: u32,
    steps: u32,
    t: u32,
    states: u32,
    actions: u32,
    start_row: u32,
    first_patient: u32,
    horizon: u32,
    seed_lo: u32,
    seed_hi: u32,
    begin: u32,
    #[comptime] plan: TabularPlan,
) {
    let i = ABSOLUTE_POS;
    let lanes = n as usize;
    if i >= lanes {
        terminate!();
    }
    let mut phase = context[i];
    let mut patient = context[lanes + i];
    let mut decision = context[2 * lanes + i];
    let mut state = context[3 * lanes + i];
    let all = steps as usize * lanes;
    let more = all + lanes;
    let now = t as usize * lanes + i;
    let n_terms = comptime![plan.terms as usize];

    let mut flag = 0u32;
    let mut fresh = begin == 1u32;
    if fresh {
        patient = first_patient + i as u32;
    } else if phase == ENDED {
        flag = RESET.runtime();
        if comptime![plan.reset == Reset::NextStep] {
            fresh = true;
            patient += n;
        }
    }

    if begin == 0u32 && flag == 0u32 {
        decision += 1u32;
        let chosen = u32::min(u32::cast_from(action[now]), actions - 1u32);
        let row = row_of[(state * actions + chosen) as usize] as usize;
        let word = draw_word(patient, decision, seed_lo, seed_hi);
        let entry = draw_entry(bounds, entries, row, word) as usize;
        state = entries[entry * 2];
        let n_entries = entries.len() / 2;
        let mut total = 0.0f32;
        #[unroll]
        for k in 0..n_terms {
            let term = signals[k * n_entries + entry];
            terms[k * all + now] = term;
            total += weights[k] * term;
        }
        reward[now] = total;
        #[unroll]
        for k in 0..comptime![plan.costs as usize] {
            cost[k * all + now] = signals[(n_terms + k) * n_entries + entry];
        }
        if facts[state as usize] == 1u32 {
            flag = TERMINATED.runtime();
        } else if decision >= horizon {
            flag = TRUNCATED.runtime();
        }
        if flag != 0u32 {
            phase = ENDED.runtime();
            if comptime![plan.reset == Reset::SameStep] {
                fresh = true;
                patient += n;
            }
        }
        flags[now] = flag;
    } else if begin == 0u32 {
        #[unroll]
        for k in 0..n_terms {
            terms[k * all + now] = 0.0f32;
        }
        reward[now] = 0.0f32;
        #[unroll]
        for k in 0..comptime![plan.costs as usize] {
            cost[k * all + now] = 0.0f32;
        }
        flags[now] = flag;
    }

    if fresh {
        phase = RUNNING.runtime();
        decision = 0u32;
        let word = draw_word(patient, 0u32, seed_lo, seed_hi);
        state = entries[draw_entry(bounds, entries, start_row as usize, word) as usize * 2];
    }

    let next = select(begin == 1u32, 0u32, t + 1u32) as usize * lanes + i;
    let (at, count) = (state as usize, states as usize);
    #[unroll]
    for k in 0..comptime![plan.features as usize] {
        observation[k * more + next] = looks[k * count + at];
    }
    #[unroll]
    for k in 0..comptime![plan.hidden as usize] {
        hidden[k * more + next] = looks[comptime![k + plan.features as usize] * count + at];
    }
    mask[next] = facts[count + at];
    started[next] = select(fresh, 1u32, 0u32);

    context[i] = phase;
    context[lanes + i] = patient;
    context[2 * lanes + i] = decision;
    context[3 * lanes + i] = state;
}

/// Lanes of a tabular process on a device.
pub struct TabularLanes {
    context: LaneContext,
    plan: TabularPlan,
    states: u32,
    actions: u32,
    start_row: u32,
    horizon: u32,
    row_of: (Handle, usize),
    bounds: (Handle, usize),
    entries: (Handle, usize),
    facts: (Handle, usize),
    signals: (Handle, usize),
    looks: (Handle, usize),
    weights: (Handle, usize),
}

impl TabularLanes {
    /// Uploads the tables; `weights` are of the reward's terms. The tables must be consistent:
    /// every index is used unchecked.
    pub fn new(
        device: &Device,
        plan: TabularPlan,
        tables: &TabularTables,
        lanes: usize,
        horizon: u32,
        weights: &[f32],
    ) -> Self {
        let up = |words: &[u32]| {
            // a buffer cannot be empty
            let words = if words.is_empty() { &[0][..] } else { words };
            let handle = device.client.create_from_slice(bytemuck::cast_slice(words));
            (handle, words.len())
        };
        let floats = |values: &[f32]| up(bytemuck::cast_slice(values));
        let entries: Vec<u32> = tables
            .next
            .iter()
            .zip(&tables.threshold)
            .flat_map(|(&next, &threshold)| [next, threshold])
            .collect();
        Self {
            context: LaneContext::new(device, CONTEXT, lanes),
            plan,
            states: tables.states as u32,
            actions: tables.actions as u32,
            start_row: tables.bounds.len().saturating_sub(2) as u32,
            horizon,
            row_of: up(&tables.row_of),
            bounds: up(&tables.bounds),
            entries: up(&entries),
            facts: up(&[&tables.terminal[..], &tables.mask].concat()),
            signals: floats(&tables.signals),
            looks: floats(&tables.looks),
            weights: floats(weights),
        }
    }

    /// Lanes.
    pub fn lanes(&self) -> usize {
        self.context.lanes
    }

    /// `[phase, patient, decision, state][lanes]` words on the device.
    pub fn context(&self) -> (&Handle, usize) {
        (&self.context.words, self.context.len())
    }

    /// Seed of the lanes' random numbers.
    pub fn seed(&self) -> u64 {
        self.context.seed
    }

    /// Begin an episode in every lane: writes decision 0.
    pub fn begin(&mut self, seed: u64, first_patient: u32, buffers: &DecisionBuffers) {
        self.context.seed = seed;
        self.launch(0, Some(first_patient), buffers);
    }

    /// Decision `t` of all lanes, one launch.
    pub fn step(&mut self, t: usize, buffers: &DecisionBuffers) {
        self.launch(t as u32, None, buffers);
    }

    fn launch(&self, t: u32, first_patient: Option<u32>, buffers: &DecisionBuffers) {
        let n = self.context.lanes as u32;
        // SAFETY: the caller's buffers have the shapes that `decide` documents, its own were made
        // by `new` from tables whose indices are within bounds.
        unsafe {
            let of = |(handle, len): &(Handle, usize)| {
                BufferArg::from_raw_parts(handle.clone(), (*len).max(1))
            };
            transit::launch_unchecked(
                &self.context.device.client,
                CubeCount::Static(n.div_ceil(WORKGROUP), 1, 1),
                CubeDim::new_1d(WORKGROUP),
                BufferArg::from_raw_parts(self.context.words.clone(), self.context.len()),
                of(&self.row_of),
                of(&self.bounds),
                of(&self.entries),
                of(&self.facts),
                of(&self.signals),
                of(&self.looks),
                of(&self.weights),
                of(&buffers.action),
                of(&buffers.observation),
                of(&buffers.mask),
                of(&buffers.started),
                of(&buffers.hidden),
                of(&buffers.reward),
                of(&buffers.terms),
                of(&buffers.cost),
                of(&buffers.flags),
                n,
                buffers.steps as u32,
                t,
                self.states,
                self.actions,
                self.start_row,
                first_patient.unwrap_or(0),
                self.horizon,
                self.context.seed as u32,
                (self.context.seed >> 32) as u32,
                u32::from(first_patient.is_some()),
                self.plan,
            );
        }
    }

    /// What the lanes carry, for a checkpoint.
    ///
    /// # Errors
    /// When the device fails.
    pub fn snapshot(&self) -> Result<Vec<u8>, DeviceError> {
        self.context.snapshot()
    }

    /// Go on where [`TabularLanes::snapshot`] was taken; `false` where the bytes are of other
    /// lanes.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        self.context.restore(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::threshold;

    #[test]
    fn thresholds_saturate() {
        assert_eq!(threshold(0.0), 0);
        assert_eq!(threshold(0.25), 1 << 30);
        assert_eq!(threshold(1.0), u32::MAX);
        assert_eq!(threshold(1.0 + 1e-15), u32::MAX);
    }
}
