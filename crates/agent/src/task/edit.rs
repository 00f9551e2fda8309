//! Keys of a task file changed before it is read: `observe.size.proportional=0.1`.
//!
//! The text is changed, not what was read from it, so that a checkpoint holds the whole task, the
//! order of its tables stays, and findings point into what is shown.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::AgentError;

/// Keys of a task file that stand before its tables.
const TOP: [&str; 4] = ["title", "description", "model", "population"];

/// Whether a `key=value` is about the task: learning has no keys with a dot, nor these.
pub fn is_about_task(assignment: &str) -> bool {
    let key = assignment.split('=').next().unwrap_or_default().trim();
    key.contains('.') || TOP.contains(&key)
}

/// `text` with `path.to.key=value`: the value is TOML, and what is no TOML is taken as a string.
///
/// # Errors
/// [`AgentError::Option`] where the assignment has no value, a part of the path is not a table, or
/// the file itself cannot be read.
pub fn edited(text: &str, assignment: &str) -> Result<String, AgentError> {
    let refused = |cause: &str| AgentError::Option {
        key: assignment.split('=').next().unwrap_or_default().to_owned(),
        value: assignment
            .split_once('=')
            .map(|(_, value)| value.to_owned())
            .unwrap_or_default(),
        cause: cause.to_owned(),
    };
    let (path, value) = assignment
        .split_once('=')
        .ok_or_else(|| refused("expected key=value, such as decisions.every=28 d"))?;
    let parts: Vec<&str> = path.trim().split('.').collect();
    let bare = |part: &&str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    if !is_about_task(assignment) || !parts.iter().all(bare) {
        return Err(refused(
            "a key of a task is table.key without quotes, model or population",
        ));
    }
    let value = as_toml(value.trim());
    let root = DeTable::parse(text).map_err(|error| {
        let cause = format!("the task file is not TOML: {}", error.message());
        refused(&cause)
    })?;
    let (last, tables) = parts.split_last().ok_or_else(|| refused("no key"))?;
    let mut held: Option<&Spanned<DeValue<'_>>> = None;
    for (depth, name) in tables.iter().enumerate() {
        let Some(found) = table_of(&root, held, name) else {
            let header = tables.join(".");
            if matches!(held, Some(value) if is_inline(text, value)) {
                let message = format!("`{}` is written in one line", tables[..depth].join("."));
                return Err(refused(&message));
            }
            return Ok(format!(
                "{}\n\n[{header}]\n{last} = {value}\n",
                text.trim_end()
            ));
        };
        if !matches!(found.get_ref(), DeValue::Table(_)) {
            let message = format!("`{}` is not a table", tables[..=depth].join("."));
            return Err(refused(&message));
        }
        held = Some(found);
    }
    let Some(held) = held else {
        return Ok(match root.get_ref().get(*last) {
            Some(old) => spliced(text, old.span(), &value),
            None => format!("{last} = {value}\n{text}"),
        });
    };
    let DeValue::Table(inside) = held.get_ref() else {
        return Err(refused("not a table"));
    };
    if let Some(old) = inside.get(*last) {
        if matches!(old.get_ref(), DeValue::Table(_)) && !is_inline(text, old) {
            return Err(refused("it is a table: name a key of it"));
        }
        return Ok(spliced(text, old.span(), &value));
    }
    if is_inline(text, held) {
        let at = held.span().start + 1;
        let comma = if inside.is_empty() { " " } else { ", " };
        return Ok(spliced(text, at..at, &format!(" {last} = {value}{comma}")));
    }
    let header = format!("[{}]", tables.join("."));
    let line = text
        .split_inclusive('\n')
        .scan(0, |at, line| {
            *at += line.len();
            Some((*at, line))
        })
        .find(|(_, line)| line.trim_start().starts_with(&header));
    match line {
        Some((end, line)) => {
            let new = if line.ends_with('\n') { "" } else { "\n" };
            Ok(spliced(text, end..end, &format!("{new}{last} = {value}\n")))
        }
        // only tables below it have headers
        None => Ok(format!(
            "{}\n\n{header}\n{last} = {value}\n",
            text.trim_end()
        )),
    }
}

fn table_of<'a>(
    root: &'a Spanned<DeTable<'a>>,
    held: Option<&'a Spanned<DeValue<'a>>>,
    name: &str,
) -> Option<&'a Spanned<DeValue<'a>>> {
    match held {
        None => root.get_ref().get(name),
        Some(value) => match value.get_ref() {
            DeValue::Table(table) => table.get(name),
            _ => None,
        },
    }
}

fn is_inline(text: &str, value: &Spanned<DeValue<'_>>) -> bool {
    text.get(value.span()).is_some_and(|t| t.starts_with('{'))
}

fn spliced(text: &str, span: std::ops::Range<usize>, new: &str) -> String {
    let before = text.get(..span.start).unwrap_or_default();
    let after = text.get(span.end..).unwrap_or_default();
    format!("{before}{new}{after}")
}

fn as_toml(value: &str) -> String {
    let line = format!("value = {value}");
    if !value.contains('\n') && DeTable::parse(&line).is_ok() {
        value.to_owned()
    } else {
        toml::Value::String(value.to_owned()).to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TEXT: &str = "title = \"x\"\n[decisions]   # when\nevery = \"7 d\"\nhorizon = \"70 d\"\n\n\
                        [observe.size]\n[reward.a]\nvalue = \"b\"\n[limits]\nc = { d = 1 }";

    fn value(text: &str, path: &[&str]) -> toml::Value {
        let table: toml::Table = toml::from_str(text).unwrap();
        let mut at = toml::Value::Table(table);
        for part in path {
            at = at.get(part).unwrap().clone();
        }
        at
    }

    #[test]
    fn values_are_replaced_and_added_where_they_belong() {
        let text = edited(TEXT, "decisions.every=28 d").unwrap();
        assert_eq!(text, TEXT.replace("7 d", "28 d"));
        for (assignment, path, wanted) in [
            (
                "observe.size.proportional=0.1",
                vec!["observe", "size", "proportional"],
                "0.1",
            ),
            (
                "patients.typical = true",
                vec!["patients", "typical"],
                "true",
            ),
            ("limits.c.d=[1, 2]", vec!["limits", "c", "d"], "[1, 2]"),
            ("limits.c.e=2", vec!["limits", "c", "e"], "2"),
            ("population=a/b.toml", vec!["population"], "\"a/b.toml\""),
            ("reward.a.weight=-1", vec!["reward", "a", "weight"], "-1"),
            ("decisions.discount=1", vec!["decisions", "discount"], "1"),
        ] {
            let text = edited(TEXT, assignment).unwrap();
            assert_eq!(value(&text, &path).to_string(), wanted, "{text}");
            // nothing else has changed
            assert_eq!(value(&text, &["title"]), value(TEXT, &["title"]));
            assert_eq!(
                value(&text, &["decisions", "horizon"]).as_str(),
                Some("70 d")
            );
        }
    }

    #[test]
    fn what_cannot_be_changed_is_named() {
        for (assignment, words) in [
            ("decisions.every", "expected key=value"),
            ("decisions..every=1", "table.key"),
            ("title.x=1", "not a table"),
            ("observe.size=1", "it is a table"),
            ("limits.c.e.f=1", "in one line"),
        ] {
            let message = edited(TEXT, assignment).unwrap_err().to_string();
            assert!(message.contains(words), "{assignment}: {message}");
        }
        assert!(is_about_task("a.b=1") && !is_about_task("rate=0.1"));
    }
}
