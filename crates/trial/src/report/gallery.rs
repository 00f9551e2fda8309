//! Every figure and block once, from synthetic data, for a person to look at.

use super::*;
use crate::plot::samples::{self, Size};

fn credibility() -> Credibility {
    let check = |quantity: &str, published: &str, simulated: &str, met, used| Validation {
        quantity: quantity.to_owned(),
        published: published.to_owned(),
        simulated: simulated.to_owned(),
        rule: "within 10\u{a0}%".to_owned(),
        met,
        used_to_build: used,
        source: "Friberg et al. 2002, table 3".to_owned(),
    };
    Credibility {
        question:
            "Does a lower dose with the same schedule cause fewer dose-limiting neutropenias?"
                .to_owned(),
        context: "Comparing schedules before a trial; the answer is one argument among several."
            .to_owned(),
        influence: Graded {
            grade: Grade::Medium,
            reason: "the trial itself decides".to_owned(),
        },
        consequence: Graded {
            grade: Grade::Low,
            reason: "no patient is treated on the strength of this report".to_owned(),
        },
        verification: vec![Verification {
            check: "Integrator against analytical solutions".to_owned(),
            found: "relative error below 10\u{207b}\u{2076}".to_owned(),
            place: "crates/sim/tests".to_owned(),
        }],
        validation: vec![
            check(
                "Lowest neutrophil count",
                "0.22\u{d7}10\u{2079}/L",
                "0.23\u{d7}10\u{2079}/L",
                Some(true),
                true,
            ),
            check("Time to recovery", "21 d", "26 d", Some(false), false),
        ],
        uncertainty: vec![Uncertainty {
            source: "Parameters of the population".to_owned(),
            treatment: "sampled between replicates".to_owned(),
            effect: String::new(),
        }],
        limits: vec!["The model knows neutrophils only.".to_owned()],
    }
}

fn gallery(size: Size) -> String {
    let mut figures = Section::new("Figures");
    for (name, svg) in samples::all(size) {
        figures = figures.subheading(name).figure(svg, format!("{name}."));
    }
    let arms: Vec<(String, usize)> = samples::arm_names(size.arms, size.long)
        .into_iter()
        .map(|name| (name, size.patients))
        .collect();
    let baseline = [
        Characteristic::Number {
            name: "Age".to_owned(),
            unit: "years".to_owned(),
            decimals: 0,
            quartiles: vec![[52.0, 61.0, 68.0]; size.arms],
        },
        Characteristic::Share {
            name: "Women".to_owned(),
            counts: vec![size.patients / 2; size.arms],
        },
        Characteristic::Levels {
            name: "ECOG performance status".to_owned(),
            levels: vec![
                ("0".to_owned(), vec![size.patients / 3; size.arms]),
                (
                    "1".to_owned(),
                    vec![size.patients - size.patients / 3; size.arms],
                ),
            ],
        },
    ];
    let toxicity = toxicity_table(&samples::toxicity(size), 0.95).unwrap();
    Report::new("Gallery of figures")
        .subtitle("Synthetic data; nothing here is a result.")
        .key(
            "Objective response",
            "40.0\u{a0}%",
            "95\u{a0}% CI 31.2 to 49.3",
        )
        .section(figures)
        .section(
            Section::new("Tables")
                .table(baseline_table("Patients at baseline", &arms, &baseline))
                .table(toxicity),
        )
        .section(credibility().section())
        .provenance("Seed", "1")
        .limit("Everything here is made up.")
        .footer("Version 0.0.0")
        .render()
}

#[test]
fn credibility_keeps_its_order_and_hides_nothing() {
    let section = credibility().section();
    let html = Report::new("r").section(section).render();
    let order = [
        "Question of interest",
        "Context of use",
        "Model risk",
        "Verification",
        "Validation",
        "Uncertainty",
        "Limits",
    ];
    let places = order.map(|part| html.find(&format!("<h3>{part}")).unwrap());
    assert!(places.is_sorted(), "{places:?}");
    assert!(html.contains("medium influence and low consequence make level 2 of 5"));
    assert!(html.contains("One comparison misses its rule.") && html.contains(">no<"));
    let risk = |influence, consequence| {
        let graded = |grade| Graded {
            grade,
            reason: String::new(),
        };
        Credibility {
            influence: graded(influence),
            consequence: graded(consequence),
            ..credibility()
        }
        .risk()
    };
    assert_eq!(risk(Grade::Low, Grade::Low), 1);
    assert_eq!(risk(Grade::High, Grade::High), 5);
    let silent = Credibility {
        verification: Vec::new(),
        validation: Vec::new(),
        uncertainty: Vec::new(),
        limits: Vec::new(),
        ..credibility()
    };
    let html = Report::new("r").section(silent.section()).render();
    for part in [
        "No verification",
        "not compared",
        "not analysed",
        "an omission",
    ] {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn the_gallery_is_repeatable() {
    let html = gallery(Size::USUAL);
    assert_eq!(html, gallery(Size::USUAL));
    assert!(html.contains("Figure 19.") && html.contains("Table 4."));
}

/// Writes the gallery: `cargo test gallery -- --ignored`. The folder is `POSOLOGY_GALLERY` or the
/// system's for temporary files.
#[test]
#[ignore = "writes files for a person to look at"]
fn write_the_gallery() {
    let folder = std::env::var_os("POSOLOGY_GALLERY")
        .map_or_else(std::env::temp_dir, std::path::PathBuf::from);
    let sizes = [
        ("usual", Size::USUAL),
        (
            "single",
            Size {
                arms: 1,
                patients: 1,
                long: true,
            },
        ),
        (
            "one-arm",
            Size {
                arms: 1,
                patients: 60,
                long: false,
            },
        ),
        (
            "four-long",
            Size {
                arms: 4,
                patients: 300,
                long: true,
            },
        ),
        (
            "eight-long",
            Size {
                arms: 8,
                patients: 2000,
                long: true,
            },
        ),
    ];
    for (name, size) in sizes {
        let path = folder.join(format!("gallery-{name}.html"));
        std::fs::write(&path, gallery(size)).unwrap();
        println!("{}", path.display());
    }
}
