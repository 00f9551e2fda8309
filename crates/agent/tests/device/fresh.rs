//! Random inputs that differ in every run.

use posology_agent::rollout::Buffer;
use posology_kernels::device::Device;

/// SplitMix64 (Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    /// Seeded by the clock; the seed is printed, so that a failure can be repeated.
    pub fn fresh(what: &str) -> Self {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let seed = now.as_nanos() as u64;
        println!("{what}: seed {seed}");
        Self(seed)
    }

    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.word() % n
    }

    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.word() >> 11) as f64 / (1u64 << 53) as f64;
        (f64::from(low) + f64::from(high - low) * unit) as f32
    }

    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * f64::from(self.uniform(1e-9, 1.0)).ln()).sqrt();
        (radius * f64::from(self.uniform(0.0, std::f32::consts::TAU)).cos()) as f32
    }

    pub fn normals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.normal()).collect()
    }

    /// Flags of lanes that reset in the step after an episode's end, `[steps][lanes]`.
    pub fn flags(&mut self, steps: usize, lanes: usize) -> Vec<u32> {
        let mut flags = vec![0; steps * lanes];
        for lane in 0..lanes {
            let mut ended = self.below(5) == 0;
            for t in 0..steps {
                let flag = if ended {
                    8
                } else {
                    [1, 2, 4, 0, 0, 0, 0, 0, 0, 0][self.below(10) as usize]
                };
                flags[t * lanes + lane] = flag;
                ended = flag & 7 != 0;
            }
        }
        flags
    }
}

pub fn floats(device: &Device, values: &[f32], rows: usize) -> Buffer {
    let words: Vec<u32> = values.iter().map(|v| v.to_bits()).collect();
    let columns = values.len().checked_div(rows).unwrap_or(0);
    Buffer::from_words(&device.client, &words, rows, columns)
}

/// The largest difference, and the largest size of what is expected.
pub fn apart(got: &[f32], wanted: &[f64]) -> (f64, f64) {
    assert_eq!(got.len(), wanted.len());
    let mut worst = (0.0f64, 0.0f64);
    for (&g, &w) in got.iter().zip(wanted) {
        assert!(g.is_finite(), "{g} where {w} is expected");
        worst = (worst.0.max((f64::from(g) - w).abs()), worst.1.max(w.abs()));
    }
    worst
}
