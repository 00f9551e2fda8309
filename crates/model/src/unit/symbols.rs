//! The table of unit symbols.

use super::{Dimension, Factor};

/// Symbol, dimension, size in SI, and whether decimal prefixes apply.
struct Symbol {
    name: &'static str,
    dimension: Dimension,
    factor: Factor,
    prefixed: bool,
}

const fn symbol(
    name: &'static str,
    dimension: Dimension,
    factor: Factor,
    prefixed: bool,
) -> Symbol {
    Symbol {
        name,
        dimension,
        factor,
        prefixed,
    }
}

const DOSE: Dimension = Dimension::of(0, 0, 2, -2);
const ENERGY: Dimension = Dimension::of(1, 0, 2, -2);

/// BIPM, The International System of Units, 9th edition; a month is 30.4375 d and a year 365.25 d
/// as usual in survival analysis.
const SYMBOLS: &[Symbol] = &[
    symbol("g", Dimension::MASS, Factor::ten(-3), true),
    symbol("mol", Dimension::AMOUNT, Factor::ONE, true),
    symbol("L", Dimension::VOLUME, Factor::ten(-3), true),
    symbol("m", Dimension::of(0, 0, 1, 0), Factor::ONE, true),
    symbol("s", Dimension::TIME, Factor::ONE, true),
    symbol("min", Dimension::TIME, Factor::number(60.0, 0), false),
    symbol("h", Dimension::TIME, Factor::number(3600.0, 0), false),
    symbol("d", Dimension::TIME, Factor::number(86_400.0, 0), false),
    symbol("wk", Dimension::TIME, Factor::number(604_800.0, 0), false),
    symbol("mo", Dimension::TIME, Factor::number(2_629_800.0, 0), false),
    symbol(
        "yr",
        Dimension::TIME,
        Factor::number(31_557_600.0, 0),
        false,
    ),
    symbol("M", Dimension::of(0, 1, -3, 0), Factor::ten(3), true),
    symbol("Bq", Dimension::of(0, 0, 0, -1), Factor::ONE, true),
    symbol("Gy", DOSE, Factor::ONE, true),
    symbol("Sv", DOSE, Factor::ONE, true),
    symbol("J", ENERGY, Factor::ONE, true),
    symbol("eV", ENERGY, Factor::number(1.602_176_634, -19), true),
    symbol("cells", Dimension::NONE, Factor::ONE, false),
    symbol("%", Dimension::NONE, Factor::ten(-2), false),
];

const PREFIXES: &[(&str, i32)] = &[
    ("f", -15),
    ("p", -12),
    ("n", -9),
    ("u", -6),
    ("µ", -6),
    ("μ", -6),
    ("m", -3),
    ("c", -2),
    ("d", -1),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
];

/// Spellings people try, with the symbol they mean.
const ALIASES: &[(&str, &str)] = &[
    ("l", "L"),
    ("ml", "mL"),
    ("dl", "dL"),
    ("ul", "uL"),
    ("cc", "mL"),
    ("hr", "h"),
    ("hrs", "h"),
    ("hour", "h"),
    ("hours", "h"),
    ("day", "d"),
    ("days", "d"),
    ("minute", "min"),
    ("minutes", "min"),
    ("sec", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("week", "wk"),
    ("weeks", "wk"),
    ("w", "wk"),
    ("month", "mo"),
    ("months", "mo"),
    ("year", "yr"),
    ("years", "yr"),
    ("y", "yr"),
    ("a", "yr"),
    ("mcg", "ug"),
    ("cell", "cells"),
    ("percent", "%"),
    ("gm", "g"),
    ("kgs", "kg"),
    ("mole", "mol"),
    ("moles", "mol"),
    ("micron", "um"),
    ("gray", "Gy"),
];

/// Dimension and size of a symbol with or without prefix.
pub(super) fn look_up(word: &str) -> Option<(Dimension, Factor)> {
    if let Some(found) = SYMBOLS.iter().find(|s| s.name == word) {
        return Some((found.dimension, found.factor));
    }
    PREFIXES.iter().find_map(|(prefix, ten)| {
        let rest = word.strip_prefix(prefix)?;
        let base = SYMBOLS.iter().find(|s| s.prefixed && s.name == rest)?;
        Some((base.dimension, base.factor.mul(Factor::ten(*ten))))
    })
}

/// The known symbol that an unknown one probably means.
pub(super) fn suggestion(word: &str) -> Option<String> {
    if let Some((_, meant)) = ALIASES
        .iter()
        .find(|(alias, _)| alias.eq_ignore_ascii_case(word))
    {
        return Some((*meant).to_owned());
    }
    let mut names: Vec<String> = SYMBOLS.iter().map(|s| s.name.to_owned()).collect();
    for (prefix, _) in PREFIXES {
        let prefixed = SYMBOLS.iter().filter(|s| s.prefixed);
        names.extend(prefixed.map(|s| format!("{prefix}{}", s.name)));
    }
    crate::diagnostic::closest(word, names.iter().map(String::as_str)).map(str::to_owned)
}
