use super::*;

fn sample() -> Diagnostic {
    let source = Source::new("a.toml", "first\nrate = \"k * x\"\n");
    Diagnostic::error("M301", "unknown name `k`")
        .at(&source, 14..15)
        .label("not defined")
        .also(&source, 0..5, "seen here")
        .help("did you mean `ka`?")
}

#[test]
fn positions_count_lines_and_characters_from_one() {
    let source = Source::new("x", "aé\nµg x");
    assert_eq!(source.position(0), (1, 1));
    assert_eq!(source.position("aé\nµg ".len()), (2, 4));
    assert_eq!(source.position(10_000), (2, 5));
}

#[test]
fn rendering_shows_place_caret_cause_and_help() {
    let text = sample().to_string();
    for part in [
        "error[M301]",
        "a.toml:2:9",
        "unknown name `k`",
        "^ not defined",
        "ka",
    ] {
        assert!(text.contains(part), "{part} missing in\n{text}");
    }
    assert!(!text.contains('\u{1b}'));
    assert!(Diagnostics::from(sample()).render(true).contains('\u{1b}'));
}

#[test]
fn a_message_is_one_line_without_control_characters() {
    let d = Diagnostic::error("D010", "`1\n2\u{1b}[2J` is no number");
    assert_eq!(d.message, "`1 2 [2J` is no number");
}

#[test]
fn spans_outside_the_text_are_cut() {
    let source = Source::new("x", "é");
    let d = Diagnostic::error("M001", "bad").at(&source, 1..99);
    assert_eq!(d.primary.as_ref().map(|l| l.span.clone()), Some(0..2));
    assert!(d.to_string().contains("x:1:1"));
}

#[test]
fn the_same_finding_at_the_same_place_is_said_once() {
    let mut all = Diagnostics::new();
    all.push(sample());
    all.push(sample());
    assert_eq!(all.len(), 1);
    assert!(all.has_errors());
    assert!(all.into_result(()).is_err());
}

#[test]
fn suggestions_are_close() {
    assert_eq!(
        closest("centrl", ["central", "peripheral"]),
        Some("central")
    );
    assert_eq!(closest("cl", ["CL", "V"]), Some("CL"));
    assert_eq!(closest("x", ["y", "z"]), None);
    assert_eq!(closest("volume", ["t", "CL"]), None);
}
