//! Fewer points for the same picture.

/// Columns narrower than this, in units of the figure, are drawn as one.
const COLUMN: f64 = 0.25;
/// Points closer than this to the line through their neighbours are dropped.
const TOLERANCE: f64 = 0.15;

/// Keeps, of each run of points in one narrow column, the first, lowest, highest and last.
pub(super) fn by_column(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let column = |point: &(f64, f64)| (point.0 / COLUMN).floor();
    let mut kept = Vec::new();
    for run in points.chunk_by(|a, b| column(a) == column(b)) {
        if run.len() <= 4 {
            kept.extend_from_slice(run);
            continue;
        }
        let by = |a: &usize, b: &usize| run[*a].1.total_cmp(&run[*b].1);
        let low = (0..run.len()).min_by(by).unwrap_or(0);
        let high = (0..run.len()).max_by(by).unwrap_or(0);
        let mut indices = [0, low.min(high), low.max(high), run.len() - 1].to_vec();
        indices.dedup();
        kept.extend(indices.into_iter().map(|index| run[index]));
    }
    kept
}

/// Drops points that lie on the line between their neighbours. Ramer 1972, Douglas and Peucker
/// 1973.
pub(super) fn along_lines(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() < 3 {
        return points.to_vec();
    }
    let mut keep = vec![false; points.len()];
    keep[0] = true;
    keep[points.len() - 1] = true;
    let mut pending = vec![(0, points.len() - 1)];
    while let Some((start, end)) = pending.pop() {
        let mut worst = (start, TOLERANCE);
        for index in start + 1..end {
            let distance = distance(points[index], points[start], points[end]);
            if distance > worst.1 {
                worst = (index, distance);
            }
        }
        if worst.0 != start {
            keep[worst.0] = true;
            pending.push((start, worst.0));
            pending.push((worst.0, end));
        }
    }
    points
        .iter()
        .zip(keep)
        .filter(|(_, keep)| *keep)
        .map(|(point, _)| *point)
        .collect()
}

/// Distance of `p` from the segment `a` to `b`.
fn distance(p: (f64, f64), a: (f64, f64), b: (f64, f64)) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let share = if length > 0.0 {
        (((p.0 - a.0) * dx + (p.1 - a.1) * dy) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (p.0 - a.0 - share * dx).hypot(p.1 - a.1 - share * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_line_needs_two_points() {
        let points: Vec<_> = (0..1000)
            .map(|i| (f64::from(i) * 0.5, f64::from(i) * 0.2))
            .collect();
        assert_eq!(along_lines(&points), [points[0], points[999]]);
    }

    #[test]
    fn simplified_lines_stay_within_the_tolerance() {
        let points: Vec<_> = (0..5000)
            .map(|i| (f64::from(i) * 0.1, 100.0 * (f64::from(i) * 0.01).sin()))
            .collect();
        let kept = along_lines(&points);
        assert!(kept.len() < 600, "{}", kept.len());
        for point in &points {
            let nearest = kept
                .windows(2)
                .map(|w| distance(*point, w[0], w[1]))
                .fold(9.0, f64::min);
            assert!(nearest <= TOLERANCE + 1e-12);
        }
    }

    #[test]
    fn columns_keep_their_extremes() {
        let mut points: Vec<_> = (0..100_000).map(|i| (f64::from(i) * 0.005, 0.0)).collect();
        points[777].1 = 50.0;
        points[778].1 = -50.0;
        let kept = by_column(&points);
        assert!(kept.len() <= 4 * 2001);
        assert!(kept.contains(&points[777]) && kept.contains(&points[778]));
    }
}
