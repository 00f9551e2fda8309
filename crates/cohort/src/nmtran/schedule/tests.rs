//! Timelines worked out by hand, one for each kind of record.

use super::*;

const BOLUS: Given = Given {
    input: 0,
    shape: Shape::Bolus { amount: 100.0 },
    lag: 0.0,
    steady: Steady::No,
    interval: 0.0,
    additional: 0,
    constant_period: 168.0,
};
const INFUSION: Shape = Shape::Infusion {
    rate: 10.0,
    duration: 10.0,
};

/// `12 +10` rate change, `12 100` bolus, `12 record`, `12 reset`, `12 ss...`
fn shown(events: &[Event]) -> Vec<String> {
    let action = |action: &Action| match action {
        Action::Bolus { amount, .. } => format!("{}", amount.value),
        Action::Rate { change, .. } => format!("{:+}", change.value),
        Action::Reset => "reset".into(),
        Action::Record => "record".into(),
        Action::SetSlot { slot, value } => format!("slot{slot}={value}"),
        Action::Rule => "rule".into(),
        Action::Observe { number } => format!("observe{number}"),
        Action::SteadyState { superpose, .. } => format!("ss{}", if *superpose { 2 } else { 1 }),
    };
    events
        .iter()
        .map(|event| format!("{} {}", event.time, action(&event.action)))
        .collect()
}

fn run(records: &[(f64, Option<Given>)]) -> Vec<String> {
    let mut scheduler = Scheduler::new(0.0);
    for (time, given) in records {
        scheduler.advance(*time).expect("few events");
        if let Some(given) = given {
            scheduler.dose(*time, *given).expect("few events");
        }
        scheduler.record(*time).expect("few events");
    }
    shown(&scheduler.finish(0.0).events)
}

#[test]
fn a_bolus_enters_before_its_own_record_and_after_earlier_ones() {
    assert_eq!(
        run(&[(0.0, None), (0.0, Some(BOLUS)), (0.0, None)]),
        ["0 record", "0 100", "0 record", "0 record"]
    );
}

#[test]
fn additional_doses_come_before_records_of_their_time_and_stop_with_the_data() {
    let given = Given {
        additional: 5,
        interval: 12.0,
        ..BOLUS
    };
    assert_eq!(
        run(&[(1.0, Some(given)), (13.0, None), (30.0, None)]),
        [
            "1 100",
            "1 record",
            "13 100",
            "13 record",
            "25 100",
            "30 record"
        ]
    );
}

#[test]
fn a_lag_delays_every_dose_of_the_record() {
    let given = Given {
        additional: 1,
        interval: 12.0,
        lag: 2.5,
        ..BOLUS
    };
    assert_eq!(
        run(&[(0.0, Some(given)), (2.5, None), (20.0, None)]),
        ["0 record", "2.5 100", "2.5 record", "14.5 100", "20 record"]
    );
}

#[test]
fn an_infusion_may_outlast_its_interval() {
    let given = Given {
        shape: INFUSION,
        additional: 2,
        interval: 6.0,
        ..BOLUS
    };
    assert_eq!(
        run(&[(0.0, Some(given)), (30.0, None)]),
        [
            "0 +10",
            "0 record",
            "6 +10",
            "10 -10",
            "12 +10",
            "16 -10",
            "22 -10",
            "30 record"
        ]
    );
}

#[test]
fn a_reset_cancels_what_is_pending() {
    let mut scheduler = Scheduler::new(0.0);
    let given = Given {
        shape: INFUSION,
        additional: 9,
        interval: 6.0,
        lag: 1.0,
        ..BOLUS
    };
    scheduler.dose(0.0, given).expect("few");
    scheduler.advance(8.0).expect("few");
    scheduler.reset(8.0).expect("few");
    scheduler.dose(8.0, BOLUS).expect("few");
    scheduler.advance(100.0).expect("few");
    scheduler.record(100.0).expect("few");
    assert_eq!(
        shown(&scheduler.finish(100.0).events),
        ["1 +10", "7 +10", "8 reset", "8 100", "100 record"]
    );
}

