//! Residual error of a measured value.

use cubecl::prelude::*;
use posology_model::program::Noise;

use crate::random::{normal_from_words, philox4x32_10};

/// `value` as measured: `y exp(l e) + sqrt(a^2 + (p y)^2) e` with the same standard normal `e`, drawn
/// for (patient, `number`, `stream`, `output`); without `noise` the value itself.
#[cube]
pub fn with_error(
    value: f32,
    patient: u32,
    number: u32,
    #[comptime] stream: u32,
    #[comptime] output: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] noise: Option<Noise>,
) -> f32 {
    let mut measured = value;
    if comptime![noise.is_some()] {
        let (additive, proportional, lognormal) = comptime![match noise {
            Some(noise) => (
                f64::from_bits(noise.additive) as f32,
                f64::from_bits(noise.proportional) as f32,
                f64::from_bits(noise.lognormal) as f32,
            ),
            None => (0.0, 0.0, 0.0),
        }];
        let mut words = Array::<u32>::new(4usize);
        words[0] = patient;
        words[1] = number;
        words[2] = stream;
        words[3] = output;
        philox4x32_10(&mut words, seed_lo, seed_hi);
        let first = normal_from_words(words[0], words[1]);
        let relative = proportional * value;
        let spread = f32::sqrt(additive * additive + relative * relative);
        measured = value * f32::exp(lognormal * first) + spread * first;
    }
    measured
}
