//! Whether a rectangle of a plot area is free of data.

use super::draw::Area;
use super::layer::{Layer, Shape};

type Box4 = (f64, f64, f64, f64);

/// Whether no curve, band, bar or point of the layers reaches into the rectangle (left, top,
/// right, bottom, from the area's top left corner). Reference lines and shaded times do not
/// count: text stays readable on them.
pub(super) fn is_free(area: &Area, layers: &[Layer], room: Box4) -> bool {
    layers
        .iter()
        .all(|layer| !touches(area, &layer.shape, room))
}

fn touches(area: &Area, shape: &Shape, room: Box4) -> bool {
    let point = |x: f64, y: f64| Some((area.across(x)?, area.up(y)?));
    match shape {
        Shape::Line { x, y } => {
            let points = x.iter().zip(y).map(|(&x, &y)| point(x, y));
            pairs(points).any(|(a, b)| crosses(a, b, room))
        }
        Shape::Step { x, y } => {
            let points = x.iter().zip(y).map(|(&x, &y)| point(x, y));
            pairs(points).any(|(a, b)| crosses(a, (b.0, a.1), room) || crosses((b.0, a.1), b, room))
        }
        Shape::Ribbon { x, low, high, .. } => {
            let rows = x.iter().zip(low.iter().zip(high));
            let rows = rows.map(|(&x, (&l, &h))| {
                let (x, low, high) = (area.across(x)?, area.up(l)?, area.up(h)?);
                Some((x, low.max(high), low.min(high)))
            });
            let rows: Vec<_> = rows.collect();
            rows.windows(2).any(|pair| match (pair[0], pair[1]) {
                (Some(a), Some(b)) => overlap(
                    (a.0.min(b.0), a.2.min(b.2), a.0.max(b.0), a.1.max(b.1)),
                    room,
                ),
                _ => false,
            })
        }
        Shape::Points { x, y } | Shape::Censorings { x, y } | Shape::Labels { x, y, .. } => x
            .iter()
            .zip(y)
            .filter_map(|(&x, &y)| point(x, y))
            .any(|(x, y)| overlap((x - 4.0, y - 4.0, x + 4.0, y + 4.0), room)),
        Shape::Errors { x, low, high } => {
            let bars = x.iter().zip(low.iter().zip(high));
            bars.filter_map(|(&x, (&l, &h))| Some((point(x, l)?, point(x, h)?)))
                .any(|(a, b)| crosses(a, b, room))
        }
        Shape::Intervals { y, low, high } => {
            let bars = y.iter().zip(low.iter().zip(high));
            bars.filter_map(|(&y, (&l, &h))| Some((point(l, y)?, point(h, y)?)))
                .any(|(a, b)| crosses(a, b, room))
        }
        Shape::Bars { edges, heights } => edges.windows(2).zip(heights).any(|(pair, &height)| {
            let corners = (area.across(pair[0]), area.across(pair[1]), area.up(height));
            match corners {
                (Some(left), Some(right), Some(top)) if height > 0.0 => {
                    overlap((left, top, right, area.height), room)
                }
                _ => false,
            }
        }),
        Shape::Blocks { rectangles } => rectangles
            .iter()
            .filter_map(|r| Some((point(r[0], r[3])?, point(r[1], r[2])?)))
            .any(|(a, b)| overlap((a.0, a.1.min(b.1), b.0, b.1.max(a.1)), room)),
        Shape::Spans { .. } | Shape::Level { .. } | Shape::Moment { .. } => false,
    }
}

/// Consecutive points without a gap between them.
fn pairs(
    points: impl Iterator<Item = Option<(f64, f64)>>,
) -> impl Iterator<Item = ((f64, f64), (f64, f64))> {
    let mut last = None;
    points.filter_map(move |point| {
        let before = std::mem::replace(&mut last, point);
        Some((before?, point?))
    })
}

fn overlap(a: Box4, b: Box4) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

/// Whether a segment meets a rectangle (Liang and Barsky 1984).
fn crosses(a: (f64, f64), b: (f64, f64), room: Box4) -> bool {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (mut start, mut end) = (0.0f64, 1.0f64);
    let sides = [
        (-dx, a.0 - room.0),
        (dx, room.2 - a.0),
        (-dy, a.1 - room.1),
        (dy, room.3 - a.1),
    ];
    for (slope, distance) in sides {
        if slope == 0.0 {
            if distance < 0.0 {
                return false;
            }
            continue;
        }
        let at = distance / slope;
        if slope < 0.0 {
            start = start.max(at);
        } else {
            end = end.min(at);
        }
    }
    start <= end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_meet_rectangles_where_they_should() {
        let room = (10.0, 10.0, 20.0, 20.0);
        assert!(crosses((0.0, 0.0), (30.0, 30.0), room));
        assert!(crosses((12.0, 12.0), (13.0, 13.0), room));
        assert!(crosses((0.0, 15.0), (30.0, 15.0), room));
        assert!(!crosses((0.0, 25.0), (30.0, 25.0), room));
        assert!(!crosses((0.0, 12.0), (12.0, 0.0), room));
        assert!(!crosses((25.0, 0.0), (25.0, 30.0), room));
    }
}
