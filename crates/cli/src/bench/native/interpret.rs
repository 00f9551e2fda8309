//! Any program's operation list interpreted in f32: one patient at a time, and 16 in lanes.

use posology_model::graph::{Binary, Unary};
use posology_model::program::{Block, Kind, Op, Program};
use rayon::prelude::*;

use super::functions::{Functions, Platform, Polynomial};
use super::{Job, LANES, gather, widest};

/// `N` patients side by side.
type Lanes<const N: usize> = [f32; N];

#[inline(always)]
fn each<const N: usize>(a: &Lanes<N>, f: impl Fn(f32) -> f32) -> Lanes<N> {
    let mut out = [0.0; N];
    for l in 0..N {
        out[l] = f(a[l]);
    }
    out
}

#[inline(always)]
fn pair<const N: usize>(a: &Lanes<N>, b: &Lanes<N>, f: impl Fn(f32, f32) -> f32) -> Lanes<N> {
    let mut out = [0.0; N];
    for l in 0..N {
        out[l] = f(a[l], b[l]);
    }
    out
}

fn truth(value: bool) -> f32 {
    if value { 1.0 } else { 0.0 }
}

/// What the leaves of a block read. These programs have no infusions.
struct Environment<'a, const N: usize> {
    states: &'a [Lanes<N>],
    slots: &'a [Lanes<N>],
    carried: &'a [Lanes<N>],
    time: f32,
}

#[inline(always)]
fn operate<F: Functions, const N: usize>(
    op: &Op,
    v: &[Lanes<N>],
    env: &Environment<'_, N>,
) -> Lanes<N> {
    let (a, b, c) = (op.a as usize, op.b as usize, op.c as usize);
    match op.kind {
        Kind::Const => [f64::from_bits(op.bits) as f32; N],
        Kind::State => env.states[a],
        Kind::Slot => env.slots[a],
        Kind::Carry => env.carried[a],
        Kind::Input | Kind::Seed => [0.0; N],
        Kind::Time | Kind::Tad => [env.time; N],
        Kind::Unary(Unary::Neg) => each(&v[a], |x| -x),
        Kind::Unary(Unary::Recip) => each(&v[a], |x| 1.0 / x),
        Kind::Unary(Unary::Exp) => each(&v[a], F::exp),
        Kind::Unary(Unary::Ln) => each(&v[a], F::ln),
        Kind::Unary(Unary::Log10) => each(&v[a], f32::log10),
        Kind::Unary(Unary::Sqrt) => each(&v[a], f32::sqrt),
        Kind::Unary(Unary::Abs) => each(&v[a], f32::abs),
        Kind::Unary(Unary::Tanh) => each(&v[a], f32::tanh),
        Kind::Unary(Unary::Not) => each(&v[a], |x| truth(x == 0.0)),
        Kind::Binary(Binary::Add) => pair(&v[a], &v[b], |x, y| x + y),
        Kind::Binary(Binary::Sub) => pair(&v[a], &v[b], |x, y| x - y),
        Kind::Binary(Binary::Mul) => pair(&v[a], &v[b], |x, y| x * y),
        Kind::Binary(Binary::Div) => pair(&v[a], &v[b], |x, y| x / y),
        Kind::Binary(Binary::Pow) => pair(&v[a], &v[b], |x, y| F::exp(y * F::ln(x))),
        Kind::Binary(Binary::Min) => pair(&v[a], &v[b], f32::min),
        Kind::Binary(Binary::Max) => pair(&v[a], &v[b], f32::max),
        Kind::Binary(Binary::Lt) => pair(&v[a], &v[b], |x, y| truth(x < y)),
        Kind::Binary(Binary::Le) => pair(&v[a], &v[b], |x, y| truth(x <= y)),
        Kind::Binary(Binary::Gt) => pair(&v[a], &v[b], |x, y| truth(x > y)),
        Kind::Binary(Binary::Ge) => pair(&v[a], &v[b], |x, y| truth(x >= y)),
        Kind::Binary(Binary::Eq) => pair(&v[a], &v[b], |x, y| truth(x == y)),
        Kind::Binary(Binary::Ne) => pair(&v[a], &v[b], |x, y| truth(x != y)),
        Kind::Binary(Binary::And) => pair(&v[a], &v[b], |x, y| truth(x != 0.0 && y != 0.0)),
        Kind::Binary(Binary::Or) => pair(&v[a], &v[b], |x, y| truth(x != 0.0 || y != 0.0)),
        Kind::Select => {
            let mut out = v[c];
            for l in 0..N {
                out[l] = if v[a][l] != 0.0 { v[b][l] } else { out[l] };
            }
            out
        }
    }
}

