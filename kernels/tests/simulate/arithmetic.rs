//! Every operation of the kernel against f64, on random operands.

use posology_kernels::launch::SimulatorOptions;
use posology_kernels::timeline::{Action, Row, Timeline};
use posology_model::graph::{Binary, Graph, NodeId, Unary, apply_binary, apply_unary};
use posology_model::program::Request;

use crate::{Toy, run};

const N: usize = 20_000;

/// SplitMix64 (Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn fresh(what: &str) -> Self {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let seed = now.as_nanos() as u64;
        println!("{what}: seed {seed}");
        Self(seed)
    }
}

/// Distance in units of the last place of the correctly rounded result.
fn ulps(got: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if got == rounded || (got.is_nan() && rounded.is_nan()) {
        return 0.0;
    }
    let size = rounded.abs().max(f32::MIN_POSITIVE);
    let unit = f64::from(f32::from_bits(size.to_bits() + 1) - size);
    (f64::from(got) - exact).abs() / unit
}

/// Outputs `[op][patient]` of expressions of three states that start at `operands`.
fn evaluate(
    build: impl FnOnce(&mut Graph, [NodeId; 3]) -> Vec<NodeId>,
    operands: &[Vec<f32>; 3],
) -> Vec<Vec<f32>> {
    let mut g = Graph::new();
    let states = [g.state(0), g.state(1), g.state(2)];
    let init = vec![g.slot(0), g.slot(1), g.slot(2)];
    let zero = g.constant(0.0);
    let outputs = build(&mut g, states);
    let request = Request {
        records: outputs.iter().map(|&id| (id, None)).collect(),
        ..Request::default()
    };
    let toy = Toy {
        graph: g,
        init,
        rates: vec![zero; 3],
        n_slots: 3,
        n_inputs: 0,
    };
    let timeline = Timeline {
        rows: vec![Row {
            actions: vec![Action::Reset, Action::Record],
            ..Row::default()
        }],
    };
    let n = operands[0].len();
    let outcome = run(
        toy.program(&request),
        &[timeline],
        &operands.concat(),
        n,
        SimulatorOptions::default(),
    );
    (0..outputs.len())
        .map(|output| {
            let column = outcome.records.column(output);
            (0..n).map(|record| column.get(record)).collect()
        })
        .collect()
}

fn signed(random: &mut Random, low: f64, high: f64) -> f32 {
    let sign = if random.next() & 1 == 0 { 1.0 } else { -1.0 };
    (sign * 10f64.powf(random.uniform(low, high))) as f32
}

