//! The shape of the network, and slots for what a patient or a training run may change.

use std::ops::RangeInclusive;

use super::super::Builder;
use super::super::index::{LARGEST, Pattern, bad_name};
use crate::correction::{Activation, Network, Weights};
use crate::diagnostic::closest;
use crate::file::{self, Number, Text};
use crate::model::{Distribution, Parameter, Variability};
use crate::unit::Unit;

/// Beyond these a kernel of unrolled operations takes longer to build than to run.
const WIDTHS: RangeInclusive<u64> = 1..=64;
const LAYERS: RangeInclusive<u64> = 1..=4;
const LATENTS: RangeInclusive<u64> = 0..=16;
/// Whole numbers that a TOML number holds exactly here.
const SEEDS: RangeInclusive<u64> = 0..=(1 << 53);

/// What has to be known of a correction before covariates get their slots.
pub(in super::super) struct Planned<'f> {
    pub file: &'f file::Correction,
    pub network: Network,
    pub seed: u64,
    pub outputs: Vec<Output<'f>>,
    /// One per weight; none if something is wrong, which was reported.
    pub values: Option<Vec<f64>>,
    pub weights: Vec<usize>,
    pub latents: Vec<usize>,
}

/// An output of the network.
pub(in super::super) struct Output<'f> {
    pub entry: &'f file::CorrectedRate,
    pub base: String,
    /// `amount[liver]`
    pub state: String,
}

impl Planned<'_> {
    /// Constant weights that leave every rate as it is.
    pub fn is_off(&self) -> bool {
        let zero = |values: &Vec<f64>| self.network.is_off(values);
        self.weights.is_empty() && self.values.as_ref().is_some_and(zero)
    }
}

