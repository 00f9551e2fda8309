//! Physics-informed networks: an alternative to simulation for fitting one patient.
//!
//! A small network of time stands for the states of each patient, and is fitted to his data with the
//! model as a penalty: the squared residual of `du/dt = f(u, parameters, t)` at collocation points
//! (Raissi M, Perdikaris P, Karniadakis GE, J Comput Phys 2019;378:686-707,
//! doi 10.1016/j.jcp.2018.10.045). `f` is the rates block of the compiled program, so any model works;
//! parameters may be fitted beside the network. A forecast is the network at later times: it knows of
//! the equations only where there were collocation points ([`InformedOptions::until`]).
//!
//! Minimised for each patient, with T the length of his window, s the size of a state (its range in
//! a simulation with the starting parameters) and sd that of an observation:
//!
//! ```text
//! mean ((y - observed)/sd)^2 + residual_weight * mean_points sum_states ((du/dt - f) T/s)^2
//!   + initial_weight * sum_states ((u(start) - u0)/s)^2 + mean (theta/omega)^2 / observations
//! ```
//!
//! Infusions and changes of covariates are steps of `f`. A bolus at the start is part of the initial
//! state; a later one would be a jump of the states, which a smooth function cannot make: it is
//! refused, as are later resets, steady states and protocols ([`InformedError::Event`]).
//!
//! Expect less of it than of a fit through the simulator ([`crate::op`]): equations hold only in the
//! mean, and rates much faster than 1/T (drug absorption beside tumour growth) make the penalty stiff.
//!
//! | module | what |
//! |---|---|
//! | [`network`] | the networks and their derivative by time |
//! | [`problem`] | networks, equations and events on a grid of instants |
//! | [`schedule`] | a patient's events as functions of time |
//! | [`tensors`] | any operation list evaluated in tensors |

pub mod network;
pub mod problem;
pub mod schedule;
pub mod tensors;

use burn::optim::{AdamConfig, Optimizer};
use burn::tensor::{Device as TensorDevice, Tensor};
use posology_kernels::device::Device;
use posology_kernels::reference::{Method, simulate};
use posology_sim::run::{lower_timelines, program};
use posology_sim::{SimError, Simulation};

use self::network::{Networks, inverse_softplus, packed};
use self::problem::{Grid, Problem};
use self::schedule::Schedule;
use self::tensors::{MissingLeaf, evaluate};

/// Something that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    pub patient: usize,
    /// Model time.
    pub time: f64,
    /// Which record output of the simulation's plan.
    pub output: usize,
    /// Coherent units.
    pub value: f64,
    /// Standard deviation of its error, coherent units.
    pub sd: f64,
}

/// How to fit.
#[derive(Clone, Debug, PartialEq)]
pub struct InformedOptions {
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// Points of each patient at which the equations are asked for, equally spaced.
    pub collocation: usize,
    /// They lie between the start and this model time; by default the patient's last observation.
    pub until: Option<f64>,
    pub iterations: usize,
    /// Of Adam; falls to a hundredth along a cosine.
    pub learning_rate: f64,
    pub residual_weight: f64,
    pub initial_weight: f64,
    /// Slots fitted for each patient, from their present values on, with the standard deviation of
    /// their logarithm between patients.
    pub trainable: Vec<(usize, f64)>,
    pub seed: u64,
}

impl Default for InformedOptions {
    fn default() -> Self {
        Self {
            hidden: vec![24, 24],
            collocation: 64,
            until: None,
            iterations: 2000,
            learning_rate: 1e-2,
            residual_weight: 30.0,
            initial_weight: 10.0,
            trainable: Vec::new(),
            seed: 1,
        }
    }
}

