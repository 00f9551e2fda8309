//! Buffers in which decisions are kept on the device.
//!
//! Every buffer is `[row][decision][lane]`: rows of `steps` (or `steps + 1`) times `lanes` words, so
//! that all decisions of all lanes are the columns of one matrix. A lane is one patient's course;
//! when it ends, the lane goes on with another patient.

use cubecl::client::Client;
use cubecl::server::Handle;
use posology_kernels::device::{Device, DeviceError};
use posology_kernels::environment::carry;

use crate::spec::Spec;

pub use posology_kernels::environment::{CUT, DIVERGED, RESET, TERMINATED, TRUNCATED};

/// A buffer on the device and its shape.
#[derive(Clone, Debug)]
pub struct Buffer {
    pub handle: Handle,
    pub rows: usize,
    /// Words per row.
    pub columns: usize,
}

impl Buffer {
    /// An unwritten buffer. It never has zero words, because bindings cannot.
    pub fn empty(client: &Client, rows: usize, columns: usize) -> Self {
        Self {
            handle: client.empty(4 * (rows * columns).max(1)),
            rows,
            columns,
        }
    }

    /// A buffer with these words.
    pub fn from_words(client: &Client, words: &[u32], rows: usize, columns: usize) -> Self {
        let words = if words.is_empty() { &[0][..] } else { words };
        Self {
            handle: client.create_from_slice(bytemuck::cast_slice(words)),
            rows,
            columns,
        }
    }

    /// Words.
    pub fn len(&self) -> usize {
        (self.rows * self.columns).max(1)
    }

    pub fn is_empty(&self) -> bool {
        self.rows * self.columns == 0
    }

    /// The words, on the host: for checkpoints, tests and metrics only.
    ///
    /// # Errors
    /// When the device fails.
    pub fn words(&self, client: &Client) -> Result<Vec<u32>, DeviceError> {
        let bytes = client
            .read_one(self.handle.clone())
            .map_err(|error| DeviceError::Lost {
                doing: "reading a buffer",
                cause: format!("{error:?}"),
            })?;
        crate::transfers::count(bytes.len());
        let mut words = bytemuck::cast_slice::<u8, u32>(&bytes).to_vec();
        words.truncate(self.rows * self.columns);
        Ok(words)
    }

    /// As [`Buffer::words`], as numbers.
    ///
    /// # Errors
    /// When the device fails.
    pub fn floats(&self, client: &Client) -> Result<Vec<f32>, DeviceError> {
        Ok(self
            .words(client)?
            .into_iter()
            .map(f32::from_bits)
            .collect())
    }
}

/// What `steps` decisions of `lanes` lanes saw, did and got.
#[derive(Clone, Debug)]
pub struct Rollout {
    pub steps: usize,
    pub lanes: usize,
    /// `[features][steps + 1][lanes]` f32
    pub observation: Buffer,
    /// `[heads][steps + 1][lanes]` u32: bit `l` is set where level `l` is allowed.
    pub mask: Buffer,
    /// `[steps + 1][lanes]` u32: 1 where the observation is the first of an episode.
    pub started: Buffer,
    /// `[hidden][steps + 1][lanes]` f32: the truth that the policy does not see.
    pub hidden: Buffer,
    /// `[heads][steps][lanes]` f32: index of the level, or the fraction.
    pub action: Buffer,
    /// `[steps][lanes]` f32: log-probability of the action when it was drawn.
    pub log_prob: Buffer,
    /// `[1 + costs][steps + 1][lanes]` f32: what the critics expected, reward first.
    pub value: Buffer,
    /// `[steps][lanes]` f32: weighted sum of the reward's terms.
    pub reward: Buffer,
    /// `[reward terms][steps][lanes]` f32
    pub terms: Buffer,
    /// `[costs][steps][lanes]` f32
    pub cost: Buffer,
    /// `[steps][lanes]` u32: [`TERMINATED`], [`TRUNCATED`], [`DIVERGED`], [`RESET`], [`CUT`].
    pub flags: Buffer,
    /// `[hidden size of the recurrent core][lanes]` f32 before the first decision.
    pub core: Buffer,
}

impl Rollout {
    /// Unwritten buffers; `core` is the size of the policy's recurrent state (0 without one).
    pub fn new(device: &Device, spec: &Spec, steps: usize, lanes: usize, core: usize) -> Self {
        let client = &device.client;
        let (all, more) = (steps * lanes, (steps + 1) * lanes);
        let heads = spec.actions.len();
        Self {
            steps,
            lanes,
            observation: Buffer::empty(client, spec.features.len(), more),
            mask: Buffer::empty(client, heads, more),
            started: Buffer::empty(client, 1, more),
            hidden: Buffer::empty(client, spec.hidden.len(), more),
            action: Buffer::empty(client, heads, all),
            log_prob: Buffer::empty(client, 1, all),
            value: Buffer::empty(client, 1 + spec.costs.len(), more),
            reward: Buffer::empty(client, 1, all),
            terms: Buffer::empty(client, spec.rewards.len(), all),
            cost: Buffer::empty(client, spec.costs.len(), all),
            flags: Buffer::empty(client, 1, all),
            core: Buffer::empty(client, core, lanes),
        }
    }

    /// What is seen after the last decision becomes what is seen before the first: the next
    /// rollout goes on where this one ends. The recurrent core is the policy's own business.
    pub fn carry(&self, device: &Device) {
        let seen = [&self.observation, &self.mask, &self.started, &self.hidden];
        for buffer in seen {
            carry(device, &buffer.handle, buffer.rows, self.steps, self.lanes);
        }
    }
}
