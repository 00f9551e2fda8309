//! PSA by PCWG3.

use posology_trial::clinical::marker::{Decline, Met, Rise, best_change, decline, nadir, rise};
use posology_trial::clinical::{Series, TimeToEvent};
use proptest::prelude::*;

use super::{Columns, columns};

/// Days and ng/mL.
const PSA50: Decline = Decline::psa50(1.0);
const PCWG3: Rise = Rise::pcwg3(1.0, 1.0);

/// Visits in weeks, values in ng/mL, all measured.
fn weekly(values: &[(f64, f64)]) -> Columns {
    (
        values.iter().map(|v| 7.0 * v.0).collect(),
        values.iter().map(|v| v.1).collect(),
        vec![true; values.len()],
    )
}

fn series(columns: &Columns) -> Series<'_> {
    Series::new(&columns.0, &columns.1, &columns.2).unwrap()
}

/// Weeks of the first value and of the confirming one.
fn met(first: f64, known: f64) -> Option<Met> {
    Some(Met {
        first: 7.0 * first,
        known: 7.0 * known,
    })
}

#[test]
fn psa50_by_hand() {
    let cases = [
        // exactly 50 %, confirmed exactly 3 weeks later
        (vec![(0.0, 20.0), (3.0, 10.0), (6.0, 9.0)], met(3.0, 6.0)),
        // 49 % is not enough
        (vec![(0.0, 20.0), (3.0, 10.2), (6.0, 10.2)], None),
        // the confirming value is above again
        (vec![(0.0, 20.0), (3.0, 9.0), (6.0, 11.0)], None),
        // then confirmed later, from the second fall on
        (
            vec![
                (0.0, 20.0),
                (3.0, 9.0),
                (6.0, 11.0),
                (9.0, 8.0),
                (12.0, 8.0),
            ],
            met(9.0, 12.0),
        ),
        // two weeks are too early to confirm, four are not
        (
            vec![(0.0, 20.0), (3.0, 9.0), (5.0, 9.0), (7.0, 9.5)],
            met(3.0, 7.0),
        ),
        // a value above in between breaks the series
        (vec![(0.0, 20.0), (3.0, 9.0), (5.0, 12.0), (7.0, 9.5)], None),
        // never confirmed
        (vec![(0.0, 20.0), (3.0, 9.0)], None),
        // nothing to compare with
        (vec![(0.0, f64::NAN), (3.0, 9.0), (6.0, 9.0)], None),
        (vec![(0.0, 0.0), (3.0, 0.0), (6.0, 0.0)], None),
    ];
    for (values, expected) in cases {
        let columns = weekly(&values);
        assert_eq!(decline(&series(&columns), &PSA50), expected, "{values:?}");
    }
    let interrupted = weekly(&[(0.0, 20.0), (3.0, 9.0), (5.0, 12.0), (7.0, 9.5)]);
    let lenient = Decline {
        sustained: false,
        ..PSA50
    };
    assert_eq!(decline(&series(&interrupted), &lenient), met(3.0, 7.0));
    let single = Decline {
        confirm: 0.0,
        ..PSA50
    };
    assert_eq!(decline(&series(&interrupted), &single), met(3.0, 3.0));
}

#[test]
fn psa_progression_by_hand() {
    let event = |week: f64| TimeToEvent::event(7.0 * week);
    let censored = |week: f64| TimeToEvent::censored(7.0 * week);
    let cases = [
        // nadir 8 at week 6; 10 is 25 % and 2 above it, confirmed 3 weeks later
        (
            vec![
                (0.0, 20.0),
                (3.0, 12.0),
                (6.0, 8.0),
                (9.0, 10.0),
                (12.0, 11.0),
            ],
            event(9.0),
        ),
        // 25 %, but less than 2 ng/mL
        (
            vec![(0.0, 8.0), (3.0, 4.0), (6.0, 5.9), (9.0, 5.9)],
            censored(9.0),
        ),
        // 2 ng/mL, but less than 25 %
        (
            vec![(0.0, 80.0), (3.0, 40.0), (6.0, 49.0), (9.0, 49.0)],
            censored(9.0),
        ),
        // not confirmed: the next value is lower; the rise after it is
        (
            vec![
                (0.0, 20.0),
                (3.0, 8.0),
                (6.0, 11.0),
                (9.0, 9.0),
                (12.0, 11.0),
                (15.0, 12.0),
            ],
            event(12.0),
        ),
        // the last value has nothing to confirm it
        (vec![(0.0, 20.0), (3.0, 8.0), (6.0, 11.0)], censored(6.0)),
        // never fell: rises count from week 12 only, measured from baseline
        (
            vec![(0.0, 20.0), (3.0, 30.0), (6.0, 40.0), (9.0, 50.0)],
            censored(9.0),
        ),
        (
            vec![
                (0.0, 20.0),
                (3.0, 30.0),
                (6.0, 40.0),
                (12.0, 50.0),
                (15.0, 50.0),
            ],
            event(12.0),
        ),
        // an early flare, then a fall below baseline, then a rise from the nadir before week 12
        (
            vec![
                (0.0, 20.0),
                (2.0, 30.0),
                (5.0, 10.0),
                (8.0, 13.0),
                (11.0, 13.0),
            ],
            event(8.0),
        ),
        // no baseline: nothing is known after it
        (
            vec![(0.0, f64::NAN), (3.0, 1.0), (15.0, 50.0), (18.0, 50.0)],
            censored(18.0),
        ),
    ];
    for (values, expected) in cases {
        let columns = weekly(&values);
        let (found, known) = rise(&series(&columns), &PCWG3);
        assert_eq!(found, expected, "{values:?}");
        assert_eq!(known.is_some(), expected.event);
    }
}

