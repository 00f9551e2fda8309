//! Patient-steps per second over sizes of model and population, on the device and natively.

use posology_kernels::device::Device;
use posology_kernels::launch::SimulatorOptions;
use serde::Serialize;

use super::case::Case;
use super::device::{self, DeviceTimes};
use super::measure::{Spread, time};
use super::native::{self, Job, LANES};

/// Numbers of patients of a full run.
pub const SIZES: [usize; 5] = [1_000, 4_096, 10_000, 100_000, 1_000_000];
/// Patients and steps of the figure that is compared with the native loops.
pub const STANDARD: (usize, u32) = (4_096, 1_000);
const STEPS: [u32; 7] = [1_000, 500, 200, 100, 50, 20, 10];
const REPEATS: usize = 5;
/// Steps are reduced until a run is expected to take no longer, s.
const WANTED_SECONDS: f64 = 1.0;
/// A size is left out if the fewest steps are expected to take longer, s.
const MOST_SECONDS: f64 = 5.0;
/// Duration of a native run, s.
const NATIVE_SECONDS: f64 = 0.3;

/// One model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelFigures {
    pub name: String,
    pub states: usize,
    /// Length of the rates' operation list, reads of states and carried values included.
    pub list_length: usize,
    /// Arithmetic operations of the rates.
    pub operations: usize,
    /// Arithmetic operations of one step: four times the rates, and the compensated update.
    pub operations_per_step: usize,
    pub stages_unrolled: bool,
    /// Cold: the program has constants that no cache has seen.
    pub build_seconds: f64,
    pub rows: Vec<DeviceRow>,
    pub native: Vec<NativeRow>,
    /// Numbers of patients that would have taken too long.
    pub left_out: Vec<usize>,
}

/// One number of patients on the device.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceRow {
    #[serde(flatten)]
    pub times: DeviceTimes,
    /// With upload and download.
    pub patient_steps_per_second: f64,
    pub operations_per_second: f64,
    /// Of the adapter's measured multiply-add rate, a multiply-add counting as two operations.
    pub share_of_peak: f64,
    /// Without upload, launch and download.
    pub kernel_patient_steps_per_second: f64,
}

/// One native variant.
#[derive(Clone, Debug, Serialize)]
pub struct NativeRow {
    pub variant: &'static str,
    pub threads: usize,
    pub lanes: usize,
    pub patients: usize,
    pub steps: u32,
    pub seconds: Spread,
    pub patient_steps_per_second: f64,
    pub error: f64,
}

/// Measure one model.
pub fn run(
    device: &Device,
    name: &str,
    text: &str,
    options: SimulatorOptions,
    sizes: &[usize],
    multiply_adds: f64,
) -> anyhow::Result<ModelFigures> {
    let case = Case::new(name, text)?;
    let operations_per_step = case.operations_per_step();
    let (build_seconds, stages_unrolled) = device::build_seconds(device, &case.fresh(), options)?;
    let mut figures = ModelFigures {
        name: case.model.name.clone(),
        states: case.program.n_states,
        list_length: case.program.rates.ops.len(),
        operations: case.operations(),
        operations_per_step,
        stages_unrolled,
        build_seconds,
        rows: Vec::new(),
        native: Vec::new(),
        left_out: Vec::new(),
    };
    // a low guess; afterwards the rate of the last size
    let mut rate = 0.05 * multiply_adds / operations_per_step as f64;
    for &patients in sizes {
        let seconds = |steps: u32| patients as f64 * f64::from(steps) / rate;
        let fewest = STEPS[STEPS.len() - 1];
        if seconds(fewest) > MOST_SECONDS {
            figures.left_out.push(patients);
            continue;
        }
        let standard = figures.states == 12 && patients == STANDARD.0;
        let fitting = STEPS
            .into_iter()
            .find(|&steps| standard || seconds(steps) <= WANTED_SECONDS);
        let steps = fitting.unwrap_or(fewest);
        let repeats = if standard { 2 * REPEATS + 1 } else { REPEATS };
        let times = device::run(device, &case, options, patients, steps, repeats)?;
        let work = patients as f64 * f64::from(steps);
        rate = work / times.seconds.median;
        let operations_per_second = rate * operations_per_step as f64;
        figures.rows.push(DeviceRow {
            patient_steps_per_second: rate,
            operations_per_second,
            share_of_peak: operations_per_second / (2.0 * multiply_adds),
            kernel_patient_steps_per_second: work / times.kernel_seconds.max(f64::MIN_POSITIVE),
            times,
        });
    }
    figures.native = baselines(&case)?;
    Ok(figures)
}

type Native = fn(&Job<'_>) -> Vec<f32>;

fn baselines(case: &Case) -> anyhow::Result<Vec<NativeRow>> {
    let threads = rayon::current_num_threads();
    let mut variants: Vec<(&'static str, usize, usize, Native)> = Vec::new();
    if case.is_handwritten() {
        variants.push(("hand-written loop", 1, 1, native::hand::scalar));
        variants.push((
            "hand-written loop in lanes",
            threads,
            LANES,
            native::hand::lanes,
        ));
    }
    variants.push(("operation list", 1, 1, native::interpret::scalar));
    variants.push((
        "operation list in lanes",
        threads,
        LANES,
        native::interpret::lanes,
    ));
    let steps = STANDARD.1;
    let values = case.values(STANDARD.0)?;
    variants
        .into_iter()
        .map(|(variant, threads, lanes, integrate)| {
            let rows = |n: usize| -> Vec<f32> {
                values
                    .chunks(STANDARD.0)
                    .flat_map(|row| row[..n].to_vec())
                    .collect()
            };
            let few = LANES * threads;
            let job = |values: &[f32], n: usize| {
                integrate(&Job {
                    program: &case.program,
                    values,
                    n,
                    steps,
                    h: case.h as f32,
                })
            };
            let little = rows(few);
            let trial = time(1, || -> anyhow::Result<()> {
                let states = job(&little, few);
                case.checked_error(variant, &little, &states, few, steps)
                    .map(drop)
            })?;
            let start = std::time::Instant::now();
            let _ = std::hint::black_box(job(&little, few));
            let per_patient = start.elapsed().as_secs_f64().min(trial.median) / few as f64;
            let blocks = (NATIVE_SECONDS / per_patient / few as f64) as usize;
            let n = (blocks.max(1) * few).min(STANDARD.0);
            let values = rows(n);
            let mut states = Vec::new();
            let seconds = time(REPEATS, || -> anyhow::Result<()> {
                states = job(&values, n);
                Ok(())
            })?;
            Ok(NativeRow {
                variant,
                threads,
                lanes,
                patients: n,
                steps,
                seconds,
                patient_steps_per_second: n as f64 * f64::from(steps) / seconds.median,
                error: case.checked_error(variant, &values, &states, n, steps)?,
            })
        })
        .collect()
}
