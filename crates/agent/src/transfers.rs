//! Reads from the device, counted: in training nothing returns but the metrics of an update.

use std::cell::Cell;

use cubecl::server::Handle;
use posology_kernels::device::{Device, DeviceError};

thread_local! {
    // a run is one thread's, and its streams on the device are too
    static COUNT: Cell<Transfers> = const { Cell::new(Transfers { reads: 0, bytes: 0 }) };
}

/// Blocking reads of this thread and their bytes since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    pub reads: u64,
    pub bytes: u64,
}

impl Transfers {
    /// So far.
    pub fn now() -> Self {
        COUNT.get()
    }

    /// Since `before`.
    #[must_use]
    pub fn since(before: Self) -> Self {
        let now = Self::now();
        Self {
            reads: now.reads - before.reads,
            bytes: now.bytes - before.bytes,
        }
    }
}

/// Count a read of `bytes` bytes that was made elsewhere.
pub fn count(bytes: usize) {
    let before = COUNT.get();
    COUNT.set(Transfers {
        reads: before.reads + 1,
        bytes: before.bytes + bytes as u64,
    });
}

/// The words of several buffers in one read.
///
/// # Errors
/// When the device fails.
pub fn read(device: &Device, handles: Vec<Handle>) -> Result<Vec<Vec<u32>>, DeviceError> {
    let found = device
        .client
        .read(handles)
        .map_err(|error| DeviceError::Lost {
            doing: "reading from the device",
            cause: format!("{error:?}"),
        })?;
    let words: Vec<Vec<u32>> = found
        .iter()
        .map(|bytes| bytemuck::cast_slice::<u8, u32>(bytes).to_vec())
        .collect();
    count(4 * words.iter().map(Vec::len).sum::<usize>());
    Ok(words)
}

/// As [`read`], as numbers.
///
/// # Errors
/// When the device fails.
pub fn read_floats(device: &Device, handles: Vec<Handle>) -> Result<Vec<Vec<f32>>, DeviceError> {
    let words = read(device, handles)?;
    let floats = |words: Vec<u32>| words.into_iter().map(f32::from_bits).collect();
    Ok(words.into_iter().map(floats).collect())
}
