//! The population fit, from its beginning or from a checkpoint.

use posology_twin::population::{Saem, SaemState};
use posology_twin::problem::Problem;

use super::checkpoint::Keeper;
use super::study::Study;
use crate::args::FitArgs;
use crate::context::Context;
use crate::error::Failure;

/// Iterations between two checkpoints.
const CHECKPOINT_EVERY: usize = 25;

/// # Errors
/// Classes numeric, data, device, input/output; interrupted.
pub fn population(
    study: &Study,
    problem: &Problem,
    keeper: &Keeper,
    args: &FitArgs,
    context: &Context,
) -> Result<SaemState, Failure> {
    let everyone: Vec<u32> = (0..study.names.len() as u32).collect();
    let start = vec![study.start.clone()];
    let resume = keeper.read(args.resume)?;
    let mut fit = Saem::new(problem, vec![everyone], start, study.options, resume)?;
    study.saem(&mut fit, context, |fit| {
        if context.interrupted() {
            keeper.save(&fit.state)?;
            let done = format!("{} of {} iterations", fit.state.iteration, fit.total());
            return Err(keeper.interrupted(&done));
        }
        if fit.state.iteration.is_multiple_of(CHECKPOINT_EVERY) || fit.done() {
            keeper.save(&fit.state)?;
        }
        Ok(())
    })?;
    Ok(fit.state)
}
