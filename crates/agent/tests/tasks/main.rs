//! Published figures of the learning tasks, from the shipped model files in f64 on the host.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod abiraterone;
mod adaptive;
mod ahn;
mod combination;
mod figures;
mod files;
mod oracle;
mod starts;

use std::path::PathBuf;

use posology_model::Model;

/// A shipped model.
pub fn shipped(name: &str) -> Model {
    let configs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/models");
    match Model::load(&configs.join(format!("{name}.toml"))) {
        Ok(model) => model,
        Err(found) => panic!("{found}"),
    }
}
