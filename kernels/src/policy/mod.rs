//! Policy networks on the device.

mod layout;
mod shape;

pub use self::layout::{Head, OutputLayout};
pub use self::shape::{NetworkShape, Offsets};
