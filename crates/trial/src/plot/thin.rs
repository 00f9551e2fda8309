//! Choosing a few of many for a drawing.

/// At most `most` of `count` positions, evenly spaced and each in the middle of its share: applied
/// to a sorted list these are quantiles.
pub fn evenly_spaced(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    (0..most)
        .map(|index| (2 * index + 1) * count / (2 * most))
        .collect()
}

/// Positions of the values in ascending order; values that are no numbers are left out. Equal
/// values keep their order.
pub(super) fn ascending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len())
        .filter(|&index| !values[index].is_nan())
        .collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    order
}

/// The value below which a share of the sorted values lies, between neighbours by a line
/// (Hyndman and Fan 1996, definition 7). `None` without values.
pub(super) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    let rest = at - below as f64;
    Some(if rest == 0.0 {
        low
    } else {
        low + rest * (high - low)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thinned_list_spans_the_whole() {
        assert_eq!(evenly_spaced(3, 5), [0, 1, 2]);
        assert_eq!(evenly_spaced(10, 5), [1, 3, 5, 7, 9]);
        assert_eq!(evenly_spaced(100_000, 4), [12_500, 37_500, 62_500, 87_500]);
        assert!(evenly_spaced(0, 5).is_empty() && evenly_spaced(5, 0).is_empty());
    }

    #[test]
    fn quantiles_interpolate() {
        let sorted = [1.0, 2.0, 4.0];
        assert_eq!(quantile(&sorted, 0.5), Some(2.0));
        assert_eq!(quantile(&sorted, 0.75), Some(3.0));
        assert_eq!(quantile(&sorted, 1.0), Some(4.0));
        assert_eq!(quantile(&[7.0], 0.3), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(ascending(&[3.0, f64::NAN, 1.0, 3.0]), [2, 0, 3]);
    }
}
