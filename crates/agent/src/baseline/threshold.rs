//! For each patient the threshold of treatment that serves him best: "treat exactly while what is
//! measured is above this level". A search over one number is no optimum, but a lower bound of it
//! that no published policy of the adaptive-therapy benchmark passes (Gallagher et al. 2024).

use crate::error::AgentError;

/// One course to simulate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    pub patient: usize,
    /// Treated while the measurement, relative to the start, is above it.
    pub level: f64,
    /// Numbers the measurement errors.
    pub replicate: u32,
}

/// Something that simulates courses under a threshold: on the host, or on a device in batches.
pub trait Gains {
    fn patients(&self) -> usize;

    /// What each course gained, such as the time to progression.
    ///
    /// # Errors
    /// When the simulation fails.
    fn gains(&self, trials: &[Trial]) -> Result<Vec<f64>, AgentError>;
}

/// How finely, and over how many measurement errors, the level is searched.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Search {
    pub low: f64,
    pub high: f64,
    /// Levels of the first grid, ends included.
    pub levels: usize,
    /// How many of the best levels are refined, each between its neighbours.
    pub best: usize,
    /// Levels of a refinement.
    pub finer: usize,
    pub rounds: usize,
    /// Courses with their own measurement errors per level; 1 without error.
    pub replicates: u32,
    /// Fresh courses on which the chosen level is judged; 0: those it was chosen on.
    pub judged: u32,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            low: 0.2,
            high: 1.2,
            levels: 101,
            best: 3,
            finer: 9,
            rounds: 2,
            replicates: 1,
            judged: 0,
        }
    }
}

/// A patient's best level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    pub level: f64,
    /// Mean over the replicates on which it was chosen: too good by the luck of the choice.
    pub chosen: f64,
    /// Mean over the fresh replicates; equal to `chosen` without them.
    pub gain: f64,
}

impl Search {
    /// # Errors
    /// [`AgentError::Option`] for a search that cannot work, and what the simulation reports.
    pub fn run(&self, courses: &impl Gains) -> Result<Vec<Best>, AgentError> {
        self.check()?;
        let n = courses.patients();
        let width = (self.high - self.low) / (self.levels - 1) as f64;
        let grid = (0..self.levels).map(|k| self.low + width * k as f64);
        let grid: Vec<f64> = grid.collect();
        let mut tried: Vec<Vec<(f64, f64)>> = vec![Vec::new(); n];
        self.evaluate(courses, &vec![grid; n], &mut tried)?;
        let mut half = width;
        for _ in 0..self.rounds {
            let finer: Vec<Vec<f64>> = tried.iter().map(|seen| self.refine(seen, half)).collect();
            self.evaluate(courses, &finer, &mut tried)?;
            half *= 2.0 / (self.finer + 1) as f64;
        }
        let best = |seen: &Vec<(f64, f64)>| self.ranked(seen).first().copied();
        let mut out: Vec<Best> = tried
            .iter()
            .map(|seen| {
                let (level, gain) = best(seen).unwrap_or((f64::NAN, f64::NAN));
                Best {
                    level,
                    chosen: gain,
                    gain,
                }
            })
            .collect();
        if self.judged > 0 {
            let fresh = self.replicates..self.replicates + self.judged;
            let trials: Vec<Trial> = (0..n)
                .flat_map(|patient| {
                    let level = out[patient].level;
                    fresh.clone().map(move |replicate| Trial {
                        patient,
                        level,
                        replicate,
                    })
                })
                .collect();
            let gains = courses.gains(&trials)?;
            for (best, gains) in out.iter_mut().zip(gains.chunks(self.judged as usize)) {
                best.gain = gains.iter().sum::<f64>() / gains.len() as f64;
            }
        }
        Ok(out)
    }

