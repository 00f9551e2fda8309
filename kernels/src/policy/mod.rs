//! Policy networks on the device.

mod layout;

pub use self::layout::{Head, OutputLayout};
