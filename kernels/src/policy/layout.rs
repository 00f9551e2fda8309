//! What the rows of a policy network's last layer mean.
//!
//! One dense layer gives everything that a decision and its learning need, so that the loss takes
//! one tensor and gives one gradient: `[rows][sample]`.

/// One factor of the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Head {
    /// One of `levels` (at most 32), by unnormalised log-probabilities: `levels` rows. Levels
    /// whose bit is not set in the head's mask have probability zero.
    Categorical { levels: u32 },
    /// A number in 0..1, `(1 + tanh(u)) / 2` of a normal `u`: two rows, mean and logarithm of the
    /// standard deviation, the latter kept within [`Head::LOG_SD`].
    Gaussian,
}

impl Head {
    /// Bounds of the logarithm of a Gaussian head's standard deviation.
    pub const LOG_SD: (f32, f32) = (-5.0, 1.0);

    /// Rows that the head takes.
    pub fn rows(self) -> usize {
        match self {
            Head::Categorical { levels } => levels as usize,
            Head::Gaussian => 2,
        }
    }
}

/// The rows, in this order: heads, value, quantiles of each cost, beliefs (means, then logarithms
/// of variances).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OutputLayout {
    pub heads: Vec<Head>,
    /// Number of constraint costs.
    pub costs: usize,
    /// Quantiles that a cost's critic gives.
    pub quantiles: usize,
    /// Hidden quantities that the belief is about.
    pub beliefs: usize,
}

impl OutputLayout {
    /// First row of head `h`.
    pub fn head_row(&self, h: usize) -> usize {
        self.heads[..h].iter().map(|head| head.rows()).sum()
    }

    /// Rows of all heads.
    pub fn policy_rows(&self) -> usize {
        self.head_row(self.heads.len())
    }

    pub fn value_row(&self) -> usize {
        self.policy_rows()
    }

    /// Row of quantile `q` (rank `(q + 1/2) / quantiles`) of cost `k`.
    pub fn quantile_row(&self, k: usize, q: usize) -> usize {
        self.value_row() + 1 + k * self.quantiles + q
    }

    /// Row of the mean of belief `p`.
    pub fn belief_mean_row(&self, p: usize) -> usize {
        self.quantile_row(self.costs, 0) + p
    }

    /// Row of the logarithm of the variance of belief `p`.
    pub fn belief_log_variance_row(&self, p: usize) -> usize {
        self.belief_mean_row(self.beliefs) + p
    }

    /// All rows.
    pub fn rows(&self) -> usize {
        self.belief_log_variance_row(self.beliefs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_each_other() {
        let layout = OutputLayout {
            heads: vec![Head::Categorical { levels: 5 }, Head::Gaussian],
            costs: 2,
            quantiles: 8,
            beliefs: 3,
        };
        assert_eq!(layout.head_row(1), 5);
        assert_eq!(layout.value_row(), 7);
        assert_eq!(layout.quantile_row(1, 0), 16);
        assert_eq!(layout.belief_mean_row(0), 24);
        assert_eq!(layout.belief_log_variance_row(2), 29);
        assert_eq!(layout.rows(), 30);
    }
}
