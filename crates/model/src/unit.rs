//! Units of measurement, their dimensions, and the coherent system of a model.
//!
//! A model computes in one coherent system: mass in mg, amount of substance in umol, length in
//! dm (so volume in L), time in the model's own unit. [`UnitSystem::scale`] converts a declared
//! value into it.

mod dimension;
mod parse;
mod symbols;

pub use dimension::Dimension;
pub use parse::{UnitError, parse_quantity};

use std::fmt;

/// A positive factor as `numerator / denominator * 10^ten`, so that decimal prefixes and whole
/// numbers of seconds convert without rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Factor {
    numerator: f64,
    denominator: f64,
    ten: i32,
}

impl Factor {
    const ONE: Factor = Factor {
        numerator: 1.0,
        denominator: 1.0,
        ten: 0,
    };

    const fn ten(ten: i32) -> Self {
        Self {
            numerator: 1.0,
            denominator: 1.0,
            ten,
        }
    }

    const fn number(numerator: f64, ten: i32) -> Self {
        Self {
            numerator,
            denominator: 1.0,
            ten,
        }
    }

    fn mul(self, other: Self) -> Self {
        Self {
            numerator: self.numerator * other.numerator,
            denominator: self.denominator * other.denominator,
            ten: self.ten.saturating_add(other.ten),
        }
    }

    fn recip(self) -> Self {
        Self {
            numerator: self.denominator,
            denominator: self.numerator,
            ten: self.ten.saturating_neg(),
        }
    }

    /// `self` to a rational power; exact for whole powers of exact factors.
    fn pow(self, exponent: Exponent) -> Self {
        match exponent.as_whole() {
            Some(n) => Self {
                numerator: self.numerator.powi(n),
                denominator: self.denominator.powi(n),
                ten: self.ten.saturating_mul(n),
            },
            None => Self::number(self.value().powf(exponent.as_f64()), 0),
        }
    }

    fn value(self) -> f64 {
        let ratio = self.numerator / self.denominator;
        // 10^n is exact up to n = 22; dividing by it keeps 1e-3 and friends correctly rounded
        match self.ten {
            0 => ratio,
            n if n > 0 => ratio * 10f64.powi(n),
            n => ratio / 10f64.powi(n.saturating_neg()),
        }
    }
}

/// A rational exponent in steps of 1/120, which holds halves, thirds, quarters, fifths, eighths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Exponent(i32);

impl Exponent {
    const STEPS: i32 = 120;
    /// Exponents beyond this have no physical meaning and would only overflow.
    const LIMIT: f64 = 1000.0;

    pub const fn whole(n: i32) -> Self {
        Self(n * Self::STEPS)
    }

    /// The exponent nearest to `value`, if `value` is representable.
    pub fn from_f64(value: f64) -> Option<Self> {
        let steps = value * f64::from(Self::STEPS);
        let rounded = steps.round();
        (value.abs() <= Self::LIMIT && (steps - rounded).abs() < 1e-9)
            .then_some(Self(rounded as i32))
    }

    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::STEPS)
    }

    fn as_whole(self) -> Option<i32> {
        (self.0 % Self::STEPS == 0).then_some(self.0 / Self::STEPS)
    }

    /// The product, if it is representable.
    fn checked_mul(self, other: Self) -> Option<Self> {
        let product = i64::from(self.0) * i64::from(other.0);
        let steps = i64::from(Self::STEPS);
        let limit = steps * Self::LIMIT as i64;
        (product % steps == 0 && (product / steps).abs() <= limit)
            .then_some(Self((product / steps) as i32))
    }
}

impl fmt::Display for Exponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_whole() {
            Some(n) => write!(f, "{n}"),
            None => {
                let (mut a, mut b) = (self.0.unsigned_abs(), Self::STEPS.unsigned_abs());
                while b != 0 {
                    (a, b) = (b, a % b);
                }
                let divisor = a.max(1) as i32;
                write!(f, "({}/{})", self.0 / divisor, Self::STEPS / divisor)
            }
        }
    }
}

/// A unit as written by the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    text: String,
    dimension: Dimension,
    factor: Factor,
}

impl Unit {
    /// Parses a unit such as `mg/m^2`, `1e9/L`, `L/h/kg`, `mL/min/1.73m2`, `%` or `1`.
    ///
    /// # Errors
    /// Unknown symbols (with the closest known one) and malformed text, with the span at fault.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let (dimension, factor) = parse::parse_unit(text)?;
        Ok(Self {
            text: text.trim().to_owned(),
            dimension,
            factor,
        })
    }

    /// The dimensionless unit `1`.
    pub fn one() -> Self {
        Self {
            text: "1".into(),
            dimension: Dimension::NONE,
            factor: Factor::ONE,
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// Size in SI base units (kg, mol, m, s).
    pub fn si_scale(&self) -> f64 {
        self.factor.value()
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl serde::Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// The coherent system of one model: mg, umol, dm and the model's time unit.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitSystem {
    time: Unit,
}

impl UnitSystem {
    /// `time` must have the dimension of time; the caller has checked it.
    pub fn new(time: &Unit) -> Self {
        Self { time: time.clone() }
    }

    pub fn time(&self) -> &Unit {
        &self.time
    }

    /// Factor from a value in `unit` to the coherent value.
    pub fn scale(&self, unit: &Unit) -> f64 {
        let d = unit.dimension;
        let bases = [
            (Factor::ten(-6), d.mass),
            (Factor::ten(-6), d.amount),
            (Factor::ten(-1), d.length),
            (self.time.factor, d.time),
        ];
        let coherent = bases
            .into_iter()
            .fold(Factor::ONE, |acc, (base, power)| acc.mul(base.pow(power)));
        unit.factor.mul(coherent.recip()).value()
    }

    /// The coherent unit of a dimension, such as `mg/L` or `umol/(L*h)`; its scale is 1.
    pub fn coherent_unit(&self, dimension: Dimension) -> Unit {
        let text = dimension.write(&["mg", "umol", "dm", self.time.text()], "L", None);
        // the text is made of known symbols; should a symbol ever be missing, `1` shows it
        Unit::parse(&text).unwrap_or_else(|_| Unit::one())
    }

    /// For messages: `mg/L (mass/volume)`, or `a plain number`.
    pub fn describe(&self, dimension: Dimension) -> String {
        if dimension.is_none() {
            return "a plain number (dimensionless)".into();
        }
        format!("{} ({dimension})", self.coherent_unit(dimension))
    }
}

#[cfg(test)]
mod tests;
