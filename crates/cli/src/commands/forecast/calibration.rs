//! What forecasts learn from those whose outcome is known.

use std::fs;
use std::path::Path;

use posology_twin::calibration::Calibration;
use posology_twin::scores::Scored;
use rayon::prelude::*;
use serde_json::Value;

use super::{Outcome, first_records};
use crate::args::ForecastArgs;
use crate::commands::fit::study::Study;
use crate::error::{Class, Failure};

/// Per observable; none where there was nothing to learn from.
type Calibrations = Vec<Option<Calibration>>;

/// What an earlier forecast with `--calibrate` found, from its `summary.json`.
///
/// # Errors
/// Class input/output; class data where there is none or it is of another model or level.
pub fn read(dir: &Path, study: &Study, level: f64) -> Result<Calibrations, Failure> {
    let path = dir.join("summary.json");
    let bytes = fs::read(&path).map_err(|error| Failure::io("read", &path, &error))?;
    let wrong = |why: &str| {
        Failure::new(Class::Data, format!("{}: {why}", path.display())).help(
            "--calibration names the folder that `posology forecast --calibrate --out` wrote for \
             this model",
        )
    };
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
    let model = &study.scenario.model;
    if value["model"] != model.name {
        return Err(wrong("a forecast of another model"));
    }
    if value["level"] != level {
        return Err(wrong("intervals of another --level"));
    }
    let list = value["calibration"].as_array();
    let list = list.filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| wrong("a forecast without --calibrate"))?;
    let of = |name: &str| {
        let own = list.iter().find(|entry| entry["observable"] == name);
        own.map(|entry| serde_json::from_value(entry["learned"].clone()))
            .transpose()
            .map_err(|error| wrong(&error.to_string()))
    };
    model.observables.iter().map(|o| of(&o.name)).collect()
}

impl Outcome {
    /// Learn for each patient from all others, and use it; remember what all together teach. The
    /// others' forecasts were cross-validated, so none of them knew its own outcome.
    pub fn learn(&mut self, study: &Study, args: &ForecastArgs) {
        let scored = self.scored(study, args);
        let learn = |without: Option<usize>| -> Calibrations {
            let one = |o: usize| {
                let own = scored.iter().filter(|s| s.observable == o);
                let others = own.filter(|s| Some(s.subject) != without);
                let others: Vec<Scored> = others.copied().collect();
                Calibration::learn(&others, &study.start.error(o), args.level)
            };
            (0..study.scenario.model.observables.len())
                .map(one)
                .collect()
        };
        let patients = 0..study.names.len();
        let each: Vec<Calibrations> = patients.into_par_iter().map(|s| learn(Some(s))).collect();
        self.calibrations = learn(None);
        self.calibrate(study, |s| &each[s]);
    }

    /// Change the forecasts of records behind each patient's last visible observation.
    pub fn calibrate<'a>(&mut self, study: &Study, of: impl Fn(usize) -> &'a Calibrations) {
        let first = first_records(study);
        for (s, forecasts) in self.forecasts.iter_mut().enumerate() {
            for (o, calibration) in of(s).iter().enumerate() {
                let mut own = self.visible.observations.iter();
                let last = own.rfind(|x| x.subject == s && x.observable == o);
                let (Some(calibration), Some(last)) = (calibration, last) else {
                    continue;
                };
                let error = study.start.error(o);
                let later = last.record - first[s] + 1;
                let kinds = &self.records.observables[s];
                for (r, forecast) in forecasts.iter_mut().enumerate().skip(later) {
                    if kinds[r] == o {
                        let carried = Some(last.seen.number());
                        *forecast = calibration.apply(*forecast, carried, &error);
                    }
                }
            }
        }
    }
}
