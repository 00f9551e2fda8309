//! Burn tensors and kernel buffers are the same memory on the same device.

use burn::tensor::{DType, Device as TensorDevice, Int, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use posology_kernels::device::Device;

use crate::rollout::Buffer;

/// The device as Burn knows it.
pub fn tensor_device(device: &Device) -> TensorDevice {
    TensorDevice::from(device.runtime.clone())
}

/// A buffer as a tensor `[rows, columns]`, without a copy. Whoever writes the buffer later writes
/// the tensor.
pub fn tensor(device: &Device, buffer: &Buffer) -> Tensor<2> {
    tensor_of(device, buffer, [buffer.rows, buffer.columns])
}

/// As [`tensor()`], in another shape of the same length.
pub fn tensor_of<const D: usize>(device: &Device, buffer: &Buffer, shape: [usize; D]) -> Tensor<D> {
    let primitive = CubeTensor::new_contiguous(
        device.client.clone(),
        device.runtime.clone(),
        Shape::from(shape),
        buffer.handle.clone(),
        DType::F32,
    );
    Tensor::from_primitive::<CubeBackend>(primitive)
}

/// A buffer of words as integers `[rows, columns]`, without a copy.
pub fn integers(device: &Device, buffer: &Buffer) -> Tensor<2, Int> {
    let primitive = CubeTensor::new_contiguous(
        device.client.clone(),
        device.runtime.clone(),
        Shape::from([buffer.rows, buffer.columns]),
        buffer.handle.clone(),
        DType::I32,
    );
    Tensor::from_primitive::<CubeBackend>(primitive)
}

/// The memory of a tensor without gradients, `[rows, columns]` from its last two dimensions;
/// copied only if it was not contiguous. `None` where the tensor is on another kind of backend.
pub fn buffer<const D: usize>(tensor: Tensor<D>) -> Option<Buffer> {
    let primitive = tensor.try_into_primitive::<CubeBackend>().ok()?;
    let primitive = into_contiguous(primitive);
    let shape = primitive.meta.shape().clone();
    let columns = shape.iter().last().copied().unwrap_or(1);
    let all = shape.num_elements();
    Some(Buffer {
        handle: primitive.handle,
        rows: all.checked_div(columns).unwrap_or(0),
        columns,
    })
}
