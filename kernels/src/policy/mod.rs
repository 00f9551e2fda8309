//! Policy networks on the device.

pub mod act;
mod dense;
pub mod draw;
mod layout;
mod plan;
mod shape;

pub use self::layout::{Head, OutputLayout};
pub use self::plan::ActPlan;
pub use self::shape::{NetworkShape, Offsets};
