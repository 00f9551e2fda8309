//! From the end of one rollout to the beginning of the next.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::device::Device;
use crate::launch::WORKGROUP;

/// `buffer[row][0][lane] = buffer[row][steps][lane]` of a buffer `[rows][steps + 1][lanes]`.
#[cube(launch_unchecked)]
fn carry_last(buffer: &mut [u32], words: u32, steps: u32, lanes: u32) {
    let i = ABSOLUTE_POS;
    if i >= words as usize {
        terminate!();
    }
    let (row, lane) = (i as u32 / lanes, i as u32 % lanes);
    let first = row * (steps + 1u32) * lanes + lane;
    buffer[first as usize] = buffer[(first + steps * lanes) as usize];
}

/// Copy the last decision of `buffer`, `[rows][steps + 1][lanes]`, to its first.
pub fn carry(device: &Device, buffer: &Handle, rows: usize, steps: usize, lanes: usize) {
    let words = (rows * lanes) as u32;
    if words == 0 || steps == 0 {
        return;
    }
    // SAFETY: the caller's buffer has that shape.
    unsafe {
        carry_last::launch_unchecked(
            &device.client,
            CubeCount::Static(words.div_ceil(WORKGROUP), 1, 1),
            CubeDim::new_1d(WORKGROUP),
            BufferArg::from_raw_parts(buffer.clone(), rows * (steps + 1) * lanes),
            words,
            steps as u32,
            lanes as u32,
        );
    }
}
