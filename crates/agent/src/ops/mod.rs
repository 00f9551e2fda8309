//! Differentiable operations with a derivative by hand: Burn tensors in and out, own kernels inside.
//!
//! | module | what |
//! |---|---|
//! | [`gru`] | the recurrent core over a whole sequence |

pub mod gru;

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
