//! Minibatches of whole sequences, drawn without replacement on the device.

use posology_kernels::device::Device;
use posology_kernels::update::{grid, group, shuffle};

use crate::ops::sums::argument;
use crate::rollout::Buffer;

/// Entries `first..first + count` of permutation `stream` of `0..n` under `seed`: the lanes of a
/// minibatch, `[1][count]` u32. Every lane is in exactly one of the minibatches that together
/// cover `0..n`.
pub fn places(
    device: &Device,
    seed: u64,
    stream: u32,
    n: usize,
    first: usize,
    count: usize,
) -> Buffer {
    let places = Buffer::empty(&device.client, 1, count);
    // SAFETY: `places` has `count` words; threads beyond are checked.
    unsafe {
        shuffle::permutation::launch_unchecked(
            &device.client,
            grid(count),
            group(),
            argument(&places),
            first as u32,
            count as u32,
            n as u32,
            shuffle::half_bits(n as u32),
            stream,
            seed as u32,
            (seed >> 32) as u32,
        );
    }
    places
}

/// Lanes `places` of `from`, `[rows][steps_from * lanes]`, as `[rows][steps * places]`; the first
/// `steps` decisions of `steps_from`.
pub fn gather(
    device: &Device,
    from: &Buffer,
    places: &Buffer,
    steps_from: usize,
    steps: usize,
) -> Buffer {
    let (lanes, m) = (from.columns / steps_from.max(1), places.columns);
    let to = Buffer::empty(&device.client, from.rows, steps * m);
    // SAFETY: `from` is `[rows][steps_from][lanes]`, `to` `[rows][steps][m]`, and places are below
    // `lanes`; threads beyond are checked.
    unsafe {
        shuffle::gather::launch_unchecked(
            &device.client,
            grid(from.rows * steps * m),
            group(),
            argument(from),
            argument(places),
            argument(&to),
            from.rows as u32,
            steps_from as u32,
            steps as u32,
            lanes as u32,
            m as u32,
        );
    }
    to
}
