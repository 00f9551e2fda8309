//! Posology's model language: a text file becomes a typed, unit-checked list of operations.
//!
//! ```text
//! configs/models/NAME.toml --file--> spans --elaborate--> Model (a shared expression graph)
//!     --program--> Program (operation lists) --> kernel | adjoint | Jacobian | f64 reference
//! ```
//!
//! Nothing here knows of GPUs. Every lowering of a model starts from the same [`program::Program`].

pub mod correction;
pub mod diagnostic;
pub mod differentiate;
pub mod elaborate;
pub mod expr;
pub mod file;
pub mod graph;
pub mod interpret;
pub mod model;
pub mod program;
pub mod reference;
pub mod sampling;
pub mod stability;
pub mod unit;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use model::Model;
pub use program::Program;
