//! What can be chosen about Q-learning, and which tasks it can be used for.

use crate::error::AgentError;
use crate::ppo::config::{Config, NetworkKind};
use crate::spec::{ActionKind, Spec};

fn refused(key: &str, value: &dyn std::fmt::Display, cause: &str) -> AgentError {
    AgentError::Option {
        key: key.to_owned(),
        value: value.to_string(),
        cause: cause.to_owned(),
    }
}

/// # Errors
/// [`AgentError::Option`] for the first value that cannot work.
pub(crate) fn check(config: &Config) -> Result<(), AgentError> {
    let ranges = [
        ("dqn_replay", config.dqn_replay as f64, 1.0, 67_108_864.0),
        ("dqn_batch", config.dqn_batch as f64, 1.0, 65_536.0),
        ("dqn_steps", config.dqn_steps as f64, 1.0, 100_000.0),
        ("dqn_n_step", f64::from(config.dqn_n_step), 1.0, 1000.0),
        ("dqn_target_every", config.dqn_target_every as f64, 1.0, 1e9),
        ("dqn_target_share", config.dqn_target_share, 1e-6, 1.0),
        ("dqn_epsilon", config.dqn_epsilon, 0.0, 1.0),
        ("dqn_epsilon_end", config.dqn_epsilon_end, 0.0, 1.0),
        ("dqn_explore", config.dqn_explore, 0.0, 1.0),
        ("dqn_huber", config.dqn_huber, 1e-6, 1e9),
        ("dqn_reward_unit", config.dqn_reward_unit, 0.0, 1e9),
    ];
    for (key, value, least, most) in ranges {
        if !(least..=most).contains(&value) {
            let cause = format!("a number from {least} to {most}");
            return Err(refused(key, &value, &cause));
        }
    }
    let priced = |price: &f64| (0.0..=1e9).contains(price);
    if let Some(price) = config.dqn_penalties.iter().find(|price| !priced(price)) {
        return Err(refused("dqn_penalties", price, "a number from 0 to 1e9"));
    }
    Ok(())
}

/// The configuration as a run with this task has it: without memory, beliefs and quantiles, which
/// have no part in Q-learning.
///
/// # Errors
/// [`AgentError::Option`] where the task's actions or costs do not fit.
pub fn resolved(config: &Config, spec: &Spec) -> Result<Config, AgentError> {
    config.check()?;
    let fraction = |action: &&crate::spec::ActionSpec| action.kind == ActionKind::Fraction;
    if let Some(action) = spec.actions.iter().find(fraction) {
        let cause = format!(
            "a value for every level of an action, but {} is a fraction; give it levels, or use ppo",
            action.name
        );
        return Err(refused("algorithm", &"dqn", &cause));
    }
    let (prices, costs) = (config.dqn_penalties.len(), spec.costs.len());
    if prices != 0 && prices != costs {
        let cause = format!("the task has {costs} costs; [] leaves them free");
        return Err(refused(
            "dqn_penalties",
            &format!("{prices} prices"),
            &cause,
        ));
    }
    let mut config = config.clone();
    if config.discount == 0.0 {
        config.discount = spec.discount;
    }
    if config.network == NetworkKind::Recurrent {
        config.network = NetworkKind::Memoryless;
    }
    config.beliefs = false;
    config.quantiles = 1;
    Ok(config)
}

/// Share of exploring decisions in an update.
pub fn epsilon(config: &Config, update: u64) -> f64 {
    let falling = config.dqn_explore * config.total_updates() as f64;
    let done = if falling > 0.0 {
        (update as f64 / falling).min(1.0)
    } else {
        1.0
    };
    config.dqn_epsilon + (config.dqn_epsilon_end - config.dqn_epsilon) * done
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::spec::{ActionSpec, CostSpec};

    fn spec(kind: ActionKind) -> Spec {
        Spec {
            actions: vec![ActionSpec {
                name: "infusion".to_owned(),
                kind,
            }],
            costs: vec![CostSpec {
                name: "toxicity".to_owned(),
                limit: 1.0,
                cvar: None,
            }],
            discount: 0.9,
            ..Spec::default()
        }
    }

    #[test]
    fn tasks_that_do_not_fit_are_named() {
        let config = Config::default();
        let message = resolved(&config, &spec(ActionKind::Fraction)).unwrap_err();
        assert!(message.to_string().contains("infusion is a fraction"));
        let levels = spec(ActionKind::Levels(vec![0.0, 1.0]));
        let found = resolved(&config, &levels).unwrap();
        assert_eq!(
            (found.network, found.discount),
            (NetworkKind::Memoryless, 0.9)
        );
        assert!(!found.beliefs);
        let text = ["dqn_penalties=[1, 2]".to_owned()];
        let config = Config::resolve(None, &text).unwrap();
        assert_eq!(config.dqn_penalties, [1.0, 2.0]);
        let message = resolved(&config, &levels).unwrap_err().to_string();
        assert!(message.contains("has 1 costs"), "{message}");
        for text in ["dqn_batch=0", "dqn_epsilon=1.5", "dqn_penalties=[-1]"] {
            let message = Config::resolve(None, &[text.to_owned()]).unwrap_err();
            assert!(message.to_string().contains("from "), "{text}: {message}");
        }
    }

    #[test]
    fn exploration_falls_and_stays() {
        let text = ["updates=100", "dqn_explore=0.2", "dqn_epsilon_end=0.1"];
        let config = Config::resolve(None, &text.map(str::to_owned)).unwrap();
        assert_eq!(epsilon(&config, 0), 1.0);
        assert!((epsilon(&config, 10) - 0.55).abs() < 1e-12);
        assert!((epsilon(&config, 20) - 0.1).abs() < 1e-12);
        assert_eq!(epsilon(&config, 20), epsilon(&config, 99));
        let config = Config {
            dqn_explore: 0.0,
            ..config
        };
        assert!((epsilon(&config, 0) - 0.1).abs() < 1e-12);
    }
}