/// Why networks could not be fitted.
#[derive(Debug, thiserror::Error)]
pub enum InformedError {
    #[error(
        "patient {patient} has {what} at t = {time}, which a network of time cannot follow; fit him \
         through the simulator"
    )]
    Event {
        patient: usize,
        time: f64,
        what: &'static str,
    },
    #[error("observation {index} {cause}")]
    Observation { index: usize, cause: &'static str },
    #[error("option `{key}`: {cause}")]
    Option { key: &'static str, cause: String },
    #[error("the fit of patient {patient} left the range of numbers; try a smaller learning_rate")]
    NotFinite { patient: usize },
    #[error("the device failed while reading a fit: {0}")]
    Lost(String),
    #[error(transparent)]
    Leaf(#[from] MissingLeaf),
    #[error(transparent)]
    Simulation(#[from] SimError),
}

/// One patient's parts of what is minimised, unweighted, at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InformedLoss {
    pub data: f64,
    pub residual: f64,
    pub initial: f64,
}

/// What networks say of given times, coherent units.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prediction {
    /// `[output][patient][time]`
    pub records: Vec<Vec<Vec<f64>>>,
    /// `[state][patient][time]`
    pub states: Vec<Vec<Vec<f64>>>,
}

/// Fitted networks of a cohort.
#[derive(Clone, Debug)]
pub struct InformedFit {
    problem: Problem,
    networks: Networks,
    theta: Option<Tensor<2>>,
    /// `[patient]`
    pub losses: Vec<InformedLoss>,
    /// `[slot][patient]` with the fitted ones, coherent units.
    pub slots: Vec<Vec<f64>>,
}

/// Fit a network, and the trainable slots, to each patient of `simulation` apart: his events, slots and
/// record outputs are its; its summaries are not used. Patients are fitted side by side and do not know of each other; random
/// numbers depend on a patient's id, so his fit depends on his company by rounding alone.
///
/// # Errors
/// Events that a network cannot follow, observations and options that make no sense, trainable slots
/// that are not positive or change over time, a fit that diverged.
pub fn fit_informed(
    device: &Device,
    simulation: &Simulation<'_>,
    observations: &[Observation],
    options: &InformedOptions,
) -> Result<InformedFit, InformedError> {
    let problem = prepared(device, simulation, observations, options)?;
    let n = problem.patients();
    let (grid, parts) = asked(&problem, observations, options);
    let layers: Vec<usize> = std::iter::once(1)
        .chain(options.hidden.iter().copied())
        .chain([problem.program.n_states])
        .collect();
    let middle = |signed: &bool| {
        if *signed { 0.0 } else { inverse_softplus(0.5) }
    };
    let biases = vec![problem.program.signed.iter().map(middle).collect(); n];
    let ids = &simulation.cohort.ids;
    let networks = Networks::new(&layers, ids, &biases, options.seed, &problem.device);
    let count = problem.trainable.len();
    let theta = (count > 0).then(|| Tensor::zeros([n, count], &problem.device));

    // one row of numbers per patient for the optimiser, whose launches are then few
    let mut flat = packed(networks.weights, theta);
    let adam = AdamConfig::new()
        .with_beta_2(0.99)
        .with_epsilon(1e-8)
        .build();
    let mut moments = None;
    for iteration in 0..options.iterations {
        let (mut networks, theta) = Networks::unpacked(&layers, &flat);
        let traced = networks.weights.into_iter();
        networks.weights = traced.map(|w| w.autodiff().require_grad()).collect();
        let theta = theta.map(|theta| theta.autodiff().require_grad());
        let [data, residual, initial, prior] =
            parts.of(&problem, &networks, theta.as_ref(), &grid)?;
        let total =
            data + residual * options.residual_weight + initial * options.initial_weight + prior;
        let gradients = total.sum_dim(0).backward();
        let of_weight = |w: &Tensor<3>| {
            let gradient = w.grad(&gradients);
            gradient.unwrap_or_else(|| w.clone().inner().zeros_like())
        };
        let of_theta = |theta: Tensor<2>| {
            let gradient = theta.grad(&gradients);
            gradient.unwrap_or_else(|| theta.inner().zeros_like())
        };
        let by_weights = networks.weights.iter().map(of_weight).collect();
        let gradient = packed(by_weights, theta.map(of_theta));
        let share = iteration as f64 / options.iterations as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * share).cos());
        let rate = options.learning_rate * (0.01 + 0.99 * cosine);
        (flat, moments) = adam.step(rate, flat, gradient, moments);
    }

    let (networks, theta) = Networks::unpacked(&layers, &flat);
    let [data, residual, initial, _] = parts.of(&problem, &networks, theta.as_ref(), &grid)?;
    let [data, residual, initial] = [read(data)?, read(residual)?, read(initial)?];
    let mut losses = Vec::with_capacity(n);
    for patient in 0..n {
        let loss = InformedLoss {
            data: data[patient],
            residual: residual[patient],
            initial: initial[patient],
        };
        if !(loss.data + loss.residual + loss.initial).is_finite() {
            return Err(InformedError::NotFinite { patient });
        }
        losses.push(loss);
    }
    let mut slots = problem.slots.clone();
    if let Some(theta) = &theta {
        let theta = read(theta.clone())?;
        for (k, (slot, _)) in problem.trainable.iter().enumerate() {
            for (i, value) in slots[*slot].iter_mut().enumerate() {
                *value *= theta[i * count + k].exp();
            }
        }
    }
    Ok(InformedFit {
        problem,
        networks,
        theta,
        losses,
        slots,
    })
}

