//! Posology's CubeCL kernels. They know a [`Program`](posology_model::Program) and nothing of medicine.
//!
//! | module | what |
//! |---|---|
//! | [`device`] | finding and opening an adapter |
//! | [`timeline`] | the event timeline of a patient as the device reads it |
//! | [`evaluate`] | an operation list unrolled while the kernel is built |
//! | [`elementary`] | logarithm and hyperbolic tangent to f32 |
//! | [`random`] | Philox4x32-10, bit for bit the host's |
//! | [`integrate`] | one file per integrator |
//! | [`simulate`] | the fused kernel: one thread takes one patient through his timeline |
//! | [`launch`] | buffers up, one dispatch, results down |
//! | [`reference`](mod@reference) | the same in f64 on the host |
//! | [`probe`] | what this adapter's arithmetic does and how fast it is |

pub mod device;
pub mod elementary;
pub mod evaluate;
pub mod integrate;
pub mod launch;
pub mod probe;
pub mod random;
pub mod reference;
pub mod simulate;
pub mod timeline;
