//! One decision of every lane of a process whose optimum is known in closed form.

use cubecl::prelude::*;

use super::context::LaneContext;
use super::decide::{RESET, TERMINATED};
use super::launch::DecisionBuffers;
use super::plan::Reset;
use super::tabular::STREAM_TRANSITIONS;
use crate::device::{Device, DeviceError};
use crate::launch::WORKGROUP;
use crate::random::{normal_from_words, philox4x32_10};

const RUNNING: u32 = 0;
const ENDED: u32 = 1;

/// Words that a lane carries: phase, patient, decision.
const CONTEXT: usize = 3;

/// What the kernel is built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AnalyticPlan {
    /// Levels of the action, evenly spaced over 0..1; 0 for any number in 0..1.
    pub levels: u32,
    /// The target is the patient's own and hidden behind noise, instead of new and seen at every
    /// decision.
    pub hidden: bool,
    /// The action is reported as a cost.
    pub cost: bool,
    pub reset: Reset,
}

/// Sizes of the process with a hidden target.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AnalyticNoise {
    /// Standard deviation of a normal target around 1/2; of no meaning with levels, where the
    /// target is 0 or 1.
    pub spread: f32,
    /// Standard deviation of the noise in what is seen of the target.
    pub noise: f32,
}

/// Two words of the block `(patient, decision, STREAM_TRANSITIONS, block)`.
#[cube]
fn draw(
    patient: u32,
    decision: u32,
    #[comptime] block: u32,
    seed_lo: u32,
    seed_hi: u32,
) -> Sequence<u32> {
    let mut words = Array::<u32>::new(4usize);
    words[0] = patient;
    words[1] = decision;
    words[2] = STREAM_TRANSITIONS.runtime();
    words[3] = block.runtime();
    philox4x32_10(&mut words, seed_lo, seed_hi);
    let mut out = Sequence::<u32>::new();
    out.push(words[0]);
    out.push(words[1]);
    out
}

/// The target of a decision.
#[cube]
fn target_of(
    patient: u32,
    decision: u32,
    spread: f32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] plan: AnalyticPlan,
) -> f32 {
    let number = if comptime![plan.hidden] {
        0u32.runtime()
    } else {
        decision
    };
    let words = draw(patient, number, 1u32, seed_lo, seed_hi);
    if comptime![plan.hidden && plan.levels > 0] {
        f32::cast_from(words[0] >> 31u32)
    } else if comptime![plan.hidden] {
        0.5f32 + spread * normal_from_words(words[0], words[1])
    } else {
        f32::cast_from(words[0] >> 8u32) * (1.0f32 / 16_777_216.0f32)
    }
}

/// One decision of every lane; buffers as in [`super::decide`]. A thread is a lane.
#[cube(launch_unchecked)]
fn decide_analytic(
    context: &mut [u32],
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
    first_patient: u32,
    horizon: u32,
    spread: f32,
    noise: f32,
    weight: f32,
    seed_lo: u32,
    seed_hi: u32,
    begin: u32,
    #[comptime] plan: AnalyticPlan,
) {
    let i = ABSOLUTE_POS;
    let lanes = n as usize;
    if i >= lanes {
        terminate!();
    }
    let mut phase = context[i];
    let mut patient = context[lanes + i];
    let mut decision = context[2 * lanes + i];
    let more = steps as usize * lanes + lanes;
    let now = t as usize * lanes + i;

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

    if begin == 0u32 {
        let mut gained = 0.0f32;
        let mut spent = 0.0f32;
        if flag == 0u32 {
            let target = target_of(patient, decision, spread, seed_lo, seed_hi, plan);
            let mut dose = action[now];
            if comptime![plan.levels > 1] {
                dose *= comptime![1.0 / (plan.levels as f32 - 1.0)];
            }
            gained = 1.0f32 - (dose - target) * (dose - target);
            spent = dose;
            decision += 1u32;
            if decision >= horizon {
                flag = TERMINATED.runtime();
                phase = ENDED.runtime();
                if comptime![plan.reset == Reset::SameStep] {
                    fresh = true;
                    patient += n;
                }
            }
        }
        terms[now] = gained;
        reward[now] = weight * gained;
        if comptime![plan.cost] {
            cost[now] = spent;
        }
        flags[now] = flag;
    }

    if fresh {
        phase = RUNNING.runtime();
        decision = 0u32;
    }
    let next = select(begin == 1u32, 0u32, t + 1u32) as usize * lanes + i;
    let target = target_of(patient, decision, spread, seed_lo, seed_hi, plan);
    if comptime![plan.hidden] {
        let words = draw(patient, decision, 0u32, seed_lo, seed_hi);
        let error = noise * normal_from_words(words[0], words[1]);
        if comptime![plan.levels > 0] {
            let truth = 2.0f32 * target - 1.0f32;
            observation[next] = truth + error;
            hidden[next] = truth;
        } else {
            observation[next] = (target - 0.5f32 + error) / spread;
            hidden[next] = (target - 0.5f32) / spread;
        }
    } else {
        observation[next] = target;
    }
    observation[more + next] = 1.0f32 - f32::cast_from(decision) / f32::cast_from(horizon);
    mask[next] = comptime![if plan.levels == 0 {
        1u32
    } else {
        u32::MAX >> (32 - plan.levels)
    }]
    .runtime();
    started[next] = select(fresh, 1u32, 0u32);

    context[i] = phase;
    context[lanes + i] = patient;
    context[2 * lanes + i] = decision;
}

/// Lanes of the process on a device.
pub struct AnalyticLanes {
    context: LaneContext,
    plan: AnalyticPlan,
    sizes: AnalyticNoise,
    horizon: u32,
    weight: f32,
}

impl AnalyticLanes {
    /// `weight` is of the reward.
    pub fn new(
        device: &Device,
        plan: AnalyticPlan,
        sizes: AnalyticNoise,
        lanes: usize,
        horizon: u32,
        weight: f32,
    ) -> Self {
        Self {
            context: LaneContext::new(device, CONTEXT, lanes),
            plan,
            sizes,
            horizon,
            weight,
        }
    }

    /// Lanes.
    pub fn lanes(&self) -> usize {
        self.context.lanes
    }

    /// `[phase, patient, decision][lanes]` words on the device.
    pub fn context(&self) -> (&cubecl::server::Handle, usize) {
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
        // SAFETY: the caller's buffers have the shapes that `decide` documents.
        unsafe {
            let of = |(handle, len): &(cubecl::server::Handle, usize)| {
                BufferArg::from_raw_parts(handle.clone(), (*len).max(1))
            };
            decide_analytic::launch_unchecked(
                &self.context.device.client,
                CubeCount::Static(n.div_ceil(WORKGROUP), 1, 1),
                CubeDim::new_1d(WORKGROUP),
                BufferArg::from_raw_parts(self.context.words.clone(), self.context.len()),
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
                first_patient.unwrap_or(0),
                self.horizon,
                self.sizes.spread,
                self.sizes.noise,
                self.weight,
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

    /// Go on where [`AnalyticLanes::snapshot`] was taken; `false` where the bytes are of other
    /// lanes.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        self.context.restore(bytes)
    }
}
