//! Small symmetric positive definite systems (a handful of covariates or groups).

/// Lower Cholesky factor of a symmetric matrix, row by row.
pub(super) struct Cholesky {
    rows: Vec<Vec<f64>>,
}

impl Cholesky {
    /// Factors `matrix`. A pivot below `tolerance` times the diagonal means that its column is
    /// a combination of earlier ones; its index is the error.
    pub(super) fn new(matrix: &[Vec<f64>], tolerance: f64) -> Result<Self, usize> {
        let n = matrix.len();
        let mut rows = vec![vec![0.0; n]; n];
        for i in 0..n {
            for j in 0..=i {
                let dot: f64 = (0..j).map(|k| rows[i][k] * rows[j][k]).sum();
                let rest = matrix[i][j] - dot;
                if i != j {
                    rows[i][j] = rest / rows[j][j];
                } else if rest > tolerance * matrix[i][i].abs() && rest.is_finite() {
                    rows[i][i] = rest.sqrt();
                } else {
                    return Err(i);
                }
            }
        }
        Ok(Self { rows })
    }

    /// Solves for one right-hand side.
    pub(super) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let n = self.rows.len();
        let mut x = right.to_vec();
        for i in 0..n {
            let dot: f64 = (0..i).map(|k| self.rows[i][k] * x[k]).sum();
            x[i] = (x[i] - dot) / self.rows[i][i];
        }
        for i in (0..n).rev() {
            let dot: f64 = (i + 1..n).map(|k| self.rows[k][i] * x[k]).sum();
            x[i] = (x[i] - dot) / self.rows[i][i];
        }
        x
    }

    /// The inverse matrix.
    pub(super) fn inverse(&self) -> Vec<Vec<f64>> {
        let n = self.rows.len();
        let unit = |i: usize| {
            (0..n)
                .map(|j| f64::from(u8::from(i == j)))
                .collect::<Vec<_>>()
        };
        (0..n).map(|i| self.solve(&unit(i))).collect()
    }
}

/// Copies the lower triangle of a square matrix to the upper one.
pub(super) fn mirror(matrix: &mut [Vec<f64>]) {
    for j in 1..matrix.len() {
        let (above, rest) = matrix.split_at_mut(j);
        for (k, row) in above.iter_mut().enumerate() {
            row[j] = rest[0][k];
        }
    }
}

/// Sum of products.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_and_inverts_a_two_by_two_system() {
        // [4 2; 2 3] x = [2; 5]  ->  x = [-0.5, 2]; inverse = [3 -2; -2 4] / 8
        let factor = Cholesky::new(&[vec![4.0, 2.0], vec![2.0, 3.0]], 1e-12);
        let factor = factor.unwrap_or_else(|column| unreachable!("column {column}"));
        let x = factor.solve(&[2.0, 5.0]);
        assert!((x[0] + 0.5).abs() < 1e-15 && (x[1] - 2.0).abs() < 1e-15);
        let inverse = factor.inverse();
        assert!((inverse[0][0] - 0.375).abs() < 1e-15 && (inverse[1][0] + 0.25).abs() < 1e-15);
    }

    #[test]
    fn names_the_dependent_column() {
        let singular = [vec![1.0, 2.0], vec![2.0, 4.0]];
        assert_eq!(Cholesky::new(&singular, 1e-12).err(), Some(1));
    }
}
