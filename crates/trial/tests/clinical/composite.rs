//! Composites and ends of observation.

use posology_trial::clinical::TimeToEvent;
use posology_trial::clinical::composite::{
    Component, EndReason, competing, earliest, first_crossing, observation, progression_free,
    response_duration,
};
use proptest::prelude::*;

const fn event(time: f64) -> TimeToEvent {
    TimeToEvent::event(time)
}

const fn censored(time: f64) -> TimeToEvent {
    TimeToEvent::censored(time)
}

#[test]
fn progression_free_survival_by_hand() {
    // progression, death, PFS, cause
    let cases = [
        (event(50.0), event(90.0), event(50.0), 1),
        (event(50.0), censored(90.0), event(50.0), 1),
        // died without progression, some time after the last scan
        (censored(80.0), event(90.0), event(90.0), 2),
        // alive without progression: known until the last scan only
        (censored(80.0), censored(90.0), censored(80.0), 0),
        // both on one day: progression is listed first
        (event(50.0), event(50.0), event(50.0), 1),
        // an event on the day observation ends is seen, one after it is not
        (event(90.0), censored(90.0), event(90.0), 1),
        (event(91.0), censored(90.0), censored(90.0), 0),
    ];
    for (progression, death, expected, code) in cases {
        let first = progression_free(progression, death);
        assert_eq!((first.outcome(), first.code()), (expected, code));
    }
}

#[test]
fn response_lasts_until_progression_or_death() {
    assert_eq!(
        response_duration(Some(20.0), censored(80.0), event(90.0)),
        Some(event(70.0))
    );
    assert_eq!(
        response_duration(Some(20.0), censored(80.0), censored(90.0)),
        Some(censored(60.0))
    );
    assert_eq!(response_duration(None, event(80.0), event(90.0)), None);
}

#[test]
fn competing_causes_are_coded_from_one() {
    let end = 100.0;
    assert_eq!(competing(&[event(30.0), event(20.0)], end).code(), 2);
    assert_eq!(competing(&[event(30.0), event(30.0)], end).code(), 1);
    let late = competing(&[event(130.0), censored(140.0)], end);
    assert_eq!((late.outcome(), late.code()), (censored(100.0), 0));
    // who left at 25 cannot have had the event at 30
    let left = competing(&[event(30.0), censored(25.0)], end);
    assert_eq!((left.outcome(), left.code()), (censored(25.0), 0));
    assert_eq!(competing(&[], end).outcome(), censored(100.0));
}

#[test]
fn observation_ends_by_dropout_or_cutoff() {
    assert_eq!(observation(50.0, 10.0, 100.0), (50.0, EndReason::Dropout));
    assert_eq!(observation(95.0, 10.0, 100.0), (90.0, EndReason::Cutoff));
    let never = f64::INFINITY;
    assert_eq!(observation(never, 10.0, 100.0), (90.0, EndReason::Cutoff));
    assert_eq!(observation(5.0, 120.0, 100.0), (0.0, EndReason::Cutoff));
    assert_eq!(TimeToEvent::seen_until(never, 90.0), censored(90.0));
    assert_eq!(TimeToEvent::seen_until(f64::NAN, 90.0), censored(90.0));
    assert_eq!(TimeToEvent::seen_until(90.0, 90.0), event(90.0));
    assert_eq!(event(80.0).until(70.0), censored(70.0));
    assert_eq!(censored(60.0).until(70.0), censored(60.0));
}

#[test]
fn a_hazard_strikes_where_it_adds_up() {
    let (times, hazard) = ([0.0, 10.0, 20.0], [0.0, 0.5, 0.5]);
    assert_eq!(first_crossing(&times, &hazard, 0.25), Some(5.0));
    assert_eq!(first_crossing(&times, &hazard, 0.5), Some(10.0));
    assert_eq!(first_crossing(&times, &hazard, 0.6), None);
    assert_eq!(first_crossing(&[], &[], 0.1), None);
    assert_eq!(first_crossing(&[3.0], &[1.0], 0.1), Some(3.0));
}

fn component() -> impl Strategy<Value = Component> {
    // whole numbers, so that ties happen
    (0u32..20, prop::bool::ANY, prop::bool::ANY).prop_map(|(time, event, ends_observation)| {
        Component {
            outcome: TimeToEvent {
                time: f64::from(time),
                event,
            },
            ends_observation,
        }
    })
}

proptest! {
    #[test]
    fn the_order_of_the_list_changes_no_time(
        components in prop::collection::vec(component(), 0..6),
        end in 0u32..25,
    ) {
        let end = f64::from(end);
        let forward = earliest(&components, end);
        let mut turned = components.clone();
        turned.reverse();
        prop_assert_eq!(forward.outcome(), earliest(&turned, end).outcome());
        prop_assert!(forward.time <= end);
        for (c, outcome) in components.iter().map(|c| (c, c.outcome)) {
            // nothing earlier was overlooked, and nobody was followed beyond the end
            let later = outcome.time >= forward.time;
            prop_assert!(!outcome.event || later);
            prop_assert!(outcome.event || !c.ends_observation || later);
        }
        if let Some(cause) = forward.cause {
            prop_assert_eq!(components[cause].outcome, event(forward.time));
        }
    }
}
