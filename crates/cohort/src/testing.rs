//! Models for this crate's tests.

use posology_model::model::Model;

/// A model with the given lines in `[parameters]` and further sections behind.
pub(crate) fn model_with(parameters: &str, sections: &str) -> Model {
    let names: Vec<&str> = parameters
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0.trim()))
        .filter(|name| !name.is_empty())
        .collect();
    // every parameter is used, so that none is reported as idle
    let used: String = names
        .iter()
        .map(|name| format!(" + 0*({name}/{name})"))
        .collect();
    let text = format!(
        "name = \"test\"\ntitle = \"Test\"\ntime = \"h\"\ndt = \"0.1 h\"\n[sources]\nx = \"made up for a test\"\n\
         [parameters]\n{parameters}\n[states.s]\nunit = \"1\"\nrate = \"(0{used})/1[h]\"\n\
         [observables.y]\nexpr = \"s\"\nunit = \"1\"\n{sections}"
    );
    parse("test.toml", &text)
}

/// One compartment with first-order absorption: inputs `oral` and `iv`, whose lag, F, R1 and D1
/// are parameters, so that data can drive them. Oral doses are in mg, the state too; `molar`
/// leads into a state in umol.
pub(crate) fn pk_model() -> Model {
    parse("pk.toml", include_str!("../tests/pk.toml"))
}

fn parse(name: &str, text: &str) -> Model {
    Model::parse(name, text, None).unwrap_or_else(|found| panic!("{}\n{text}", found.render(false)))
}
