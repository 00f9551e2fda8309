//! Sums of rows on the device, in a fixed order.

use cubecl::prelude::BufferArg;
use posology_kernels::device::Device;
use posology_kernels::update::{grid, group, sums};

use crate::rollout::Buffer;

/// A buffer as an argument of a kernel.
pub(crate) fn argument(buffer: &Buffer) -> BufferArg {
    // SAFETY: a `Buffer` holds `len` words.
    unsafe { BufferArg::from_raw_parts(buffer.handle.clone(), buffer.len()) }
}

/// Partial sums `[rows][blocks]`.
fn partial(device: &Device, terms: &Buffer) -> Buffer {
    let blocks = sums::blocks(terms.columns);
    let partial = Buffer::empty(&device.client, terms.rows, blocks);
    // SAFETY: `terms` is `[rows][columns]`, `partial` `[rows][blocks]`; threads beyond are checked.
    unsafe {
        sums::partial_sums::launch_unchecked(
            &device.client,
            grid(terms.rows * blocks),
            group(),
            argument(terms),
            argument(&partial),
            terms.rows as u32,
            terms.columns as u32,
            blocks as u32,
        );
    }
    partial
}

/// Sums `[rows][1]` of `terms`, `[rows][columns]`.
pub fn sum_rows(device: &Device, terms: &Buffer) -> Buffer {
    let partial = partial(device, terms);
    let sums = Buffer::empty(&device.client, terms.rows, 1);
    // SAFETY: one sum per row of `partial`; threads beyond are checked.
    unsafe {
        sums::finish_sums::launch_unchecked(
            &device.client,
            grid(terms.rows),
            group(),
            argument(&partial),
            argument(&sums),
            terms.rows as u32,
            partial.columns as u32,
        );
    }
    sums
}

/// Sums of the rows divided by `total[0]`, `[rows][1]`; zero where the total is.
pub fn mean_rows(device: &Device, terms: &Buffer, total: &Buffer) -> Buffer {
    let partial = partial(device, terms);
    let means = Buffer::empty(&device.client, terms.rows, 1);
    // SAFETY: one mean per row of `partial`, `total` has one word; threads beyond are checked.
    unsafe {
        sums::finish_means::launch_unchecked(
            &device.client,
            grid(terms.rows),
            group(),
            argument(&partial),
            argument(total),
            argument(&means),
            terms.rows as u32,
            partial.columns as u32,
        );
    }
    means
}
