//! How parameters vary between patients and occasions, and together.

use super::Builder;
use super::values::Shared;
use crate::diagnostic::{closest, did_you_mean};
use crate::file::{self, Correlation, Text};
use crate::model::{Distribution, Variability};

impl Builder {
    pub(super) fn variability(
        &mut self,
        written: Option<&file::Variability>,
        default: Distribution,
        value: f64,
        shared: &Shared,
    ) -> Option<Variability> {
        let written = written?;
        let distribution = match &written.distribution {
            None => default,
            Some(text) => match text.value.as_str() {
                "log-normal" => Distribution::LogNormal,
                "normal" => Distribution::Normal,
                "logit-normal" => Distribution::LogitNormal,
                other => {
                    let message = format!("unknown distribution `{other}`");
                    let known = ["log-normal", "normal", "logit-normal"];
                    let help = closest(other, known).map_or_else(
                        || format!("known: {}", known.join(", ")),
                        |meant| format!("did you mean `{meant}`?"),
                    );
                    self.report(text.error("M404", message).help(help));
                    return None;
                }
            },
        };
        let given = [&written.cv, &written.omega2, &written.sd];
        let mut sizes = given.into_iter().flatten();
        let (Some(size), None) = (sizes.next(), sizes.next()) else {
            let message = "variability is exactly one of `cv`, `omega2` and `sd`";
            self.report(written.place.error("M009", message));
            return None;
        };
        if size.value <= 0.0 {
            let message = "variability must be positive";
            self.report(
                size.place
                    .error("M404", message)
                    .help("leave it out if there is none"),
            );
            return None;
        }
        let x = size.value;
        let normal = distribution == Distribution::Normal;
        let omega2 = if written.cv.is_some() {
            match distribution {
                Distribution::LogNormal => (x * x).ln_1p(),
                Distribution::Normal => (x * value).powi(2),
                Distribution::LogitNormal => {
                    let message = "a logit-normal parameter has no `cv`";
                    let help = "give `sd` or `omega2` of its logit";
                    self.report(size.place.error("M404", message).help(help));
                    return None;
                }
            }
        } else {
            let eta = if written.sd.is_some() { x * x } else { x };
            if normal {
                eta * shared.scale.powi(2)
            } else {
                eta
            }
        };
        let trouble = match distribution {
            Distribution::LogNormal if value <= 0.0 => {
                Some("a log-normal parameter has a positive value")
            }
            Distribution::LogitNormal => match shared.bounds {
                Some((low, high)) if low.is_finite() && high.is_finite() => (value <= low
                    || value >= high)
                    .then_some("a logit-normal value lies strictly inside its bounds"),
                _ => Some("a logit-normal parameter needs two finite bounds"),
            },
            _ if omega2 <= 0.0 || omega2.is_infinite() => Some("the variance is not positive"),
            _ => None,
        };
        if let Some(message) = trouble {
            self.report(written.place.error("M404", message));
            return None;
        }
        Some(Variability {
            distribution,
            omega2,
        })
    }

    pub(super) fn correlations(&mut self, correlations: &[Correlation]) {
        const MOST: usize = 1000;
        let mut places = Vec::new();
        if let Some(first) = correlations.get(MOST) {
            self.report(
                first
                    .place
                    .error("M314", format!("at most {MOST} correlations")),
            );
            return;
        }
        for correlation in correlations {
            let Some((place, names)) = &correlation.between else {
                continue;
            };
            let [first, second] = names.as_slice() else {
                self.report(place.error("M009", "a correlation is between two parameters"));
                continue;
            };
            let (Some(a), Some(b)) = (self.varying(first), self.varying(second)) else {
                continue;
            };
            let Some(value) = &correlation.value else {
                continue;
            };
            if value.value <= -1.0 || value.value >= 1.0 {
                let message = "a correlation lies between -1 and 1";
                self.report(value.place.error("M402", message));
                continue;
            }
            let pair = (a.min(b), a.max(b));
            if a == b
                || self
                    .model
                    .correlations
                    .iter()
                    .any(|&(x, y, _)| (x, y) == pair)
            {
                self.report(place.error("M302", "this pair is correlated already"));
                continue;
            }
            self.model.correlations.push((pair.0, pair.1, value.value));
            places.push(place.clone());
        }
        if let (false, Some(place)) = (self.positive_definite(), places.last()) {
            let message = "these correlations contradict each other";
            let help = "their matrix must be positive definite";
            self.report(place.error("M405", message).help(help));
        }
    }

    /// The index of a parameter with variability between patients.
    fn varying(&mut self, text: &Text) -> Option<usize> {
        let slot = self
            .symbols
            .slot(&text.value)
            .filter(|&s| s < self.model.parameters.len());
        let Some(slot) = slot else {
            let message = format!("unknown parameter `{}`", text.value);
            let names = self.model.parameters.iter().map(|p| p.name.as_str());
            let help = did_you_mean(&text.value, names);
            self.report(text.error("M301", message).help_if(help));
            return None;
        };
        if self.model.parameters[slot].iiv.is_none() {
            if self.unclear.contains(&text.value) {
                return None;
            }
            let message = format!("`{}` does not vary between patients", text.value);
            self.report(text.error("M315", message).help("give it `iiv`"));
            return None;
        }
        Some(slot)
    }

    fn positive_definite(&self) -> bool {
        let pairs = &self.model.correlations;
        let mut ids: Vec<usize> = pairs.iter().flat_map(|&(a, b, _)| [a, b]).collect();
        ids.sort_unstable();
        ids.dedup();
        let position = |id: usize| ids.binary_search(&id).unwrap_or(0);
        let mut matrix = nalgebra::DMatrix::<f64>::identity(ids.len(), ids.len());
        for &(a, b, value) in pairs {
            let (i, j) = (position(a), position(b));
            matrix[(i, j)] = value;
            matrix[(j, i)] = value;
        }
        nalgebra::Cholesky::new(matrix).is_some()
    }
}
