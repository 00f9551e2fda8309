//! Where finished pieces of a run are kept, so that it can be interrupted, shared out and merged.

use crate::table::Table;

/// Which part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// 0: real patients, 1: virtual ones.
    pub cohort: u32,
    /// Index of the arm.
    pub arm: u32,
    /// Number of the piece in the arm.
    pub part: u32,
}

impl Key {
    /// A name for files.
    pub fn name(self) -> String {
        format!("cohort{}-arm{}-part{:04}", self.cohort, self.arm, self.part)
    }

    /// A number by which pieces are dealt out to shards: in turn, each arm beginning one later.
    pub fn number(self) -> u64 {
        u64::from(self.part) + u64::from(self.arm) + u64::from(self.cohort)
    }
}

/// A store of pieces failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} of piece {piece} failed: {cause}")]
pub struct StoreError {
    /// `reading` or `writing`.
    pub action: &'static str,
    /// Name of the piece.
    pub piece: String,
    /// Why.
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

/// Keeps pieces. The numbers of a table come back as they went in, bit for bit.
pub trait Store {
    /// Whether this run computes the piece, or leaves it to another shard.
    fn wants(&self, key: Key) -> bool;

    /// The piece, if it is there.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    fn load(&mut self, key: Key) -> Result<Option<Table>, StoreError>;

    /// Keeps a finished piece.
    ///
    /// # Errors
    /// If it cannot be written.
    fn save(&mut self, key: Key, piece: &Table) -> Result<(), StoreError>;
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStore;

impl Store for NoStore {
    fn wants(&self, _key: Key) -> bool {
        true
    }

    fn load(&mut self, _key: Key) -> Result<Option<Table>, StoreError> {
        Ok(None)
    }

    fn save(&mut self, _key: Key, _piece: &Table) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_dealt_evenly() {
        for shards in 2..=8u64 {
            let mut dealt = vec![0; shards as usize];
            for arm in 0..3 {
                for part in 0..16 {
                    let key = Key {
                        cohort: 1,
                        arm,
                        part,
                    };
                    dealt[(key.number() % shards) as usize] += 1;
                }
            }
            let (low, high) = (dealt.iter().min(), dealt.iter().max());
            let gap = high.zip(low).map(|(high, low)| high - low);
            assert!(gap <= Some(3), "{shards} shards: {dealt:?}");
        }
    }
}
