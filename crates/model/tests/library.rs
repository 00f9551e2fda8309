//! The shipped models: every file loads clean, says what it is, conserves what it declares, is
//! integrated well by its own step, and reproduces the figures it names.

#![allow(clippy::expect_used, clippy::panic)]

#[path = "library/bruno.rs"]
mod bruno;
#[path = "library/files.rs"]
mod files;
#[path = "library/liposomes.rs"]
mod liposomes;
#[path = "library/nanoparticles.rs"]
mod nanoparticles;
#[path = "library/patient.rs"]
mod patient;
#[path = "library/pharmacokinetics.rs"]
mod pharmacokinetics;
#[path = "library/radiation.rs"]
mod radiation;
#[path = "library/responses.rs"]
mod responses;
