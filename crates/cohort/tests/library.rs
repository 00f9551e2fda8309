//! Every shipped model: its scenario's regimen is one, and its population can be drawn.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use posology_cohort::{Cohort, Regimen};
use posology_model::model::Model;

#[test]
fn scenarios_and_populations_of_the_library() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/models");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("configs/models") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let model = Model::load(&path).unwrap_or_else(|found| panic!("{}", found.render(false)));
        let cohort = Cohort::sample(&model, 200, 1, 0)
            .unwrap_or_else(|found| panic!("{}: {}", model.name, found.render(false)));
        assert!(cohort.slots.iter().flatten().all(|value| value.is_finite()));
        seen += 1;
        let Some(scenario) = &model.scenario else {
            continue;
        };
        let (Some(text), Some(origin)) = (&scenario.regimen, &scenario.regimen_origin) else {
            continue;
        };
        let lines = Regimen::parse(&model, text, origin)
            .and_then(|regimen| regimen.timelines(&model, &cohort, scenario.duration, origin))
            .unwrap_or_else(|found| panic!("{}", found.render(false)));
        assert_eq!(lines.patients(), 200);
        assert!(
            !lines.timelines[0].events.is_empty(),
            "{} gives nothing",
            model.name
        );
    }
    assert!(seen > 0);
}
