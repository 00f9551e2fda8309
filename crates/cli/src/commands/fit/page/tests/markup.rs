//! Checks of a page's text.

/// Tags nest, attributes are quoted, and no number has gone wrong.
pub fn sound(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    // selectors of the style hold marks of markup
    let (head, rest) = html.split_once("<style>").expect("a style");
    let (_, body) = rest.split_once("</style>").expect("its end");
    let html = format!("{head}{body}");
    for part in html.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag that ends");
        assert!(!text.contains('>'), "{part}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.split([' ', '/']).find(|name| !name.is_empty());
        let name = name.expect("a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{part}");
        } else if !(tag.starts_with('!') || tag.ends_with('/') || name == "meta") {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    for wrong in ["NaN", ">inf<", "-inf", " inf "] {
        assert!(!html.contains(wrong), "{wrong}");
    }
}

pub fn has(page: &str, all: &[&str]) {
    for one in all {
        assert!(page.contains(one), "{one}");
    }
}

pub fn lacks(page: &str, all: &[&str]) {
    for one in all {
        assert!(!page.contains(one), "{one}");
    }
}
