//! What holds for every list of findings.

use posology_model::Diagnostics;

/// Findings that stop: at least one error, and all can be shown.
pub fn refused(found: &Diagnostics) {
    assert!(found.has_errors(), "refused without an error");
    shown(found);
}

/// Findings that do not stop.
pub fn warned(found: &Diagnostics) {
    assert!(!found.has_errors(), "accepted with an error: {found}");
    shown(found);
}

fn shown(found: &Diagnostics) {
    let text = found.render(false);
    for finding in found.iter().take(50) {
        assert!(text.contains(finding.code), "{}", finding.code);
        if let Some(label) = &finding.primary {
            let source = label.source.text();
            assert!(
                source.get(label.span.clone()).is_some(),
                "{} lies outside its text",
                finding.code
            );
        }
    }
}
