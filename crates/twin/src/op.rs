//! The simulator as one differentiable operation on tensors: values of patients in, final states,
//! summaries and records out, and the exact derivative of the steps taken on the way back (the
//! discrete adjoint, [`posology_kernels::adjoint`]). Neither values nor gradients visit the host.
//!
//! Any loss in tensor operations can stand on top. A weight that all patients share is a `[weights]`
//! tensor, reshaped to `[weights, 1]`, expanded to `[weights, patients]` and put between the rows
//! that patients have of their own by `Tensor::cat`; its gradient is then the sum over the patients.
//! That sum, like any `sum_dim`, is taken in a fixed order. A whole-tensor `.sum()` of Burn is not
//! (it uses float atomics, so its last bits differ from run to run): write
//! `x.reshape([1, n]).sum_dim(1)` where the bits count.
//!
//! Two kinds of numbers need a mask before they enter a loss. A summary that was never reached holds
//! [`NOT_REACHED`](posology_model::program::NOT_REACHED). A patient whose states leave the range of
//! numbers is not held back here as he is in the simulation: his results are not finite, nor is his
//! column of the gradient whatever its seeds, so that sums over patients need him left out (give him
//! no column, or replace his gradient before it is summed).

use std::fmt;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Device as TensorDevice, Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::server::Handle;
use posology_kernels::adjoint::{Adjoint, AdjointError, AdjointOptions, AdjointPlan, Lanes, Tape};
use posology_kernels::device::{Device, DeviceError};
use posology_kernels::probe;
use posology_model::model::StepSchedule;
use posology_sim::run::{lower_timelines, program};
use posology_sim::{SimError, Simulation};

