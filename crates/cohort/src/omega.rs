//! The covariance matrix of the etas, cut into blocks of parameters that are correlated.

use nalgebra::{Cholesky, DMatrix};
use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::Model;

/// Parameters whose etas are correlated, directly or through others; mostly one alone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    /// Parameter indices, ascending.
    pub parameters: Vec<usize>,
    /// Lower Cholesky factor of the block's covariance, row by row.
    factor: DMatrix<f64>,
}

impl Block {
    /// Eta of the block's parameter `i` from the standard normal numbers of all.
    pub fn eta(&self, i: usize, normals: &[f64]) -> f64 {
        (0..=i).map(|j| self.factor[(i, j)] * normals[j]).sum()
    }

    /// Factors of the normal numbers of parameters `0..=i` in eta `i`.
    pub fn row(&self, i: usize) -> Vec<(usize, f64)> {
        (0..=i).map(|j| (j, self.factor[(i, j)])).collect()
    }

    /// Standard deviations of the etas.
    pub fn deviations(&self) -> Vec<f64> {
        let row = |i: usize| {
            (0..=i)
                .map(|j| self.factor[(i, j)].powi(2))
                .sum::<f64>()
                .sqrt()
        };
        (0..self.parameters.len()).map(row).collect()
    }
}

/// The blocks of a model's inter-individual variability.
///
/// # Errors
/// `D060` where the correlations of a block contradict each other (the matrix is not positive
/// definite), naming its parameters.
pub(crate) fn blocks(model: &Model) -> Result<Vec<Block>, Diagnostics> {
    let n = model.parameters.len();
    let mut group: Vec<usize> = (0..n).collect();
    for &(a, b, value) in &model.correlations {
        if value != 0.0 && a < n && b < n {
            let (keep, drop) = (group[a].min(group[b]), group[a].max(group[b]));
            group
                .iter_mut()
                .filter(|g| **g == drop)
                .for_each(|g| *g = keep);
        }
    }
    let mut found = Diagnostics::new();
    let mut blocks = Vec::new();
    for first in 0..n {
        let varies = |p: &usize| group[*p] == first && model.parameters[*p].iiv.is_some();
        let parameters: Vec<usize> = (0..n).filter(varies).collect();
        if parameters.is_empty() {
            continue;
        }
        let matrix = covariance(model, &parameters);
        match Cholesky::new(matrix.clone()) {
            Some(cholesky) => blocks.push(Block {
                parameters,
                factor: cholesky.unpack(),
            }),
            None if parameters.len() == 1 && matrix[(0, 0)] == 0.0 => {
                blocks.push(Block {
                    parameters,
                    factor: DMatrix::zeros(1, 1),
                });
            }
            None => found.push(contradiction(model, &parameters, &matrix)),
        }
    }
    if found.has_errors() {
        Err(found)
    } else {
        Ok(blocks)
    }
}

fn covariance(model: &Model, parameters: &[usize]) -> DMatrix<f64> {
    let variance = |p: usize| model.parameters[p].iiv.map_or(0.0, |iiv| iiv.omega2);
    let correlation = |p: usize, q: usize| {
        let same = |&&(a, b, _): &&(usize, usize, f64)| (a, b) == (p, q) || (a, b) == (q, p);
        model
            .correlations
            .iter()
            .find(same)
            .map_or(0.0, |&(_, _, value)| value)
    };
    DMatrix::from_fn(parameters.len(), parameters.len(), |i, j| {
        let (p, q) = (parameters[i], parameters[j]);
        if i == j {
            variance(p)
        } else {
            correlation(p, q) * (variance(p) * variance(q)).sqrt()
        }
    })
}

/// Names the smallest leading group of parameters that cannot be correlated as declared.
fn contradiction(model: &Model, parameters: &[usize], matrix: &DMatrix<f64>) -> Diagnostic {
    let fails =
        |size: &usize| Cholesky::new(matrix.view((0, 0), (*size, *size)).into_owned()).is_none();
    let size = (1..=parameters.len())
        .find(fails)
        .unwrap_or(parameters.len());
    let names: Vec<&str> = parameters[..size]
        .iter()
        .map(|&p| model.parameters[p].name.as_str())
        .collect();
    Diagnostic::error(
        "D060",
        format!(
            "the correlations between {} contradict each other",
            names.join(", ")
        ),
    )
    .at(&model.source, 0..0)
    .help(format!(
        "the covariance matrix of these etas is not positive definite: no population has these \
         correlations together; lower the correlation of {} with the others",
        names.last().copied().unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::model_with;

    #[test]
    fn blocks_are_the_connected_parameters() {
        let model = model_with(
            r#"
            A = { value = 1, unit = "1", source = "x", iiv = { omega2 = 0.04 } }
            B = { value = 1, unit = "1", source = "x", iiv = { omega2 = 0.09 } }
            C = { value = 1, unit = "1", source = "x", iiv = { omega2 = 0.25 } }
            D = { value = 1, unit = "1", source = "x" }
            "#,
            "[[correlations]]\nbetween = [\"A\", \"C\"]\nvalue = 0.5\n",
        );
        let index = |name| model.slot_index(name).expect("parameter");
        let blocks = blocks(&model).expect("positive definite");
        let groups: Vec<Vec<usize>> = blocks.iter().map(|b| b.parameters.clone()).collect();
        assert!(groups.contains(&vec![index("A"), index("C")]));
        assert!(groups.contains(&vec![index("B")]));
        let both = blocks
            .iter()
            .find(|b| b.parameters.len() == 2)
            .expect("block of two");
        // Cholesky by hand: [0.2, 0; 0.5*0.5, 0.5*sqrt(1 - 0.25)]
        let etas = [both.eta(0, &[1.0, 2.0]), both.eta(1, &[1.0, 2.0])];
        assert!((etas[0] - 0.2).abs() < 1e-14);
        assert!((etas[1] - (0.25 + 2.0 * 0.5 * 0.75f64.sqrt())).abs() < 1e-14);
        assert!((both.deviations()[1] - 0.5).abs() < 1e-14);
    }
}