impl Builder {
    pub(in super::super) fn plan_correction<'f>(
        &mut self,
        file: &'f file::Correction,
        how: Weights,
    ) -> Planned<'f> {
        let width = self.whole(file.width.as_ref(), "width", WIDTHS, 8);
        let layers = self.whole(file.layers.as_ref(), "layers", LAYERS, 1);
        let latents = self.whole(file.latents.as_ref(), "latents", LATENTS, 0);
        let seed = self.whole(file.seed.as_ref(), "seed", SEEDS, 1);
        let activation = match &file.activation {
            Some(text) => self.word(text, "activation", &Activation::ALL),
            None => Some(Activation::Tanh),
        };
        let outputs = self.outputs(file);
        let inputs = file.inputs.as_ref().map(|(_, texts)| texts.len());
        let mut sound = inputs.is_some() && !outputs.is_empty();
        let network = Network {
            inputs: inputs.unwrap_or(0),
            latents: latents.unwrap_or(0) as usize,
            width: width.unwrap_or(1) as usize,
            layers: layers.unwrap_or(1) as usize,
            outputs: outputs.len(),
            activation: activation.unwrap_or(Activation::Tanh),
        };
        if let Some((place, texts)) = &file.inputs
            && texts.is_empty()
            && network.latents == 0
        {
            let message = "the correction reads nothing";
            let help = "give it inputs such as [\"tumour / K\"], or latents";
            self.report(place.error("M402", message).help(help));
            sound = false;
        }
        let own = network.latents.saturating_add(network.weight_count());
        if self.model.parameters.len().saturating_add(own) > LARGEST {
            let message = format!(
                "the correction has {} weights, a model at most {LARGEST} parameters",
                network.weight_count()
            );
            let help = "take fewer inputs or layers, or a smaller width";
            self.report(file.place.error("M314", message).help(help));
            sound = false;
        }
        let settled = width.and(layers).and(latents).and(seed).and(activation);
        let mut planned = Planned {
            file,
            network,
            seed: seed.unwrap_or(1),
            outputs,
            values: None,
            weights: Vec::new(),
            latents: Vec::new(),
        };
        // a shape that is not the one meant says nothing about its weights
        if sound && settled.is_some() && !self.ledger.diagnostics.has_errors() {
            planned.values = self.weight_values(&planned);
        }
        self.correction_slots(&mut planned, how);
        planned
    }

    /// A parameter per latent, unless the network is off, and per weight in training.
    fn correction_slots(&mut self, planned: &mut Planned<'_>, how: Weights) {
        let Some(values) = &planned.values else {
            return;
        };
        let trained = how == Weights::Parameters;
        if !trained && planned.is_off() {
            return;
        }
        let plain = |name: String, value: f64| Parameter {
            name,
            unit: Unit::one(),
            value,
            iiv: None,
            iov: None,
            bounds: None,
            source: String::new(),
            calibrated: false,
            description: String::new(),
        };
        let first = self.model.parameters.len();
        let names = planned.network.latent_names();
        self.model
            .parameters
            .extend(names.into_iter().map(|name| Parameter {
                iiv: Some(Variability {
                    distribution: Distribution::Normal,
                    omega2: 1.0,
                }),
                source: "standard normal by definition".to_owned(),
                description: "latent variable of the correction".to_owned(),
                ..plain(name, 0.0)
            }));
        let middle = self.model.parameters.len();
        if trained {
            let names = planned.network.weight_names().into_iter();
            let weights = names.zip(values).map(|(name, &value)| Parameter {
                source: "correction weights".to_owned(),
                calibrated: true,
                ..plain(name, value)
            });
            self.model.parameters.extend(weights);
        }
        planned.latents = (first..middle).collect();
        planned.weights = (middle..self.model.parameters.len()).collect();
    }

    /// An output per state; states themselves are looked up once they are declared.
    fn outputs<'f>(&mut self, file: &'f file::Correction) -> Vec<Output<'f>> {
        let mut out = Vec::new();
        for entry in &file.rates {
            let Some(Pattern { base, arguments }) = Pattern::parse(&entry.name) else {
                self.report(bad_name(&entry.name, "a state"));
                continue;
            };
            let indices = &self.symbols.indices;
            let mut names = vec![String::new()];
            for word in &arguments {
                let elements = match indices.find(&word.text) {
                    Some(index) => indices.0[index].elements.as_slice(),
                    None => std::slice::from_ref(&word.text),
                };
                if names.len().saturating_mul(elements.len()) > LARGEST {
                    names.clear();
                    break;
                }
                let longer = |name: &String| {
                    let comma = if name.is_empty() { "" } else { "," };
                    let next = |element: &String| format!("{name}{comma}{element}");
                    elements.iter().map(next).collect::<Vec<_>>()
                };
                names = names.iter().flat_map(longer).collect();
            }
            if names.is_empty() || out.len() + names.len() > LARGEST {
                let message = format!("`{}` names no state or too many", entry.name.value);
                self.report(entry.name.error("M314", message));
                continue;
            }
            out.extend(names.into_iter().map(|name| Output {
                entry,
                base: base.clone(),
                state: if arguments.is_empty() {
                    base.clone()
                } else {
                    format!("{base}[{name}]")
                },
            }));
        }
        if let (true, [], Some(_)) = (out.is_empty(), file.rates.as_slice(), &file.inputs)
            && !self.ledger.diagnostics.has_errors()
        {
            let help = "such as tumour = { scale = \"0.05 1/d\", form = \"relative\" }";
            let message = "the correction corrects no state";
            self.report(file.place.error("M402", message).help(help));
        }
        out
    }

    fn whole(
        &mut self,
        number: Option<&Number>,
        key: &str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Option<u64> {
        let Some(Number { value, place }) = number else {
            return Some(default);
        };
        let (low, high) = (*range.start(), *range.end());
        if value.fract() != 0.0 || !(low as f64..=high as f64).contains(value) {
            let message = format!("`{key}` is a whole number from {low} to {high}");
            self.report(place.error("M402", message));
            return None;
        }
        Some(*value as u64)
    }

    /// What a word of a key means.
    pub(in super::super) fn word<T: Copy>(
        &mut self,
        text: &Text,
        key: &str,
        known: &[(&str, T)],
    ) -> Option<T> {
        let found = known.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
            let message = format!("`{key}` does not know `{}`", text.value);
            let help = closest(&text.value, words.iter().copied()).map_or_else(
                || format!("known: {}", words.join(", ")),
                |meant| format!("did you mean `{meant}`?"),
            );
            self.report(text.error("M011", message).help(help));
        }
        found.map(|&(_, meaning)| meaning)
    }
}