impl InformedFit {
    /// What the networks say of all patients at `times` (model time).
    ///
    /// # Errors
    /// When the device fails.
    pub fn predict(&self, times: &[f64]) -> Result<Prediction, InformedError> {
        if times.is_empty() {
            return Ok(Prediction::default());
        }
        let grid = self.problem.grid(&vec![times.to_vec(); self.losses.len()]);
        let course = self
            .problem
            .course(&self.networks, self.theta.as_ref(), &grid)?;
        let records = evaluate(&self.problem.program.record, &course.leaves)?;
        let rows = |tensors: Vec<Tensor<2>>| -> Result<Vec<Vec<Vec<f64>>>, InformedError> {
            let one = |tensor| {
                let words = read(tensor)?;
                Ok(words.chunks(times.len()).map(<[f64]>::to_vec).collect())
            };
            tensors.into_iter().map(one).collect()
        };
        Ok(Prediction {
            records: rows(records)?,
            states: rows(course.leaves.states)?,
        })
    }
}

fn read(tensor: Tensor<2>) -> Result<Vec<f64>, InformedError> {
    let lost = |cause: &dyn std::fmt::Debug| InformedError::Lost(format!("{cause:?}"));
    let data = tensor.try_into_data().map_err(|e| lost(&e))?;
    let words = data.try_to_vec::<f32>().map_err(|e| lost(&e))?;
    Ok(words.into_iter().map(f64::from).collect())
}

