//! Clipping by the global norm and Adam on one flat vector of parameters.
//!
//! Three launches and nothing that the host waits for: partial sums of squares, one thread that
//! decides about the step, one thread per parameter. The decision covers what the host would
//! otherwise have to look at: the early stop of an update on its change of the policy, and numbers
//! that left the numbers, after which parameters stay as they were.
//!
//! Kingma and Ba 2015, "Adam: a method for stochastic optimization", algorithm 1, in the form of
//! section 2 (the corrections folded into the rate); Pascanu et al. 2013 for the norm.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::device::Device;

/// Threads that sum squares, each over every 256th parameter in order.
const PARTS: usize = 256;
const WORKGROUP: u32 = 64;
/// Exponent of infinities and of what is no number.
const EXPONENT: u32 = 0x7F80_0000;

/// Words of the optimiser's state.
pub const STATE_WORDS: usize = 12;
/// Product of `beta1` over the steps.
pub const POWER_1: usize = 0;
/// Product of `beta2` over the steps.
pub const POWER_2: usize = 1;
/// Factor on the gradient in this step.
pub const SCALE: usize = 2;
/// 1 where this step is taken.
pub const TAKEN: usize = 3;
/// 1 from the minibatch on whose change of the policy was too large, until the next update.
pub const STOPPED: usize = 4;
/// 1 where a gradient or a parameter was no number in this update.
pub const POISONED: usize = 5;
/// Steps taken in this update.
pub const STEPS: usize = 6;
/// Sum of gradient norms over the steps of this update.
pub const NORMS: usize = 7;
/// Steps of this update whose gradient was clipped.
pub const CLIPPED: usize = 8;
/// Norm of the last gradient.
pub const GRADIENT_NORM: usize = 9;
/// Norm of the parameters before the last step.
pub const PARAMETER_NORM: usize = 10;
/// Change of the policy that the last decision was about.
pub const CHANGE: usize = 11;

/// Sums of squares of every 256th gradient, then of every 256th parameter.
#[cube(launch_unchecked)]
fn squares(gradient: &[f32], parameters: &[f32], partial: &mut [f32], n: u32) {
    let part = ABSOLUTE_POS as u32;
    if part < comptime![PARTS as u32] {
        let mut of_gradient = 0.0f32;
        let mut of_parameters = 0.0f32;
        let rounds = (n - part + comptime![PARTS as u32 - 1]) / comptime![PARTS as u32];
        for round in 0..rounds {
            let i = (round * comptime![PARTS as u32] + part) as usize;
            of_gradient += gradient[i] * gradient[i];
            of_parameters += parameters[i] * parameters[i];
        }
        partial[part as usize] = of_gradient;
        partial[part as usize + comptime![PARTS]] = of_parameters;
    }
}

#[cube]
fn is_number(x: f32) -> bool {
    (u32::reinterpret(x) & comptime![EXPONENT]) != comptime![EXPONENT]
}

/// One thread: norm, clipping, early stop, poison, powers of the betas.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn decide(
    partial: &[f32],
    change: &[f32],
    state: &mut [f32],
    change_word: u32,
    first: u32,
    target: f32,
    max_norm: f32,
    beta_1: f32,
    beta_2: f32,
) {
    if ABSOLUTE_POS == 0 {
        let mut of_gradient = 0.0f32;
        let mut of_parameters = 0.0f32;
        for part in 0..comptime![PARTS as u32] {
            of_gradient += partial[part as usize];
            of_parameters += partial[part as usize + comptime![PARTS]];
        }
        if first == 1u32 {
            state[STOPPED] = 0.0f32;
            state[POISONED] = 0.0f32;
            state[STEPS] = 0.0f32;
            state[NORMS] = 0.0f32;
            state[CLIPPED] = 0.0f32;
        }
        let moved = change[change_word as usize];
        let norm = f32::sqrt(of_gradient);
        state[GRADIENT_NORM] = norm;
        state[PARAMETER_NORM] = f32::sqrt(of_parameters);
        state[CHANGE] = moved;
        let good = is_number(of_gradient) && is_number(of_parameters);
        if !good {
            state[POISONED] = 1.0f32;
        }
        if target > 0.0f32 && moved > target {
            state[STOPPED] = 1.0f32;
        }
        let mut taken = 0.0f32;
        if state[STOPPED] == 0.0f32 && state[POISONED] == 0.0f32 {
            taken = 1.0f32;
            state[POWER_1] *= beta_1;
            state[POWER_2] *= beta_2;
            state[STEPS] += 1.0f32;
            state[NORMS] += norm;
            let mut scale = 1.0f32;
            if norm > max_norm {
                scale = max_norm / norm;
                state[CLIPPED] += 1.0f32;
            }
            state[SCALE] = scale;
        }
        state[TAKEN] = taken;
    }
}

