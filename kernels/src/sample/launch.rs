//! Whole cohorts, drawn on the device.

use std::sync::Arc;

use cubecl::prelude::*;
use cubecl::server::Handle;
use posology_model::sampling::{CovariatePlan, ParameterPlan, PatientPlan};

use super::{STATUS_DRAWN, draw_covariates, draw_parameters, draw_patient};
use crate::device::{Device, DeviceError};

const WORKGROUP: u32 = 64;
/// Patients of a launch at most; a fixed number would do, smaller devices take fewer.
const BATCH: u64 = 1 << 18;

/// Patients of a cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    pub first: u32,
    pub n: usize,
    pub seed: u64,
}

/// What was drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn {
    /// `[row][n]`: covariates in their own units, or slots that vary in coherent ones.
    pub values: Vec<Vec<f32>>,
    /// `[n]` draws thrown away; of covariates only.
    pub redraws: Vec<u32>,
    /// Places of patients who could not be drawn, ascending.
    pub failed: Vec<usize>,
}

/// A cohort that stays on the device.
pub struct Resident {
    /// `[slots][n]`, coherent units.
    pub slots: Handle,
    /// Places of patients who could not be drawn, ascending.
    pub failed: Vec<usize>,
}

/// `values`: `[covariates][n]`; `info`: `[2][n]` status, draws thrown away.
#[cube(launch_unchecked)]
fn covariates_kernel(
    table: &[f32],
    values: &mut [f32],
    info: &mut [u32],
    first: u32,
    n: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] plan: Arc<CovariatePlan>,
) {
    let i = ABSOLUTE_POS;
    let n = n as usize;
    if i >= n {
        terminate!();
    }
    let width = comptime![plan.scales.len()];
    let mut own = Array::<f32>::new(comptime![width.max(1)]);
    let mut about = Array::<u32>::new(3usize);
    draw_covariates(
        &mut own,
        &mut about,
        table,
        first + i as u32,
        seed_lo,
        seed_hi,
        comptime![plan.clone()],
    );
    #[unroll]
    for c in 0..width {
        values[c * n + i] = own[c];
    }
    info[i] = about[0];
    info[n + i] = about[1];
}

/// `values`: `[varied slots][n]`; `info`: `[n]` status. Patient `i` has row `(offset + i) / group`
/// of the centres.
#[cube(launch_unchecked)]
fn parameters_kernel(
    centres: &[f32],
    values: &mut [f32],
    info: &mut [u32],
    first: u32,
    offset: u32,
    group: u32,
    n: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] plan: Arc<ParameterPlan>,
) {
    let i = ABSOLUTE_POS;
    let n = n as usize;
    if i >= n {
        terminate!();
    }
    let mut slots = Array::<f32>::new(comptime![plan.slots.max(1) as usize]);
    let row = ((offset + i as u32) / group) as usize;
    info[i] = draw_parameters(
        &mut slots,
        centres,
        row * comptime![plan.width()],
        first + i as u32,
        seed_lo,
        seed_hi,
        comptime![plan.clone()],
    );
    let varied = comptime![plan.varied()];
    #[unroll]
    for v in 0..comptime![varied.len()] {
        let slot = comptime![varied[v] as usize];
        values[v * n + i] = slots[slot];
    }
}

/// `values`: `[slots][n]`; `info`: `[n]` status.
#[cube(launch_unchecked)]
fn patients_kernel(
    centres: &[f32],
    table: &[f32],
    values: &mut [f32],
    info: &mut [u32],
    first: u32,
    n: u32,
    seed_lo: u32,
    seed_hi: u32,
    #[comptime] plan: Arc<PatientPlan>,
) {
    let i = ABSOLUTE_POS;
    let n = n as usize;
    if i >= n {
        terminate!();
    }
    let width = comptime![plan.parameters.slots as usize];
    let mut slots = Array::<f32>::new(comptime![width.max(1)]);
    info[i] = draw_patient(
        &mut slots,
        centres,
        0usize,
        table,
        first + i as u32,
        seed_lo,
        seed_hi,
        comptime![plan.clone()],
    );
    #[unroll]
    for s in 0..width {
        values[s * n + i] = slots[s];
    }
}

/// A buffer of numbers; one zero if there are none, as a buffer cannot be empty.
fn upload(device: &Device, numbers: &[f32]) -> (Handle, usize) {
    let some: &[f32] = if numbers.is_empty() { &[0.0] } else { numbers };
    let handle = device.client.create_from_slice(bytemuck::cast_slice(some));
    (handle, some.len())
}

fn lost(error: &impl std::fmt::Debug) -> DeviceError {
    DeviceError::Lost {
        doing: "drawing patients",
        cause: format!("{error:?}"),
    }
}

/// Patients of a launch, where each fills so many words.
fn batch(device: &Device, rows: usize) -> usize {
    let by_memory = device.description.max_binding_bytes / (4 * rows.max(2) as u64);
    let by_grid = u64::from(device.description.max_workgroups) * u64::from(WORKGROUP);
    by_memory.min(by_grid).clamp(1, BATCH) as usize
}