    fn check(&self) -> Result<(), AgentError> {
        let fine = self.low < self.high
            && self.levels >= 2
            && self.best >= 1
            && self.finer >= 1
            && self.replicates >= 1;
        if fine {
            return Ok(());
        }
        Err(AgentError::Option {
            key: "search".to_owned(),
            value: format!("{self:?}"),
            cause: "it needs low < high, two levels and one replicate or more".to_owned(),
        })
    }

    /// Levels tried so far, best first; equal gains by rising level.
    fn ranked(&self, seen: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let mut all = seen.to_vec();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.total_cmp(&b.0)));
        all
    }

    /// Levels between the neighbours (`half` away) of each of the best.
    fn refine(&self, seen: &[(f64, f64)], half: f64) -> Vec<f64> {
        let mut levels = Vec::new();
        for (centre, _) in self.ranked(seen).into_iter().take(self.best) {
            for k in 1..=self.finer {
                let at = 2.0 * k as f64 / (self.finer + 1) as f64 - 1.0;
                let level = centre + half * at;
                let known = |known: f64| (known - level).abs() < 1e-9 * half;
                if (self.low..=self.high).contains(&level)
                    && !seen.iter().any(|(level, _)| known(*level))
                    && !levels.iter().any(|level| known(*level))
                {
                    levels.push(level);
                }
            }
        }
        levels
    }

    fn evaluate(
        &self,
        courses: &impl Gains,
        levels: &[Vec<f64>],
        tried: &mut [Vec<(f64, f64)>],
    ) -> Result<(), AgentError> {
        let mut trials = Vec::new();
        for (patient, levels) in levels.iter().enumerate() {
            for &level in levels {
                trials.extend((0..self.replicates).map(|replicate| Trial {
                    patient,
                    level,
                    replicate,
                }));
            }
        }
        let gains = courses.gains(&trials)?;
        let size = self.replicates as usize;
        for (trials, gains) in trials.chunks(size).zip(gains.chunks(size)) {
            let mean = gains.iter().sum::<f64>() / gains.len() as f64;
            tried[trials[0].patient].push((trials[0].level, mean));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Gain with one peak per patient, and an error that depends on the replicate.
    struct Peaks(Vec<f64>, f64);

    impl Gains for Peaks {
        fn patients(&self) -> usize {
            self.0.len()
        }

        fn gains(&self, trials: &[Trial]) -> Result<Vec<f64>, AgentError> {
            let gain = |trial: &Trial| {
                let wave = (trial.level * 1e4 + f64::from(trial.replicate) * 37.0).sin();
                -(trial.level - self.0[trial.patient]).powi(2) + self.1 * wave
            };
            Ok(trials.iter().map(gain).collect())
        }
    }

    #[test]
    fn finds_each_patients_peak() {
        let peaks = Peaks(vec![0.3333, 0.9871, 1.1999], 0.0);
        let found = Search::default().run(&peaks).unwrap();
        for (found, peak) in found.iter().zip(&peaks.0) {
            assert!((found.level - peak).abs() < 3e-4, "{found:?} for {peak}");
            assert_eq!(found.gain, found.chosen);
        }
    }

    /// The best of many noisy means is too good; fresh courses are not.
    #[test]
    fn fresh_replicates_are_not_chosen_by_luck() {
        let peaks = Peaks(vec![0.7; 50], 0.1);
        let search = Search {
            replicates: 4,
            judged: 200,
            ..Search::default()
        };
        let found = search.run(&peaks).unwrap();
        let mean = |f: fn(&Best) -> f64| found.iter().map(f).sum::<f64>() / 50.0;
        assert!(mean(|b| b.chosen) > 0.02, "{}", mean(|b| b.chosen));
        assert!(mean(|b| b.gain) < 0.01, "{}", mean(|b| b.gain));
    }

    #[test]
    fn searches_that_cannot_work_are_refused() {
        let search = Search {
            levels: 1,
            ..Search::default()
        };
        assert!(search.run(&Peaks(vec![0.5], 0.0)).is_err());
    }
}