/// A thread per parameter.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
fn step(
    gradient: &[f32],
    state: &[f32],
    parameters: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    n: u32,
    rate: f32,
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
) {
    let i = ABSOLUTE_POS;
    if i < n as usize {
        if state[TAKEN] == 1.0f32 {
            let g = gradient[i] * state[SCALE];
            let m = first[i] * beta_1 + g * (1.0f32 - beta_1);
            let v = second[i] * beta_2 + g * g * (1.0f32 - beta_2);
            let root = f32::sqrt(1.0f32 - state[POWER_2]);
            let size = m * (root / (1.0f32 - state[POWER_1]));
            first[i] = m;
            second[i] = v;
            parameters[i] -= rate * (size / (f32::sqrt(v) + epsilon * root));
        }
    }
}

/// Constants of Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamOptions {
    pub beta_1: f32,
    pub beta_2: f32,
    pub epsilon: f32,
    /// Longest gradient.
    pub max_norm: f32,
    /// Change of the policy from which on an update takes no more steps; 0 for no such bound.
    pub target: f32,
}

/// An optimiser's memory on the device.
#[derive(Clone, Debug)]
pub struct Adam {
    pub options: AdamOptions,
    /// Number of parameters.
    pub n: usize,
    /// First and second moments, `n` words each.
    pub first: Handle,
    pub second: Handle,
    /// [`STATE_WORDS`] words.
    pub state: Handle,
    partial: Handle,
}

/// A number on the device: the change of the policy (approximate Kullback-Leibler divergence).
#[derive(Clone, Debug)]
pub struct Change<'a> {
    pub handle: &'a Handle,
    /// Words of the buffer.
    pub len: usize,
    /// Which of them.
    pub word: usize,
}

impl Adam {
    /// Without a step yet.
    pub fn new(device: &Device, n: usize, options: AdamOptions) -> Self {
        let mut state = [0.0f32; STATE_WORDS];
        state[POWER_1] = 1.0;
        state[POWER_2] = 1.0;
        let zeros = vec![0.0f32; n];
        Self::restored(device, options, &zeros, &zeros, &state)
    }

    /// With moments and state as they were read from another one.
    pub fn restored(
        device: &Device,
        options: AdamOptions,
        first: &[f32],
        second: &[f32],
        state: &[f32; STATE_WORDS],
    ) -> Self {
        let client = &device.client;
        let up = |words: &[f32]| client.create_from_slice(bytemuck::cast_slice(words));
        Self {
            options,
            n: first.len(),
            first: up(first),
            second: up(second),
            state: up(state),
            partial: client.empty(4 * 2 * PARTS),
        }
    }

    /// One step of `parameters` (`n` words) against `gradient`. `first` begins an update: the
    /// early stop and the counters of the one before are forgotten.
    pub fn step(
        &self,
        device: &Device,
        parameters: &Handle,
        gradient: &Handle,
        change: &Change<'_>,
        rate: f32,
        first: bool,
    ) {
        let client = &device.client;
        let options = self.options;
        let n = self.n as u32;
        let of = |handle: &Handle, len: usize| {
            // SAFETY: every handle holds the words that the fields' documentation says.
            unsafe { BufferArg::from_raw_parts(handle.clone(), len) }
        };
        // SAFETY: buffers have these lengths; kernels guard their indices by them.
        unsafe {
            squares::launch_unchecked(
                client,
                CubeCount::Static((PARTS as u32).div_ceil(WORKGROUP), 1, 1),
                CubeDim::new_1d(WORKGROUP),
                of(gradient, self.n),
                of(parameters, self.n),
                of(&self.partial, 2 * PARTS),
                n,
            );
            decide::launch_unchecked(
                client,
                CubeCount::Static(1, 1, 1),
                CubeDim::new_1d(1),
                of(&self.partial, 2 * PARTS),
                of(change.handle, change.len),
                of(&self.state, STATE_WORDS),
                change.word as u32,
                u32::from(first),
                options.target,
                options.max_norm,
                options.beta_1,
                options.beta_2,
            );
            step::launch_unchecked(
                client,
                CubeCount::Static(n.div_ceil(WORKGROUP), 1, 1),
                CubeDim::new_1d(WORKGROUP),
                of(gradient, self.n),
                of(&self.state, STATE_WORDS),
                of(parameters, self.n),
                of(&self.first, self.n),
                of(&self.second, self.n),
                n,
                rate,
                options.beta_1,
                options.beta_2,
                options.epsilon,
            );
        }
    }
}
