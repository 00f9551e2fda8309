//! Bytes as an event table, as a table of individuals, as a regimen and as sampling times, under a
//! shipped model and under one whose inputs have a lag, a modelled rate and a modelled duration.
#![no_main]

mod findings;

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use posology_cohort::{Cohort, Dataset, Regimen, sampling_times};
use posology_model::Model;
use posology_model::model::Origin;

const MODELS: [&str; 2] = [
    include_str!("../../../configs/models/docetaxel-neutropenia.toml"),
    include_str!("../../../crates/cohort/tests/pk.toml"),
];

thread_local! {
    static PARSED: OnceCell<Vec<Model>> = const { OnceCell::new() };
}

fuzz_target!(|bytes: &[u8]| {
    PARSED.with(|parsed| {
        let models = parsed.get_or_init(|| {
            let parse = |text: &&str| Model::parse("model.toml", text, None).expect("a good model");
            MODELS.iter().map(parse).collect()
        });
        for model in models {
            event_table(bytes, model);
            individuals(bytes, model);
            if let Ok(text) = std::str::from_utf8(bytes) {
                dosing(text, model);
            }
        }
    });
});

fn event_table(bytes: &[u8], model: &Model) {
    let data = match Dataset::parse("fuzz.csv", bytes, model) {
        Err(found) => return findings::refused(&found),
        Ok(data) => data,
    };
    findings::warned(&data.warnings);
    match data.replay(model, None) {
        Err(found) => findings::refused(&found),
        Ok(replay) => {
            let records: usize = replay.records.iter().map(Vec::len).sum();
            assert!(records <= data.record_count());
            for timeline in &replay.timelines.timelines {
                let sorted = timeline
                    .events
                    .windows(2)
                    .all(|pair| pair[0].time <= pair[1].time);
                assert!(sorted && timeline.events.iter().all(|event| event.time.is_finite()));
                assert!(timeline.end.is_finite());
            }
            let n = data.record_count();
            let mut table = Vec::new();
            data.write_predictions(&mut table, &vec![1.0; n], &vec!["completed"; n])
                .expect("written to memory");
        }
    }
}

fn individuals(bytes: &[u8], model: &Model) {
    match Cohort::parse_csv(model, "fuzz.csv", bytes) {
        Err(found) => findings::refused(&found),
        Ok(cohort) => {
            let finite =
                |row: &Vec<f64>| row.len() == cohort.len() && row.iter().all(|v| v.is_finite());
            assert!(cohort.slots.iter().all(finite));
        }
    }
}

fn dosing(text: &str, model: &Model) {
    let origin = Origin::whole("regimen", text);
    match Regimen::parse(model, text, &origin) {
        Err(found) => findings::refused(&found),
        Ok(regimen) => match regimen.timelines(model, &Cohort::typical(model, 2), 500.0, &origin) {
            Err(found) => findings::refused(&found),
            Ok(timelines) => {
                let events = timelines
                    .timelines
                    .iter()
                    .flat_map(|timeline| &timeline.events);
                assert!(events.into_iter().all(|event| event.time.is_finite()));
            }
        },
    }
    match sampling_times(model, text, &origin, 500.0) {
        Err(found) => findings::refused(&found),
        Ok(times) => assert!(times.windows(2).all(|pair| pair[0] <= pair[1])),
    }
}