/// (operation, operands, largest error in ulps); for `Exp`, see [`EXP_PER_UNIT`].
type Case1 = (Unary, &'static str, fn(&mut Random) -> f32, f64);

/// WGSL allows `exp(x)` 3 + 2 |x| ulps, because its argument is rounded once more on the way to
/// `exp2`; 4 + 1.5 |x| are asked for here.
const EXP_PER_UNIT: f64 = 1.5;
/// `a^b` is `exp(z)` with `z = b ln a`. Beside what is said of `exp`, `z` itself is off by the two
/// ulps asked of `ln` and half an ulp of the product; an ulp of `z` is at most `2^-23 |z|`, and
/// that is at most `2 |z|` ulps of a result just below a power of two.
const POW_PER_UNIT: f64 = EXP_PER_UNIT + 2.0 * (2.0 + 0.5);
/// The three errors rarely meet in full: all but one in a thousand results stay within this.
const POW_PER_UNIT_MOSTLY: f64 = 2.0;

#[test]
fn unary_operations_stay_within_their_ulps() {
    let mut random = Random::fresh("unary operations");
    let positive: fn(&mut Random) -> f32 = |r| 10f64.powf(r.uniform(-30.0, 30.0)) as f32;
    let any: fn(&mut Random) -> f32 = |r| signed(r, -10.0, 10.0);
    let cases: [Case1; 14] = [
        (Unary::Neg, "any", any, 0.0),
        (Unary::Recip, "any", any, 1.0),
        (
            Unary::Exp,
            "-80..80",
            |r| r.uniform(-80.0, 80.0) as f32,
            4.0,
        ),
        (Unary::Exp, "-1..1", |r| r.uniform(-1.0, 1.0) as f32, 4.0),
        (Unary::Exp, "small", |r| signed(r, -6.0, -1.0), 4.0),
        (Unary::Ln, "1e-30..1e30", positive, 2.0),
        (Unary::Ln, "0.5..2", |r| r.uniform(0.5, 2.0) as f32, 2.0),
        (
            Unary::Ln,
            "near 1",
            |r| (1.0 + f64::from(signed(r, -6.0, -2.0))) as f32,
            2.0,
        ),
        (Unary::Log10, "1e-30..1e30", positive, 3.0),
        (Unary::Sqrt, "1e-30..1e30", positive, 1.0),
        (Unary::Abs, "any", any, 0.0),
        (
            Unary::Tanh,
            "-12..12",
            |r| r.uniform(-12.0, 12.0) as f32,
            4.0,
        ),
        (Unary::Tanh, "small", |r| signed(r, -6.0, 0.0), 4.0),
        (Unary::Not, "0, 1", |r| (r.next() & 1) as f32, 0.0),
    ];
    let mut failed = Vec::new();
    for (op, range, draw, bound) in cases {
        let a: Vec<f32> = (0..N).map(|_| draw(&mut random)).collect();
        let got = evaluate(
            |g, [x, ..]| vec![g.unary(op, x)],
            &[a.clone(), a.clone(), a.clone()],
        );
        let worst = (0..N)
            .map(|i| {
                let found = ulps(got[0][i], apply_unary(op, f64::from(a[i])));
                let allowance = if op == Unary::Exp {
                    EXP_PER_UNIT * f64::from(a[i].abs())
                } else {
                    0.0
                };
                ((found - allowance).max(0.0), a[i])
            })
            .fold(
                (0.0, 0.0),
                |worst, seen| if seen.0 <= worst.0 { worst } else { seen },
            );
        println!("{op:?} {range}: {:.2} ulps at {:e}", worst.0, worst.1);
        if !(worst.0 <= bound) {
            failed.push((op, range, worst, bound));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

type Case2 = (Binary, &'static str, fn(&mut Random) -> [f32; 2], f64);

#[test]
fn binary_operations_and_selection_stay_within_their_ulps() {
    let mut random = Random::fresh("binary operations");
    let any: fn(&mut Random) -> [f32; 2] = |r| [signed(r, -10.0, 10.0), signed(r, -10.0, 10.0)];
    let flags: fn(&mut Random) -> [f32; 2] = |r| [(r.next() & 1) as f32, (r.next() & 1) as f32];
    // equal in a quarter of the draws
    let close: fn(&mut Random) -> [f32; 2] = |r| {
        let a = r.uniform(-2.0, 2.0).round() as f32;
        [a, a + [0.0, 1.0, -1.0, 0.5][(r.next() & 3) as usize]]
    };
    let cases: [Case2; 17] = [
        (Binary::Add, "any", any, 0.0),
        (Binary::Sub, "any", any, 0.0),
        (Binary::Mul, "any", any, 0.0),
        (Binary::Div, "any", any, 1.0),
        (Binary::Min, "any", any, 0.0),
        (Binary::Max, "any", any, 0.0),
        (
            Binary::Pow,
            "0.1..10 ^ -1..1",
            |r| {
                [
                    10f64.powf(r.uniform(-1.0, 1.0)) as f32,
                    r.uniform(-1.0, 1.0) as f32,
                ]
            },
            4.0,
        ),
        (
            Binary::Pow,
            "1e-3..1e3 ^ -4..4",
            |r| {
                [
                    10f64.powf(r.uniform(-3.0, 3.0)) as f32,
                    r.uniform(-4.0, 4.0) as f32,
                ]
            },
            4.0,
        ),
        (Binary::Lt, "close", close, 0.0),
        (Binary::Le, "close", close, 0.0),
        (Binary::Gt, "close", close, 0.0),
        (Binary::Ge, "close", close, 0.0),
        (Binary::Eq, "close", close, 0.0),
        (Binary::Ne, "close", close, 0.0),
        (Binary::And, "flags", flags, 0.0),
        (Binary::Or, "flags", flags, 0.0),
        (Binary::Lt, "any", any, 0.0),
    ];
    let mut failed = Vec::new();
    for (op, range, draw, bound) in cases {
        let (a, b): (Vec<f32>, Vec<f32>) = (0..N).map(|_| draw(&mut random).into()).unzip();
        let got = evaluate(
            |g, [x, y, _]| vec![g.binary(op, x, y)],
            &[a.clone(), b.clone(), a.clone()],
        );
        let error = |i: usize, per_unit: f64| {
            let (x, y) = (f64::from(a[i]), f64::from(b[i]));
            let found = ulps(got[0][i], apply_binary(op, x, y));
            let power = op == Binary::Pow;
            let allowance = if power {
                per_unit * (y * x.ln()).abs()
            } else {
                0.0
            };
            (found - allowance).max(0.0)
        };
        let rare = (0..N).filter(|&i| error(i, POW_PER_UNIT_MOSTLY) > bound.max(6.0));
        let rare = rare.count();
        if rare > N / 1000 {
            failed.push((op, range, (rare as f64, [0.0; 2]), N as f64 / 1000.0));
        }
        let worst = (0..N).map(|i| (error(i, POW_PER_UNIT), [a[i], b[i]])).fold(
            (0.0, [0.0; 2]),
            |worst, seen| {
                if seen.0 <= worst.0 { worst } else { seen }
            },
        );
        println!("{op:?} {range}: {:.2} ulps at {:?}", worst.0, worst.1);
        if !(worst.0 <= bound) {
            failed.push((op, range, worst, bound));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");

    let a: Vec<f32> = (0..N).map(|_| (random.next() % 3) as f32 - 1.0).collect();
    let [b, c]: [Vec<f32>; 2] =
        std::array::from_fn(|_| (0..N).map(|_| signed(&mut random, -10.0, 10.0)).collect());
    let got = evaluate(
        |g, [x, y, z]| vec![g.select(x, y, z)],
        &[a.clone(), b.clone(), c.clone()],
    );
    for i in 0..N {
        assert_eq!(got[0][i], if a[i] != 0.0 { b[i] } else { c[i] });
    }
}
