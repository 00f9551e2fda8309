//! Text of a rule to its parts, with spans.

use std::ops::Range;

use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::Pair;

use super::units::Problem;

#[derive(pest_derive::Parser)]
#[grammar = "design/protocols/protocol.pest"]
struct Grammar;

/// Longer texts are not rules; the limit also bounds the parser's work.
const LONGEST: usize = 2000;

/// What helps with every rule that cannot be read.
pub(super) const EXAMPLE: &str = "for example: `ANC < 1.5e9/L on day 1: delay 7 d up to 21 d`, or `grade 4 neutropenia: reduce 25 %; second time: stop`";

/// A value and its bytes in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct At<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// A rule as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    pub condition: WrittenCondition,
    pub day: Option<At<u32>>,
    /// (1 for the first time, 2 for the second, ...; the action)
    pub actions: Vec<(At<u32>, At<WrittenAction>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum WrittenCondition {
    Grade {
        grade: At<u32>,
        toxicity: At<String>,
    },
    Measured(At<String>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum WrittenAction {
    Delay {
        step: Option<At<String>>,
        limit: Option<At<String>>,
    },
    Reduce {
        percent: At<f64>,
        drug: Option<At<String>>,
    },
    Skip,
    Stop,
}

/// Bytes of a pair, without white space at its end.
fn span(pair: &Pair<'_, Rule>) -> Range<usize> {
    let start = pair.as_span().start();
    start..start + pair.as_str().trim_end().len()
}

fn text(pair: &Pair<'_, Rule>) -> At<String> {
    At {
        value: pair.as_str().trim_end().to_owned(),
        span: span(pair),
    }
}

/// A whole number; beyond u32 it is the largest, which every later check refuses.
fn whole(pair: &Pair<'_, Rule>) -> At<u32> {
    At {
        value: pair.as_str().parse().unwrap_or(u32::MAX),
        span: span(pair),
    }
}

/// Parses a rule.
pub(super) fn parse(rule: &str) -> Result<Written, Problem> {
    let refuse = |span: Range<usize>, message: &str| Problem {
        code: "T019",
        span,
        message: message.to_owned(),
        help: Some(EXAMPLE.to_owned()),
    };
    if rule.len() > LONGEST {
        return Err(refuse(0..rule.len(), "the rule is longer than 2000 bytes"));
    }
    let pairs = Grammar::parse(Rule::one_rule, rule).map_err(|error| explain(rule, &error))?;
    let mut condition = None;
    let mut day = None;
    let mut actions = Vec::new();
    for pair in pairs.flat_map(Pair::into_inner) {
        match pair.as_rule() {
            Rule::when => {
                for part in pair.into_inner() {
                    match part.as_rule() {
                        Rule::on_day => {
                            day = part
                                .into_inner()
                                .find(|p| p.as_rule() == Rule::whole)
                                .map(|p| whole(&p))
                        }
                        Rule::graded => condition = graded(part),
                        _ => condition = Some(WrittenCondition::Measured(text(&part))),
                    }
                }
            }
            Rule::action => {
                let first = At {
                    value: 1,
                    span: span(&pair),
                };
                actions.extend(action(pair).map(|action| (first, action)));
            }
            Rule::later => {
                let mut nth = None;
                for part in pair.into_inner() {
                    match part.as_rule() {
                        Rule::ordinal => nth = Some(ordinal(&part)),
                        _ => {
                            actions.extend(nth.clone().zip(action(part)));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    match condition {
        Some(condition) if !actions.is_empty() => Ok(Written {
            condition,
            day,
            actions,
        }),
        _ => Err(refuse(0..rule.len(), "this is not a rule")),
    }
}

fn graded(pair: Pair<'_, Rule>) -> Option<WrittenCondition> {
    let (mut grade, mut toxicity) = (None, None);
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::whole => grade = Some(whole(&part)),
            Rule::name => toxicity = Some(text(&part)),
            _ => {}
        }
    }
    Some(WrittenCondition::Grade {
        grade: grade?,
        toxicity: toxicity?,
    })
}

fn ordinal(pair: &Pair<'_, Rule>) -> At<u32> {
    let word = pair.as_str().to_ascii_lowercase();
    let value = match word.get(..3) {
        Some("thi" | "3rd") => 3,
        Some("fou" | "4th") => 4,
        Some("fif" | "5th") => 5,
        _ => 2,
    };
    At {
        value,
        span: span(pair),
    }
}

fn action(pair: Pair<'_, Rule>) -> Option<At<WrittenAction>> {
    let at = span(&pair);
    let inner = pair.into_inner().next()?;
    let value = match inner.as_rule() {
        Rule::delay => {
            let (mut step, mut limit) = (None, None);
            for part in inner.into_inner() {
                let duration = |part: Pair<'_, Rule>| {
                    let found = part.into_inner().find(|p| p.as_rule() == Rule::duration);
                    found.map(|p| text(&p))
                };
                match part.as_rule() {
                    Rule::step => step = duration(part),
                    Rule::up_to => limit = duration(part),
                    _ => {}
                }
            }
            WrittenAction::Delay { step, limit }
        }
        Rule::reduce => {
            let (mut percent, mut drug) = (None, None);
            for part in inner.into_inner() {
                match part.as_rule() {
                    Rule::number => {
                        percent = Some(At {
                            value: part.as_str().parse().unwrap_or(f64::NAN),
                            span: span(&part),
                        });
                    }
                    Rule::drug => drug = Some(text(&part)),
                    _ => {}
                }
            }
            WrittenAction::Reduce {
                percent: percent?,
                drug,
            }
        }
        Rule::skip => WrittenAction::Skip,
        _ => WrittenAction::Stop,
    };
    Some(At { value, span: at })
}

/// A grammar error in the user's words.
fn explain(rule: &str, error: &pest::error::Error<Rule>) -> Problem {
    let at = match error.location {
        InputLocation::Pos(at) => at,
        InputLocation::Span((at, _)) => at,
    };
    let rest = rule.get(at..).unwrap_or_default();
    let word = rest.split([' ', ';', ':', ',']).next().unwrap_or_default();
    let mut expected: Vec<&str> = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => {
            positives.iter().filter_map(|rule| plain(*rule)).collect()
        }
        ErrorVariant::CustomError { .. } => Vec::new(),
    };
    expected.sort_unstable();
    expected.dedup();
    let message = if rule.trim().is_empty() {
        "the rule is empty".to_owned()
    } else if !rule.contains(':') {
        "a rule is a condition, a colon and an action; this has no colon".to_owned()
    } else if rest.trim().is_empty() {
        "the rule ends too early".to_owned()
    } else {
        format!(
            "`{}` cannot be read here",
            if word.is_empty() {
                &rest[..rest.chars().next().map_or(0, char::len_utf8)]
            } else {
                word
            }
        )
    };
    let lower = rest.to_ascii_lowercase();
    let hint = if lower.starts_with("to ") && rule[..at].to_ascii_lowercase().contains("reduce") {
        Some("write by how much the present dose is reduced: `reduce 25 %`".to_owned())
    } else if lower.starts_with("and ") || lower.starts_with(',') {
        Some("one action each time: write a second rule with the same condition".to_owned())
    } else if expected.is_empty() {
        None
    } else {
        Some(format!("possible here: {}", expected.join(", ")))
    };
    let length = word
        .len()
        .max(rest.chars().next().map_or(0, char::len_utf8));
    Problem {
        code: "T019",
        span: at..at + length,
        message,
        help: Some(match hint {
            Some(hint) => format!("{hint}; {EXAMPLE}"),
            None => EXAMPLE.to_owned(),
        }),
    }
}

/// What a user calls a rule of the grammar.
fn plain(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::action
        | Rule::delay
        | Rule::reduce
        | Rule::skip
        | Rule::stop
        | Rule::delay_word
        | Rule::reduce_word
        | Rule::skip_word
        | Rule::stop_word => "`delay`, `reduce`, `skip`, `stop`",
        Rule::ordinal | Rule::nth | Rule::later | Rule::again | Rule::second => "`second time:`",
        Rule::on_day | Rule::on_word | Rule::day_word => "`on day N`",
        Rule::when | Rule::graded | Rule::measured => "a condition",
        Rule::up_to | Rule::up_word => "`up to`",
        Rule::duration | Rule::step => "a time",
        Rule::number | Rule::whole => "a number",
        Rule::percent_word => "`%`",
        Rule::time_unit => "a unit of time",
        Rule::name | Rule::drug => "a name",
        Rule::EOI => "the end",
        _ => return None,
    })
}
