//! Physical dimensions as exponents of mass, amount of substance, length and time.

use std::fmt;

use super::Exponent;

/// Exponents of the four base quantities of pharmacology.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dimension {
    pub mass: Exponent,
    pub amount: Exponent,
    pub length: Exponent,
    pub time: Exponent,
}

impl Dimension {
    pub const NONE: Dimension = Dimension::of(0, 0, 0, 0);
    pub const MASS: Dimension = Dimension::of(1, 0, 0, 0);
    pub const AMOUNT: Dimension = Dimension::of(0, 1, 0, 0);
    pub const VOLUME: Dimension = Dimension::of(0, 0, 3, 0);
    pub const TIME: Dimension = Dimension::of(0, 0, 0, 1);

    /// Whole exponents of mass, amount, length and time.
    pub const fn of(mass: i32, amount: i32, length: i32, time: i32) -> Self {
        Self {
            mass: Exponent::whole(mass),
            amount: Exponent::whole(amount),
            length: Exponent::whole(length),
            time: Exponent::whole(time),
        }
    }

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    fn zip(self, other: Self, f: impl Fn(i32, i32) -> i32) -> Self {
        Self {
            mass: Exponent(f(self.mass.0, other.mass.0)),
            amount: Exponent(f(self.amount.0, other.amount.0)),
            length: Exponent(f(self.length.0, other.length.0)),
            time: Exponent(f(self.time.0, other.time.0)),
        }
    }

    /// Dimension of a product.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        self.zip(other, i32::saturating_add)
    }

    /// Dimension of a quotient.
    #[must_use]
    pub fn per(self, other: Self) -> Self {
        self.zip(other, i32::saturating_sub)
    }

    /// Dimension of a power, if its exponents are representable.
    pub fn pow(self, exponent: Exponent) -> Option<Self> {
        Some(Self {
            mass: self.mass.checked_mul(exponent)?,
            amount: self.amount.checked_mul(exponent)?,
            length: self.length.checked_mul(exponent)?,
            time: self.time.checked_mul(exponent)?,
        })
    }

    /// Dimension of a square root.
    pub fn sqrt(self) -> Option<Self> {
        self.pow(Exponent(Exponent::STEPS / 2))
    }

    /// As text from names of the four bases; `volume` and `area` name length^3 and length^2.
    pub(super) fn write(self, names: &[&str; 4], volume: &str, area: Option<&str>) -> String {
        let mut above = Vec::new();
        let mut below = Vec::new();
        let mut add = |name: &str, exponent: Exponent| {
            let (list, size) = if exponent.0 > 0 {
                (&mut above, exponent)
            } else {
                (&mut below, Exponent(exponent.0.saturating_neg()))
            };
            match size.0 {
                0 => {}
                Exponent::STEPS => list.push(name.to_owned()),
                _ => list.push(format!("{name}^{size}")),
            }
        };
        add(names[0], self.mass);
        add(names[1], self.amount);
        match (self.length.as_whole(), area) {
            (Some(n), _) if n % 3 == 0 => add(volume, Exponent::whole(n / 3)),
            (Some(2), Some(area)) => add(area, Exponent::whole(1)),
            (Some(-2), Some(area)) => add(area, Exponent::whole(-1)),
            _ => add(names[2], self.length),
        }
        add(names[3], self.time);
        let numerator = if above.is_empty() {
            "1".to_owned()
        } else {
            above.join("*")
        };
        match below.len() {
            0 => numerator,
            1 => format!("{numerator}/{}", below[0]),
            _ => format!("{numerator}/({})", below.join("*")),
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("dimensionless");
        }
        f.write_str(&self.write(
            &["mass", "amount", "length", "time"],
            "volume",
            Some("area"),
        ))
    }
}
