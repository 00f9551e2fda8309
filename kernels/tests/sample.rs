//! Functions of the normal distribution on the device against f64, and against the host's normals.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cubecl::prelude::*;
use posology_kernels::device;
use posology_kernels::sample::normal::tabulate;

/// Probability below `z` in f64: Simpson's rule over the density, from the near tail.
fn below(z: f64) -> f64 {
    // P(z) = density(z) * integral over t > 0 of exp(z t - t^2/2), for z <= 0
    let tail = |z: f64| {
        let (steps, width) = (1000, 14.0);
        let h = width / f64::from(steps);
        let sum: f64 = (0..=steps)
            .map(|i| {
                let t = h * f64::from(i);
                let weight = match i {
                    0 => 1.0,
                    i if i == steps => 1.0,
                    i if i % 2 == 1 => 4.0,
                    _ => 2.0,
                };
                weight * (z * t - 0.5 * t * t).exp()
            })
            .sum();
        (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt() * sum * h / 3.0
    };
    if z <= 0.0 { tail(z) } else { 1.0 - tail(-z) }
}

/// The number below which a share `p < 1/2` lies, by bisection.
fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-13.0, 0.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if below(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[test]
fn functions_of_the_normal_distribution() {
    let seed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    println!("seed {seed}");
    let n = 300usize;
    let mut state = u64::from(seed) | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let x: Vec<f32> = (0..n)
        .map(|i| (i as f32 / n as f32 - 0.5) * 18.0 + next() as f32 * 1e-12)
        .collect();
    let p: Vec<f32> = (0..n)
        .map(|i| 0.5 * (-(i as f32) / n as f32 * 40.0).exp())
        .collect();
    let share: Vec<u32> = (0..n).map(|_| next() >> 7).collect();
    let device = device::open(Some("software")).expect("a software adapter");
    let client = &device.client;
    let out = client.empty(4 * 7 * n);
    // SAFETY: seven rows of `n`, as `tabulate` writes.
    unsafe {
        tabulate::launch_unchecked(
            client,
            CubeCount::Static(n.div_ceil(64) as u32, 1, 1),
            CubeDim::new_1d(64),
            BufferArg::from_raw_parts(client.create_from_slice(bytemuck::cast_slice(&x)), n),
            BufferArg::from_raw_parts(client.create_from_slice(bytemuck::cast_slice(&p)), n),
            BufferArg::from_raw_parts(client.create_from_slice(bytemuck::cast_slice(&share)), n),
            BufferArg::from_raw_parts(out.clone(), 7 * n),
        );
    }
    let bytes = client.read_one(out).expect("results");
    let found: &[f32] = bytemuck::cast_slice(&bytes);
    let mut worst = [0.0f64; 6];
    for i in 0..n {
        let at = |row: usize| f64::from(found[row * n + i]);
        let (z, share_p) = (f64::from(x[i]), f64::from(p[i]));
        let turn = f64::from(share[i] & 0x00FF_FFFF) / 16_777_216.0;
        let exponential = if z < 0.0 {
            -(-below(z)).ln_1p()
        } else {
            -below(-z).ln()
        };
        let cut = 0.841_344_746_068_543 + 0.135_905_121_983_278 * below(z);
        let errors = [
            at(0) / z.exp() - 1.0,
            at(1) - (std::f64::consts::TAU * turn).cos(),
            at(2) / below(z) - 1.0,
            at(3) - quantile(share_p),
            at(4) / exponential - 1.0,
            // the upper tail in f64 has all its digits here
            at(5) + quantile(1.0 - cut),
        ];
        for (worst, error) in worst.iter_mut().zip(errors) {
            assert!(error.is_finite(), "{i}: {errors:?}");
            *worst = worst.max(error.abs());
        }
    }
    println!(
        "exp {:.2e} cos {:.2e} below {:.2e} quantile {:.2e} exponential {:.2e} truncated {:.2e}",
        worst[0], worst[1], worst[2], worst[3], worst[4], worst[5]
    );
    for (error, bound) in worst.into_iter().zip([3e-7, 2e-7, 1e-5, 3e-6, 1e-5, 2e-6]) {
        assert!(error < bound, "{worst:?}");
    }
}
