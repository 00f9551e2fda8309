//! Building and reshaping [`Timelines`].

use crate::event::{Action, Amount, Event, Repeat, Timeline, Timelines};

impl Timeline {
    /// A timeline from 0 to `end`; events are put in order (stable at equal times).
    pub fn new(mut events: Vec<Event>, end: f64) -> Self {
        events.sort_by(|a, b| a.time.total_cmp(&b.time));
        Self {
            events,
            start: 0.0,
            end,
            repeat: None,
        }
    }

    /// Number of listed [`Action::Record`] events: rows of output per observable.
    pub fn record_count(&self) -> usize {
        self.events
            .iter()
            .filter(|event| event.action == Action::Record)
            .count()
    }

    /// Adds events at `times` (ascending), each before what is already listed at its time.
    fn merge_before(&mut self, times: &[f64], action: &Action) {
        let mut merged = Vec::with_capacity(self.events.len() + times.len());
        let mut listed = std::mem::take(&mut self.events).into_iter().peekable();
        for &time in times {
            while let Some(event) = listed.next_if(|event| event.time < time) {
                merged.push(event);
            }
            merged.push(Event::new(time, action.clone()));
        }
        merged.extend(listed);
        self.events = merged;
    }
}

impl Timelines {
    /// One timeline for every patient.
    pub fn shared(patients: usize, timeline: Timeline) -> Self {
        Self {
            of_patient: vec![0; patients],
            timelines: vec![timeline],
            scales: Vec::new(),
        }
    }

    /// Number of patients.
    pub fn patients(&self) -> usize {
        self.of_patient.len()
    }

    /// The timeline of a patient, if the patient exists.
    pub fn timeline(&self, patient: usize) -> Option<&Timeline> {
        self.timelines.get(*self.of_patient.get(patient)? as usize)
    }

    /// An amount for a patient, coherent units.
    pub fn amount(&self, patient: usize, amount: Amount) -> f64 {
        let factor = amount
            .scale
            .and_then(|scale| self.scales.get(scale)?.get(patient).copied());
        amount.value * factor.unwrap_or(1.0)
    }

    /// The latest end over all timelines, model time units.
    pub fn end(&self) -> f64 {
        self.timelines
            .iter()
            .map(|timeline| timeline.end)
            .fold(0.0, f64::max)
    }

    /// Records every patient at `times` (model time units). At the time of a dose the record
    /// comes first: it is the trough. Timelines that end earlier are extended to the last time.
    #[must_use]
    pub fn with_records(mut self, times: &[f64]) -> Self {
        let mut times: Vec<f64> = times
            .iter()
            .copied()
            .filter(|time| time.is_finite())
            .collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        for timeline in &mut self.timelines {
            timeline.merge_before(&times, &Action::Record);
            timeline.end = timeline
                .end
                .max(times.last().copied().unwrap_or(timeline.end));
        }
        self
    }

    /// Evaluates the decision rule of every patient at `from`, `from + every`, ... up to `until`.
    #[must_use]
    pub fn with_rule(mut self, every: f64, from: f64, until: f64) -> Self {
        for timeline in &mut self.timelines {
            timeline.repeat = Some(Repeat {
                every,
                actions: vec![Action::Rule],
                from,
                until,
            });
        }
        self
    }

    /// Ends every timeline at `end`: later events are dropped.
    #[must_use]
    pub fn with_end(mut self, end: f64) -> Self {
        for timeline in &mut self.timelines {
            timeline.events.retain(|event| event.time <= end);
            timeline.end = end;
            if let Some(repeat) = &mut timeline.repeat {
                repeat.until = repeat.until.min(end);
            }
        }
        self
    }

    /// The timelines of some patients, in the order asked for: a batch or a shard. Patients
    /// that do not exist are left out; timelines nobody uses any more are dropped.
    #[must_use]
    pub fn select(&self, patients: &[usize]) -> Self {
        let known: Vec<usize> = patients
            .iter()
            .copied()
            .filter(|&p| p < self.patients())
            .collect();
        let mut place: Vec<Option<u32>> = vec![None; self.timelines.len()];
        let mut out = Self::default();
        for &patient in &known {
            let old = self.of_patient[patient] as usize;
            let Some(slot) = place.get_mut(old) else {
                continue;
            };
            let new = *slot.get_or_insert_with(|| {
                out.timelines.push(self.timelines[old].clone());
                (out.timelines.len() - 1) as u32
            });
            out.of_patient.push(new);
        }
        out.scales = self
            .scales
            .iter()
            .map(|row| {
                known
                    .iter()
                    .map(|&p| row.get(p).copied().unwrap_or(1.0))
                    .collect()
            })
            .collect();
        out
    }

