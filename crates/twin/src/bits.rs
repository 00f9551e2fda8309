//! Floating point numbers by their bits: a checkpoint gives back exactly what went in.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub fn serialize<S: Serializer>(values: &[f64], out: S) -> Result<S::Ok, S::Error> {
    let bits: Vec<u64> = values.iter().map(|v| v.to_bits()).collect();
    bits.serialize(out)
}

pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let bits = Vec::<u64>::deserialize(from)?;
    Ok(bits.into_iter().map(f64::from_bits).collect())
}

/// One number.
pub mod one {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
        value.to_bits().serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }
}

/// Rows of three.
pub mod triples {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(values: &[[f64; 3]], out: S) -> Result<S::Ok, S::Error> {
        let bits: Vec<[u64; 3]> = values.iter().map(|row| row.map(f64::to_bits)).collect();
        bits.serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<[f64; 3]>, D::Error> {
        let bits = Vec::<[u64; 3]>::deserialize(from)?;
        Ok(bits
            .into_iter()
            .map(|row| row.map(f64::from_bits))
            .collect())
    }
}
