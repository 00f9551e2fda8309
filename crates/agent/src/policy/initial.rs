//! The weights that training starts with.
//!
//! Orthogonal matrices (Saxe et al. 2014) with the gains that suit policy gradients (Engstrom et
//! al. 2020; Andrychowicz et al. 2021): layers before a tanh and the critics' as below, heads of
//! the policy small, so that the first policy is close to uniform whatever is observed.

use posology_cohort::philox::{self, stream};

use super::shape::NetworkShape;

/// Gain of dense layers before a tanh.
const DENSE: f64 = std::f64::consts::SQRT_2;
/// Gain of the rows of the policy and of beliefs.
const POLICY: f64 = 0.01;
/// Gain of a gate's matrices and of the critics' rows.
const UNIT: f64 = 1.0;

/// The first parameters for a seed, in the order of [`NetworkShape::offsets`]. Biases are zero.
pub fn parameters(shape: &NetworkShape, seed: u64) -> Vec<f32> {
    let at = shape.offsets();
    let mut all = vec![0.0f32; at.total];
    let mut matrices = 0;
    let mut put = |offset: usize, rows: usize, columns: usize, gain: f64| {
        let entries = orthogonal(rows, columns, seed, matrices);
        matrices += 1;
        for (to, value) in all[offset..].iter_mut().zip(entries) {
            *to = (gain * value) as f32;
        }
    };
    let (encoder, hidden) = (shape.encoder, shape.hidden);
    put(at.encoder_weight, encoder, shape.inputs, DENSE);
    let gain = if shape.recurrent { UNIT } else { DENSE };
    // each gate is a layer of its own
    for gate in 0..shape.gates() {
        let weight = at.core_weight + gate * hidden * encoder;
        put(weight, hidden, encoder, gain);
        if shape.recurrent {
            let weight = at.recurrent_weight + gate * hidden * hidden;
            put(weight, hidden, hidden, gain);
        }
    }
    let outputs = &shape.outputs;
    let row = |row: usize| at.output_weight + row * hidden;
    for (h, head) in outputs.heads.iter().enumerate() {
        put(row(outputs.head_row(h)), head.rows(), hidden, POLICY);
    }
    put(row(outputs.value_row()), 1, hidden, UNIT);
    for cost in 0..outputs.costs {
        put(
            row(outputs.quantile_row(cost, 0)),
            outputs.quantiles,
            hidden,
            UNIT,
        );
    }
    put(
        row(outputs.belief_mean_row(0)),
        2 * outputs.beliefs,
        hidden,
        POLICY,
    );
    all
}

/// A random matrix `[rows, columns]`, row-major, whose rows are orthonormal, or its columns where
/// there are more rows than columns: Gram and Schmidt on independent normals, which gives every
/// such matrix the same density.
fn orthogonal(rows: usize, columns: usize, seed: u64, number: u32) -> Vec<f64> {
    let (few, many) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(few);
    for index in 0..few {
        let mut vector: Vec<f64> = (0..many)
            .map(|k| philox::standard_normal(seed, number, index as u32, stream::WEIGHTS, k as u32))
            .collect();
        // twice is enough to be orthogonal to rounding (Kahan and Parlett)
        for _ in 0..2 {
            for other in &basis {
                let along = dot(&vector, other);
                for (v, o) in vector.iter_mut().zip(other) {
                    *v -= along * o;
                }
            }
        }
        let length = dot(&vector, &vector).sqrt();
        vector.iter_mut().for_each(|v| *v /= length);
        basis.push(vector);
    }
    let entry = |r: usize, c: usize| {
        if rows <= columns {
            basis[r][c]
        } else {
            basis[c][r]
        }
    };
    (0..rows * columns)
        .map(|k| entry(k / columns, k % columns))
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use posology_kernels::policy::{Head, OutputLayout};

    #[test]
    fn rows_or_columns_are_orthonormal() {
        for (rows, columns) in [(5, 9), (9, 5), (16, 16), (1, 4), (4, 1)] {
            let m = orthogonal(rows, columns, 11, 3);
            let few = rows.min(columns);
            let line = |i: usize| -> Vec<f64> {
                if rows <= columns {
                    m[i * columns..(i + 1) * columns].to_vec()
                } else {
                    (0..rows).map(|r| m[r * columns + i]).collect()
                }
            };
            for i in 0..few {
                for j in 0..few {
                    let product = dot(&line(i), &line(j));
                    let wanted = f64::from(u8::from(i == j));
                    assert!(
                        (product - wanted).abs() < 1e-12,
                        "{rows}x{columns}: {product}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_seed_gives_one_network_and_heads_start_small() {
        let shape = NetworkShape {
            inputs: 4,
            sees_hidden: 0,
            encoder: 8,
            hidden: 16,
            recurrent: true,
            outputs: OutputLayout {
                heads: vec![Head::Categorical { levels: 5 }, Head::Gaussian],
                costs: 1,
                quantiles: 4,
                beliefs: 2,
            },
        };
        let first = parameters(&shape, 5);
        assert_eq!(first, parameters(&shape, 5));
        assert_ne!(first, parameters(&shape, 6));
        let at = shape.offsets();
        let norm = |from: usize, to: usize| {
            let squares = first[from..to].iter().map(|&w| f64::from(w).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let row = |r: usize| at.output_weight + r * 16;
        assert!((norm(row(0), row(1)) - 0.01).abs() < 1e-8);
        let value = shape.outputs.value_row();
        assert!((norm(row(value), row(value + 1)) - 1.0).abs() < 1e-6);
        // as many units of length as columns, times the gain
        assert!((norm(0, at.encoder_bias) - 8f64.sqrt()).abs() < 1e-6);
        assert!(first[at.output_bias..].iter().all(|&b| b == 0.0));
    }
}
