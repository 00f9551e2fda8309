//! Several hypotheses: adjusted p values that keep the probability of any false claim.

use super::StatisticsError;

/// Order in which hypotheses are rejected, or that they are tested all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Multiplicity {
    /// Every p value times their number.
    Bonferroni,
    /// Step-down: Holm 1979, Scand J Stat 6:65. Never worse than Bonferroni, no assumptions.
    #[default]
    Holm,
    /// Step-up: Hochberg 1988, Biometrika 75:800. Needs independent or positively dependent
    /// tests.
    Hochberg,
    /// Fixed sequence (hierarchical gatekeeping): each hypothesis is tested only if all before it
    /// were rejected. Maurer, Hothorn and Lehmacher 1995, in Biometrie in der
    /// chemisch-pharmazeutischen Industrie 6:3. The order must be fixed before the trial.
    FixedSequence,
}

/// Adjusted p values, in the order given: hypothesis `i` is rejected at level alpha if its
/// adjusted p value is at most alpha.
///
/// # Errors
/// [`StatisticsError::Probability`] for a p value outside 0 to 1.
pub fn adjust_p_values(
    p_values: &[f64],
    method: Multiplicity,
) -> Result<Vec<f64>, StatisticsError> {
    if let Some(&value) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(StatisticsError::Probability { value });
    }
    let count = p_values.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; count];
    match method {
        Multiplicity::Bonferroni => {
            for (adjusted, p) in adjusted.iter_mut().zip(p_values) {
                *adjusted = (p * count as f64).min(1.0);
            }
        }
        Multiplicity::Holm => {
            let mut largest = 0.0_f64;
            for (rank, &index) in order.iter().enumerate() {
                largest = largest.max(p_values[index] * (count - rank) as f64);
                adjusted[index] = largest.min(1.0);
            }
        }
        Multiplicity::Hochberg => {
            let mut smallest = 1.0_f64;
            for (rank, &index) in order.iter().enumerate().rev() {
                smallest = smallest.min(p_values[index] * (count - rank) as f64);
                adjusted[index] = smallest;
            }
        }
        Multiplicity::FixedSequence => {
            let mut largest = 0.0_f64;
            for (adjusted, &p) in adjusted.iter_mut().zip(p_values) {
                largest = largest.max(p);
                *adjusted = largest;
            }
        }
    }
    Ok(adjusted)
}
