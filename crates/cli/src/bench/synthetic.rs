//! Kernel build time and speed over program size, stages looped and written out: where the switch
//! between the two belongs.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use posology_kernels::device::Device;
use posology_kernels::launch::{Batch, Simulator, SimulatorOptions};
use posology_kernels::simulate::Plan;
use posology_kernels::timeline::{Action, Row, Timeline};
use posology_model::graph::{Graph, NodeId};
use posology_model::program::{Equations, Program, Request};
use serde::Serialize;

use super::measure::{Spread, time};

/// States of the programs of [`run`].
const STATES: usize = 12;
const PATIENTS: usize = 4096;
const STEPS: u32 = 100;
const REPEATS: usize = 3;
/// Larger programs are left out once a build has taken this long, s.
const MOST_SECONDS: f64 = 6.0;

/// One program, built one way.
#[derive(Clone, Debug, Serialize)]
pub struct BuildRow {
    /// Arithmetic operations of the rates.
    pub operations: usize,
    pub states: usize,
    pub unrolled: bool,
    pub build_seconds: f64,
    pub patients: usize,
    pub steps: u32,
    pub seconds: Spread,
    pub patient_steps_per_second: f64,
}

/// A small generator (SplitMix64): constants that no shader cache has seen.
pub struct Nonce(u64);

/// Seeded by the clock.
pub fn nonce() -> Nonce {
    Nonce(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64),
    )
}

impl Nonce {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In 0..1.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// Measure every size both ways, as far as build times allow.
pub fn run(
    device: &Device,
    options: SimulatorOptions,
    quick: bool,
) -> anyhow::Result<Vec<BuildRow>> {
    let sizes: &[usize] = if quick {
        &[100, 1000]
    } else {
        &[100, 200, 300, 500, 1000, 3000, 6000]
    };
    let mut rows = Vec::new();
    for unrolled in [false, true] {
        for &size in sizes {
            let most = if quick && unrolled { 300 } else { usize::MAX };
            if size > most {
                continue;
            }
            let row = one(device, options, (STATES, size), Some(unrolled))?;
            let long = row.build_seconds > MOST_SECONDS;
            rows.push(row);
            if long {
                break;
            }
        }
    }
    Ok(rows)
}

/// One program of so many states and operations, its stages looped or written out as told or as the
/// engine would.
pub fn one(
    device: &Device,
    options: SimulatorOptions,
    (states, size): (usize, usize),
    unrolled: Option<bool>,
) -> anyhow::Result<BuildRow> {
    let program = program(states, size, &mut nonce());
    let operations = program.rates.arithmetic_count();
    let row = Row {
        actions: vec![Action::Reset],
        steps: STEPS,
        h: 0.01,
        ..Row::default()
    };
    let options = SimulatorOptions {
        unroll_stages: unrolled,
        ..options
    };
    let floors = vec![f32::MIN; states];
    let simulator = Simulator::new(
        device,
        Plan::new(program),
        &[Timeline { rows: vec![row] }],
        &floors,
        options,
    );
    let start = Instant::now();
    simulator
        .build()
        .with_context(|| format!("building a kernel of {operations} operations"))?;
    let build_seconds = start.elapsed().as_secs_f64();
    let ids: Vec<u32> = (0..PATIENTS as u32).collect();
    let values: Vec<f32> = (0..PATIENTS)
        .map(|i| 1.0 + 0.5 * i as f32 / PATIENTS as f32)
        .collect();
    let batch = Batch {
        n: PATIENTS,
        values: &values,
        timeline: &vec![0; PATIENTS],
        first_record: &ids,
        patient: &ids,
        record_stride: PATIENTS as u32,
        record_total: 0,
        seed: 1,
    };
    let seconds = time(REPEATS, || simulator.run(&batch).map(drop))?;
    Ok(BuildRow {
        operations,
        states,
        unrolled: simulator.options().step.unroll_stages,
        build_seconds,
        patients: PATIENTS,
        steps: STEPS,
        patient_steps_per_second: PATIENTS as f64 * f64::from(STEPS) / seconds.median,
        seconds,
    })
}

/// Exchanges, saturable losses and decays between states, `size` arithmetic operations (at least one
/// per state) with constants of their own, none of which can be shared or left out.
fn program(states: usize, size: usize, nonce: &mut Nonce) -> Program {
    let mut g = Graph::new();
    let slot = g.slot(0);
    let start = g.constant(1.0);
    let mut rates: Vec<NodeId> = (0..states)
        .map(|s| {
            let x = g.state(s);
            g.mul(slot, x)
        })
        .collect();
    let mut operations = states;
    let small = |g: &mut Graph, nonce: &mut Nonce| {
        let value = (0.01 + 0.1 * nonce.uniform()) * states as f64 / size as f64;
        g.constant(value)
    };
    while operations < size {
        let s = nonce.below(states);
        let other = (s + 1 + nonce.below(states.max(2) - 1)) % states;
        let (x, y, k) = (g.state(s), g.state(other), small(&mut g, nonce));
        let term = if operations + 4 <= size && nonce.below(3) == 0 {
            // k x / (m + y)
            operations += 3;
            let m = g.constant(1.0 + nonce.uniform());
            let (above, below) = (g.mul(k, x), g.add(m, y));
            g.div(above, below)
        } else {
            operations += 1;
            g.mul(k, y)
        };
        rates[s] = g.sub(rates[s], term);
        operations += 1;
    }
    let equations = Equations {
        graph: &g,
        init: &vec![start; states],
        rates: &rates,
        signed: &vec![true; states],
        n_slots: 1,
        n_inputs: 0,
    };
    Program::lower(&equations, &Request::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_have_the_size_asked_for() {
        for (states, size) in [(12, 100), (12, 301), (12, 1000), (1, 10), (200, 1200)] {
            let program = program(states, size, &mut Nonce(7));
            let count = program.rates.arithmetic_count();
            assert_eq!(program.n_states, states);
            assert!(count.abs_diff(size) <= 3, "{count} for {size}");
        }
    }

    #[test]
    fn constants_are_fresh() {
        assert_ne!(
            program(12, 100, &mut Nonce(1)),
            program(12, 100, &mut Nonce(2))
        );
    }
}