/// Why a simulation could not be made an operation, or not be run.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    #[error(
        "a run takes values of {rows} rows (slots, then dose scales) for {patients} patients; given \
         is a tensor {given:?}"
    )]
    Shape {
        rows: usize,
        patients: usize,
        given: [usize; 2],
    },
    #[error("the values must be 32-bit floats on the device of the run, `{device}`")]
    Elsewhere { device: String },
    #[error("patient {patient} is to follow timeline {timeline} of {timelines}")]
    Timeline {
        patient: usize,
        timeline: usize,
        timelines: usize,
    },
    #[error("the last record of patient {patient} would be number {place} of {total}")]
    Record {
        patient: usize,
        place: usize,
        total: usize,
    },
    #[error("{patients} patients; one run on `{device}` takes 1 to {most}")]
    Patients {
        patients: usize,
        most: usize,
        device: String,
    },
    #[error(transparent)]
    Adjoint(#[from] AdjointError),
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Simulation(#[from] SimError),
}

/// A program with its timelines and patients on a device, ready to be run with any values.
#[derive(Clone)]
pub struct Operation {
    adjoint: Arc<Adjoint>,
    lanes: Lanes,
    first_record: Vec<u32>,
}

/// What a run gave, differentiable by the values it was run with; coherent units.
#[derive(Clone, Debug)]
pub struct Course {
    /// `[n_states + accumulators, patients]`: final states, then summaries.
    pub ends: Tensor<2>,
    /// `[outputs, record_total]`, columns as [`Operation::record_column`] says; `None` where nothing
    /// is recorded.
    pub records: Option<Tensor<2>>,
}

impl Operation {
    /// `timeline`, `first_record`: of each patient, as in [`posology_kernels::launch::Batch`]; no two
    /// patients may share a record.
    ///
    /// # Errors
    /// When an index points outside, or there are more patients than one run takes.
    pub fn new(
        adjoint: Arc<Adjoint>,
        timeline: &[u32],
        first_record: &[u32],
        record_stride: u32,
        record_total: usize,
    ) -> Result<Self, OperationError> {
        let counts = adjoint.record_counts();
        let n = timeline.len();
        let most = adjoint.max_batch(record_total.div_ceil(n.max(1)));
        if n == 0 || n > most || first_record.len() != n {
            return Err(OperationError::Patients {
                patients: n.min(first_record.len()),
                most,
                device: adjoint.device().description.name.clone(),
            });
        }
        for (patient, (&at, &first)) in timeline.iter().zip(first_record).enumerate() {
            let Some(&count) = counts.get(at as usize) else {
                return Err(OperationError::Timeline {
                    patient,
                    timeline: at as usize,
                    timelines: counts.len(),
                });
            };
            let last = count.saturating_sub(1) * record_stride as usize;
            let place = first as usize + last;
            if count > 0 && place >= record_total {
                return Err(OperationError::Record {
                    patient,
                    place,
                    total: record_total,
                });
            }
        }
        Ok(Self {
            lanes: adjoint.lanes(timeline, first_record, record_stride, record_total),
            first_record: first_record.to_vec(),
            adjoint,
        })
    }

    /// Everything a simulation runs, with steps of the model's own schedule or of `schedule`.
    ///
    /// # Errors
    /// As [`Operation::new`]; also when a timeline has no derivative or too many steps.
    pub fn of(
        device: &Device,
        simulation: &Simulation<'_>,
        schedule: Option<&StepSchedule>,
    ) -> Result<Self, OperationError> {
        let schedule = schedule.unwrap_or(&simulation.model.step);
        let timelines = lower_timelines(simulation, schedule)?;
        let options = AdjointOptions {
            guard_compensation: !probe::compensation_survives(device)?,
            scales: simulation.timelines.scales.len(),
            ..AdjointOptions::default()
        };
        let plan = AdjointPlan::new(program(simulation));
        let adjoint = Adjoint::new(device, plan, &timelines, options)?;
        let of_patient = &simulation.timelines.of_patient;
        // equal timelines interleave, so that neighbouring threads write neighbouring words
        let same = of_patient.windows(2).all(|pair| pair[0] == pair[1]);
        let (mut first_record, mut total) = (Vec::with_capacity(of_patient.len()), 0);
        for (i, &t) in of_patient.iter().enumerate() {
            first_record.push(if same { i } else { total } as u32);
            total += adjoint.record_counts().get(t as usize).unwrap_or(&0);
        }
        let stride = if same { of_patient.len() } else { 1 } as u32;
        Self::new(Arc::new(adjoint), of_patient, &first_record, stride, total)
    }

    /// The program, its timelines and the device.
    pub fn adjoint(&self) -> &Arc<Adjoint> {
        &self.adjoint
    }

    pub fn patients(&self) -> usize {
        self.lanes.n
    }

    /// Rows of the values: slots, then dose scales.
    pub fn value_rows(&self) -> usize {
        self.adjoint.value_rows()
    }

    /// Where record `number` of `patient` stands in the rows of [`Course::records`]; `None` if he has
    /// none of that number.
    pub fn record_column(&self, patient: usize, number: usize) -> Option<usize> {
        let first = *self.first_record.get(patient)? as usize;
        let column = first + number * self.lanes.record_stride as usize;
        (column < self.lanes.record_total).then_some(column)
    }

    /// Its device as tensors know it; `.autodiff()` for gradients.
    pub fn tensor_device(&self) -> TensorDevice {
        TensorDevice::from(self.adjoint.device().runtime.clone())
    }

    /// Run with `values`, `[value_rows, patients]`, coherent units. First derivatives only. What is
    /// needed for the way back stays on the device until the results are dropped.
    ///
    /// # Errors
    /// When the values have another shape or are elsewhere, or the device fails.
    pub fn run(&self, values: Tensor<2>) -> Result<Course, OperationError> {
        let (rows, n) = (self.value_rows(), self.patients());
        if values.dims() != [rows, n] {
            return Err(OperationError::Shape {
                rows,
                patients: n,
                given: values.dims(),
            });
        }
        let device = self.adjoint.device();
        let elsewhere = || OperationError::Elsewhere {
            device: device.description.name.clone(),
        };
        let plain = values.clone().inner();
        let plain = plain.try_into_primitive::<CubeBackend>();
        let plain = plain.map_err(|_| elsewhere())?;
        if plain.dtype != DType::F32 || plain.device != device.runtime {
            return Err(elsewhere());
        }
        let tape = self.adjoint.forward_on(&self.lanes, handle(plain))?;

        let flat = |words: Handle, len: usize| {
            let (client, on) = (device.client.clone(), device.runtime.clone());
            let words =
                CubeTensor::new_contiguous(client, on, Shape::from([len]), words, DType::F32);
            Tensor::<1>::from_primitive::<CubeBackend>(words)
        };
        let outputs = self.adjoint.plan().plan.program.record.outputs.len();
        let total = self.lanes.record_total;
        let (ends, recorded) = (self.adjoint.result_rows(), outputs * total);
        let mut parts = vec![flat(tape.result.clone(), ends * n)];
        if recorded > 0 {
            parts.push(flat(tape.records.clone(), recorded));
        }
        // a copy: memory of results is written again on the way back
        let results = Tensor::cat(parts, 0);
        let run = Run {
            adjoint: self.adjoint.clone(),
            tape: Arc::new(tape),
        };
        let results: Tensor<1> = Tensor::from_dispatch(<Dispatch as SimulatorOps>::simulated(
            values.into_dispatch(),
            results.into_dispatch(),
            run,
        ));
        let from = ends * n;
        let records = (recorded > 0).then(|| {
            let records = results.clone().slice(from..from + recorded);
            records.reshape([outputs, total])
        });
        Ok(Course {
            ends: results.slice(0..from).reshape([ends, n]),
            records,
        })
    }
}

/// The values of a simulation's patients, `[slots + scales][patients]`, coherent units.
pub fn values_of(simulation: &Simulation<'_>) -> Vec<f32> {
    let (slots, scales) = (&simulation.cohort.slots, &simulation.timelines.scales);
    let rows = slots.iter().chain(scales);
    rows.flatten().map(|value| *value as f32).collect()
}

/// A run that was taken, and what takes it back.
#[derive(Clone)]
pub struct Run {
    adjoint: Arc<Adjoint>,
    tape: Arc<Tape>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run of {} patients", self.tape.n)
    }
}

