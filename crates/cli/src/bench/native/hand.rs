//! `benches/engine/twelve-state.toml` written by hand in f32, scalar and in lanes.

use rayon::prelude::*;

use super::functions::{Functions, Platform, Polynomial};
use super::{Job, LANES, gather, widest};

const STATES: usize = 12;
const CONSTANTS: usize = 22;
/// Slots in the order in which `rates` takes them apart.
pub const NAMES: [&str; CONSTANTS] = [
    "ka", "k10", "k12", "k21", "V", "dosing", "km", "growth", "capacity", "kill", "ec50", "sE",
    "pE", "half", "mE", "dE", "ksyn", "kdeg", "ktr", "slope", "gamma", "N0",
];
const INIT: [f32; STATES] = [
    50.0, 10.0, 0.0, 0.0, 10.0, 1.2, 0.1, 5.0, 5.0, 5.0, 5.0, 5.0,
];

#[inline(always)]
fn rates<F: Functions>(x: &[f32; STATES], constants: &[f32; CONSTANTS]) -> [f32; STATES] {
    let &[
        ka,
        k10,
        k12,
        k21,
        inverse_v,
        dosing,
        km,
        growth,
        inverse_capacity,
        kill,
        ec50,
        s_e,
        p_e,
        half,
        m_e,
        d_e,
        ksyn,
        kdeg,
        ktr,
        slope,
        gamma,
        n0,
    ] = constants;
    let &[
        depot,
        central,
        peripheral,
        metabolite,
        tumour,
        effector,
        cytokine,
        precursors,
        t1,
        t2,
        t3,
        circulating,
    ] = x;
    let concentration = central * inverse_v;
    let effect = concentration / (concentration + ec50);
    let feedback = F::exp(gamma * F::ln(n0 / circulating.max(0.001)));
    let leaving = ktr * precursors;
    let proliferation = leaving * (1.0 - slope * concentration).max(0.0) * feedback;
    let absorbed = ka * depot;
    let back = k21 * peripheral;
    let cleared = k10 * central;
    let there = k12 * central;
    let met = effector * tumour;
    let (m1, m2, m3) = (ktr * t1, ktr * t2, ktr * t3);
    [
        -absorbed,
        absorbed + dosing + back - cleared - there,
        there - back,
        cleared - km * metabolite,
        growth * tumour * (1.0 - tumour * inverse_capacity) - kill * effect * tumour - m_e * met,
        s_e + p_e * met / (half + tumour) - d_e * effector,
        ksyn * effector - kdeg * cytokine,
        proliferation - leaving,
        leaving - m1,
        m1 - m2,
        m2 - m3,
        m3 - ktr * circulating,
    ]
}

/// One classical Runge-Kutta step with a compensated update.
#[inline(always)]
fn step<F: Functions>(
    x: &mut [f32; STATES],
    lost: &mut [f32; STATES],
    constants: &[f32; CONSTANTS],
    h: f32,
) {
    let half = 0.5 * h;
    let k1 = rates::<F>(x, constants);
    let k2 = rates::<F>(&core::array::from_fn(|s| x[s] + half * k1[s]), constants);
    let k3 = rates::<F>(&core::array::from_fn(|s| x[s] + half * k2[s]), constants);
    let k4 = rates::<F>(&core::array::from_fn(|s| x[s] + h * k3[s]), constants);
    let (sixth, third) = (h / 6.0, h / 3.0);
    for s in 0..STATES {
        let increment = sixth * (k1[s] + k4[s]) + third * (k2[s] + k3[s]) - lost[s];
        let total = x[s] + increment;
        lost[s] = (total - x[s]) - increment;
        x[s] = total;
    }
}

fn constants(job: &Job<'_>, patient: usize) -> [f32; CONSTANTS] {
    let mut constants = core::array::from_fn(|k| job.slot(k, patient));
    // divisions by a patient's constants are multiplications in the loop
    constants[4] = 1.0 / constants[4];
    constants[8] = 1.0 / constants[8];
    constants
}

/// One patient after the other on one thread; `[state][n]` at the end.
pub fn scalar(job: &Job<'_>) -> Vec<f32> {
    let mut states = vec![0.0; STATES * job.n];
    for i in 0..job.n {
        let constants = constants(job, i);
        let (mut x, mut lost) = (INIT, [0.0; STATES]);
        for _ in 0..job.steps {
            step::<Platform>(&mut x, &mut lost, &constants, job.h);
        }
        for s in 0..STATES {
            states[s * job.n + i] = x[s];
        }
    }
    states
}

type Lanes<const N: usize> = [[f32; LANES]; N];

#[inline(always)]
fn take<const N: usize>(from: &Lanes<N>, lane: usize) -> [f32; N] {
    core::array::from_fn(|s| from[s][lane])
}

#[inline(always)]
fn all_steps(x: &mut Lanes<STATES>, constants: &Lanes<CONSTANTS>, h: f32, steps: u32) {
    let mut lost = [[0.0; LANES]; STATES];
    for _ in 0..steps {
        for lane in 0..LANES {
            let (mut y, mut c) = (take(x, lane), take(&lost, lane));
            step::<Polynomial>(&mut y, &mut c, &take(constants, lane), h);
            for s in 0..STATES {
                x[s][lane] = y[s];
                lost[s][lane] = c[s];
            }
        }
    }
}

widest!(block(x: &mut Lanes<STATES>, constants: &Lanes<CONSTANTS>, h: f32, steps: u32) -> (), all_steps);

/// Blocks of 16 patients on every core; `[state][n]` at the end.
pub fn lanes(job: &Job<'_>) -> Vec<f32> {
    let blocks: Vec<Vec<[f32; LANES]>> = (0..job.n.div_ceil(LANES))
        .into_par_iter()
        .map(|b| {
            let mut per_lane = [[0.0; LANES]; CONSTANTS];
            for lane in 0..LANES {
                for (row, value) in per_lane.iter_mut().zip(constants(job, b * LANES + lane)) {
                    row[lane] = value;
                }
            }
            let mut x = INIT.map(|value| [value; LANES]);
            block(&mut x, &per_lane, job.h, job.steps);
            x.to_vec()
        })
        .collect();
    gather(&blocks, STATES, job.n)
}