fn cycle(given: &Given) -> (Vec<(f64, f64)>, f64) {
    let (cycle, period) = cycle_of(given);
    let size = |actions: &[Action]| {
        actions
            .iter()
            .map(|action| match action {
                Action::Bolus { amount, .. } => amount.value,
                Action::Rate { change, .. } => change.value,
                _ => f64::NAN,
            })
            .sum()
    };
    (
        cycle
            .iter()
            .map(|(offset, actions)| (*offset, size(actions)))
            .collect(),
        period,
    )
}

#[test]
fn steady_state_of_a_bolus() {
    let given = Given {
        steady: Steady::Replace,
        interval: 12.0,
        additional: 1,
        ..BOLUS
    };
    assert_eq!(cycle(&given), (vec![(0.0, 100.0)], 12.0));
    assert_eq!(
        run(&[(0.0, Some(given)), (12.0, None)]),
        ["0 ss1", "0 100", "0 record", "12 100", "12 record"]
    );
}

#[test]
fn steady_state_with_a_lag_is_late_in_the_cycle() {
    let given = Given {
        steady: Steady::Replace,
        interval: 12.0,
        lag: 5.0,
        additional: 1,
        ..BOLUS
    };
    assert_eq!(cycle(&given), (vec![(5.0, 100.0)], 12.0));
    assert_eq!(
        run(&[(0.0, Some(given)), (24.0, None)]),
        ["0 ss1", "0 record", "5 100", "17 100", "24 record"]
    );
    // a lag of more than an interval: the implied dose of 12 h ago is still to come, at 3 h
    let given = Given { lag: 15.0, ..given };
    assert_eq!(cycle(&given), (vec![(3.0, 100.0)], 12.0));
    assert_eq!(
        run(&[(0.0, Some(given)), (30.0, None)]),
        [
            "0 ss1",
            "0 record",
            "3 100",
            "15 100",
            "27 100",
            "30 record"
        ]
    );
}

#[test]
fn steady_state_of_infusions_that_overlap() {
    // 25 h every 12 h: implied doses of 12 h and 24 h ago run until 13 h and 1 h
    let shape = Shape::Infusion {
        rate: 4.0,
        duration: 25.0,
    };
    let given = Given {
        shape,
        steady: Steady::Replace,
        interval: 12.0,
        ..BOLUS
    };
    assert_eq!(
        cycle(&given),
        (vec![(0.0, 12.0), (1.0, -4.0), (12.0, -8.0)], 12.0)
    );
    assert_eq!(
        run(&[(0.0, Some(given)), (40.0, None)]),
        [
            "0 ss1",
            "0 +4",
            "0 +4",
            "0 +4",
            "0 record",
            "1 -4",
            "13 -4",
            "25 -4",
            "40 record"
        ]
    );
    // an infusion that fills its interval: constant input
    let shape = Shape::Infusion {
        rate: 4.0,
        duration: 12.0,
    };
    assert_eq!(
        cycle(&Given { shape, ..given }),
        (vec![(0.0, 4.0), (12.0, -4.0)], 12.0)
    );
    // two intervals long: always two at once
    let shape = Shape::Infusion {
        rate: 4.0,
        duration: 24.0,
    };
    let double = Given { shape, ..given };
    assert_eq!(cycle(&double), (vec![(0.0, 8.0), (12.0, -8.0)], 12.0));
    assert_eq!(
        run(&[(0.0, Some(double)), (40.0, None)]),
        [
            "0 ss1",
            "0 +4",
            "0 +4",
            "0 record",
            "12 -4",
            "24 -4",
            "40 record"
        ]
    );
}

