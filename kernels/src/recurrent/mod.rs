//! The recurrent core of a policy: a gated recurrent unit (Cho et al. 2014, with the reset gate
//! after the product, as cuDNN and PyTorch have it) over whole sequences, forward and backward.
//!
//! `r = sig(x_r + U_r h + c_r)`, `z = sig(x_z + U_z h + c_z)`, `q = U_n h + c_n`,
//! `n = tanh(x_n + r q)`, `h' = n + z (h - n)`; `x = W input + b` is a dense layer's, all steps at
//! once. Matrices are row-major, everything over time is `[row][step][lane]`.
//!
//! One launch takes all steps. A workgroup has a tile of lanes and all their units; a thread owns
//! four units. States pass between threads through shared memory, one barrier a step
//! forward and two backward. On the software adapter, where every load from a buffer or from
//! shared memory is a loop over the lanes of a group, the weights of a thread's units stay in
//! private memory; on hardware they come from the cache.

mod backward;
mod forward;

use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::dense::{Part, Place, argument, arranged, sums};

pub use crate::dense::Target;

/// Units of a thread are loaded and stored in vectors of this many.
pub const UNITS_MULTIPLE: usize = 4;

/// How a kernel is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tile {
    pub hidden: usize,
    /// Blocks of four units that a thread owns.
    pub quads: usize,
    /// Lanes of a workgroup.
    pub lanes: usize,
    /// Lanes that a workgroup has in work at the same time.
    pub rows: usize,
    /// Weights stay in private memory.
    pub keep: bool,
    /// The forward pass leaves what the backward pass needs.
    pub save: bool,
    /// States are loaded by one thread of a plane of eight and passed on.
    pub share: bool,
}

impl Tile {
    fn new(target: Target, hidden: usize, save: bool) -> Self {
        // the backward pass has four numbers of a unit in shared memory
        let share = target.shares() && hidden.is_multiple_of(8 * UNITS_MULTIPLE);
        let fit = |lanes: usize| 32 * hidden * lanes <= target.shared_memory_bytes as usize;
        let mut lanes = 1;
        if target.software {
            while lanes < 32 && fit(2 * lanes) {
                lanes *= 2;
            }
            Self {
                hidden,
                // two are 4 % faster at 64 units and take thrice as long to build
                quads: 1,
                lanes,
                rows: 1,
                keep: hidden <= 128,
                save,
                share,
            }
        } else {
            while lanes * hidden < 512 && fit(2 * lanes) {
                lanes *= 2;
            }
            Self {
                hidden,
                quads: 1,
                lanes,
                rows: lanes,
                keep: false,
                save,
                share: false,
            }
        }
    }

    fn cube(&self) -> CubeDim {
        CubeDim::new_2d(
            (self.hidden / UNITS_MULTIPLE / self.quads) as u32,
            self.rows as u32,
        )
    }

    /// Steps that one launch may take.
    fn steps(&self, target: Target) -> usize {
        let passes = self.lanes / self.rows;
        let sums = if self.keep { 2 } else { 1 + self.hidden };
        let once = 3 * self.hidden + 2 * passes;
        let budget = (target.budget as usize).saturating_sub(once);
        (budget / (1 + passes * (1 + sums))).max(1)
    }
}

/// Lengths of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sequence {
    /// Units, a multiple of [`UNITS_MULTIPLE`].
    pub hidden: usize,
    pub steps: usize,
    pub lanes: usize,
}

impl Sequence {
    /// Words of one row.
    pub fn columns(&self) -> usize {
        self.steps * self.lanes
    }

    /// Words of `[hidden][steps][lanes]`.
    fn words(&self) -> usize {
        self.hidden * self.columns()
    }

    /// Whether the kernels take these lengths.
    pub fn is_supported(&self) -> bool {
        let words = 4 * self.words();
        self.hidden > 0
            && self.hidden <= 1024
            && self.hidden.is_multiple_of(UNITS_MULTIPLE)
            && self.columns() > 0
            && u32::try_from(words).is_ok()
    }
}

/// What a sequence is computed from.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// `[3 hidden][steps][lanes]`: gates r, z, n.
    pub xw: Handle,
    /// `[3 hidden][hidden]`
    pub u: Part,
    /// `[3 hidden]`
    pub c: Part,
    /// `[hidden][lanes]`: the state before the first step.
    pub h0: Handle,
    /// `[at least steps][lanes]` u32: the state is zero before a step where this is not 0.
    pub started: Handle,
}

