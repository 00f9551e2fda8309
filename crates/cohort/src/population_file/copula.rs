//! Correlations between drawn covariates: a Gaussian copula.

use nalgebra::{Cholesky, DMatrix};
use posology_model::diagnostic::{Diagnostic, did_you_mean};
use posology_model::file::reader::{Reader, Section};
use posology_model::file::{Number, Place, Text};

/// A correlation as written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub between: Option<(Place, Vec<Text>)>,
    pub value: Option<Number>,
    /// The number is Spearman's rank correlation.
    pub rank: bool,
    pub source: Option<Text>,
    pub calibrated: bool,
}

pub(super) fn read(reader: &mut Reader, root: &Section<'_>) -> Vec<Written> {
    if !root.table.contains_key("correlations") {
        return Vec::new();
    }
    let sections = reader.listed(root, "correlations", "a correlation");
    let mut out = Vec::new();
    for section in sections {
        reader.only(
            &section,
            &["between", "value", "spearman", "source", "calibrated"],
        );
        let (value, rank) = (
            reader.number(&section, "value"),
            reader.number(&section, "spearman"),
        );
        if section.table.contains_key("value") == section.table.contains_key("spearman") {
            let message = "a correlation needs `value` or `spearman`, and not both";
            let help = "`value` is the correlation of the underlying normals (of the logarithms, \
                        for log-normal covariates), `spearman` that of the ranks";
            let finding = section.place.error("D121", message).help(help);
            reader.diagnostics.push(finding);
        }
        if !section.table.contains_key("between") {
            reader.missing(&section, "between", "`between = [\"A\", \"B\"]`");
        }
        let help = "cite where the correlation is from, or say how it was chosen and add \
                    `calibrated = true`";
        out.push(Written {
            between: reader.texts(&section, "between"),
            rank: rank.is_some(),
            value: value.or(rank),
            source: reader.required_text(&section, "source", help),
            calibrated: reader.flag(&section, "calibrated").unwrap_or(false),
        });
    }
    out
}

/// Correlation of the normals behind two variables with Spearman correlation `rank`
/// (Kruskal 1958, J Am Stat Assoc 53:814; exact for a Gaussian copula of continuous variables).
fn of_rank(rank: f64) -> f64 {
    2.0 * (std::f64::consts::PI * rank / 6.0).sin()
}

/// A correlation of two named things, numbered by `names`; wrong ones are reported.
pub(super) fn resolve(
    reader: &mut Reader,
    written: &Written,
    names: &[&str],
    known: &[(usize, usize, f64)],
) -> Option<(usize, usize, f64)> {
    let (place, texts) = written.between.as_ref()?;
    let [first, second] = &texts[..] else {
        let finding = place.error("D120", "a correlation is between exactly two names");
        reader.diagnostics.push(finding);
        return None;
    };
    let mut find = |text: &Text| {
        let found = names.iter().position(|name| *name == text.value);
        if found.is_none() {
            let message = format!("`{}` cannot be correlated", text.value);
            let help = did_you_mean(&text.value, names.iter().copied())
                .unwrap_or_else(|| format!("drawn here: {}", names.join(", ")));
            let finding = text.error("D120", message).help(help);
            reader.diagnostics.push(finding);
        }
        found
    };
    let (a, b) = (find(first), find(second));
    let (a, b) = (a?, b?);
    if a == b {
        let finding = place.error("D120", "a covariate cannot be correlated with itself");
        reader.diagnostics.push(finding);
        return None;
    }
    if known
        .iter()
        .any(|&(c, d, _)| (c, d) == (a, b) || (d, c) == (a, b))
    {
        let message = format!(
            "the correlation of {} and {} comes twice",
            names[a], names[b]
        );
        reader.diagnostics.push(place.error("D122", message));
        return None;
    }
    let value = written.value.as_ref()?;
    if !(-1.0..=1.0).contains(&value.value) {
        let message = "a correlation lies between -1 and 1";
        reader.diagnostics.push(value.place.error("D121", message));
        return None;
    }
    let value = if written.rank {
        of_rank(value.value)
    } else {
        value.value
    };
    Some((a, b, value))
}

/// Lower Cholesky factor of the correlation matrix of `names`.
///
/// # Errors
/// `D123` where the correlations contradict each other (the matrix is not positive definite),
/// naming the smallest leading group that does, at `place`.
pub(super) fn factor(
    names: &[&str],
    correlations: &[(usize, usize, f64)],
    place: &Place,
) -> Result<DMatrix<f64>, Diagnostic> {
    let mut matrix = DMatrix::identity(names.len(), names.len());
    for &(a, b, value) in correlations {
        matrix[(a, b)] = value;
        matrix[(b, a)] = value;
    }
    if let Some(cholesky) = Cholesky::new(matrix.clone()) {
        return Ok(cholesky.unpack());
    }
    // those without correlations cannot be at fault
    let correlated: Vec<usize> = (0..names.len())
        .filter(|&i| correlations.iter().any(|&(a, b, _)| a == i || b == i))
        .collect();
    let fails = |size: &usize| {
        let pick = |i: usize, j: usize| matrix[(correlated[i], correlated[j])];
        Cholesky::new(DMatrix::from_fn(*size, *size, pick)).is_none()
    };
    let size = (1..=correlated.len())
        .find(fails)
        .unwrap_or(correlated.len());
    // of the leading group, those that are tied to the last one
    let mut group = vec![correlated[size - 1]];
    let mut grown = true;
    while grown {
        grown = false;
        for &i in &correlated[..size] {
            let tied = group.iter().any(|&g| matrix[(g, i)] != 0.0);
            if tied && !group.contains(&i) {
                group.push(i);
                grown = true;
            }
        }
    }
    group.sort_unstable();
    let names: Vec<&str> = group.iter().map(|&i| names[i]).collect();
    let message = format!(
        "the correlations between {} contradict each other",
        names.join(", ")
    );
    Err(place.error("D123", message).help(format!(
        "their matrix is not positive definite: no population has these correlations together; \
         lower those of {}",
        names.last().copied().unwrap_or_default()
    )))
}
