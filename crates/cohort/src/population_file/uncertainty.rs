//! Uncertainty of a model's typical parameter values: what differs between replicates of a trial,
//! not between patients.

use nalgebra::DMatrix;
use posology_model::diagnostic::{Diagnostic, Diagnostics, did_you_mean};
use posology_model::file::reader::{Reader, Section};
use posology_model::file::{Number, Place, Text};
use posology_model::model::Model;

use super::{Population, copula};
use crate::philox::{standard_normal, stream};
use crate::population::MOST_REDRAWS;

/// Section `[uncertainty.MODEL]`.
#[derive(Clone, Debug)]
pub(super) struct Written {
    model: Text,
    parameters: Vec<(Text, Option<Number>, Option<Text>)>,
    correlations: Vec<copula::Written>,
    place: Place,
}

/// Draws typical parameter values of a model, one set per replicate.
///
/// A parameter with relative standard error `rse` is log-normal around its estimate with
/// coefficient of variation `rse` (normal with standard deviation `rse * |value|` if the estimate
/// is not positive), drawn again while outside its bounds.
#[derive(Clone, Debug)]
pub struct Uncertainty {
    typical: Vec<f64>,
    /// Parameter, standard deviation (of the logarithm, or coherent), bounds.
    varied: Vec<Varied>,
    factor: DMatrix<f64>,
    place: Place,
}

#[derive(Clone, Debug)]
struct Varied {
    parameter: usize,
    sd: f64,
    logarithmic: bool,
    bounds: (f64, f64),
}

pub(super) fn read(reader: &mut Reader, root: &Section<'_>) -> Vec<Written> {
    let mut out = Vec::new();
    for (model, section) in reader.named(root, "uncertainty", "uncertainty of") {
        reader.only(&section, &["parameters", "correlations"]);
        let entries = reader.named(&section, "parameters", "parameter");
        let parameters = entries
            .into_iter()
            .map(|(name, inner)| {
                reader.only(&inner, &["rse", "source", "calibrated"]);
                let rse = reader.required_number(&inner, "rse").filter(|rse| {
                    let sound = rse.value > 0.0 && rse.value < 10.0;
                    if !sound {
                        let message = "a relative standard error is a positive fraction";
                        reader.diagnostics.push(rse.place.error("D112", message));
                    }
                    sound
                });
                let help = "cite where the standard error is from, or say how it was chosen";
                let source = reader.required_text(&inner, "source", help);
                (name, rse, source)
            })
            .collect();
        out.push(Written {
            model,
            parameters,
            correlations: copula::read(reader, &section),
            place: section.place.clone(),
        });
    }
    out
}

impl Population {
    /// The uncertainty of a model's parameters, as this file declares it; `None` if it does not.
    ///
    /// # Errors
    /// `D160` for parameters that the model lacks, those of correlations.
    pub fn uncertainty(&self, model: &Model) -> Result<Option<Uncertainty>, Diagnostics> {
        let Some(written) = self
            .uncertainty
            .iter()
            .find(|w| w.model.value == model.name)
        else {
            return Ok(None);
        };
        let mut reader = Reader {
            source: self.source.clone(),
            diagnostics: Diagnostics::new(),
        };
        let known = || model.parameters.iter().map(|p| p.name.as_str());
        let mut varied = Vec::new();
        let mut names = Vec::new();
        for (name, rse, _) in &written.parameters {
            let Some(at) = known().position(|known| known == name.value) else {
                let message = format!("{} has no parameter `{}`", model.name, name.value);
                let finding = name.error("D160", message);
                reader
                    .diagnostics
                    .push(finding.help_if(did_you_mean(&name.value, known())));
                continue;
            };
            let Some(rse) = rse else { continue };
            let parameter = &model.parameters[at];
            let logarithmic = parameter.value > 0.0;
            names.push(name.value.as_str());
            varied.push(Varied {
                parameter: at,
                sd: if logarithmic {
                    rse.value.powi(2).ln_1p().sqrt()
                } else {
                    rse.value * parameter.value.abs()
                },
                logarithmic,
                bounds: parameter
                    .bounds
                    .unwrap_or((f64::NEG_INFINITY, f64::INFINITY)),
            });
        }
        let mut correlations = Vec::new();
        for one in &written.correlations {
            if let Some(found) = copula::resolve(&mut reader, one, &names, &correlations) {
                correlations.push(found);
            }
        }
        match copula::factor(&names, &correlations, &written.place) {
            Ok(factor) if !reader.diagnostics.has_errors() => Ok(Some(Uncertainty {
                typical: model.typical_slots(),
                varied,
                factor,
                place: written.place.clone(),
            })),
            Ok(_) => Err(reader.diagnostics),
            Err(finding) => {
                reader.diagnostics.push(finding);
                Err(reader.diagnostics)
            }
        }
    }

    /// Models whose parameters this file calls uncertain.
    pub fn uncertain_models(&self) -> impl Iterator<Item = &str> {
        self.uncertainty.iter().map(|w| w.model.value.as_str())
    }
}

impl Uncertainty {
    /// Typical slot values (coherent) of one replicate, for
    /// [`crate::population::Sampler::with_typical`]. They depend on the seed and the number of the
    /// replicate only.
    ///
    /// # Errors
    /// `D161` where [`MOST_REDRAWS`] draws all fell outside the bounds of the parameters.
    pub fn replicate(&self, seed: u64, replicate: u32) -> Result<Vec<f64>, Diagnostic> {
        let mut out = self.typical.clone();
        for redraw in 0..MOST_REDRAWS {
            let normal =
                |i: usize| standard_normal(seed, replicate, redraw, stream::UNCERTAINTY, i as u32);
            let normals: Vec<f64> = (0..self.varied.len()).map(normal).collect();
            let mut inside = true;
            for (i, varied) in self.varied.iter().enumerate() {
                let z: f64 = (0..=i).map(|j| self.factor[(i, j)] * normals[j]).sum();
                let centre = self.typical[varied.parameter];
                let value = if varied.logarithmic {
                    centre * (varied.sd * z).exp()
                } else {
                    centre + varied.sd * z
                };
                inside &= value >= varied.bounds.0 && value <= varied.bounds.1;
                out[varied.parameter] = value;
            }
            if inside {
                return Ok(out);
            }
        }
        let message = format!(
            "{MOST_REDRAWS} draws of the uncertain parameters all fell outside their bounds"
        );
        Err(self
            .place
            .error("D161", message)
            .help("lower the relative standard errors, or widen the bounds of the parameters"))
    }
}
