//! The trial file as a whole.

use std::path::Path;

use posology_model::Model;
use posology_model::diagnostic::{Diagnostics, Source};
use posology_model::expr::is_identifier;
use posology_model::file::{Place, Text};
use posology_model::unit::Dimension;

use super::analysis::Endpoints;
use super::lookup::{cited, quantity, sources, time_unit};
use super::reader::{Reader, Section};
use super::seen::Seen;
use super::{
    Allocation, Arm, Trial, analysis, arms, credibility, dose_finding, endpoints, groups,
    operating, patients, protocols, replay, sequential, start, step, visit_times, whole,
};

const LONGEST: usize = 4 << 20;
const KEYS: &[&str] = &[
    "name",
    "title",
    "question",
    "description",
    "limits",
    "model",
    "seed",
    "horizon",
    "time_unit",
    "dt",
    "sources",
    "individuals",
    "replay",
    "virtual",
    "visits",
    "protocols",
    "arms",
    "design",
    "endpoints",
    "subgroups",
    "reported",
    "analysis",
    "validation",
    "context",
    "sequential",
    "operating",
    "dose_finding",
];

pub(super) fn load(path: &Path) -> Result<Trial, Diagnostics> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let source = Source::new(&name, "");
        Diagnostics::from(
            Place::new(&source, 0..0)
                .error("T005", format!("cannot read {name}: {error}"))
                .help("check the path and the permissions"),
        )
    })?;
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    parse(
        &Source::new(&name, &text),
        path.parent().unwrap_or(Path::new("")),
        stem.as_deref(),
    )
}

pub(super) fn parse(source: &Source, dir: &Path, stem: Option<&str>) -> Result<Trial, Diagnostics> {
    let mut reader = Reader {
        source: source.clone(),
        found: Diagnostics::new(),
    };
    if source.text().len() > LONGEST {
        return Err(reader
            .place(0..0)
            .error("T005", "the trial file is longer than 4 MiB")
            .into());
    }
    let (root, errors) = toml::de::DeTable::parse_recoverable(source.text());
    for error in errors.iter().take(Diagnostics::MOST) {
        let place = reader.place(error.span().unwrap_or(0..0));
        reader
            .found
            .push(place.error("T001", error.message().trim().replace('\n', ", ")));
    }
    if !errors.is_empty() {
        return Err(reader.found);
    }
    let root = Section {
        table: root.get_ref(),
        place: reader.place(0..0),
        what: "the trial".into(),
    };
    let trial = read(&mut reader, &root, dir, stem);
    let mut found = reader.found;
    found.sort();
    match trial {
        Some(mut trial) if !found.has_errors() => {
            let misfits = whole::arms_fit_visits(&trial);
            if misfits.has_errors() {
                return Err(misfits);
            }
            trial.warnings = found;
            Ok(trial)
        }
        _ => Err(found),
    }
}

