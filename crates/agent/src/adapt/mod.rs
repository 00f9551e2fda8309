//! How a policy adapts to a patient: regret to the patient's own oracle by treatment cycle, and
//! going on with learning for one patient.
//!
//! | module | what |
//! |---|---|
//! | [`regret`] | regret by cycle with its intervals, from recorded courses |
//! | [`compare`](mod@compare) | policies and the oracle of each patient on the same held-out patients |
//! | [`posterior`](mod@posterior) | who a patient may be, by the beginning of his course |
//! | [`rest`] | the rest of a real patient's course, whoever treats him |
//! | [`tune`](mod@tune) | learning on from virtual patients who are like him |

pub mod compare;
mod likelihood;
pub mod posterior;
pub mod regret;
pub mod rest;
pub mod tune;

pub use self::compare::{AdaptationOptions, Entrant, adaptation};
pub use self::posterior::PosteriorOptions;
pub use self::regret::{Adaptation, Courses, Curve, Reduction};
pub use self::tune::{TuneOptions, Tuned, tune};
