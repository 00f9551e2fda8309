//! Text in SVG and HTML: escaping, deterministic numbers, approximate widths.

/// Escapes text for element content and for quoted attributes of XML and HTML. Characters that
/// XML does not allow become U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A coordinate, rounded to a tenth of a unit, without trailing zeros.
pub(super) fn coordinate(value: f64) -> String {
    let tenths = (value.clamp(-1e6, 1e6) * 10.0).round() as i64;
    let (whole, rest) = (tenths / 10, (tenths % 10).abs());
    match (whole, rest) {
        (_, 0) => whole.to_string(),
        (0, _) if tenths < 0 => format!("-0.{rest}"),
        _ => format!("{whole}.{rest}"),
    }
}

/// A number with `decimals` digits after the point, a true minus sign and commas between
/// thousands.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits.as_str(), None),
    };
    let mut text = String::new();
    if value < 0.0 && digits.bytes().any(|b| b.is_ascii_digit() && b != b'0') {
        text.push('\u{2212}');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// A fraction as a percentage with a space before the sign; a dash if it is not finite.
pub(super) fn percent_text(fraction: f64, decimals: usize) -> String {
    if fraction.is_finite() {
        format!("{}\u{a0}%", fixed(100.0 * fraction, decimals))
    } else {
        "\u{2013}".to_owned()
    }
}

/// A change in percent, with its sign.
pub(super) fn signed_percent(fraction: f64) -> String {
    let sign = if fraction > 0.0 { "+" } else { "" };
    format!("{sign}{}", percent_text(fraction, 0))
}

/// 10 to an integer power, with superscript digits.
pub(crate) fn power_of_ten(exponent: i32) -> String {
    let mut text = String::from("10");
    for digit in exponent.to_string().chars() {
        text.push(match digit {
            '-' => '\u{207b}',
            '1' => '\u{b9}',
            '2' => '\u{b2}',
            '3' => '\u{b3}',
            other => char::from_u32(0x2070 + other.to_digit(10).unwrap_or(0)).unwrap_or('?'),
        });
    }
    text
}

/// How much wider bold text is.
pub(super) const BOLD: f64 = 1.13;

/// Approximate width of `text` at `size`, after the widest common sans-serif faces, so that
/// labels stay apart whatever face the reader has.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em: f64 = text
        .chars()
        .map(|character| match character {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ' ' | '\'' | '\u{a0}' => 0.32,
            ':' | ';' | '|' | '!' => 0.36,
            'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '-' => 0.4,
            'm' | 'w' | 'M' | 'W' | '%' | '@' | '\u{2026}' => 0.98,
            'D' | 'G' | 'O' | 'Q' | 'H' | 'N' | '&' => 0.78,
            'A'..='Z' => 0.72,
            '+' | '=' | '<' | '>' | '~' | '#' | '^' | '\u{d7}' => 0.84,
            '\u{2190}'..='\u{21ff}' | '\u{2200}'..='\u{22ff}' => 0.84,
            '\u{2070}'..='\u{207f}' | '\u{b2}' | '\u{b3}' | '\u{b9}' => 0.4,
            other if (other as u32) > 0x2e80 => 1.0,
            _ => 0.635,
        })
        .sum();
    // Sizes are written with one decimal; rounding up keeps what fits inside.
    em * (size * 10.0 - 1e-9).ceil() / 10.0
}

/// Shortens `text` with an ellipsis to fit `available` at `size`.
pub(super) fn fit(text: &str, size: f64, available: f64) -> String {
    if width(text, size) <= available {
        return text.to_owned();
    }
    let mut short: String = text.to_owned();
    while !short.is_empty() && width(&short, size) + 0.98 * size > available {
        short.pop();
    }
    format!("{}\u{2026}", short.trim_end())
}

/// Breaks `text` at spaces (and inside words that are too long) into at most `most` lines that fit
/// `available` at `size`; what is left over is cut with an ellipsis.
pub(super) fn wrap(text: &str, size: f64, available: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if lines.len() + 1 >= most.max(1) {
            lines.push(fit(rest, size, available));
            break;
        }
        // The longest part that fits, and the last space in it.
        let mut end = 0;
        let mut space = None;
        for (at, character) in rest.char_indices() {
            let next = at + character.len_utf8();
            if character == ' ' {
                space = Some(at);
            }
            if end > 0 && width(&rest[..next], size) > available {
                break;
            }
            end = next;
        }
        let at_space = end == rest.len() || rest[end..].starts_with(' ');
        let earlier = space.filter(|at| *at > 0 && *at <= end);
        let cut = if at_space {
            end
        } else {
            earlier.unwrap_or(end)
        };
        lines.push(rest[..cut].trim_end().to_owned());
        rest = rest[cut..].trim_start();
    }
    lines
}

/// Every how many labels must be kept so that neighbours stay `gap` apart.
pub(super) fn thinning(labels: &[(f64, &str)], size: f64, gap: f64) -> usize {
    let clear = |every: usize| {
        let kept: Vec<_> = labels.iter().step_by(every).collect();
        kept.windows(2).all(|pair| {
            let half = 0.5 * (width(pair[0].1, size) + width(pair[1].1, size));
            pair[1].0 - pair[0].0 >= half + gap
        })
    };
    (1..=labels.len().max(1))
        .find(|&every| clear(every))
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_fixed_and_grouped() {
        assert_eq!(fixed(1234567.0, 0), "1,234,567");
        assert_eq!(fixed(1234.5, 1), "1,234.5");
        assert_eq!(fixed(-0.25, 2), "\u{2212}0.25");
        assert_eq!(fixed(-0.0001, 2), "0.00");
        assert_eq!(power_of_ten(-12), "10\u{207b}\u{b9}\u{b2}");
        assert_eq!(power_of_ten(8), "10\u{2078}");
    }

    #[test]
    fn coordinates_have_at_most_one_decimal() {
        let pairs = [
            (1.0, "1"),
            (1.25, "1.3"),
            (-0.04, "0"),
            (-0.3, "-0.3"),
            (-2.71, "-2.7"),
            (1e9, "1000000"),
        ];
        for (value, text) in pairs {
            assert_eq!(coordinate(value), text);
        }
    }

    #[test]
    fn escaping_covers_markup_quotes_and_control_characters() {
        assert_eq!(
            escape("<a href='x'>&\"\u{0}"),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\u{fffd}"
        );
    }

    #[test]
    fn lines_break_at_spaces_and_fit() {
        assert_eq!(wrap("one two", 10.0, 500.0, 3), ["one two"]);
        assert_eq!(wrap("one two", 10.0, 25.0, 3), ["one", "two"]);
        assert!(wrap("", 10.0, 50.0, 3).is_empty());
        let text =
            "docetaxel 100 mg/m2 every three weeks with a verylongunbrokenwordthatfitsnowhere";
        for room in [30.0, 47.0, 90.0, 200.0] {
            let lines = wrap(text, 10.0, room, 99);
            assert!(
                lines.iter().all(|line| width(line, 10.0) <= room),
                "{lines:?}"
            );
            let joined: String = lines.concat().chars().filter(|c| *c != ' ').collect();
            assert_eq!(joined, text.replace(' ', ""));
            let few = wrap(text, 10.0, room, 2);
            assert!(few.len() == 2 && few.iter().all(|line| width(line, 10.0) <= room));
        }
    }

    #[test]
    fn long_labels_are_cut() {
        let short = fit("a very long label", 12.0, 50.0);
        assert!(short.ends_with('\u{2026}') && width(&short, 12.0) <= 50.0);
        assert_eq!(fit("ab", 12.0, 50.0), "ab");
    }
}
