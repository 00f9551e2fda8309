//! Isotonic regression.

/// The non-decreasing sequence that is closest to `values` in weighted least squares, by pooling
/// adjacent violators. Barlow et al. 1972, Statistical Inference under Order Restrictions.
///
/// `weights` are positive, one per value; a missing weight counts as one.
pub fn isotonic(values: &[f64], weights: &[f64]) -> Vec<f64> {
    // blocks of equal fitted value: mean, weight, number of values
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(values.len());
    for (index, &value) in values.iter().enumerate() {
        blocks.push((value, weights.get(index).copied().unwrap_or(1.0), 1));
        while let [
            ..,
            (left, left_weight, left_count),
            (right, right_weight, right_count),
        ] = blocks[..]
        {
            if left <= right {
                break;
            }
            let weight = left_weight + right_weight;
            let mean = (left * left_weight + right * right_weight) / weight;
            blocks.truncate(blocks.len() - 2);
            blocks.push((mean, weight, left_count + right_count));
        }
    }
    let repeat = |(mean, _, count): (f64, f64, usize)| std::iter::repeat_n(mean, count);
    blocks.into_iter().flat_map(repeat).collect()
}
