//! Rows times factors: rewards and costs in the unit of their critics.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::device::Device;

const WORKGROUP: u32 = 64;

/// One thread per word.
#[cube(launch_unchecked)]
fn scale(from: &[f32], factors: &[f32], to: &mut [f32], words: u32, columns: u32) {
    let i = ABSOLUTE_POS;
    if i < words as usize {
        to[i] = from[i] * factors[i / columns as usize];
    }
}

/// `from`, `[rows][columns]`, with every row times its factor.
pub fn scaled(device: &Device, from: &Handle, factors: &[f32], columns: usize) -> Handle {
    let client = &device.client;
    let words = factors.len() * columns;
    let to = client.empty(4 * words.max(1));
    if words == 0 {
        return to;
    }
    let up = client.create_from_slice(bytemuck::cast_slice(factors));
    // more threads than one dimension of workgroups holds go into a second one
    let groups = (words as u32).div_ceil(WORKGROUP);
    let wide = groups.min(65_535);
    // SAFETY: `from` and `to` hold `words` words; threads beyond are checked.
    unsafe {
        scale::launch_unchecked(
            client,
            CubeCount::Static(wide, groups.div_ceil(wide), 1),
            CubeDim::new_1d(WORKGROUP),
            BufferArg::from_raw_parts(from.clone(), words),
            BufferArg::from_raw_parts(up, factors.len()),
            BufferArg::from_raw_parts(to.clone(), words),
            words as u32,
            columns as u32,
        );
    }
    to
}