/// Everything checked, and the sizes of states.
fn prepared(
    device: &Device,
    simulation: &Simulation<'_>,
    observations: &[Observation],
    options: &InformedOptions,
) -> Result<Problem, InformedError> {
    let wrong = |key, cause: &str| InformedError::Option {
        key,
        cause: cause.to_owned(),
    };
    let n = simulation.cohort.len();
    let program = program(simulation);
    if n == 0 {
        return Err(wrong("cohort", "there is no patient"));
    }
    if program.n_states == 0 {
        return Err(wrong("model", "it has no states"));
    }
    if options.hidden.is_empty() || options.hidden.contains(&0) {
        return Err(wrong("hidden", "one number of units for each hidden layer"));
    }
    if options.collocation < 2 {
        return Err(wrong("collocation", "at least 2 points"));
    }
    for (index, seen) in observations.iter().enumerate() {
        let cause = if seen.patient >= n {
            "is of a patient that does not exist"
        } else if seen.output >= program.record.outputs.len() {
            "is of an output that is not recorded"
        } else if !(seen.sd > 0.0 && seen.sd.is_finite()) {
            "needs a positive standard deviation"
        } else if !(seen.value.is_finite() && seen.time.is_finite()) {
            "is not finite"
        } else {
            continue;
        };
        return Err(InformedError::Observation { index, cause });
    }
    let timelines = lower_timelines(simulation, &simulation.model.step)?;
    let slots = simulation.cohort.slots.clone();
    let (mut schedules, mut windows, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..n {
        let schedule = Schedule::of(simulation.model, simulation.timelines, i)?;
        let of_patient = observations.iter().filter(|seen| seen.patient == i);
        let last = of_patient
            .map(|seen| seen.time)
            .fold(schedule.start, f64::max);
        let end = options.until.unwrap_or(last);
        if end.is_nan() || end <= schedule.start {
            let cause =
                format!("patient {i} has no window; observe him after the start, or set it");
            return Err(wrong("until", &cause));
        }
        for &(slot, omega) in &options.trainable {
            let positive = slots.get(slot).is_some_and(|row| row[i] > 0.0);
            let steady = schedule.slots.iter().all(|change| change.1 != slot);
            if !positive || !steady || omega.is_nan() || omega <= 0.0 {
                let name = simulation.model.slot_name(slot);
                let cause =
                    format!("slot {slot} `{name}` must be positive and not change over time");
                return Err(wrong("trainable", &cause));
            }
        }
        let timeline = &timelines[simulation.timelines.of_patient[i] as usize];
        let scales = simulation.timelines.scales.iter().map(|row| row[i]);
        let (patient, scales) = (simulation.cohort.patient(i), scales.collect::<Vec<f64>>());
        let method = Method::Rk4 { refine: 1 };
        let path = simulate(&program, timeline, &patient, &scales, method);
        let range = path.map_err(SimError::from)?.range;
        let usable = |r: f64| if r > 0.0 && r.is_finite() { r } else { 1.0 };
        sizes.push(
            range[..program.n_states]
                .iter()
                .map(|r| usable(*r))
                .collect(),
        );
        windows.push([schedule.start, end]);
        schedules.push(schedule);
    }
    Ok(Problem {
        program,
        schedules,
        slots,
        trainable: options.trainable.clone(),
        windows,
        sizes,
        device: TensorDevice::from(device.runtime.clone()),
    })
}

/// Weights of the points of a grid.
struct Parts {
    /// `[patients, points]`
    asked: Tensor<2>,
    /// `[patients, 1]` of each state: T/s, 1/s, what is given at the start.
    speed: Vec<Tensor<2>>,
    inverse: Vec<Tensor<2>>,
    given: Vec<Tensor<2>>,
    /// `[patients, points]` of each output: weights and values of observations.
    seen: Vec<(Tensor<2>, Tensor<2>)>,
    /// `[patients, trainable]`
    prior: Tensor<2>,
}

/// Points: the start, where the equations are asked for, then observations.
fn asked(
    problem: &Problem,
    observations: &[Observation],
    options: &InformedOptions,
) -> (Grid, Parts) {
    let n = problem.patients();
    let of = |i: usize| observations.iter().filter(move |seen| seen.patient == i);
    let of: Vec<Vec<&Observation>> = (0..n).map(|i| of(i).collect()).collect();
    let most = of.iter().map(Vec::len).max().unwrap_or(0);
    let (from, points) = (1 + options.collocation, 1 + options.collocation + most);
    let times = |i: usize| -> Vec<f64> {
        let [start, end] = problem.windows[i];
        let step = (end - start) / (options.collocation - 1) as f64;
        let asked = (0..options.collocation).map(|k| start + k as f64 * step);
        let seen = of[i].iter().map(|seen| seen.time);
        let idle = std::iter::repeat_n(start, most - of[i].len());
        let first = std::iter::once(start);
        first.chain(asked).chain(seen).chain(idle).collect()
    };
    let times: Vec<Vec<f64>> = (0..n).map(times).collect();
    let at = |i: usize, k: usize, output: usize| {
        let seen = k.checked_sub(from).and_then(|k| of[i].get(k));
        seen.filter(|seen| seen.output == output)
    };
    let states = 0..problem.program.n_states;
    let per_state = |of: &dyn Fn(usize, usize) -> f64| -> Vec<Tensor<2>> {
        let states = states.clone();
        states.map(|s| problem.table(1, |i, _| of(i, s))).collect()
    };
    let given = |i: usize, s: usize| {
        let all = problem.schedules[i].given.iter();
        all.filter(|given| given.0 == s).map(|given| given.1).sum()
    };
    let window = |i: usize| problem.windows[i][1] - problem.windows[i][0];
    let parts = Parts {
        asked: problem.table(points, |_, k| {
            let is = (1..from).contains(&k);
            if is {
                1.0 / options.collocation as f64
            } else {
                0.0
            }
        }),
        speed: per_state(&|i, s| window(i) / problem.sizes[i][s]),
        inverse: per_state(&|i, s| 1.0 / problem.sizes[i][s]),
        given: per_state(&given),
        seen: (0..problem.program.record.outputs.len())
            .map(|output| {
                let weight = |i: usize, k: usize| {
                    let share = |seen: &&Observation| 1.0 / seen.sd / (of[i].len() as f64).sqrt();
                    at(i, k, output).map_or(0.0, share)
                };
                let value = |i: usize, k: usize| at(i, k, output).map_or(0.0, |seen| seen.value);
                (problem.table(points, weight), problem.table(points, value))
            })
            .collect(),
        prior: problem.table(problem.trainable.len().max(1), |i, k| {
            let share = (of[i].len().max(1) * problem.trainable.len().max(1)) as f64;
            let omega = problem.trainable.get(k).map_or(1.0, |slot| slot.1);
            1.0 / omega / share.sqrt()
        }),
    };
    (problem.grid(&times), parts)
}

impl Parts {
    /// Data, residual, initial state, prior: `[patients, 1]` each.
    fn of(
        &self,
        problem: &Problem,
        networks: &Networks,
        theta: Option<&Tensor<2>>,
        grid: &Grid,
    ) -> Result<[Tensor<2>; 4], InformedError> {
        let course = problem.course(networks, theta, grid)?;
        let zero = Tensor::zeros([problem.patients(), 1], &problem.device);
        let [mut data, mut residual, mut initial] = [(); 3].map(|()| zero.clone());
        let records = evaluate(&problem.program.record, &course.leaves)?;
        for (record, (weight, value)) in records.into_iter().zip(&self.seen) {
            data = data
                + ((record - value.clone()) * weight.clone())
                    .square()
                    .sum_dim(1);
        }
        let rates = evaluate(&problem.program.rates, &course.leaves)?;
        for (s, (slope, rate)) in course.slopes.into_iter().zip(rates).enumerate() {
            let apart = ((slope - rate) * self.speed[s].clone()).square();
            residual = residual + (apart * self.asked.clone()).sum_dim(1);
            let start = course.leaves.states[s].clone().narrow(1, 0, 1);
            let wanted = course.initial[s].clone() + self.given[s].clone();
            initial = initial + ((start - wanted) * self.inverse[s].clone()).square();
        }
        let prior = theta.map(|theta| (theta.clone() * self.prior.clone()).square().sum_dim(1));
        Ok([data, residual, initial, prior.unwrap_or(zero)])
    }
}
