//! A model file. What is accepted is also used: its patients, its graph, its units.
#![no_main]

mod findings;

use libfuzzer_sys::fuzz_target;
use posology_model::Model;
use posology_model::model::Origin;

fuzz_target!(|text: &str| {
    match Model::parse("fuzz.toml", text, None) {
        Err(found) => findings::refused(&found),
        Ok(mut model) => {
            findings::warned(&model.warnings);
            let typical = model.typical_slots();
            assert_eq!(typical.len(), model.slot_count());
            assert!(typical.iter().all(|value| value.is_finite()), "{typical:?}");
            for slot in 0..model.slot_count() {
                let unit = model.slot_unit(slot);
                assert!(model.units.scale(unit) > 0.0, "{}", model.slot_name(slot));
            }
            assert!(!model.states.is_empty());
            // every state can be named in a later text
            let name = model.states[0].name.clone();
            let origin = Origin::whole("later", &name);
            assert!(model.expression(&name, &origin).is_ok(), "{name}");
        }
    }
});
