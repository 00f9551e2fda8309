//! The values of the weights: of the file, or where training begins.

use std::collections::HashMap;

use super::super::Builder;
use super::plan::Planned;
use crate::correction::Network;
use crate::file;

/// What the kernel's f32 holds.
const LARGEST: f64 = 1e36;

impl Builder {
    /// Values in the order of [`Network::weight_names`].
    pub(super) fn weight_values(&mut self, planned: &Planned<'_>) -> Option<Vec<f64>> {
        match &planned.file.weights {
            Some(file) => self.weights_of_file(file, &planned.network),
            None => Some(planned.network.initial(planned.seed)),
        }
    }

    fn weights_of_file(&mut self, file: &file::Weights, network: &Network) -> Option<Vec<f64>> {
        let rows = file.rows.as_ref()?;
        let names = network.weight_names();
        let places = names.iter().enumerate();
        let places: HashMap<&str, usize> = places.map(|(k, name)| (name.as_str(), k)).collect();
        let mut values: Vec<Option<f64>> = vec![None; names.len()];
        let (mut strangers, mut sound) = (Vec::new(), true);
        for (name, number) in rows {
            let Some(&k) = places.get(name.value.as_str()) else {
                strangers.push(name);
                continue;
            };
            if number.value.abs() >= LARGEST {
                let message = format!("`{}` is beyond what the kernel holds, 1e36", name.value);
                self.report(number.place.error("M402", message));
                sound = false;
            }
            if values[k].replace(number.value).is_some() {
                let message = format!("`{}` has two values", name.value);
                self.report(name.error("M302", message));
                sound = false;
            }
        }
        let (first, last) = (names.first()?, names.last()?);
        let help = format!(
            "{} inputs, {} x {} units and {} outputs have {} weights, {first} to {last}: train \
             again, or restore the section that the weights belong to",
            network.inputs + network.latents,
            network.layers,
            network.width,
            network.outputs,
            names.len(),
        );
        let others = |count: usize| match count {
            0 | 1 => String::new(),
            n => format!(" and {} others", n - 1),
        };
        // a value given twice may be the missing one's
        if !sound && strangers.is_empty() {
            return None;
        }
        let missing = values.iter().filter(|value| value.is_none()).count();
        let gap = values.iter().position(Option::is_none);
        let finding = match (strangers.first(), gap.and_then(|k| names.get(k))) {
            (Some(stranger), _) => {
                let more = others(strangers.len());
                let message = format!("no weight of this correction: `{}`{more}", stranger.value);
                stranger.error("M316", message)
            }
            (None, Some(name)) => {
                let more = others(missing);
                let message = format!("`{}` has no value for `{name}`{more}", file.file.value);
                file.file.error("M316", message)
            }
            (None, None) => return values.into_iter().collect(),
        };
        self.report(finding.help(help));
        None
    }
}