#[test]
fn steady_state_of_a_lagged_infusion_over_the_record() {
    // enters 10 h late and lasts 5 h: the implied dose of 12 h ago began 2 h ago, ends in 3 h
    let shape = Shape::Infusion {
        rate: 4.0,
        duration: 5.0,
    };
    let given = Given {
        shape,
        lag: 10.0,
        steady: Steady::Replace,
        interval: 12.0,
        ..BOLUS
    };
    assert_eq!(
        cycle(&given),
        (
            vec![(0.0, 4.0), (3.0, -4.0), (10.0, 4.0), (12.0, -4.0)],
            12.0
        )
    );
    assert_eq!(
        run(&[(0.0, Some(given)), (40.0, None)]),
        [
            "0 ss1",
            "0 +4",
            "0 record",
            "3 -4",
            "10 +4",
            "15 -4",
            "40 record"
        ]
    );
}

#[test]
fn a_constant_infusion_at_steady_state_stops_at_its_record() {
    let given = Given {
        shape: Shape::Constant { rate: 4.0 },
        steady: Steady::Replace,
        ..BOLUS
    };
    assert_eq!(cycle(&given), (vec![(0.0, 4.0), (168.0, -4.0)], 168.0));
    assert_eq!(
        run(&[(0.0, Some(given)), (1.0, None)]),
        ["0 ss1", "0 record", "1 record"]
    );
}

#[test]
fn steady_state_replaces_or_adds() {
    let infusion = Given {
        shape: INFUSION,
        additional: 3,
        interval: 24.0,
        ..BOLUS
    };
    let steady = Given {
        steady: Steady::Replace,
        interval: 12.0,
        ..BOLUS
    };
    // SS = 1 cancels the running infusion's stop and the additional doses, SS = 2 does not
    assert_eq!(
        run(&[(0.0, Some(infusion)), (5.0, Some(steady)), (30.0, None)]),
        [
            "0 +10",
            "0 record",
            "5 ss1",
            "5 100",
            "5 record",
            "30 record"
        ]
    );
    let added = Given {
        steady: Steady::Superpose,
        ..steady
    };
    assert_eq!(
        run(&[(0.0, Some(infusion)), (5.0, Some(added)), (30.0, None)]),
        [
            "0 +10",
            "0 record",
            "5 ss2",
            "5 100",
            "5 record",
            "10 -10",
            "24 +10",
            "30 record"
        ]
    );
}

#[test]
fn endless_expansions_are_stopped() {
    let given = Given {
        additional: u32::MAX,
        interval: 1e-6,
        ..BOLUS
    };
    let mut scheduler = Scheduler::new(0.0);
    scheduler.dose(0.0, given).expect("first");
    assert_eq!(scheduler.advance(100.0), Err(TooManyEvents));
}

proptest::proptest! {
    /// What a cycle switches on it switches off, in order, within its period.
    #[test]
    fn cycles_are_balanced(lag in 0.0..100.0f64, duration in 0.01..100.0f64, interval in 0.5..50.0f64) {
        let shape = Shape::Infusion { rate: 1.0, duration };
        let given = Given { shape, lag, interval, steady: Steady::Replace, ..BOLUS };
        let (changes, period) = cycle(&given);
        proptest::prop_assert!(changes.iter().map(|c| c.1).sum::<f64>().abs() < 1e-9);
        proptest::prop_assert!(changes.windows(2).all(|pair| pair[0].0 < pair[1].0));
        proptest::prop_assert!(changes.iter().all(|c| (0.0..=period).contains(&c.0)));
        // the mean rate is the amount per interval
        let mut running = 0.0;
        let mut total = 0.0;
        for pair in changes.windows(2) {
            running += pair[0].1;
            proptest::prop_assert!(running >= 0.0);
            total += running * (pair[1].0 - pair[0].0);
        }
        proptest::prop_assert!((total - duration).abs() < 1e-6 * duration.max(1.0));
    }
}
