//! What a CPU does with the same equations: plain loops, and the operation list interpreted.
//!
//! The twelve-state model is also written by hand, as one would write it for speed: constants of a
//! patient hoisted, one pass over the step, states in arrays of fixed size.

pub mod functions;
pub mod hand;
pub mod interpret;

use posology_model::program::Program;

/// Patients that the multithreaded variants take together.
pub const LANES: usize = 16;

/// Inputs of a native run: `values` is `[slot][n]`.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub program: &'a Program,
    pub values: &'a [f32],
    pub n: usize,
    pub steps: u32,
    pub h: f32,
}

impl Job<'_> {
    /// A slot of a patient; patients beyond the last are copies of it.
    fn slot(&self, slot: usize, patient: usize) -> f32 {
        self.values[slot * self.n + patient.min(self.n - 1)]
    }
}

/// Final states of blocks of lanes, `[block][state][lane]`, as `[state][n]`.
fn gather(blocks: &[Vec<[f32; LANES]>], n_states: usize, n: usize) -> Vec<f32> {
    let mut states = vec![0.0; n_states * n];
    for (b, block) in blocks.iter().enumerate() {
        for (s, lanes) in block.iter().enumerate().take(n_states) {
            let first = b * LANES;
            let count = LANES.min(n - first);
            states[s * n + first..s * n + first + count].copy_from_slice(&lanes[..count]);
        }
    }
    states
}

/// Run `work` with the widest vector instructions this CPU has: the program itself is built for
/// the oldest CPU of its architecture, a kernel is built for the CPU it runs on.
macro_rules! widest {
    ($name:ident($($argument:ident: $type:ty),*) -> $out:ty, $work:expr) => {
        fn $name($($argument: $type),*) -> $out {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,fma")]
                fn avx512($($argument: $type),*) -> $out { ($work)($($argument),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),*) -> $out { ($work)($($argument),*) }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("fma")
                {
                    // SAFETY: the CPU has these instructions.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the CPU has these instructions.
                    return unsafe { avx2($($argument),*) };
                }
            }
            ($work)($($argument),*)
        }
    };
}
pub(crate) use widest;
