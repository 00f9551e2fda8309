//! Repeated timing: median, fastest and slowest.

use std::time::Instant;

use serde::Serialize;

/// Seconds over several repeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub repeats: usize,
}

impl Spread {
    /// Of measured seconds; zero of none.
    pub fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let at = |i: usize| seconds.get(i).copied().unwrap_or(0.0);
        let n = seconds.len();
        let median = 0.5 * (at(n.saturating_sub(1) / 2) + at(n / 2));
        Self {
            median,
            min: at(0),
            max: at(n.saturating_sub(1)),
            repeats: n,
        }
    }
}

/// Time `work` `repeats` times after one run that is not counted (it builds kernels and touches
/// memory for the first time).
pub fn time<E>(repeats: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<Spread, E> {
    work()?;
    let mut seconds = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(Spread::of(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_middle_of_its_sample() {
        let odd = Spread::of(vec![3.0, 1.0, 2.0]);
        assert_eq!(
            (odd.median, odd.min, odd.max, odd.repeats),
            (2.0, 1.0, 3.0, 3)
        );
        let even = Spread::of(vec![4.0, 1.0, 2.0, 3.0]);
        assert_eq!((even.median, even.min, even.max), (2.5, 1.0, 4.0));
        assert_eq!(Spread::of(Vec::new()).median, 0.0);
    }
}
