//! Dense layers over many columns, `[row][column]`: forward, and the derivatives.
//!
//! Loads are what costs on the software adapter (each is a loop over the lanes of a group), so a
//! thread computes a large block of the result and every number that it loads is used often.

mod apply;
mod products;

use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::device::{AdapterKind, Device};
use apply::{After, Patch};
use products::Block;

/// What the launches have to know of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub software: bool,
    /// Threads may pass numbers on to each other within planes of at least eight.
    pub planes: bool,
    pub shared_memory_bytes: u32,
    /// Loop iterations that a launch may make, to try cuts of long sequences.
    pub budget: u32,
}

impl Target {
    /// llvmpipe ends a shader's loops after 65,535 iterations in all.
    const SOFTWARE_BUDGET: u32 = 60_000;
    const HARDWARE_BUDGET: u32 = 10_000_000;

    pub fn of(device: &Device) -> Self {
        let description = &device.description;
        let software = description.kind == AdapterKind::Software;
        Self {
            software,
            planes: description.subgroup_size.0 >= 8,
            shared_memory_bytes: description.shared_memory_bytes,
            budget: if software {
                Self::SOFTWARE_BUDGET
            } else {
                Self::HARDWARE_BUDGET
            },
        }
    }

    /// Whether threads load for each other: where a load by eight threads is eight loads, even if
    /// all want the same number.
    pub(crate) fn shares(&self) -> bool {
        self.software && self.planes
    }
}

pub(crate) fn argument(handle: &Handle, words: usize) -> BufferArg {
    // SAFETY: callers give the length that they allocated, or that the field's documentation asks.
    unsafe { BufferArg::from_raw_parts(handle.clone(), words) }
}

fn groups(words: usize, threads: usize) -> CubeCount {
    let all = words.div_ceil(threads) as u32;
    let x = all.min(65_535);
    CubeCount::Static(x, all.div_ceil(x), 1)
}

/// Words of a buffer, from one of them on.
#[derive(Clone, Debug)]
pub struct Part {
    pub handle: Handle,
    /// First word.
    pub first: usize,
    /// Words of the whole buffer.
    pub len: usize,
}

impl Part {
    /// All of a buffer.
    pub fn all(handle: &Handle, len: usize) -> Self {
        Self {
            handle: handle.clone(),
            first: 0,
            len,
        }
    }
}

/// A matrix `[rows][columns]` with its rows filled up with zeros to a multiple of four words; if
/// `transposed`, from one that is `[columns][rows]`.
pub(crate) fn arranged(
    client: &Client,
    matrix: &Part,
    rows: usize,
    columns: usize,
    transposed: bool,
) -> Handle {
    let padded = columns.next_multiple_of(4);
    let to = client.empty(4 * rows * padded);
    let strides = if transposed { (1, rows) } else { (columns, 1) };
    // SAFETY: the lengths are those of the allocation and of the caller's matrix.
    unsafe {
        apply::arrange::launch_unchecked(
            client,
            groups(rows * padded, 64),
            CubeDim::new_1d(64),
            argument(&matrix.handle, matrix.len),
            argument(&to, rows * padded),
            matrix.first as u32,
            rows as u32,
            columns as u32,
            padded as u32,
            strides.0 as u32,
            strides.1 as u32,
        );
    }
    to
}

/// A copy of `words` words of a buffer.
pub fn extracted(client: &Client, from: &Part, words: usize) -> Handle {
    let to = client.empty(4 * words);
    // SAFETY: the allocation has `words` words, and the caller's part at least as many.
    unsafe {
        apply::arrange::launch_unchecked(
            client,
            groups(words, 64),
            CubeDim::new_1d(64),
            argument(&from.handle, from.len),
            argument(&to, words),
            from.first as u32,
            1,
            words as u32,
            words as u32,
            0,
            1,
        );
    }
    to
}

/// Lengths of a dense layer over many columns, none of them zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layer {
    pub outputs: usize,
    pub inputs: usize,
    pub columns: usize,
}

/// `W x + b`, `[outputs][columns]`, for `w` `[outputs][inputs]`, `b` `[outputs]` and `x`
/// `[inputs][columns]`; or its hyperbolic tangent.
pub fn forward(
    client: &Client,
    target: Target,
    layer: Layer,
    (w, b): (&Part, &Part),
    x: &Handle,
    tanh: bool,
) -> Handle {
    let w = arranged(client, w, layer.outputs, layer.inputs, false);
    let after = if tanh { After::Tanh } else { After::Nothing };
    product(client, target, layer, &w, Some(b), x, (after, x))
}

/// The derivative by `x`, `W' d`, from the derivative `d` by the outputs; if `values` are given
/// (`x` itself), the derivative by what they are the hyperbolic tangent of.
pub fn backward(
    client: &Client,
    target: Target,
    layer: Layer,
    w: &Part,
    d: &Handle,
    values: Option<&Handle>,
) -> Handle {
    let w = arranged(client, w, layer.inputs, layer.outputs, true);
    let turned = Layer {
        outputs: layer.inputs,
        inputs: layer.outputs,
        columns: layer.columns,
    };
    let after = values.map_or((After::Nothing, d), |values| (After::Slope, values));
    product(client, target, turned, &w, None, d, after)
}

