//! Posology's CubeCL kernels. They know a [`Program`](posology_model::Program) and nothing of medicine.
//!
//! | module | what |
//! |---|---|
//! | [`adjoint`] | gradients through the simulator: the discrete adjoint |
//! | [`device`] | finding and opening an adapter |
//! | [`timeline`] | the event timeline of a patient as the device reads it |
//! | [`evaluate`] | an operation list unrolled while the kernel is built |
//! | [`elementary`] | logarithm and hyperbolic tangent to f32 |
//! | [`random`] | Philox4x32-10, bit for bit the host's |
//! | [`dense`] | dense layers over many columns, forward and backward |
//! | [`recurrent`] | the gated recurrent unit over whole sequences, forward and backward |
//! | [`sample`] | drawing patients, one thread each |
//! | [`integrate`] | one file per integrator |
//! | [`simulate`] | the fused kernel: one thread takes one patient through his timeline |
//! | [`policy`] | what a policy network's outputs mean, row by row |
//! | [`launch`] | buffers up, one dispatch, results down |
//! | [`environment`] | decision processes: one launch per decision of all lanes |
//! | [`reference`](mod@reference) | the same in f64 on the host |
//! | [`update`] | kernels of the update of a policy |
//! | [`dqn`] | kernels of Q-learning: exploration, replay, loss |
//! | [`probe`] | what this adapter's arithmetic does and how fast it is |

// Kernel code is not plain Rust: nested `if`s keep build-time conditions apart from run-time ones,
// loops over registers are unrolled by index, and neither ranges nor `clamp` and its kin exist on a
// device. Loops over steps, rows and actions have their test at the end, `while { ..; again } {}`:
// Mesa's software adapter takes one more pass, with nobody in it, through a loop that begins with one.
#![allow(
    clippy::blocks_in_conditions,
    clippy::collapsible_if,
    clippy::collapsible_else_if,
    clippy::manual_range_contains,
    clippy::manual_clamp,
    clippy::manual_is_multiple_of,
    clippy::needless_range_loop
)]

pub mod adjoint;
pub mod dense;
pub mod device;
pub mod dqn;
pub mod elementary;
pub mod environment;
pub mod evaluate;
pub mod integrate;
pub mod launch;
pub mod policy;
pub mod probe;
pub mod random;
pub mod recurrent;
pub mod reference;
pub mod sample;
pub mod simulate;
pub mod timeline;
pub mod update;