#[test]
fn largest_change_and_nadir() {
    let columns = weekly(&[(0.0, 20.0), (3.0, 12.0), (6.0, 5.0), (9.0, 5.0)]);
    let best = best_change(&series(&columns)).unwrap();
    assert_eq!((best.change, best.time), (-0.75, 42.0));
    assert_eq!(nadir(&series(&columns)), Some((42.0, 5.0)));
    // whoever only rises has the smallest rise as best change, and the nadir at baseline
    let columns = weekly(&[(0.0, 20.0), (3.0, 30.0), (6.0, 25.0)]);
    assert_eq!(best_change(&series(&columns)).unwrap().change, 0.25);
    assert_eq!(nadir(&series(&columns)), Some((0.0, 20.0)));
    let alone = weekly(&[(0.0, 20.0)]);
    assert_eq!(best_change(&series(&alone)), None);
}

#[test]
fn a_series_can_be_cut_off() {
    let columns = weekly(&[(0.0, 20.0), (3.0, 12.0), (6.0, 5.0)]);
    assert_eq!(series(&columns).until(21.0).times(), [0.0, 21.0]);
    assert_eq!(series(&columns).until(-1.0).times(), [0.0]);
    assert_eq!(series(&columns).until(30.0).last_measured(), 21.0);
}

proptest! {
    #[test]
    fn falls_do_not_depend_on_the_unit(columns in columns(50.0), power in -8i32..8) {
        let factor = 2f64.powi(power);
        let scaled =
            (columns.0.clone(), columns.1.iter().map(|v| v * factor).collect(), columns.2.clone());
        prop_assert_eq!(decline(&series(&columns), &PSA50), decline(&series(&scaled), &PSA50));
        let other = Rise::pcwg3(factor, 1.0);
        prop_assert_eq!(rise(&series(&columns), &PCWG3), rise(&series(&scaled), &other));
    }

    #[test]
    fn stricter_rules_are_met_later_or_never(columns in columns(50.0), by in 0.1..0.9f64) {
        let series = series(&columns);
        let rule = Decline { by, ..PSA50 };
        let at = |rule: Decline| decline(&series, &rule).map_or(f64::INFINITY, |met| met.first);
        let strict = at(rule);
        let less = at(Decline { by: by / 2.0, ..rule });
        let interrupted = at(Decline { sustained: false, ..rule });
        let unconfirmed = at(Decline { confirm: 0.0, ..rule });
        prop_assert!(less <= strict && interrupted <= strict && unconfirmed <= interrupted);
        if let Some(met) = decline(&series, &rule) {
            prop_assert!(met.known - met.first >= 21.0 - 1e-3);
        }
    }

    #[test]
    fn a_rise_comes_after_the_nadir_it_is_measured_from(columns in columns(50.0)) {
        let series = series(&columns);
        let (progression, known) = rise(&series, &PCWG3);
        if let Some(known) = known {
            prop_assert!(known >= progression.time + 21.0 - 1e-3);
            let before = series.measured().take_while(|m| m.1 < progression.time);
            let nadir = before.map(|m| m.2).fold(f64::INFINITY, f64::min);
            let value = series.measured().find(|m| m.1 == progression.time).unwrap().2;
            prop_assert!(value >= 1.25 * nadir * (1.0 - 1e-8) && value - nadir >= 2.0 - 1e-6);
            prop_assert!(nadir < columns.1[0] || progression.time >= 84.0 - 1e-3);
        } else {
            prop_assert_eq!(progression, TimeToEvent::censored(series.last_measured()));
        }
    }
}
