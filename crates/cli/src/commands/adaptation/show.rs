//! Regret in words, in Markdown and as a page.

use std::fmt::Write;

use posology_agent::adapt::{Adaptation, Reduction};
use posology_agent::train::evaluate::Estimate;
use posology_trial::plot::Svg;
use posology_trial::report::{Cell, Column, Report, Section, Table};

use crate::context::Context;
use crate::output::provenance;

/// Cycles in a table; all of them are in the JSON file.
const ROWS: usize = 13;

/// Evenly spaced cycles, the first and the last among them.
fn chosen(cycles: usize) -> Vec<usize> {
    let rows = ROWS.min(cycles);
    let at = |k: usize| k * (cycles - 1) / (rows - 1).max(1);
    (0..rows).map(at).collect()
}

fn estimate(of: &Estimate) -> String {
    format!("{:.3} ({:.3} to {:.3})", of.value, of.low, of.high)
}

fn last(of: &[Estimate]) -> Estimate {
    of.last().copied().unwrap_or_default()
}

/// "regret 41.2 % lower than that of memoryless (95 % 30.1 to 50.0)".
fn reduction(of: &Reduction) -> String {
    let percent = |share: Option<f64>| {
        share.map_or_else(
            || "unknown".to_owned(),
            |share| format!("{:.1}", 100.0 * share),
        )
    };
    match of.share {
        Some(_) => format!(
            "{}: regret at the last cycle {} % lower than that of {} (95 % {} to {})",
            of.label,
            percent(of.share),
            of.against,
            percent(of.low),
            percent(of.high)
        ),
        None => format!(
            "{}: no share, because {} has no regret at the last cycle",
            of.label, of.against
        ),
    }
}

fn oracle(found: &Adaptation) -> String {
    format!(
        "Oracle of each patient: `{}` ({}), return {}.",
        found.oracle.name,
        found.oracle.title,
        estimate(&found.oracle.total)
    )
}

/// Return, regret and costs of each policy; the heading first.
fn summary(found: &Adaptation) -> Vec<Vec<String>> {
    let mut heading = vec!["policy".to_owned(), "runs".into(), "return".into()];
    heading.push("regret at the last cycle".to_owned());
    heading.push("of the last cycle alone".to_owned());
    let costs = found.limits.iter();
    heading.extend(costs.map(|cost| format!("{} (limit {})", cost.name, cost.limit)));
    let mut rows = vec![heading];
    for curve in &found.policies {
        let mut row = vec![curve.label.clone(), curve.runs.to_string()];
        row.push(estimate(&curve.total));
        row.push(estimate(&last(&curve.regret)));
        row.push(estimate(&last(&curve.increment)));
        row.extend(curve.costs.iter().map(|cost| estimate(&last(cost))));
        rows.push(row);
    }
    rows
}

/// By cycle: regret so far and of the cycle of each policy; the heading first.
fn by_cycle(found: &Adaptation) -> Vec<Vec<String>> {
    let mut heading = vec!["cycle".to_owned()];
    for curve in &found.policies {
        heading.push(format!("{}, so far", curve.label));
        heading.push(format!("{}, of the cycle", curve.label));
        heading.push(format!("{}, treated", curve.label));
    }
    let mut rows = vec![heading];
    for cycle in chosen(found.cycles) {
        let mut row = vec![(cycle + 1).to_string()];
        for curve in &found.policies {
            row.push(estimate(&curve.regret[cycle]));
            row.push(estimate(&curve.increment[cycle]));
            row.push(format!("{:.1} %", 100.0 * curve.treated[cycle]));
        }
        rows.push(row);
    }
    rows
}

fn markdown_table(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (k, row) in rows.iter().enumerate() {
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if k == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
        }
    }
    text
}

fn whom(found: &Adaptation) -> String {
    format!(
        "{} held-out patients (seed {}), {} cycles of {} decisions, {} actions; means over \
         patients with bootstrap 95 % intervals, paired where policies are compared.",
        found.patients,
        found.seed,
        found.cycles,
        found.decisions_per_cycle,
        if found.deterministic {
            "most probable"
        } else {
            "drawn"
        }
    )
}

/// The report as Markdown.
pub fn markdown(found: &Adaptation) -> String {
    let mut text = format!("# Regret by treatment cycle: {}\n\n", found.task);
    let _ = writeln!(text, "{}\n\n{}\n", whom(found), oracle(found));
    text += &markdown_table(&summary(found));
    text.push('\n');
    for one in &found.reductions {
        let _ = writeln!(text, "- {}", reduction(one));
    }
    let _ = writeln!(text, "\n{}", markdown_table(&by_cycle(found)));
    let _ = writeln!(text, "{}", provenance::NOTICE);
    text
}

fn page_table(caption: &str, rows: &[Vec<String>]) -> Table {
    let mut table = Table::new(caption);
    let mut rows = rows.iter();
    for heading in rows.next().into_iter().flatten() {
        table = table.column(Column::text(heading));
    }
    for row in rows {
        table = table.row(row.iter().map(Cell::text).collect());
    }
    table
}

/// The report as a page.
pub fn page(found: &Adaptation, svg: Svg) -> String {
    let mut report =
        Report::new(format!("Regret by treatment cycle: {}", found.task)).subtitle(whom(found));
    for curve in &found.policies {
        let at = last(&curve.regret);
        report = report.key(
            format!("Regret, {}", curve.label),
            format!("{:.3}", at.value),
            format!("95 % {:.3} to {:.3}", at.low, at.high),
        );
    }
    let lines = found.reductions.iter().map(reduction).collect();
    let section = Section::new("Regret to each patient's oracle")
        .paragraph(oracle(found))
        .paragraph(
            "The oracle is what is best for a patient over the whole course; the regret at a \
             cycle is what it has gained up to the cycle's end, less what the policy has gained.",
        )
        .figure(svg, "Regret so far, regret of each cycle, and costs.")
        .list(lines)
        .table(page_table("At the end of the course", &summary(found)))
        .table(page_table("By cycle", &by_cycle(found)));
    report
        .section(section)
        .limit(
            "An oracle of a rule is the best of that rule, not of all policies: regret can be \
             negative.",
        )
        .provenance("Command", provenance::command().join(" "))
        .provenance("Date", provenance::now())
        .render()
}

/// The report on a terminal.
pub fn overview(found: &Adaptation, context: &Context) -> String {
    let mut text = format!("{}: {}\n", context.bold(&found.task), whom(found));
    let _ = writeln!(text, "{}", oracle(found));
    for curve in &found.policies {
        let _ = writeln!(
            text,
            "  {:<18} return {}, regret {}",
            curve.label,
            estimate(&curve.total),
            estimate(&last(&curve.regret))
        );
        for (cost, of) in found.limits.iter().zip(&curve.costs) {
            let _ = writeln!(text, "    {} {}", cost.name, estimate(&last(of)));
        }
    }
    for one in &found.reductions {
        let _ = writeln!(text, "  {}", reduction(one));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_the_first_and_the_last_cycle() {
        assert_eq!(chosen(1), [0]);
        assert_eq!(chosen(3), [0, 1, 2]);
        let many = chosen(521);
        assert_eq!((many.len(), many[0], many[12]), (13, 0, 520));
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