/// The operation on a backend's own tensors.
#[backend_extension(Cube, Autodiff)]
pub trait SimulatorOps: Backend {
    /// `results` (ends, then records, in one row) as a function of `values`.
    fn simulated(
        values: FloatTensor<Self>,
        results: FloatTensor<Self>,
        run: Run,
    ) -> FloatTensor<Self>;

    /// The derivative by the values, from that by the results.
    fn taken_back(results: FloatTensor<Self>, run: Run) -> FloatTensor<Self>;
}

/// The memory of a tensor, contiguous.
fn handle(tensor: CubeTensor) -> Handle {
    into_contiguous(tensor).handle
}

impl SimulatorOps for CubeBackend {
    fn simulated(_values: CubeTensor, results: CubeTensor, _run: Run) -> CubeTensor {
        results
    }

    fn taken_back(results: CubeTensor, run: Run) -> CubeTensor {
        let (client, device) = (results.client.clone(), results.device.clone());
        let (rows, n) = (run.adjoint.value_rows(), run.tape.n);
        // its first rows are those of the values
        let (gradient, _) = run.adjoint.backward(&run.tape, &handle(results));
        let beyond = gradient.size_in_used() - 4 * (rows * n) as u64;
        let gradient = gradient.offset_end(beyond);
        CubeTensor::new_contiguous(client, device, Shape::from([rows, n]), gradient, DType::F32)
    }
}

#[derive(Debug)]
struct TakenBack;

impl<B: Backend + SimulatorOps> Backward<B, 1> for TakenBack {
    type State = Run;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [parent] = ops.parents;
        let seeds = grads.consume::<B>(&ops.node);
        if let Some(parent) = parent {
            grads.register::<B>(parent.id, B::taken_back(seeds, ops.state));
        }
    }
}

impl<B: Backend + SimulatorOps, C: CheckpointStrategy> SimulatorOps for Autodiff<B, C> {
    fn simulated(
        values: FloatTensor<Self>,
        results: FloatTensor<Self>,
        run: Run,
    ) -> FloatTensor<Self> {
        let results = results.into_primitive();
        match TakenBack
            .prepare::<C>([values.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish(run, results),
            OpsKind::UnTracked(prepared) => prepared.finish(results),
        }
    }

    fn taken_back(results: FloatTensor<Self>, run: Run) -> FloatTensor<Self> {
        use burn::backend::AutodiffBackend;
        Self::from_inner(B::taken_back(results.into_primitive(), run))
    }
}
