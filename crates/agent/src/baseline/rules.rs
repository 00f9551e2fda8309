//! Rules that need no learning.

use crate::error::AgentError;

/// A rule that decides how much is given from what is measured, relative to the start.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Nothing, ever.
    None,
    /// The largest dose at every decision.
    Continuous,
    /// Off below `stop`, on again above `restart`, otherwise as before; begins on. Zhang et al.
    /// 2017, Nat Commun 8:1816 with 0.5 and 1.
    Zhang { stop: f64, restart: f64 },
    /// On exactly while the measurement is above this level.
    Threshold(f64),
    /// The largest dose at the first so many decisions, then none.
    First(usize),
    /// These doses in turn, 0..1 of the largest, again and again: a fixed protocol.
    Protocol(Vec<f64>),
    /// Maximum tolerated dose: the largest, reduced to `reduced` after a decision at which
    /// toxicity was above `limit` (for good), and withheld while it still is.
    Tolerated { limit: f64, reduced: f64 },
}

/// What a rule knows at a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Number of the decision, from 0.
    pub decision: usize,
    /// Measurement relative to the start; the last one, if this visit was missed.
    pub measured: f64,
    /// Measured toxicity, in the unit of the limit; 0 where there is none.
    pub toxicity: f64,
}

/// A rule and what it remembers of a course.
#[derive(Clone, Debug, PartialEq)]
pub struct Running<'a> {
    rule: &'a Rule,
    on: bool,
    tolerated: f64,
}

impl Rule {
    /// The rule of the adaptive abiraterone trial.
    pub const ADAPTIVE: Rule = Rule::Zhang {
        stop: 0.5,
        restart: 1.0,
    };

    /// A course begins.
    pub fn begin(&self) -> Running<'_> {
        Running {
            rule: self,
            on: true,
            tolerated: 1.0,
        }
    }

    /// # Errors
    /// [`AgentError::Option`] for numbers that cannot work.
    pub fn check(&self) -> Result<(), AgentError> {
        let (fine, cause) = match self {
            Rule::Zhang { stop, restart } => (
                stop.is_finite() && restart.is_finite() && stop <= restart,
                "it must stop below the level at which it restarts",
            ),
            Rule::Threshold(level) => (level.is_finite(), "the level must be a number"),
            Rule::Protocol(doses) => (
                !doses.is_empty() && doses.iter().all(|dose| (0.0..=1.0).contains(dose)),
                "a protocol is a list of doses, 0 to 1 of the largest",
            ),
            Rule::Tolerated { limit, reduced } => (
                limit.is_finite() && (0.0..=1.0).contains(reduced),
                "the reduced dose is 0 to 1 of the largest",
            ),
            Rule::None | Rule::Continuous | Rule::First(_) => (true, ""),
        };
        if fine {
            Ok(())
        } else {
            Err(AgentError::Option {
                key: "rule".to_owned(),
                value: format!("{self:?}"),
                cause: cause.to_owned(),
            })
        }
    }
}

impl Running<'_> {
    /// The dose of this decision, 0..1 of the largest.
    pub fn decide(&mut self, seen: Seen) -> f64 {
        let full = |on: bool| f64::from(u8::from(on));
        match self.rule {
            Rule::None => 0.0,
            Rule::Continuous => 1.0,
            Rule::Zhang { stop, restart } => {
                self.on = seen.measured >= *stop && (self.on || seen.measured > *restart);
                full(self.on)
            }
            Rule::Threshold(level) => full(seen.measured > *level),
            Rule::First(decisions) => full(seen.decision < *decisions),
            Rule::Protocol(doses) => doses
                .get(seen.decision % doses.len().max(1))
                .copied()
                .unwrap_or(0.0),
            Rule::Tolerated { limit, reduced } => {
                if seen.toxicity > *limit {
                    self.tolerated = *reduced;
                    0.0
                } else {
                    self.tolerated
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doses(rule: &Rule, measured: &[f64]) -> Vec<f64> {
        let mut running = rule.begin();
        let seen = |(decision, measured): (usize, &f64)| Seen {
            decision,
            measured: *measured,
            toxicity: *measured,
        };
        let all = measured.iter().enumerate().map(seen);
        all.map(|seen| running.decide(seen)).collect()
    }

    #[test]
    fn rules_by_hand() {
        let course = [1.0, 0.7, 0.49, 0.8, 1.0, 1.01, 0.6];
        let zhang = [1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0];
        assert_eq!(doses(&Rule::ADAPTIVE, &course), zhang);
        let above = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0];
        assert_eq!(doses(&Rule::Threshold(0.9), &course), above);
        assert_eq!(doses(&Rule::First(2), &course[..3]), [1.0, 1.0, 0.0]);
        let protocol = Rule::Protocol(vec![1.0, 0.0, 0.5]);
        assert_eq!(doses(&protocol, &course[..4]), [1.0, 0.0, 0.5, 1.0]);
        let tolerated = Rule::Tolerated {
            limit: 0.9,
            reduced: 0.75,
        };
        assert_eq!(doses(&tolerated, &[0.5, 1.0, 0.5]), [1.0, 0.0, 0.75]);
        assert_eq!(doses(&Rule::None, &course[..2]), [0.0, 0.0]);
        assert_eq!(doses(&Rule::Continuous, &course[..2]), [1.0, 1.0]);
    }

    #[test]
    fn rules_that_cannot_work_are_refused() {
        let upside_down = Rule::Zhang {
            stop: 1.0,
            restart: 0.5,
        };
        for rule in [
            upside_down,
            Rule::Threshold(f64::NAN),
            Rule::Protocol(Vec::new()),
            Rule::Protocol(vec![1.5]),
        ] {
            assert!(rule.check().is_err(), "{rule:?}");
        }
        assert!(Rule::ADAPTIVE.check().is_ok());
    }
}
