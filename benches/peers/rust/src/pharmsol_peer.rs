//! pharmsol: an ODE equation per model, one subject with the doses, and the parameters of every
//! patient, over threads.
//!
//! Its cache of predictions is off, or a second run would only look the first one up. A prediction
//! carries the whole state, so one output equation is enough.

use crate::{
    case::Case,
    models::{Model, MOST_PARAMETERS, MOST_STATES},
    Run,
};
use pharmsol::{prelude::*, Cache};
use rayon::prelude::*;

pub struct Pharmsol<M> {
    case: Case,
    equation: equation::ODE,
    subject: Subject,
    parameters: Vec<Parameters>,
    method: &'static str,
    model: std::marker::PhantomData<M>,
}

/// A patient's initial state stands behind his parameters: the equation's initial state is a
/// function of its parameters.
fn names<M: Model>() -> Vec<String> {
    let initial = M::states()
        .into_iter()
        .map(|state| format!("initial_{state}"));
    M::parameters().into_iter().chain(initial).collect()
}

fn equation<M: Model>() -> equation::ODE {
    equation::ODE::new(
        |x, p, _t, dx, bolus, _rateiv, _cov| {
            let (n, count) = (M::STATES, M::PARAMETERS);
            let (mut y, mut rates) = ([0.0; MOST_STATES], [0.0; MOST_STATES]);
            let mut parameters = [0.0; MOST_PARAMETERS];
            for i in 0..n {
                y[i] = x[i];
            }
            for i in 0..count {
                parameters[i] = p[i];
            }
            M::rates(&y[..n], &parameters[..count], &mut rates[..n]);
            for i in 0..n {
                dx[i] = rates[i] + bolus[i];
            }
        },
        |_p, _t, _cov| lag! {},
        |_p, _t, _cov| fa! {},
        |p, _t, _cov, x| {
            for i in 0..M::STATES {
                x[i] = p[M::PARAMETERS + i];
            }
        },
        |x, _p, _t, _cov, y| y[0] = x[0],
    )
}

impl<M: Model> Pharmsol<M> {
    pub fn new(case: Case) -> Result<Self, String> {
        let (solver, method) = match case.method.as_str() {
            method if method.ends_with("bdf") => (OdeSolver::Bdf, "BDF"),
            "kvaerno5" => (OdeSolver::Sdirk(SdirkTableau::Esdirk34), "ESDIRK34"),
            // The models are hardly stiff.
            _ => (OdeSolver::ExplicitRk(ExplicitRkTableau::Tsit45), "Tsit45"),
        };
        let states = M::states();
        let routes = states
            .iter()
            .map(|state| equation::Route::bolus(state).to_state(state));
        let equation = equation::<M>()
            .with_nstates(case.states)
            .with_ndrugs(case.states)
            .with_nout(1)
            .with_solver(solver)
            .with_tolerances(case.rtol, case.atol)
            .with_metadata(
                equation::metadata::new("peer")
                    .parameters(names::<M>())
                    .states(states.clone())
                    .outputs(["state"])
                    .routes(routes),
            )
            .map_err(|e| e.to_string())?
            .disable_cache();

        // A subject begins with its first event, whatever the time: without a dose at 0, this one.
        let mut subject = Subject::builder("patient").missing_observation(0.0, "state");
        for dose in case.doses.iter().filter(|d| d.time < case.duration) {
            subject = subject.bolus(dose.time, dose.amount, &states[dose.state]);
        }
        for &time in &case.times {
            subject = subject.missing_observation(time, "state");
        }
        // Simulates up to the end where the last output comes before it.
        if case.times.last().is_none_or(|&last| last < case.duration) {
            subject = subject.missing_observation(case.duration, "state");
        }

        let names = names::<M>();
        let parameters: Result<Vec<Parameters>, String> = (0..case.patients)
            .map(|patient| {
                let values = case.patient(patient).iter().copied();
                Parameters::with_model(&equation, names.iter().zip(values))
                    .map_err(|e| e.to_string())
            })
            .collect();
        let subject = subject.build();
        let parameters = parameters?;
        Ok(Pharmsol {
            case,
            equation,
            subject,
            parameters,
            method,
            model: std::marker::PhantomData,
        })
    }
}

impl<M: Model> Run for Pharmsol<M> {
    fn case(&self) -> &Case {
        &self.case
    }

    fn method(&self) -> String {
        self.method.to_owned()
    }

    fn note(&self) -> &'static str {
        "rates compiled by rustc, cache of predictions off, patients over threads"
    }

    fn run(&self, patients: usize) -> Result<Vec<f64>, String> {
        let rows: Result<Vec<Vec<f64>>, String> = self.parameters[..patients]
            .par_iter()
            .map(|parameters| {
                let predictions = self
                    .equation
                    .estimate_predictions(&self.subject, parameters)
                    .map_err(|e| e.to_string())?;
                let wanted = &predictions.predictions()[1..=self.case.times.len()];
                Ok(wanted
                    .iter()
                    .flat_map(|p| p.state().iter().copied())
                    .collect())
            })
            .collect();
        Ok(rows?.concat())
    }
}