fn read(reader: &mut Reader, root: &Section<'_>, dir: &Path, stem: Option<&str>) -> Option<Trial> {
    reader.only(root, KEYS);
    let name = reader.required_text(root, "name", "the name of the file without its ending");
    if let (Some(name), Some(stem)) = (&name, stem)
        && name.value != stem
    {
        let message = format!(
            "the trial is called `{}`, its file `{stem}.toml`",
            name.value
        );
        reader
            .found
            .push(name.error("T006", message).help("use one name for both"));
    }
    let title = reader.required_text(root, "title", "one line");
    let sources = sources(reader, root);
    let file = reader.required_text(
        root,
        "model",
        "path of the model file, relative to the trial file",
    );
    let horizon = reader.required_text(root, "horizon", "end of follow-up, such as \"60 mo\"");
    if !root.table.contains_key("time_unit") {
        reader.missing(
            root,
            "time_unit",
            "unit of times in the report, such as \"mo\"",
        );
    }
    let arm_sections = reader.named(root, "arms", "arm");
    let endpoint_sections = reader.named(root, "endpoints", "endpoint");
    let protocol_sections = reader.named(root, "protocols", "protocol");
    let subgroup_sections = reader.named(root, "subgroups", "subgroup");
    whole::none_is_empty(reader, root, arm_sections.len(), endpoint_sections.len());
    let named = [
        &arm_sections,
        &endpoint_sections,
        &protocol_sections,
        &subgroup_sections,
    ];
    for (name, _) in named.into_iter().flatten() {
        if !is_identifier(&name.value) {
            let finding = name.error("T006", format!("`{}` cannot be a name", name.value));
            reader
                .found
                .push(finding.help("letters, digits and underscores, not a digit first"));
        }
    }
    let seed = reader.count(root, "seed", (0, 1 << 53), 1);
    let mut model = load_model(reader, &file?, dir)?;
    let horizon = quantity(reader, &horizon?, Dimension::TIME, &model)
        .filter(|&horizon| whole::positive(reader, root, horizon));
    let unit = time_unit(reader, root, "time_unit", &model);
    let follow_up = horizon.unwrap_or(1.0);

    let arm_names: Vec<Text> = arm_sections.iter().map(|(name, _)| name.clone()).collect();
    let endpoint_names: Vec<Text> = endpoint_sections
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    let protocol_names: Vec<Text> = protocol_sections
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    let virtual_section = reader.section(root, "virtual");
    let population = virtual_section
        .as_ref()
        .and_then(|section| patients::population(reader, section, dir));
    if let Some((_, Some(population))) = &population {
        patients::further_covariates(reader, population, &mut model);
    }
    let step = step::schedule(reader, root, &model);
    let visit_section = reader.section(root, "visits");
    let has_visits = root.table.contains_key("visits");
    let visits = visit_section
        .as_ref()
        .and_then(|section| visit_times::visits(reader, section, &model, follow_up));
    let mut seen = visits
        .as_ref()
        .map(|visits| Seen::at_visits(&model, visits));
    if !has_visits {
        for (name, _) in &protocol_sections {
            let finding = name.error("T021", "a protocol needs visits at which it is followed");
            reader
                .found
                .push(finding.help("give [visits] with `every`, and what is measured then"));
        }
    }
    let protocols = protocols::protocols(
        reader,
        &protocol_sections,
        &model,
        visits.as_ref(),
        seen.as_mut(),
    );
    for (_, section) in &protocol_sections {
        cited(reader, section, &sources);
    }
    let mut arms: Vec<Arm> = Vec::new();
    let mut context = arms::Context {
        horizon: follow_up,
        visits: visits.as_ref(),
        seen: seen.as_mut(),
        protocols: &protocol_names,
        dir,
    };
    for (name, section) in &arm_sections {
        arms.extend(arms::arm(reader, name, section, &mut model, &mut context));
        cited(reader, section, &sources);
    }
    if protocols.len() == protocol_names.len() {
        protocols::check_arms(reader, &arms, &protocols, &model, visits.as_ref());
    }
    let mut read_endpoints = Vec::new();
    let context = endpoints::Context {
        visits: visits.as_ref(),
        has_visits,
        horizon: follow_up,
        time_unit: unit.as_ref(),
    };
    for (name, section) in &endpoint_sections {
        read_endpoints.extend(endpoints::endpoint(
            reader, name, section, &mut model, &context,
        ));
        cited(reader, section, &sources);
    }
    let endpoints = endpoints::finish(reader, read_endpoints, &endpoint_names);
    let allocation = match reader.section(root, "design") {
        Some(section) => {
            groups::allocation(reader, &section, &mut model, arm_names.len(), follow_up)
        }
        None => Some(Allocation {
            ratio: vec![1; arm_names.len()],
            block: arm_names.len() as u32,
            ..Allocation::default()
        }),
    };
    let subgroups = groups::subgroups(reader, &subgroup_sections, &mut model);
    if let (Some(visits), Some(seen)) = (&visits, &seen) {
        whole::unused(
            reader,
            &protocol_names,
            &arms,
            visits,
            seen,
            &endpoints,
            visit_section.as_ref(),
        );
    }

    let mut individuals = reader.section(root, "individuals").and_then(|section| {
        cited(reader, &section, &sources);
        patients::individuals(reader, &section, &model, dir)
    });
    let replay = reader.section(root, "replay").and_then(|section| {
        cited(reader, &section, &sources);
        // without [individuals] this is a finding; where they failed, that was reported
        if individuals.is_none() && root.table.contains_key("individuals") {
            return None;
        }
        replay::replay(
            reader,
            &section,
            &model,
            individuals.as_mut(),
            &arm_names,
            dir,
        )
    });
    let begin = reader
        .section(root, "individuals")
        .and_then(|section| reader.section(&section, "start"));
    if let (Some(section), Some(individuals)) = (begin, &mut individuals) {
        individuals.start = start::start(reader, &section, &mut model, replay.as_ref());
    }
    let known_individuals = root.table.contains_key("individuals");
    let virtual_patients = reader.section(root, "virtual").and_then(|section| {
        patients::virtual_patients(reader, &section, &model, known_individuals, population)
    });
    let reported = reader.section(root, "reported").and_then(|section| {
        cited(reader, &section, &sources);
        patients::reported(reader, &section, &model, &arm_names, dir)
    });
    let known_endpoints = Endpoints {
        read: &endpoints,
        names: &endpoint_names,
    };
    let analysis = match reader.section(root, "analysis") {
        Some(section) => analysis::analysis(
            reader,
            &section,
            &model,
            &arm_names,
            &known_endpoints,
            follow_up,
        ),
        None => {
            reader.missing(root, "analysis", "at least `control` and `primary`");
            None
        }
    };
    let validation = credibility::validation(reader, root, &arm_names, &known_endpoints, &sources);
    let context = reader
        .section(root, "context")
        .and_then(|section| credibility::context(reader, &section));
    let alpha = analysis.as_ref().map_or(0.05, |analysis| analysis.alpha);
    let sequential = reader
        .section(root, "sequential")
        .and_then(|section| sequential::sequential(reader, &section, alpha));
    let operating = reader
        .section(root, "operating")
        .and_then(|section| operating::operating(reader, &section, &arm_names));
    let dose_finding = reader.section(root, "dose_finding").and_then(|section| {
        dose_finding::dose_finding(
            reader,
            &section,
            &model,
            &arms,
            &arm_names,
            &known_endpoints,
        )
    });
    let mut whole = reader.words(root, "description");
    whole = whole
        .split("\n\n")
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n\n");
    Some(Trial {
        name: name?.value,
        title: title?.value,
        question: reader.words(root, "question"),
        description: whole,
        limits: reader
            .texts(root, "limits")
            .into_iter()
            .map(|text| text.value)
            .collect(),
        sources,
        model_file: root
            .table
            .get("model")
            .and_then(|m| m.get_ref().as_str())
            .unwrap_or_default()
            .to_owned(),
        model,
        seed,
        horizon: horizon?,
        time_unit: unit?,
        individuals,
        replay,
        virtual_patients,
        visits,
        protocols,
        allocation: allocation?,
        subgroups,
        arms,
        endpoints,
        reported,
        analysis: analysis?,
        step,
        context,
        validation,
        sequential,
        operating,
        dose_finding,
        source: reader.source.clone(),
        warnings: Diagnostics::new(),
    })
}

fn load_model(reader: &mut Reader, file: &Text, dir: &Path) -> Option<Model> {
    let path = dir.join(&file.value);
    if !path.is_file() {
        let message = format!("there is no model file `{}`", path.display());
        reader.found.push(
            file.error("T005", message)
                .help("the path is relative to the trial file"),
        );
        return None;
    }
    patients::keep(reader, Model::load(&path))
}
