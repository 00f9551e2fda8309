//! `benches/engine/twelve-state.toml` written by hand in f32, scalar and in lanes.

use rayon::prelude::*;

use super::{Job, LANES, gather, widest};

const STATES: usize = 12;
const CONSTANTS: usize = 22;
/// Slots in the order in which `rates` takes them apart.
pub const NAMES: [&str; CONSTANTS] = [
    "ka", "k10", "k12", "k21", "V", "dosing", "km", "growth", "capacity", "kill", "ec50", "sE",
    "pE", "half", "mE", "dE", "ksyn", "kdeg", "ktr", "slope", "gamma", "N0",
];
const INIT: [f32; STATES] = [50.0, 10.0, 0.0, 0.0, 10.0, 1.2, 0.1, 5.0, 5.0, 5.0, 5.0, 5.0];

/// The two functions of the model that a vector unit has no instruction for.
trait Functions {
    fn exp(x: f32) -> f32;
    fn ln(x: f32) -> f32;
}

/// Those of the platform.
struct Platform;

impl Functions for Platform {
    #[inline(always)]
    fn exp(x: f32) -> f32 {
        x.exp()
    }
    #[inline(always)]
    fn ln(x: f32) -> f32 {
        x.ln()
    }
}

/// Polynomials without branches, so that a loop over lanes becomes vector instructions
/// (S. Moshier, Cephes, `expf` and `logf`; normal arguments only).
struct Polynomial;

impl Functions for Polynomial {
    #[inline(always)]
    fn exp(x: f32) -> f32 {
        const ROUND: f32 = 12_582_912.0;
        let shifted = x.clamp(-87.0, 88.0) * core::f32::consts::LOG2_E + ROUND;
        let whole = shifted - ROUND;
        let r = x - whole * 0.693_359_4 - whole * -2.121_944_4e-4;
        let mut p = 1.987_569_1e-4f32;
        for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = p * r + c;
        }
        let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
        (p * r * r + r + 1.0) * f32::from_bits(power)
    }

    #[inline(always)]
    fn ln(x: f32) -> f32 {
        // mantissa in sqrt(1/2)..sqrt(2)
        let exponent = (x.to_bits() as i32).wrapping_sub(0x3F35_04F3) >> 23;
        let f = f32::from_bits((x.to_bits() as i32).wrapping_sub(exponent << 23) as u32) - 1.0;
        let e = exponent as f32;
        let z = f * f;
        let mut p = 7.037_683_6e-2f32;
        for c in [
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ] {
            p = p * f + c;
        }
        f + (p * f * z - 2.121_944_4e-4 * e - 0.5 * z) + 0.693_359_4 * e
    }
}

#[inline(always)]
fn rates<F: Functions>(x: &[f32; STATES], constants: &[f32; CONSTANTS]) -> [f32; STATES] {
    let &[
        ka, k10, k12, k21, inverse_v, dosing, km, growth, inverse_capacity, kill, ec50, s_e, p_e,
        half, m_e, d_e, ksyn, kdeg, ktr, slope, gamma, n0,
    ] = constants;
    let &[depot, central, peripheral, metabolite, tumour, effector, cytokine, precursors, t1, t2, t3, circulating] = x;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomials_follow_the_platform() {
        for k in -2000..2000 {
            let x = k as f32 * 0.03;
            let (got, expected) = (f64::from(Polynomial::exp(x)), f64::from(x).exp());
            assert!((got / expected - 1.0).abs() < 3e-7, "exp {x}: {got} {expected}");
            let y = expected as f32;
            let (got, expected) = (f64::from(Polynomial::ln(y)), f64::from(y).ln());
            assert!((got - expected).abs() < 2e-7 * expected.abs().max(1.0), "ln {y}: {got} {expected}");
        }
    }
}
