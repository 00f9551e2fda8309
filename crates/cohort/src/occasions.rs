//! Inter-occasion variability as events.

use posology_model::diagnostic::{Diagnostic, Diagnostics};
use rayon::prelude::*;

use crate::event::{Action, Event, Timelines};
use crate::population::{Cohort, Sampler};

impl Timelines {
    /// Starts occasion `k` at `starts[k]` (model time units, ascending): parameters with
    /// inter-occasion variability take their values for it, before anything else at that time.
    /// Every patient then has a timeline of its own; without such parameters nothing changes.
    ///
    /// # Errors
    /// `D061` where draws do not meet a parameter's bounds.
    pub fn with_occasions(
        self,
        sampler: &Sampler<'_>,
        cohort: &Cohort,
        seed: u64,
        starts: &[f64],
    ) -> Result<Self, Diagnostics> {
        if !sampler.varies_between_occasions() {
            return Ok(self);
        }
        let patients = self.patients().min(cohort.len());
        let timelines = (0..patients)
            .into_par_iter()
            .map(|patient| {
                let individual = cohort.patient(patient);
                let mut timeline = self.timeline(patient).cloned().unwrap_or_default();
                let mut events = Vec::new();
                for (occasion, &time) in starts.iter().enumerate() {
                    let id = cohort.ids[patient];
                    let values = sampler.occasion(seed, id, &individual, occasion as u32)?;
                    let set = |(slot, value)| Event::new(time, Action::SetSlot { slot, value });
                    events.extend(values.into_iter().map(set));
                }
                // stable: what is listed later stays behind the new values of its time
                events.append(&mut timeline.events);
                events.sort_by(|a, b| a.time.total_cmp(&b.time));
                events.retain(|event| event.time <= timeline.end);
                timeline.events = events;
                Ok(timeline)
            })
            .collect::<Result<Vec<_>, Diagnostic>>()?;
        let of_patient = (0..patients as u32).collect();
        Ok(Self {
            of_patient,
            timelines,
            scales: self.scales,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Amount, Timeline};
    use crate::testing::model_with;

    #[test]
    fn occasions_set_parameters_before_the_dose() {
        let model = model_with(
            "CL = { value = 8, unit = \"L/h\", source = \"x\", iov = { cv = 0.3 } }",
            "",
        );
        let sampler = Sampler::new(&model).expect("sampler");
        let cohort = Cohort::sample(&model, 3, 1, 0).expect("cohort");
        let amount = Amount::fixed(1.0);
        let dose = |time| Event::dose(time, Action::Bolus { input: 0, amount });
        let line = Timeline::new(vec![dose(0.0), dose(21.0)], 40.0);
        let lines = Timelines::shared(3, line)
            .with_occasions(&sampler, &cohort, 1, &[0.0, 21.0, 42.0])
            .expect("occasions");
        let values: Vec<f64> = (0..3)
            .flat_map(|patient| lines.timeline(patient).expect("patient").events.clone())
            .filter_map(|event| match event.action {
                Action::SetSlot { value, .. } => Some(value),
                _ => None,
            })
            .collect();
        assert_eq!(values.len(), 6);
        assert!(values.windows(2).all(|pair| pair[0] != pair[1]));
        let first = &lines.timelines[1].events;
        assert!(matches!(first[0].action, Action::SetSlot { .. }) && first[1].dose);
        assert!(matches!(first[2].action, Action::SetSlot { .. }) && first[3].dose);
    }
}
