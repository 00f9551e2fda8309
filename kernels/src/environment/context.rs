//! What lanes carry from decision to decision, and its copy for a checkpoint.

use cubecl::server::Handle;

use crate::device::{Device, DeviceError};

/// `[rows][lanes]` words on a device, and the seed that the lanes' random numbers are drawn with.
#[derive(Clone)]
pub(super) struct LaneContext {
    pub device: Device,
    pub words: Handle,
    pub rows: usize,
    pub lanes: usize,
    pub seed: u64,
}

impl LaneContext {
    pub fn new(device: &Device, rows: usize, lanes: usize) -> Self {
        let zeros = vec![0u32; (rows * lanes).max(1)];
        Self {
            words: device
                .client
                .create_from_slice(bytemuck::cast_slice(&zeros)),
            device: device.clone(),
            rows,
            lanes,
            seed: 0,
        }
    }

    /// Words of the buffer.
    pub fn len(&self) -> usize {
        (self.rows * self.lanes).max(1)
    }

    /// Seed, then the words.
    pub fn snapshot(&self) -> Result<Vec<u8>, DeviceError> {
        let words = self
            .device
            .client
            .read_one(self.words.clone())
            .map_err(|error| DeviceError::Lost {
                doing: "reading the state of an environment",
                cause: format!("{error:?}"),
            })?;
        let mut bytes = self.seed.to_le_bytes().to_vec();
        bytes.extend(&words[..4 * self.len()]);
        Ok(bytes)
    }

    /// `false` where the bytes are not of a context of this shape.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        match bytes.split_first_chunk::<8>() {
            Some((seed, words)) if words.len() == 4 * self.len() => {
                self.seed = u64::from_le_bytes(*seed);
                self.words = self.device.client.create_from_slice(words);
                true
            }
            _ => false,
        }
    }
}
