//! A run in words.

use posology_agent::train::Metrics;

/// One line beside the progress bar: return, and each constraint against its limit.
pub fn status(metrics: &Metrics) -> String {
    let mut text = match metrics.return_mean {
        Some(mean) => format!("return {mean:.3}"),
        None => "no episode has ended".to_owned(),
    };
    for cost in &metrics.costs {
        let mark = if cost.risk <= cost.limit {
            "ok"
        } else {
            "OVER"
        };
        text.push_str(&format!(
            " | {} {:.3}/{:.3} {mark}",
            cost.name, cost.risk, cost.limit
        ));
    }
    let speed = metrics.decisions_per_second;
    text.push_str(&format!(" | {speed:.0} decisions/s"));
    text
}

/// The constraints after the last update, one per line.
pub fn constraints(metrics: &Metrics) -> String {
    let line = |cost: &posology_agent::train::log::CostMetrics| {
        let kept = if cost.risk <= cost.limit {
            "within"
        } else {
            "beyond"
        };
        format!(
            "  {}: {:.4}, {kept} its limit {:.4} (multiplier {:.3}, mean {:.4})\n",
            cost.name, cost.risk, cost.limit, cost.multiplier, cost.mean
        )
    };
    metrics.costs.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use posology_agent::train::log::CostMetrics;

    #[test]
    fn a_passed_limit_is_seen() {
        let cost = |risk| CostMetrics {
            name: "neutropenia".to_owned(),
            risk,
            limit: 0.2,
            ..CostMetrics::default()
        };
        let mut metrics = Metrics {
            return_mean: Some(1.5),
            costs: vec![cost(0.1), cost(0.3)],
            ..Metrics::default()
        };
        let line = status(&metrics);
        assert!(
            line.starts_with("return 1.500 | neutropenia 0.100/0.200 ok"),
            "{line}"
        );
        assert!(line.contains("0.300/0.200 OVER"));
        assert!(constraints(&metrics).contains("beyond its limit 0.2000"));
        metrics.return_mean = None;
        assert!(status(&metrics).starts_with("no episode"));
    }
}
