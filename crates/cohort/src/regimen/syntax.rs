//! Text of regimens and sampling times to syntax, with spans.

use std::ops::Range;

use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::Pair;
use posology_model::diagnostic::{Diagnostic, Diagnostics};
use posology_model::model::{Model, Origin};
use posology_model::unit::{Dimension, Unit};

#[derive(pest_derive::Parser)]
#[grammar = "regimen/regimen.pest"]
pub(super) struct Grammar;

/// Longer texts are not regimens; the limit also bounds the parser's work.
const LONGEST: usize = 20_000;

/// A text, what it is parsed against, and what was found.
pub(super) struct Context<'a> {
    pub model: &'a Model,
    pub origin: &'a Origin,
    pub found: Diagnostics,
}

impl Context<'_> {
    pub fn error(
        &self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(code, message).at(self.origin.source(), self.origin.span(span))
    }

    /// Keeps the diagnostic of a failure.
    pub fn keep<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result
            .map_err(|diagnostic| self.found.push(diagnostic))
            .ok()
    }

    /// A finite number.
    pub fn number(&self, pair: &Pair<'_, Rule>) -> Result<f64, Diagnostic> {
        match pair.as_str().parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(self.error("R006", span(pair), "this is not a finite number")),
        }
    }

    /// Model time units per unit of time, which may be written out: `days`, `weeks`.
    pub fn time_scale(&self, pair: &Pair<'_, Rule>) -> Result<f64, Diagnostic> {
        let text = pair.as_str();
        let symbol = match text.to_ascii_lowercase().as_str() {
            "second" | "seconds" => "s",
            "minute" | "minutes" | "mins" => "min",
            "hour" | "hours" | "hr" | "hrs" | "h" => "h",
            "day" | "days" | "d" => "d",
            "week" | "weeks" | "wks" | "wk" | "w" => "wk",
            "month" | "months" => "mo",
            "year" | "years" => "yr",
            _ => text,
        };
        match Unit::parse(symbol) {
            Ok(unit) if unit.dimension() == Dimension::TIME => Ok(self.model.units.scale(&unit)),
            Ok(_) => Err(self
                .error(
                    "R008",
                    span(pair),
                    format!("`{text}` is not a unit of time"),
                )
                .help("times are in min, h, d, wk, mo or yr")),
            Err(error) => Err(self
                .error(
                    "R008",
                    span(pair),
                    format!("`{text}` is not a unit of time: {error}"),
                )
                .help_if(error.help)
                .help("times are in min, h, d, wk, mo or yr")),
        }
    }

    /// A time in the model's unit; only 0 may stand without a unit.
    pub fn duration(&self, pair: Pair<'_, Rule>) -> Result<f64, Diagnostic> {
        let whole = span(&pair);
        let mut inner = pair.into_inner();
        let number = inner
            .next()
            .map_or(Ok(f64::NAN), |pair| self.number(&pair))?;
        let time = match inner.next() {
            Some(unit) => number * self.time_scale(&unit)?,
            None if number == 0.0 => 0.0,
            None => {
                return Err(self
                    .error("R008", whole, "a time needs a unit")
                    .help(format!("such as `{number} d` or `{number} h`")));
            }
        };
        if !time.is_finite() || time < 0.0 {
            return Err(self.error("R006", whole, "a time must not be negative"));
        }
        Ok(time)
    }
}

/// Bytes of a pair in the text.
pub(super) fn span(pair: &Pair<'_, Rule>) -> Range<usize> {
    pair.as_span().start()..pair.as_span().end()
}

/// Parses `text` by `rule`.
///
/// # Errors
/// `R001` where it does not follow the grammar.
pub(super) fn parse<'t>(
    rule: Rule,
    text: &'t str,
    origin: &Origin,
    example: &str,
) -> Result<Pair<'t, Rule>, Diagnostics> {
    let refuse = |span: Range<usize>, message: String| {
        Diagnostic::error("R001", message).at(origin.source(), origin.span(span))
    };
    if text.len() > LONGEST {
        let message = format!("the text is longer than {LONGEST} bytes");
        return Err(refuse(0..text.len(), message).into());
    }
    let error = match Grammar::parse(rule, text) {
        Ok(mut pairs) => {
            return pairs
                .next()
                .ok_or_else(|| refuse(0..text.len(), "the text is empty".into()).into());
        }
        Err(error) => error,
    };
    let at = match error.location {
        InputLocation::Pos(at) => at,
        InputLocation::Span((at, _)) => at,
    };
    let rest = text.get(at..).unwrap_or_default();
    let word = rest.split_whitespace().next().map_or(0, str::len);
    let message = match (text.trim().is_empty(), rest.trim().is_empty()) {
        (true, _) => "the text is empty".to_owned(),
        (false, true) => "the text ends too early".to_owned(),
        _ => "this cannot be read here".to_owned(),
    };
    let mut expected: Vec<&str> = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => {
            positives.iter().filter_map(|rule| plain(*rule)).collect()
        }
        ErrorVariant::CustomError { .. } => Vec::new(),
    };
    expected.sort_unstable();
    expected.dedup();
    let expected =
        (!expected.is_empty()).then(|| format!("possible here: {}", expected.join(", ")));
    Err(refuse(at..at + word, message)
        .help_if(expected)
        .help(format!("for example: {example}"))
        .into())
}

/// What a user calls a rule.
fn plain(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::drug => "the name of an input",
        Rule::part | Rule::course | Rule::amount | Rule::dose => "an amount",
        Rule::auc => "`AUC`",
        Rule::load => "`load`",
        Rule::clause => "`over`, `every`, `x`, `from`, `at`, `on`, `until`",
        Rule::over => "`over`",
        Rule::every | Rule::grid => "`every`",
        Rule::times => "`x`",
        Rule::from => "`from`",
        Rule::at => "`at`",
        Rule::on => "`on`",
        Rule::until => "`until`",
        Rule::day => "a day",
        Rule::duration | Rule::single | Rule::sample => "a time",
        Rule::number | Rule::whole => "a number",
        Rule::time_unit => "a unit of time",
        Rule::unit => "a unit",
        Rule::EOI => "the end",
        _ => return None,
    })
}
