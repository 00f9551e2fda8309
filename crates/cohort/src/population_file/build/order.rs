//! The order in which covariates are computed.

use posology_model::file::reader::Reader;

use super::super::{Anatomy, Covariate, How, Step};

/// Covariates that one needs.
fn needs(covariate: &Covariate, anatomy: Option<&Anatomy>) -> Vec<usize> {
    match &covariate.how {
        How::Drawn(_) | How::Data(_) => Vec::new(),
        How::Mixture { by, .. } => vec![*by],
        How::Expression(formula) => formula.reads.clone(),
        How::Equation { arguments, .. } => arguments.iter().map(|(i, _)| *i).collect(),
        How::Anatomy(_) => anatomy.map_or(Vec::new(), |a| vec![a.female, a.height, a.weight]),
    }
}

/// Each covariate after those it needs; `None` where some need each other, which is reported.
pub(super) fn order(
    reader: &mut Reader,
    covariates: &[Covariate],
    anatomy: Option<&Anatomy>,
) -> Option<Vec<Step>> {
    let mut done = vec![false; covariates.len()];
    let mut order = Vec::new();
    let mut anatomy_done = false;
    loop {
        let mut grown = false;
        for (i, covariate) in covariates.iter().enumerate() {
            if done[i] || !needs(covariate, anatomy).iter().all(|&other| done[other]) {
                continue;
            }
            done[i] = true;
            grown = true;
            match covariate.how {
                How::Anatomy(_) if anatomy_done => {}
                How::Anatomy(_) => {
                    anatomy_done = true;
                    order.push(Step::Anatomy);
                }
                _ => order.push(Step::Covariate(i)),
            }
        }
        if !grown {
            break;
        }
    }
    let open: Vec<usize> = (0..covariates.len()).filter(|&i| !done[i]).collect();
    let Some(&first) = open.first() else {
        return Some(order);
    };
    // walk along what is missing until it repeats: a cycle
    let mut path = vec![first];
    let mut at = first;
    while let Some(&next) = needs(&covariates[at], anatomy).iter().find(|&&i| !done[i]) {
        if let Some(start) = path.iter().position(|&i| i == next) {
            path.drain(..start);
            break;
        }
        path.push(next);
        at = next;
    }
    let names: Vec<&str> = path.iter().map(|&i| covariates[i].name.as_str()).collect();
    let message = if names.len() == 1 {
        format!("`{}` depends on itself", names[0])
    } else {
        format!("{} need each other", names.join(", "))
    };
    let finding = covariates[path[0]].place.error("D130", message);
    reader.diagnostics.push(finding);
    None
}
