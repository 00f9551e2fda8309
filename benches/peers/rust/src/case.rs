//! One case of the comparison: who is simulated, with which doses, and what is asked for.

use crate::models::Model;
use std::path::Path;

#[derive(serde::Deserialize)]
struct File {
    patients: usize,
    states: Vec<String>,
    parameters: Vec<String>,
    values: String,
    initial: String,
    doses: Vec<FileDose>,
    duration: f64,
    times: Vec<f64>,
    method: String,
    rtol: f64,
    atol: f64,
    #[serde(default)]
    threads: usize,
}

#[derive(serde::Deserialize)]
struct FileDose {
    time: f64,
    state: usize,
    amount: f64,
}

pub struct Dose {
    pub time: f64,
    pub state: usize,
    pub amount: f64,
}

/// A stretch between doses: the doses at its start, and the times where a solver is to give its
/// state: the `outputs` asked for, then the end if it is none of them.
pub struct Interval {
    pub doses: Vec<(usize, f64)>,
    pub outputs: usize,
    pub stops: Vec<f64>,
}

/// States and parameters are in the order of the model here; `in_file_order` restores the file's.
pub struct Case {
    pub patients: usize,
    pub states: usize,
    /// [patient][parameter, then initial state]: what a solver takes as a patient's parameters.
    pub values: Vec<f64>,
    pub width: usize,
    pub doses: Vec<Dose>,
    pub duration: f64,
    pub times: Vec<f64>,
    pub method: String,
    pub rtol: f64,
    pub atol: f64,
    pub threads: usize,
    file_order: Vec<usize>,
}

/// The name of the model of a case.
pub fn model_of(path: &Path) -> Result<String, String> {
    #[derive(serde::Deserialize)]
    struct Named {
        model: String,
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let named: Named =
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(named.model)
}

fn numbers(path: &Path, expected: usize) -> Result<Vec<f64>, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    if bytes.len() != 8 * expected {
        return Err(format!(
            "{}: {} bytes, not 8 x {expected}",
            path.display(),
            bytes.len()
        ));
    }
    Ok(bytes
        .chunks_exact(8)
        .map(|b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
        .collect())
}

/// Where each of `here` stands in `there`.
fn order(what: &str, here: &[String], there: &[String]) -> Result<Vec<usize>, String> {
    let found: Option<Vec<usize>> = here
        .iter()
        .map(|name| there.iter().position(|other| other == name))
        .collect();
    found
        .filter(|found| found.len() == there.len())
        .ok_or_else(|| format!("{what} of the case {there:?} are not those of the model {here:?}"))
}

impl Case {
    pub fn read<M: Model>(path: &Path) -> Result<Case, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let file: File =
            serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let patients = file.patients;
        let states = order("states", &M::states(), &file.states)?;
        let parameters = order("parameters", &M::parameters(), &file.parameters)?;
        let raw_values = numbers(&folder.join(&file.values), parameters.len() * patients)?;
        let raw_initial = numbers(&folder.join(&file.initial), states.len() * patients)?;
        let mut values = Vec::with_capacity((parameters.len() + states.len()) * patients);
        for patient in 0..patients {
            values.extend(
                parameters
                    .iter()
                    .map(|row| raw_values[row * patients + patient]),
            );
            values.extend(
                states
                    .iter()
                    .map(|row| raw_initial[row * patients + patient]),
            );
        }
        let here = |index: usize| states.iter().position(|&there| there == index);
        let mut doses = Vec::new();
        for dose in &file.doses {
            let state = here(dose.state).ok_or_else(|| format!("no state {}", dose.state))?;
            doses.push(Dose {
                time: dose.time,
                state,
                amount: dose.amount,
            });
        }
        let file_order = (0..states.len()).filter_map(here).collect();
        Ok(Case {
            patients,
            states: states.len(),
            width: parameters.len() + states.len(),
            values,
            doses,
            duration: file.duration,
            times: file.times,
            method: file.method,
            rtol: file.rtol,
            atol: file.atol,
            threads: file.threads,
            file_order,
        })
    }

    /// Parameters and initial state of one patient.
    pub fn patient(&self, patient: usize) -> &[f64] {
        &self.values[patient * self.width..(patient + 1) * self.width]
    }

    pub fn intervals(&self) -> Vec<Interval> {
        let mut cuts: Vec<f64> = self
            .doses
            .iter()
            .map(|d| d.time)
            .filter(|&t| t < self.duration)
            .collect();
        cuts.extend([0.0, self.duration]);
        cuts.sort_by(f64::total_cmp);
        cuts.dedup();
        cuts.windows(2)
            .map(|w| {
                let (start, end) = (w[0], w[1]);
                let mut stops: Vec<f64> = self
                    .times
                    .iter()
                    .copied()
                    .filter(|&t| start < t && t <= end)
                    .collect();
                let outputs = stops.len();
                if stops.last() != Some(&end) {
                    stops.push(end);
                }
                let doses = self.doses.iter().filter(|d| d.time == start);
                Interval {
                    doses: doses.map(|d| (d.state, d.amount)).collect(),
                    outputs,
                    stops,
                }
            })
            .collect()
    }

    /// Outputs [patient][time][state] as bytes, states in the order of the file.
    pub fn in_file_order(&self, outputs: &[f64]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 * outputs.len());
        for row in outputs.chunks_exact(self.states) {
            for &state in &self.file_order {
                bytes.extend(row[state].to_le_bytes());
            }
        }
        bytes
    }
}