#[inline(always)]
fn run<F: Functions, const N: usize>(block: &Block, v: &mut [Lanes<N>], env: &Environment<'_, N>) {
    for (i, op) in block.ops.iter().enumerate() {
        v[i] = operate::<F, N>(op, v, env);
    }
}

/// `N` patients from their slots to their final states.
#[inline(always)]
fn all_steps<F: Functions, const N: usize>(
    program: &Program,
    slots: &[Lanes<N>],
    h: f32,
    steps: u32,
) -> Vec<Lanes<N>> {
    let n = program.n_states;
    let blocks = [&program.setup, &program.init, &program.rates];
    let most = blocks
        .iter()
        .map(|block| block.ops.len())
        .max()
        .unwrap_or(0);
    let mut v = vec![[0.0; N]; most];
    let outputs = |block: &Block, v: &[Lanes<N>]| -> Vec<Lanes<N>> {
        block.outputs.iter().map(|&at| v[at as usize]).collect()
    };
    let start = Environment {
        states: &[],
        slots,
        carried: &[],
        time: 0.0,
    };
    run::<F, N>(&program.setup, &mut v, &start);
    let carried = outputs(&program.setup, &v);
    run::<F, N>(
        &program.init,
        &mut v,
        &Environment {
            carried: &carried,
            ..start
        },
    );
    let mut x = outputs(&program.init, &v);
    let mut lost = vec![[0.0; N]; n];
    let mut stage = x.clone();
    let mut sum = lost.clone();
    let (sixth, third) = (h / 6.0, h / 3.0);
    let stages = [
        (0.0, 0.5 * h, sixth),
        (0.5, 0.5 * h, third),
        (0.5, h, third),
        (1.0, 0.0, sixth),
    ];
    for k in 0..steps {
        stage.copy_from_slice(&x);
        sum.fill([0.0; N]);
        for (node, advance, weight) in stages {
            let time = (k as f32 + node) * h;
            run::<F, N>(
                &program.rates,
                &mut v,
                &Environment {
                    states: &stage,
                    slots: &[],
                    carried: &carried,
                    time,
                },
            );
            for s in 0..n {
                let slope = &v[program.rates.outputs[s] as usize];
                for l in 0..N {
                    sum[s][l] += weight * slope[l];
                    stage[s][l] = x[s][l] + advance * slope[l];
                }
            }
        }
        for s in 0..n {
            for l in 0..N {
                let increment = sum[s][l] - lost[s][l];
                let total = x[s][l] + increment;
                lost[s][l] = (total - x[s][l]) - increment;
                x[s][l] = total;
            }
        }
    }
    x
}

widest!(block(program: &Program, slots: &[Lanes<LANES>], h: f32, steps: u32) -> Vec<Lanes<LANES>>, all_steps::<Polynomial, LANES>);

/// One patient after the other on one thread; `[state][n]` at the end.
pub fn scalar(job: &Job<'_>) -> Vec<f32> {
    let mut states = vec![0.0; job.program.n_states * job.n];
    for i in 0..job.n {
        let slots: Vec<Lanes<1>> = (0..job.program.n_slots).map(|s| [job.slot(s, i)]).collect();
        let x = all_steps::<Platform, 1>(job.program, &slots, job.h, job.steps);
        for (s, [value]) in x.into_iter().enumerate() {
            states[s * job.n + i] = value;
        }
    }
    states
}

/// Blocks of 16 patients on every core; `[state][n]` at the end.
pub fn lanes(job: &Job<'_>) -> Vec<f32> {
    let blocks: Vec<Vec<Lanes<LANES>>> = (0..job.n.div_ceil(LANES))
        .into_par_iter()
        .map(|b| {
            let slots: Vec<Lanes<LANES>> = (0..job.program.n_slots)
                .map(|s| core::array::from_fn(|lane| job.slot(s, b * LANES + lane)))
                .collect();
            block(job.program, &slots, job.h, job.steps)
        })
        .collect();
    gather(&blocks, job.program.n_states, job.n)
}
