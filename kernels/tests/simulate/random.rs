//! Philox on the device against the host, bit for bit, and the normals made of its words.

use cubecl::prelude::*;
use posology_kernels::device;
use posology_kernels::random::draw_words;

/// Philox4x32-10 as in the paper.
fn philox(mut c: [u32; 4], mut k: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let p0 = 0xD251_1F53u64 * u64::from(c[0]);
        let p1 = 0xCD9E_8D57u64 * u64::from(c[2]);
        c = [
            (p1 >> 32) as u32 ^ c[1] ^ k[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ c[3] ^ k[1],
            p0 as u32,
        ];
        k = [
            k[0].wrapping_add(0x9E37_79B9),
            k[1].wrapping_add(0xBB67_AE85),
        ];
    }
    c
}

const N: usize = 100_000;

#[test]
fn philox_on_the_device_is_philox_on_the_host() {
    assert_eq!(philox([0; 4], [0; 2])[0], 0x6627_e8d5);
    let device = device::open(Some("software")).expect("a software adapter");
    let client = &device.client;
    let (mut worst, mut sum, mut squares, mut count) = (0.0f64, 0.0, 0.0, 0.0);
    for (seed, step, stream) in [
        (0u64, 0, 0),
        (7, 1, 1),
        (0x0123_4567_89ab_cdef, 431_999, 3),
        (u64::MAX, u32::MAX, 2),
    ] {
        let words = client.empty(16 * N);
        let normals = client.empty(4 * N);
        // SAFETY: four words and one normal per thread, as `draw_words` writes.
        unsafe {
            draw_words::launch_unchecked(
                client,
                CubeCount::Static(N.div_ceil(64) as u32, 1, 1),
                CubeDim::new_1d(64),
                BufferArg::from_raw_parts(words.clone(), 4 * N),
                BufferArg::from_raw_parts(normals.clone(), N),
                step,
                stream,
                seed as u32,
                (seed >> 32) as u32,
            );
        }
        let back = client.read(vec![words, normals]).expect("read");
        let (words, normals): (&[u32], &[f32]) = (
            bytemuck::cast_slice(&back[0]),
            bytemuck::cast_slice(&back[1]),
        );
        for i in 0..N {
            let expected = philox(
                [i as u32, step, stream, 0],
                [seed as u32, (seed >> 32) as u32],
            );
            assert_eq!(
                words[4 * i..4 * i + 4],
                expected,
                "seed {seed}, patient {i}"
            );
            let u1 = f64::from((expected[0] >> 8) + 1) / 16_777_216.0;
            let u2 = f64::from(expected[1] >> 8) / 16_777_216.0;
            let normal = (-2.0 * u1.ln()).sqrt() * (std::f64::consts::TAU * u2).cos();
            let got = f64::from(normals[i]);
            worst = worst.max((got - normal).abs());
            sum += got;
            squares += got * got;
            count += 1.0;
        }
    }
    let mean = sum / count;
    let variance = squares / count - mean * mean;
    println!(
        "4 x {N} draws equal; normals: largest difference {worst:.1e}, mean {mean:.4}, variance {variance:.4}"
    );
    assert!(worst < 2e-6, "normals differ by {worst:e}");
    assert!(mean.abs() < 4.0 / count.sqrt());
    assert!((variance - 1.0).abs() < 4.0 * (2.0 / count).sqrt());
}
