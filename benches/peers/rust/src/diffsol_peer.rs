//! diffsol: one problem for each thread, in which parameters are exchanged patient by patient.
//!
//! A patient's initial state stands behind his parameters, since a problem's initial state is a
//! function of its parameters. Each stretch between doses is one dense solve; a dose changes the
//! state of the solver, which then goes on.

use crate::{case::Case, models, models::Model, Run};
use diffsol::{
    MatrixCommon, NalgebraLU, NalgebraMat, NalgebraVec, OdeBuilder, OdeEquations, OdeSolverMethod,
    Vector,
};
use rayon::prelude::*;

type Matrix = NalgebraMat<f64>;
type Solver = NalgebraLU<f64>;

#[derive(Clone, Copy)]
enum Method {
    Tsit45,
    Bdf,
    Esdirk34,
}

/// Tsit45 unless an implicit method is asked for: the models are hardly stiff.
fn method(case: &Case) -> Method {
    match case.method.as_str() {
        method if method.ends_with("bdf") => Method::Bdf,
        "kvaerno5" => Method::Esdirk34,
        _ => Method::Tsit45,
    }
}

pub struct Diffsol<M> {
    pub case: Case,
    model: std::marker::PhantomData<M>,
}

impl<M: Model> Diffsol<M> {
    pub fn new(case: Case) -> Self {
        Diffsol {
            case,
            model: std::marker::PhantomData,
        }
    }
}

/// Takes one patient from the start to the end.
fn solve<'a, Eqn, S>(
    case: &Case,
    mut solver: S,
    rates: impl Fn(&[f64], &mut [f64]),
) -> Result<Vec<f64>, String>
where
    Eqn: OdeEquations<T = f64, V = NalgebraVec<f64>, M = Matrix> + 'a,
    S: OdeSolverMethod<'a, Eqn>,
{
    let mut out = Vec::with_capacity(case.times.len() * case.states);
    for interval in case.intervals() {
        if !interval.doses.is_empty() {
            let state = solver.state_mut();
            for &(index, amount) in &interval.doses {
                state.y[index] += amount;
            }
            rates(state.y.batch_as_slice(0), state.dy.batch_as_mut_slice(0));
        }
        let (found, _) = solver
            .solve_dense(&interval.stops)
            .map_err(|e| e.to_string())?;
        for column in 0..interval.outputs {
            out.extend((0..found.nrows()).map(|row| found[(row, column)]));
        }
    }
    Ok(out)
}

impl<M: Model> Run for Diffsol<M> {
    fn case(&self) -> &Case {
        &self.case
    }

    fn method(&self) -> String {
        match method(&self.case) {
            Method::Tsit45 => "Tsit45",
            Method::Bdf => "BDF",
            Method::Esdirk34 => "ESDIRK34",
        }
        .to_owned()
    }

    fn note(&self) -> &'static str {
        "rates compiled by rustc, patients over threads"
    }

    fn run(&self, patients: usize) -> Result<Vec<f64>, String> {
        let case = &self.case;
        let build = || {
            OdeBuilder::<Matrix>::new()
                .rtol(case.rtol)
                .atol([case.atol])
                .p(case.patient(0).to_vec())
                .rhs_implicit(
                    |y, p, _, dy| M::rates(y, p, dy),
                    |y, p, _, v, out| models::jacobian_times::<M>(y, p, v, out),
                )
                .init(|p, _, y| y.copy_from_slice(&p[M::PARAMETERS..]), M::STATES)
                .build()
                .map_err(|e| e.to_string())
        };
        let rows: Result<Vec<Vec<f64>>, String> = (0..patients)
            .into_par_iter()
            .map_init(build, |problem, patient| {
                let problem = problem.as_mut().map_err(|e| e.clone())?;
                let p = case.patient(patient);
                let context = *problem.context();
                problem
                    .eqn_mut()
                    .set_params(&NalgebraVec::from_slice(p, context));
                let rates = |y: &[f64], dy: &mut [f64]| M::rates(y, p, dy);
                match method(case) {
                    Method::Tsit45 => {
                        solve(case, problem.tsit45().map_err(|e| e.to_string())?, rates)
                    }
                    Method::Bdf => solve(
                        case,
                        problem.bdf::<Solver>().map_err(|e| e.to_string())?,
                        rates,
                    ),
                    Method::Esdirk34 => solve(
                        case,
                        problem.esdirk34::<Solver>().map_err(|e| e.to_string())?,
                        rates,
                    ),
                }
            })
            .collect();
        Ok(rows?.concat())
    }
}