/// `w x (+ b)`, the rows of `w` filled up.
fn product(
    client: &Client,
    target: Target,
    layer: Layer,
    w: &Handle,
    b: Option<&Part>,
    x: &Handle,
    (after, values): (After, &Handle),
) -> Handle {
    let Layer {
        outputs,
        inputs,
        columns,
    } = layer;
    let (rows, wide, threads) = if target.software {
        (
            if target.shares() && outputs > 16 {
                32
            } else {
                16
            },
            4,
            8,
        )
    } else {
        (8, 1, 64)
    };
    let patch = Patch {
        rows,
        columns: wide,
        threads,
        bias: b.is_some(),
        share: target.shares(),
        after,
    };
    let y = client.empty(4 * outputs * columns);
    let vector = if columns.is_multiple_of(4) { 4 } else { 1 };
    let vectors = columns / vector;
    let blocks = inputs.div_ceil(4);
    // without a bias anything that can be bound
    let (bias, bias_words, bias_at) = b.map_or((w, outputs, 0), |b| (&b.handle, b.len, b.first));
    let values_words = match after {
        After::Slope => outputs * vectors,
        _ => 1,
    };
    // SAFETY: the lengths are those of the allocations and of the caller's matrices.
    unsafe {
        apply::apply::launch_unchecked(
            client,
            CubeCount::Static(
                vectors.div_ceil(wide * threads) as u32,
                outputs.div_ceil(rows) as u32,
                1,
            ),
            CubeDim::new_1d(threads as u32),
            4,
            vector,
            argument(w, outputs * blocks),
            argument(bias, bias_words),
            argument(x, inputs * vectors),
            argument(values, values_words),
            argument(&y, outputs * vectors),
            outputs as u32,
            inputs as u32,
            blocks as u32,
            vectors as u32,
            bias_at as u32,
            patch,
        );
    }
    y
}

/// Where the derivatives by a matrix and by a bias go: words of one buffer.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub handle: &'a Handle,
    /// Words of the buffer.
    pub len: usize,
    pub weights: usize,
    pub bias: usize,
}

/// `A B'` and the sums of the rows of `A`, for `A` stacked of `(matrix, rows)` and `B` of so many
/// rows, all `[row][columns]`: the derivatives by the matrix and the bias of a dense layer with
/// inputs `B`, from the derivative `A` by its outputs. The order of the additions is fixed.
pub fn sums(
    client: &Client,
    target: Target,
    a: &[(&Handle, usize)],
    b: (&Handle, usize),
    columns: usize,
    to: Place<'_>,
) {
    let vector = if columns.is_multiple_of(4) { 4 } else { 1 };
    let vectors = columns / vector;
    let all: usize = a.iter().map(|(_, rows)| rows).sum();
    let (b, b_rows) = b;
    let (block, chunks) = if target.shares() {
        // a loop of a launch stays within what the adapter allows
        let chunks = vectors.div_ceil(16_384).max(16);
        (
            Block {
                a: if all > 16 { 32 } else { 16 },
                b: b_rows.next_multiple_of(8).min(64),
                threads: 8,
            },
            chunks,
        )
    } else if target.software {
        (
            Block {
                a: 16,
                b: 16,
                threads: 8,
            },
            8,
        )
    } else {
        (
            Block {
                a: 8,
                b: 8,
                threads: 64,
            },
            16,
        )
    };
    // a short matrix is not worth many parts
    let chunks = chunks.min(vectors.div_ceil(4 * block.threads)).max(1);
    let per_chunk = vectors.div_ceil(chunks);
    let parts = if target.shares() {
        chunks
    } else {
        chunks * block.threads
    };
    let partial_words = parts * all * (b_rows + 1);
    let partial = client.empty(4 * partial_words);
    let mut first_row = 0;
    for &(matrix, rows) in a {
        let launch = if target.shares() {
            products::shared_products::launch_unchecked
        } else {
            products::products::launch_unchecked
        };
        // SAFETY: the lengths are those of the allocations above and of the caller's matrices.
        unsafe {
            launch(
                client,
                CubeCount::Static(block.tiles(rows, b_rows) as u32, chunks as u32, 1),
                CubeDim::new_1d(block.threads as u32),
                vector,
                argument(matrix, rows * vectors),
                argument(b, b_rows * vectors),
                argument(&partial, partial_words),
                rows as u32,
                b_rows as u32,
                first_row as u32,
                all as u32,
                vectors as u32,
                per_chunk as u32,
                block,
            );
        }
        first_row += rows;
    }
    // SAFETY: as above.
    unsafe {
        products::gather::launch_unchecked(
            client,
            groups(all * (b_rows + 1), 64),
            CubeDim::new_1d(64),
            argument(&partial, partial_words),
            argument(to.handle, to.len),
            all as u32,
            b_rows as u32,
            parts as u32,
            to.weights as u32,
            to.bias as u32,
        );
    }
}
