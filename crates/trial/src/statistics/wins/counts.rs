//! Wins and losses of every patient against the other arm.

use super::endpoint::{Column, WinEndpoint};

/// Totals of one stratum.
pub(super) struct Counts {
    pub(super) treated: usize,
    pub(super) control: usize,
    /// Wins and losses of the treated arm by the endpoint that decided.
    pub(super) by_endpoint: Vec<(u64, u64)>,
    /// Pairs won and lost by each treated patient.
    of_treated: Vec<(u32, u32)>,
    /// Pairs won and lost by the treated arm against each control patient.
    of_control: Vec<(u32, u32)>,
}

/// Variances of the numbers of wins and losses, and their covariance.
pub(super) struct Spread {
    pub(super) wins: f64,
    pub(super) losses: f64,
    pub(super) both: f64,
}

/// Who wins a pair.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    Win,
    Loss,
    Tie,
}

/// Patient `i` of the first column against patient `j` of the second.
pub(super) fn compare(first: &Column, i: usize, second: &Column, j: usize) -> Verdict {
    if first.reach[i] > second.guard[j] {
        Verdict::Win
    } else if second.reach[j] > first.guard[i] {
        Verdict::Loss
    } else {
        Verdict::Tie
    }
}

impl Counts {
    /// Compares all pairs: patients of one arm times those of the other times endpoints.
    pub(super) fn new(endpoints: &[WinEndpoint], treated: usize, control: usize) -> Self {
        let mut counts = Self {
            treated,
            control,
            by_endpoint: vec![(0, 0); endpoints.len()],
            of_treated: vec![(0, 0); treated],
            of_control: vec![(0, 0); control],
        };
        for i in 0..treated {
            for j in 0..control {
                for (index, endpoint) in endpoints.iter().enumerate() {
                    match compare(endpoint.treated(), i, endpoint.control(), j) {
                        Verdict::Win => {
                            counts.by_endpoint[index].0 += 1;
                            counts.of_treated[i].0 += 1;
                            counts.of_control[j].0 += 1;
                            break;
                        }
                        Verdict::Loss => {
                            counts.by_endpoint[index].1 += 1;
                            counts.of_treated[i].1 += 1;
                            counts.of_control[j].1 += 1;
                            break;
                        }
                        Verdict::Tie => {}
                    }
                }
            }
        }
        counts
    }

    pub(super) fn wins(&self) -> u64 {
        self.by_endpoint.iter().map(|(wins, _)| wins).sum()
    }

    pub(super) fn losses(&self) -> u64 {
        self.by_endpoint.iter().map(|(_, losses)| losses).sum()
    }

    pub(super) fn pairs(&self) -> f64 {
        self.treated as f64 * self.control as f64
    }

    /// First-order variance of the two U statistics, centred at what was observed.
    pub(super) fn spread(&self) -> Spread {
        let mean = |count: u64, patients: usize| count as f64 / patients as f64;
        let mut spread = Spread {
            wins: 0.0,
            losses: 0.0,
            both: 0.0,
        };
        for rows in [&self.of_treated, &self.of_control] {
            let (wins, losses) = (
                mean(self.wins(), rows.len()),
                mean(self.losses(), rows.len()),
            );
            for &(w, l) in rows {
                let (w, l) = (f64::from(w) - wins, f64::from(l) - losses);
                spread.wins += w * w;
                spread.losses += l * l;
                spread.both += w * l;
            }
        }
        spread
    }

    /// Variance under the hypothesis that wins and losses are equally likely.
    pub(super) fn null_spread(&self) -> Spread {
        let (wins, losses, pairs) = (self.wins() as f64, self.losses() as f64, self.pairs());
        let rate = 0.5 * (wins + losses) / pairs;
        // Sums over pairs of the squares and the product of indicator less rate, which leave the
        // pairs that share one patient.
        let squares = |count: f64| count * (1.0 - 2.0 * rate) + pairs * rate * rate;
        let products = pairs * rate * rate - rate * (wins + losses);
        let mut spread = Spread {
            wins: 0.0,
            losses: 0.0,
            both: 0.0,
        };
        for (rows, others) in [
            (&self.of_treated, self.control as f64),
            (&self.of_control, self.treated as f64),
        ] {
            let factor = others / (others - 1.0);
            let mut sums = Spread {
                wins: -squares(wins),
                losses: -squares(losses),
                both: -products,
            };
            for &(w, l) in rows {
                let (w, l) = (f64::from(w) - others * rate, f64::from(l) - others * rate);
                sums.wins += w * w;
                sums.losses += l * l;
                sums.both += w * l;
            }
            spread.wins += factor * sums.wins;
            spread.losses += factor * sums.losses;
            spread.both += factor * sums.both;
        }
        spread
    }
}
