//! Every figure and block once, from synthetic data, for a person to look at.

use super::*;
use crate::plot::samples::{self, Size};

fn gallery(size: Size) -> String {
    let mut figures = Section::new("Figures");
    for (name, svg) in samples::all(size) {
        figures = figures.subheading(name).figure(svg, format!("{name}."));
    }
    Report::new("Gallery of figures")
        .subtitle("Synthetic data; nothing here is a result.")
        .section(figures)
        .render()
}

#[test]
fn the_gallery_is_repeatable() {
    let html = gallery(Size::USUAL);
    assert_eq!(html, gallery(Size::USUAL));
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
