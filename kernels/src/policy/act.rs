//! Inference of a rollout: a policy's decision for every lane in one launch.
//!
//! A thread decides for a few lanes. Each layer is computed in blocks of rows: the sums of a block
//! stay in registers while the thread walks over the layer's inputs, so that a weight is read once
//! for all its lanes and an input once for all rows of the block.

use std::sync::Arc;

use cubecl::prelude::*;

use super::dense::{biases, products, sigmoid};
use super::draw::{decide, decision, expect};
use super::plan::{ActPlan, part_of_held};
use crate::elementary::tanh;

/// One decision of `n` lanes at decision `t` of a rollout of `steps` decisions.
///
/// | buffer | shape |
/// |---|---|
/// | `parameters` | [`super::Offsets::total`] words |
/// | `observation` | `[observed][steps + 1][n]` |
/// | `told` | `[hidden quantities][steps + 1][n]`, read where the shape sees them |
/// | `mask` | `[heads][steps + 1][n]`; 0 allows every level |
/// | `started` | `[steps + 1][n]` |
/// | `core` | `[state][n]`, moved on |
/// | `scratch` | `[scratch_rows][n]` |
/// | `outputs` | `[rows][n]`: the outputs of this decision; `values_only` writes the critics' rows |
/// | `action` | `[heads][steps][n]` |
/// | `log_prob` | `[steps][n]` |
/// | `value` | `[1 + costs][steps + 1][n]` |
///
/// Lane `i` draws with the counters `(first + i, step, stream, head)`.
#[cube(launch_unchecked)]
pub fn act(
    parameters: &[f32],
    observation: &[f32],
    told: &[f32],
    mask: &[u32],
    started: &[u32],
    core: &mut [f32],
    scratch: &mut [f32],
    outputs: &mut [f32],
    action: &mut [f32],
    log_prob: &mut [f32],
    value: &mut [f32],
    n: u32,
    t: u32,
    steps: u32,
    first: u32,
    step: u32,
    deterministic: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] plan: Arc<ActPlan>,
) {
    let threads = (n as usize).div_ceil(comptime![plan.lanes]);
    let n = n as usize;
    let more = n * (steps as usize + 1);
    let now = n * t as usize;
    // surplus threads and lanes read the last lane and write nothing: a plane stays whole
    let mine = ABSOLUTE_POS;
    let mut lanes = Array::<usize>::new(comptime![plan.lanes]);
    let mut wanted = Array::<bool>::new(comptime![plan.lanes]);
    let mut fresh = Array::<bool>::new(comptime![plan.lanes]);
    #[unroll]
    for l in 0..comptime![plan.lanes] {
        let lane = l * threads + mine;
        wanted[l] = mine < threads && lane < n;
        lanes[l] = usize::min(lane, n - 1);
        fresh[l] = started[now + lanes[l]] == 1u32;
    }
    let block = comptime![plan.block];
    let per = comptime![plan.lanes];
    let at = comptime![plan.at()];
    let (encoder, hidden) = comptime![(plan.shape.encoder, plan.shape.hidden)];
    let share = comptime![plan.share_weights];

    // encoder
    let observed = comptime![plan.shape.observed()];
    for b in 0..comptime![encoder.div_ceil(block) as u32] {
        let first_row = b as usize * block;
        let mut sums = Array::<f32>::new(comptime![block * per]);
        biases(
            &mut sums,
            parameters,
            comptime![at.encoder_bias],
            first_row,
            encoder,
            0usize,
            block,
            per,
        );
        for pass in 0..comptime![(observed / plan.pass(observed)) as u32] {
            #[unroll]
            for u in 0..comptime![plan.pass(observed)] {
                let k = pass as usize * comptime![plan.pass(observed)] + u;

                let mut x = Array::<f32>::new(per);
                #[unroll]
                for l in 0..per {
                    x[l] = observation[k * more + now + lanes[l]];
                }
                products(
                    &mut sums,
                    &x,
                    parameters,
                    comptime![at.encoder_weight],
                    comptime![plan.shape.inputs],
                    first_row,
                    encoder,
                    k,
                    0usize,
                    block,
                    per,
                    share,
                );
            }
        }
        for pass in
            0..comptime![(plan.shape.sees_hidden / plan.pass(plan.shape.sees_hidden)) as u32]
        {
            #[unroll]
            for u in 0..comptime![plan.pass(plan.shape.sees_hidden)] {
                let k = pass as usize * comptime![plan.pass(plan.shape.sees_hidden)] + u;

                let mut x = Array::<f32>::new(per);
                #[unroll]
                for l in 0..per {
                    x[l] = told[k * more + now + lanes[l]];
                }
                products(
                    &mut sums,
                    &x,
                    parameters,
                    comptime![at.encoder_weight],
                    comptime![plan.shape.inputs],
                    first_row,
                    encoder,
                    k + observed,
                    0usize,
                    block,
                    per,
                    share,
                );
            }
        }
        #[unroll]
        for r in 0..block {
            if first_row + r < encoder {
                #[unroll]
                for l in 0..per {
                    if wanted[l] {
                        scratch[(first_row + r) * n + lanes[l]] = tanh(sums[r * per + l]);
                    }
                }
            }
        }
    }

    // core: sums of a recurrent one are r, z, driven n, held n
    let gates = comptime![plan.shape.gates()];
    let parts = comptime![if plan.shape.recurrent { 4usize } else { 1 }];
    for b in 0..comptime![hidden.div_ceil(block) as u32] {
        let first_row = b as usize * block;
        let mut sums = Array::<f32>::new(comptime![parts * block * per]);
        #[unroll]
        for g in 0..gates {
            biases(
                &mut sums,
                parameters,
                comptime![at.core_bias + g * hidden],
                first_row,
                hidden,
                comptime![g * block * per],
                block,
                per,
            );
        }
        for pass in 0..comptime![(encoder / plan.pass(encoder)) as u32] {
            #[unroll]
            for u in 0..comptime![plan.pass(encoder)] {
                let k = pass as usize * comptime![plan.pass(encoder)] + u;

                let mut x = Array::<f32>::new(per);
                #[unroll]
                for l in 0..per {
                    x[l] = scratch[k * n + lanes[l]];
                }
                #[unroll]
                for g in 0..gates {
                    products(
                        &mut sums,
                        &x,
                        parameters,
                        comptime![at.core_weight + g * hidden * encoder],
                        encoder,
                        first_row,
                        hidden,
                        k,
                        comptime![g * block * per],
                        block,
                        per,
                        share,
                    );
                }
            }
        }
        if comptime![plan.shape.recurrent] {
            let mut held = Array::<f32>::new(comptime![block * per]);
            #[unroll]
            for g in 0..gates {
                let part = comptime![part_of_held(g) * block * per];
                biases(
                    &mut held,
                    parameters,
                    comptime![at.recurrent_bias + g * hidden],
                    first_row,
                    hidden,
                    0usize,
                    block,
                    per,
                );
                #[unroll]
                for s in 0..comptime![block * per] {
                    if comptime![g == 2] {
                        sums[part + s] = held[s];
                    } else {
                        sums[part + s] += held[s];
                    }
                }
            }
            for pass in 0..comptime![(hidden / plan.pass(hidden)) as u32] {
                #[unroll]
                for u in 0..comptime![plan.pass(hidden)] {
                    let k = pass as usize * comptime![plan.pass(hidden)] + u;

                    let mut x = Array::<f32>::new(per);
                    #[unroll]
                    for l in 0..per {
                        x[l] = select(fresh[l], 0.0f32, core[k * n + lanes[l]]);
                    }
                    #[unroll]
                    for g in 0..gates {
                        products(
                            &mut sums,
                            &x,
                            parameters,
                            comptime![at.recurrent_weight + g * hidden * hidden],
                            hidden,
                            first_row,
                            hidden,
                            k,
                            comptime![part_of_held(g) * block * per],
                            block,
                            per,
                            share,
                        );
                    }
                }
            }
        }
        #[unroll]
        for r in 0..block {
            if first_row + r < hidden {
                #[unroll]
                for l in 0..per {
                    let s = comptime![r * per + l];
                    let next = (encoder + first_row + r) * n + lanes[l];
                    if wanted[l] {
                        if comptime![plan.shape.recurrent] {
                            let part = comptime![block * per];
                            let reset = sigmoid(sums[s]);
                            let keep = sigmoid(sums[part + s]);
                            let new = tanh(sums[2 * part + s] + reset * sums[3 * part + s]);
                            let before = core[(first_row + r) * n + lanes[l]];
                            let old = select(fresh[l], 0.0f32, before);
                            scratch[next] = (1.0f32 - keep) * new + keep * old;
                        } else {
                            scratch[next] = tanh(sums[s]);
                        }
                    }
                }
            }
        }
    }

    // outputs
    let start = comptime![if plan.values_only {
        plan.shape.outputs.value_row()
    } else {
        0
    }];
    let end = comptime![if plan.values_only {
        plan.shape.outputs.belief_mean_row(0)
    } else {
        plan.shape.rows()
    }];
    for b in 0..comptime![(end - start).div_ceil(block) as u32] {
        let first_row = start + b as usize * block;
        let mut sums = Array::<f32>::new(comptime![block * per]);
        biases(
            &mut sums,
            parameters,
            comptime![at.output_bias],
            first_row,
            end,
            0usize,
            block,
            per,
        );
        for pass in 0..comptime![(hidden / plan.pass(hidden)) as u32] {
            #[unroll]
            for u in 0..comptime![plan.pass(hidden)] {
                let k = pass as usize * comptime![plan.pass(hidden)] + u;

                let mut x = Array::<f32>::new(per);
                #[unroll]
                for l in 0..per {
                    x[l] = scratch[(encoder + k) * n + lanes[l]];
                }
                products(
                    &mut sums,
                    &x,
                    parameters,
                    comptime![at.output_weight],
                    hidden,
                    first_row,
                    end,
                    k,
                    0usize,
                    block,
                    per,
                    share,
                );
            }
        }
        #[unroll]
        for r in 0..block {
            if first_row + r < end {
                #[unroll]
                for l in 0..per {
                    if wanted[l] {
                        outputs[(first_row + r) * n + lanes[l]] = sums[r * per + l];
                    }
                }
            }
        }
    }

    // decisions, lane by lane
    for l in 0..comptime![per as u32] {
        let lane = l as usize * threads + mine;
        if mine < threads && lane < n {
            expect(
                outputs,
                value,
                n,
                more,
                now,
                lane,
                comptime![plan.shape.outputs.clone()],
            );
            if comptime![!plan.values_only] {
                let mut total = 0.0f32;
                #[unroll]
                for h in 0..comptime![plan.shape.outputs.heads.len()] {
                    let one = decide(
                        outputs,
                        mask[h * more + now + lane],
                        n,
                        lane,
                        first + lane as u32,
                        step,
                        deterministic,
                        seed_lo,
                        seed_hi,
                        comptime![decision(&plan.shape.outputs, h)],
                    );
                    action[(h * steps as usize + t as usize) * n + lane] = one[0];
                    total += one[1];
                }
                log_prob[now + lane] = total;
            }
        }
    }
    if comptime![plan.shape.recurrent && !plan.values_only] {
        for k in 0..comptime![hidden as u32] {
            let k = k as usize;
            #[unroll]
            for l in 0..per {
                if wanted[l] {
                    core[k * n + lanes[l]] = scratch[(encoder + k) * n + lanes[l]];
                }
            }
        }
    }
}

/// `to` becomes `from`, word by word.
#[cube(launch_unchecked)]
pub fn copy(from: &[u32], to: &mut [u32]) {
    if ABSOLUTE_POS < to.len() {
        to[ABSOLUTE_POS] = from[ABSOLUTE_POS];
    }
}
