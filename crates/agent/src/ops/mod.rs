//! Differentiable operations with a derivative by hand: Burn tensors in and out, own kernels inside.
//!
//! | module | what |
//! |---|---|
//! | [`dense`] | a dense layer over many columns |
//! | [`gru`] | the recurrent core over a whole sequence |
//! | [`loss`] | the safe update: every loss part and its gradient |
//! | [`network`] | the policy network over whole sequences, by its one vector of parameters |
//! | [`sums`] | sums of rows in a fixed order |

pub mod dense;
pub mod gru;
pub mod loss;
pub mod network;
pub mod sums;

use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::server::Handle;
use posology_kernels::dense::{Part, Place, extracted};

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

/// Memory for the derivatives by a matrix `[outputs, inputs]` and its bias, one after the other.
struct Found {
    words: Handle,
    outputs: usize,
    inputs: usize,
}

impl Found {
    fn new(like: &CubeTensor, outputs: usize, inputs: usize) -> Self {
        Self {
            words: like.client.empty(4 * outputs * (inputs + 1)),
            outputs,
            inputs,
        }
    }

    fn place(&self) -> Place<'_> {
        Place {
            handle: &self.words,
            len: self.outputs * (self.inputs + 1),
            weights: 0,
            bias: self.outputs * self.inputs,
        }
    }

    fn tensors(self, like: &CubeTensor) -> (CubeTensor, CubeTensor) {
        let Self {
            words,
            outputs,
            inputs,
        } = self;
        let bias = Part {
            handle: words.clone(),
            first: outputs * inputs,
            len: outputs * (inputs + 1),
        };
        // a tensor begins where a buffer does
        let bias = extracted(&like.client, &bias, outputs);
        let weights = words.offset_end(4 * outputs as u64);
        (
            tensor_like(like, weights, [outputs, inputs]),
            tensor_like(like, bias, [outputs]),
        )
    }
}