/// Runs `launch(values, info, offset, n)` batch by batch and puts the rows together.
fn collect(
    device: &Device,
    n: usize,
    (rows, words): (usize, usize),
    mut launch: impl FnMut(BufferArg, BufferArg, usize, usize),
) -> Result<Drawn, DeviceError> {
    let client = &device.client;
    let mut out = Drawn {
        values: vec![Vec::with_capacity(n); rows],
        ..Drawn::default()
    };
    let most = batch(device, rows.max(words));
    let mut offset = 0;
    while offset < n {
        let part = most.min(n - offset);
        let values = client.empty(4 * (rows * part).max(1));
        let info = client.empty(4 * words * part);
        // SAFETY: the lengths are those of the buffers just made.
        let (values_arg, info_arg) = unsafe {
            (
                BufferArg::from_raw_parts(values.clone(), (rows * part).max(1)),
                BufferArg::from_raw_parts(info.clone(), words * part),
            )
        };
        launch(values_arg, info_arg, offset, part);
        let back = client
            .read(vec![values, info])
            .map_err(|error| lost(&error))?;
        let numbers: &[f32] = bytemuck::cast_slice(&back[0]);
        let info: &[u32] = bytemuck::cast_slice(&back[1]);
        for (row, column) in out.values.iter_mut().enumerate() {
            column.extend_from_slice(&numbers[row * part..(row + 1) * part]);
        }
        let bad = (0..part).filter(|&i| info[i] != STATUS_DRAWN);
        out.failed.extend(bad.map(|i| offset + i));
        out.redraws.extend_from_slice(&info[part..words * part]);
        offset += part;
    }
    Ok(out)
}

/// Covariates of a cohort; `table` is `[columns][rows]`.
///
/// # Errors
/// [`DeviceError::Lost`].
pub fn covariates(
    device: &Device,
    plan: &Arc<CovariatePlan>,
    table: &[f32],
    who: Who,
) -> Result<Drawn, DeviceError> {
    let (table, length) = upload(device, table);
    collect(
        device,
        who.n,
        (plan.scales.len(), 2),
        |values, info, offset, n| {
            // SAFETY: the buffers have the lengths that the kernel documents, and rows of the table
            // are checked against its height by the kernel.
            unsafe {
                covariates_kernel::launch_unchecked(
                    &device.client,
                    CubeCount::Static((n as u32).div_ceil(WORKGROUP), 1, 1),
                    CubeDim::new_1d(WORKGROUP),
                    BufferArg::from_raw_parts(table.clone(), length),
                    values,
                    info,
                    who.first + offset as u32,
                    n as u32,
                    who.seed as u32,
                    (who.seed >> 32) as u32,
                    plan.clone(),
                );
            }
        },
    )
}

/// Slots that vary ([`ParameterPlan::varied`]) of a cohort; each `group` patients have a row of
/// `centres` of their own.
///
/// # Errors
/// [`DeviceError::Lost`].
pub fn parameters(
    device: &Device,
    plan: &Arc<ParameterPlan>,
    centres: &[f32],
    group: usize,
    who: Who,
) -> Result<Drawn, DeviceError> {
    let (centres, length) = upload(device, centres);
    collect(
        device,
        who.n,
        (plan.varied().len(), 1),
        |values, info, offset, n| {
            // SAFETY: the buffers have the lengths that the kernel documents; there are
            // `n / group` rows of centres, rounded up.
            unsafe {
                parameters_kernel::launch_unchecked(
                    &device.client,
                    CubeCount::Static((n as u32).div_ceil(WORKGROUP), 1, 1),
                    CubeDim::new_1d(WORKGROUP),
                    BufferArg::from_raw_parts(centres.clone(), length),
                    values,
                    info,
                    who.first + offset as u32,
                    offset as u32,
                    group.clamp(1, u32::MAX as usize) as u32,
                    n as u32,
                    who.seed as u32,
                    (who.seed >> 32) as u32,
                    plan.clone(),
                );
            }
        },
    )
}

/// All slots of a cohort, left on the device. `centres`: one row.
///
/// # Errors
/// [`DeviceError::Lost`]; also for more patients than one launch takes.
pub fn patients(
    device: &Device,
    plan: &Arc<PatientPlan>,
    centres: &[f32],
    table: &[f32],
    who: Who,
) -> Result<Resident, DeviceError> {
    let client = &device.client;
    let rows = plan.parameters.slots as usize;
    let most = batch(device, rows);
    if who.n > most {
        return Err(DeviceError::Lost {
            doing: "drawing patients",
            cause: format!("{} patients are more than one launch takes ({most})", who.n),
        });
    }
    let (centres, centres_length) = upload(device, centres);
    let (table, table_length) = upload(device, table);
    let n = who.n.max(1);
    let slots = client.empty(4 * (rows * n).max(1));
    let info = client.empty(4 * n);
    // SAFETY: the buffers have the lengths that the kernel documents.
    unsafe {
        patients_kernel::launch_unchecked(
            client,
            CubeCount::Static((n as u32).div_ceil(WORKGROUP), 1, 1),
            CubeDim::new_1d(WORKGROUP),
            BufferArg::from_raw_parts(centres, centres_length),
            BufferArg::from_raw_parts(table, table_length),
            BufferArg::from_raw_parts(slots.clone(), (rows * n).max(1)),
            BufferArg::from_raw_parts(info.clone(), n),
            who.first,
            n as u32,
            who.seed as u32,
            (who.seed >> 32) as u32,
            plan.clone(),
        );
    }
    let codes = client.read_one(info).map_err(|error| lost(&error))?;
    let codes: &[u32] = bytemuck::cast_slice(&codes);
    let failed = (0..who.n).filter(|&i| codes[i] != STATUS_DRAWN);
    Ok(Resident {
        slots,
        failed: failed.collect(),
    })
}
