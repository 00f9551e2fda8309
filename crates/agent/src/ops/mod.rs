//! Differentiable operations with a derivative by hand: Burn tensors in and out, own kernels inside.
//!
//! | module | what |
//! |---|---|
//! | [`dense`] | a dense layer over many columns |
//! | [`gru`] | the recurrent core over a whole sequence |
//! | [`loss`] | the safe update: every loss part and its gradient |
//! | [`sums`] | sums of rows in a fixed order |

pub mod dense;
pub mod gru;
pub mod loss;
pub mod sums;

use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::server::Handle;

/// The memory of a tensor, contiguous.
fn handle(tensor: CubeTensor) -> Handle {
    into_contiguous(tensor).handle
}

/// New memory as a tensor on the device of `like`.
fn tensor_like(like: &CubeTensor, handle: Handle, shape: impl Into<Shape>) -> CubeTensor {
    CubeTensor::new_contiguous(
        like.client.clone(),
        like.device.clone(),
        shape.into(),
        handle,
        DType::F32,
    )
}
