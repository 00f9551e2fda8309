//! Policy networks on the device.

pub mod act;
mod dense;
pub mod draw;
mod layout;
mod shape;

pub use self::layout::{Head, OutputLayout};
pub use self::shape::{NetworkShape, Offsets};
