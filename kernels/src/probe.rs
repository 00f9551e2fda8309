//! What an adapter's arithmetic does, and how fast it is.

use std::time::Instant;

use cubecl::prelude::*;

use crate::device::{Device, DeviceError};

/// Sum `increment` `n` times with Kahan's compensation, as written.
#[cube(launch_unchecked)]
fn compensated_sum(out: &mut [f32], increment: f32, n: u32) {
    let mut total = 1.0f32;
    let mut lost = 0.0f32;
    for _k in 0..n {
        let term = increment - lost;
        let sum = total + term;
        lost = (sum - total) - term;
        total = sum;
    }
    if ABSOLUTE_POS == 0 {
        out[0] = total;
    }
}

/// Whether Kahan's compensation survives the adapter's shader compiler.
///
/// Shader compilers may reassociate: llvmpipe's cancels `((x + y) - x) - y` to zero, and with it
/// the compensation. Where that happens the integrator guards the sum (see
/// [`crate::integrate::rk4::Rk4Options::guard_compensation`]). Probed once per opened device.
pub fn compensation_survives(device: &Device) -> Result<bool, DeviceError> {
    if let Some(&known) = device.compensation.get() {
        return Ok(known);
    }
    const TERMS: u32 = 10_000;
    const INCREMENT: f32 = 1e-9;
    let client = &device.client;
    let out = client.empty(4);
    // SAFETY: one word is allocated and thread 0 writes word 0.
    unsafe {
        compensated_sum::launch_unchecked(
            client,
            CubeCount::Static(1, 1, 1),
            CubeDim::new_1d(64),
            BufferArg::from_raw_parts(out.clone(), 1),
            INCREMENT,
            TERMS,
        );
    }
    let bytes = client.read_one(out).map_err(|error| DeviceError::Lost {
        doing: "probing compensated summation",
        cause: format!("{error:?}"),
    })?;
    let total = f64::from(bytemuck::cast_slice::<u8, f32>(&bytes)[0]);
    let expected = 1.0 + f64::from(INCREMENT) * f64::from(TERMS);
    let survives = (total - expected).abs() < 2.0 * f64::from(f32::EPSILON);
    Ok(*device.compensation.get_or_init(|| survives))
}

/// Independent multiply-add chains of one thread: few do not hide their latency, many do not fit the
/// registers (16 are half as fast as 12 on llvmpipe), so the fastest of these counts.
const CHAINS: [usize; 4] = [8, 10, 12, 16];
/// Multiply-adds of each chain in one loop iteration.
const DEPTH: usize = 16;

#[cube(launch_unchecked)]
fn multiply_add(out: &mut [f32], a: f32, b: f32, iterations: u32, #[comptime] chains: usize) {
    let mut v = Array::<f32>::new(chains);
    #[unroll]
    for k in 0..chains {
        v[k] = f32::cast_from(ABSOLUTE_POS as u32) + comptime![k as f32];
    }
    for _i in 0..iterations {
        #[unroll]
        for _d in 0..DEPTH {
            #[unroll]
            for k in 0..chains {
                v[k] = v[k] * a + b;
            }
        }
    }
    let mut sum = 0.0f32;
    #[unroll]
    for k in 0..chains {
        sum += v[k];
    }
    out[ABSOLUTE_POS] = sum;
}

#[cube(launch_unchecked)]
fn copy(from: &[f32], to: &mut [f32]) {
    if ABSOLUTE_POS < to.len() {
        to[ABSOLUTE_POS] = from[ABSOLUTE_POS] + 1.0f32;
    }
}

/// Measured limits of an adapter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Fused multiply-adds per second.
    pub multiply_adds: f64,
    /// Bytes read plus written per second.
    pub bandwidth: f64,
}

/// Measure multiply-add rate and memory bandwidth, the best of several runs.
pub fn limits(device: &Device) -> Result<Limits, DeviceError> {
    let client = &device.client;
    let software = device.description.kind == crate::device::AdapterKind::Software;
    let (threads, iterations) = if software {
        (1usize << 14, 512u32)
    } else {
        (1usize << 20, 4096)
    };
    let out = client.empty(4 * threads);
    let mut multiply_adds = 0.0f64;
    for chains in CHAINS {
        let seconds = best_of(device, &out, || unsafe {
            // SAFETY: one word per thread.
            multiply_add::launch_unchecked(
                client,
                CubeCount::Static((threads / 64) as u32, 1, 1),
                CubeDim::new_1d(64),
                BufferArg::from_raw_parts(out.clone(), threads),
                0.999_9,
                1e-4,
                iterations,
                chains,
            );
        })?;
        let work = threads as f64 * f64::from(iterations) * (chains * DEPTH) as f64;
        multiply_adds = multiply_adds.max(work / seconds);
    }
    let words = if software { 1usize << 22 } else { 1usize << 25 };
    let zeros = vec![0u8; 4 * words];
    let from = client.create_from_slice(&zeros);
    let to = client.empty(4 * words);
    let small = client.empty(4);
    let transfer = best_of(device, &small, || unsafe {
        // SAFETY: both buffers hold `words` words; the grid's last threads are checked.
        copy::launch_unchecked(
            client,
            CubeCount::Static(
                65_535.min((words / 256) as u32),
                (words / 256).div_ceil(65_535) as u32,
                1,
            ),
            CubeDim::new_1d(256),
            BufferArg::from_raw_parts(from.clone(), words),
            BufferArg::from_raw_parts(to.clone(), words),
        );
    })?;
    Ok(Limits {
        multiply_adds,
        bandwidth: 8.0 * words as f64 / transfer,
    })
}

/// Seconds of the fastest of several launches, synchronised by reading `flag`.
fn best_of(
    device: &Device,
    flag: &cubecl::server::Handle,
    launch: impl Fn(),
) -> Result<f64, DeviceError> {
    let wait = || {
        device
            .client
            .read_one(flag.clone())
            .map_err(|error| DeviceError::Lost {
                doing: "measuring the adapter's limits",
                cause: format!("{error:?}"),
            })
    };
    launch();
    wait()?;
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let start = Instant::now();
        launch();
        wait()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}
