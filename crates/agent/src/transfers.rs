//! Reads from the device, counted: in training nothing returns but the metrics of an update.

use std::sync::atomic::{AtomicU64, Ordering};

use cubecl::server::Handle;
use posology_kernels::device::{Device, DeviceError};

static READS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Blocking reads and their bytes since the program began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transfers {
    pub reads: u64,
    pub bytes: u64,
}

impl Transfers {
    /// So far.
    pub fn now() -> Self {
        Self {
            reads: READS.load(Ordering::Relaxed),
            bytes: BYTES.load(Ordering::Relaxed),
        }
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
    READS.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
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