/// Of the inputs, what the backward pass reads again.
#[derive(Clone, Debug)]
pub struct State {
    /// See [`Inputs`].
    pub u: Part,
    /// See [`Inputs`].
    pub h0: Handle,
    /// See [`Inputs`].
    pub started: Handle,
}

/// States, and what [`backward()`] needs besides them.
#[derive(Clone, Debug)]
pub struct Forward {
    /// `[hidden][steps][lanes]`: the state after each step.
    pub out: Handle,
    /// `[hidden][steps][lanes][4]`: `r, z, n, q`; one word if not asked for.
    pub saved: Handle,
}

/// Derivatives of a loss.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// `[3 hidden][steps][lanes]`
    pub xw: Handle,
    /// `[hidden][lanes]`
    pub h0: Handle,
}

/// All steps forward.
pub fn forward(
    client: &Client,
    target: Target,
    sequence: Sequence,
    inputs: &Inputs,
    save: bool,
) -> Forward {
    let Sequence {
        hidden,
        steps,
        lanes,
    } = sequence;
    let tile = Tile::new(target, hidden, save);
    let words = sequence.words();
    let weights = 3 * hidden * hidden;
    let out = client.empty(4 * words);
    let saved_words = if save { 4 * words } else { 4 };
    let saved = client.empty(4 * saved_words);
    let ut = arranged(client, &inputs.u, hidden, 3 * hidden, true);
    let per_launch = tile.steps(target);
    // SAFETY: the lengths are those of the allocations above and of the documentation of `Inputs`.
    unsafe {
        for first in (0..steps).step_by(per_launch) {
            forward::forward::launch_unchecked(
                client,
                CubeCount::Static(lanes.div_ceil(tile.lanes) as u32, 1, 1),
                tile.cube(),
                4,
                argument(&inputs.xw, 3 * words),
                argument(&ut, weights / 4),
                argument(&inputs.c.handle, inputs.c.len),
                argument(&inputs.h0, hidden * lanes),
                argument(&inputs.started, steps * lanes),
                argument(&out, words),
                argument(&saved, saved_words / 4),
                lanes as u32,
                steps as u32,
                first as u32,
                (first + per_launch).min(steps) as u32,
                inputs.c.first as u32,
                tile,
            );
        }
    }
    Forward { out, saved }
}

/// All steps backward: the derivatives by the inputs, from `d_out`, that by the states; those by `u`
/// and `c` go to `to`.
pub fn backward(
    client: &Client,
    target: Target,
    sequence: Sequence,
    inputs: &State,
    forward: &Forward,
    d_out: &Handle,
    to: Place<'_>,
) -> Gradients {
    let Sequence {
        hidden,
        steps,
        lanes,
    } = sequence;
    let tile = Tile::new(target, hidden, false);
    let words = sequence.words();
    let weights = 3 * hidden * hidden;
    let u = arranged(client, &inputs.u, 3 * hidden, hidden, false);
    let d_xw = client.empty(12 * words);
    let d_inner = client.empty(4 * words);
    let previous = client.empty(4 * words);
    let d_state = client.empty(4 * hidden * lanes);
    let per_launch = tile.steps(target);
    let mut end = steps;
    while end > 0 {
        let first = end.saturating_sub(per_launch);
        // SAFETY: as in `forward`.
        unsafe {
            backward::backward::launch_unchecked(
                client,
                CubeCount::Static(lanes.div_ceil(tile.lanes) as u32, 1, 1),
                tile.cube(),
                4,
                argument(&forward.saved, words),
                argument(&u, weights / 4),
                argument(&inputs.h0, hidden * lanes),
                argument(&inputs.started, steps * lanes),
                argument(&forward.out, words),
                argument(d_out, words),
                argument(&d_xw, 3 * words),
                argument(&d_inner, words),
                argument(&previous, words),
                argument(&d_state, hidden * lanes),
                lanes as u32,
                steps as u32,
                first as u32,
                end as u32,
                tile,
            );
        }
        end = first;
    }
    sums(
        client,
        target,
        &[(&d_xw, 2 * hidden), (&d_inner, hidden)],
        (&previous, hidden),
        sequence.columns(),
        to,
    );
    Gradients {
        xw: d_xw,
        h0: d_state,
    }
}