    /// Lets patients with equal events share one timeline.
    pub(crate) fn share_equal(mut self) -> Self {
        use std::collections::HashMap;
        let mut seen: HashMap<Vec<u64>, Vec<u32>> = HashMap::new();
        let mut kept: Vec<Timeline> = Vec::new();
        let mut new_index = Vec::with_capacity(self.timelines.len());
        for timeline in std::mem::take(&mut self.timelines) {
            // times and length tell most timelines apart; equality settles the rest
            let mut key = vec![timeline.start.to_bits(), timeline.end.to_bits()];
            key.extend(timeline.events.iter().map(|event| event.time.to_bits()));
            let candidates = seen.entry(key).or_default();
            let found = candidates
                .iter()
                .find(|&&i| kept[i as usize] == timeline)
                .copied();
            new_index.push(found.unwrap_or_else(|| {
                let index = kept.len() as u32;
                candidates.push(index);
                kept.push(timeline);
                index
            }));
        }
        self.timelines = kept;
        for index in &mut self.of_patient {
            *index = new_index[*index as usize];
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doses(times: &[f64]) -> Timeline {
        let bolus = |time| {
            Event::dose(
                time,
                Action::Bolus {
                    input: 0,
                    amount: Amount::fixed(1.0),
                },
            )
        };
        Timeline::new(times.iter().copied().map(bolus).collect(), 10.0)
    }

    #[test]
    fn records_come_before_a_dose_at_the_same_time() {
        let lines =
            Timelines::shared(2, doses(&[4.0, 0.0])).with_records(&[4.0, 0.0, 2.0, 12.0, 4.0]);
        let line = lines.timeline(1).expect("patient 1");
        let seen: Vec<(f64, bool)> = line
            .events
            .iter()
            .map(|e| (e.time, e.action == Action::Record))
            .collect();
        let expected = [
            (0.0, true),
            (0.0, false),
            (2.0, true),
            (4.0, true),
            (4.0, false),
            (12.0, true),
        ];
        assert_eq!(seen, expected);
        assert_eq!(line.end, 12.0);
        assert_eq!(line.record_count(), 4);
    }

    #[test]
    fn the_end_cuts_events_and_rules() {
        let lines = Timelines::shared(1, doses(&[0.0, 5.0, 9.0]))
            .with_rule(1.0, 0.0, 100.0)
            .with_end(5.0);
        let line = lines.timeline(0).expect("patient");
        assert_eq!(line.events.len(), 2);
        assert_eq!(
            line.repeat.as_ref().map(|r| (r.every, r.until)),
            Some((1.0, 5.0))
        );
        assert_eq!(lines.end(), 5.0);
    }

    #[test]
    fn selection_keeps_each_patients_own_events_and_scales() {
        let lines = Timelines {
            of_patient: vec![0, 1, 0, 2],
            timelines: vec![doses(&[0.0]), doses(&[1.0]), doses(&[2.0])],
            scales: vec![vec![10.0, 11.0, 12.0, 13.0]],
        };
        let part = lines.select(&[3, 0, 99]);
        assert_eq!(part.patients(), 2);
        assert_eq!(part.timelines.len(), 2);
        assert_eq!(part.timeline(0), lines.timeline(3));
        assert_eq!(part.timeline(1), lines.timeline(0));
        assert_eq!(
            part.amount(
                0,
                Amount {
                    value: 2.0,
                    scale: Some(0),
                    slot: None
                }
            ),
            26.0
        );
        assert_eq!(part.amount(0, Amount::fixed(2.0)), 2.0);
    }

    #[test]
    fn equal_timelines_are_shared() {
        let lines = Timelines {
            of_patient: vec![0, 1, 2],
            timelines: vec![doses(&[0.0]), doses(&[1.0]), doses(&[0.0])],
            scales: Vec::new(),
        };
        let shared = lines.clone().share_equal();
        assert_eq!(shared.of_patient, [0, 1, 0]);
        assert_eq!(shared.timelines.len(), 2);
        for patient in 0..3 {
            assert_eq!(shared.timeline(patient), lines.timeline(patient));
        }
    }
}
