//! A buffer is a tensor and back, in place.

use burn::tensor::Tensor;
use posology_agent::bridge;
use posology_agent::rollout::Buffer;

#[test]
fn a_buffer_is_a_tensor_and_back() {
    let device = posology_kernels::device::open(None).unwrap();
    let words: Vec<u32> = (0..6).map(|i| (i as f32).to_bits()).collect();
    let given = Buffer::from_words(&device.client, &words, 2, 3);
    let tensor = bridge::tensor(&device, &given);
    let sum = tensor.clone().sum().into_scalar::<f32>();
    assert_eq!(sum, 15.0);
    let back = bridge::buffer(tensor.swap_dims(0, 1)).unwrap();
    assert_eq!((back.rows, back.columns), (3, 2));
    assert_eq!(
        back.floats(&device.client).unwrap(),
        [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    );
    let made = Tensor::<2>::ones([2, 2], &bridge::tensor_device(&device));
    let made = bridge::buffer(made).unwrap();
    assert_eq!(made.floats(&device.client).unwrap(), [1.0; 4]);
}
