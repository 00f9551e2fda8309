//! A task file as written: its sections, with places, before anything is compiled.

use posology_model::diagnostic::{Diagnostics, Source};
use posology_model::file::reader::{Reader, Section};
use posology_model::file::{Number, Place, Text};
use toml::de::DeValue;

/// A task file, keys checked and values typed.
#[derive(Clone, Debug, Default)]
pub(super) struct TaskFile {
    pub title: String,
    pub description: String,
    pub model: Option<Text>,
    pub population: Option<Text>,
    pub pool: Option<Number>,
    pub typical: bool,
    pub only: Option<Text>,
    pub every: Option<Text>,
    pub horizon: Option<Text>,
    pub discount: Option<Number>,
    pub actions: Vec<(Text, Action)>,
    pub observe: Vec<(Text, Observe)>,
    pub watch: Vec<(Text, Watch)>,
    pub memory: Vec<(Text, Memory)>,
    pub features: Vec<(Text, Feature)>,
    pub hidden: Vec<(Text, Feature)>,
    pub rewards: Vec<(Text, Reward)>,
    pub costs: Vec<(Text, Cost)>,
    pub ends: Vec<(Text, End)>,
    pub baselines: Vec<(Text, Baseline)>,
}

#[derive(Clone, Debug)]
pub(super) struct Action {
    pub place: Place,
    pub into: Option<Text>,
    pub sets: Option<Text>,
    pub levels: Option<(Place, Vec<Number>)>,
    pub largest: Option<Number>,
    pub unit: Option<Text>,
    pub amount: Option<Text>,
    pub over: Option<Text>,
    pub at: Vec<Text>,
    pub allowed: Option<Text>,
    pub shield: Option<Text>,
    pub look_ahead: Option<LookAhead>,
}

/// What must not happen to the twin within a time.
#[derive(Clone, Debug)]
pub(super) struct LookAhead {
    pub place: Place,
    pub kind: Option<(WatchKind, Text)>,
    pub within: Option<Text>,
    pub limit: Option<Text>,
    pub twin: Option<Text>,
}

#[derive(Clone, Debug)]
pub(super) struct Observe {
    pub of: Option<Text>,
    pub every: Option<Text>,
    pub error: Option<bool>,
    pub additive: Option<Text>,
    pub proportional: Option<Number>,
    pub lognormal: Option<Number>,
    pub missed: Option<Number>,
    pub lloq: Option<Text>,
}

#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// What is accumulated over an interval, and of which expression.
    pub kind: Option<(WatchKind, Text)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WatchKind {
    Min,
    Max,
    Integral,
    TimeWhile,
    FirstTime,
}

#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub place: Place,
    pub start: Option<Text>,
    pub next: Option<Text>,
    pub hidden: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Feature {
    pub value: Option<Text>,
    pub mean: Option<Number>,
    pub scale: Option<Number>,
}

#[derive(Clone, Debug)]
pub(super) struct Reward {
    pub value: Option<Text>,
    pub weight: Option<Number>,
    pub drawn: Option<DrawnWeight>,
    pub shaping: bool,
}

/// A weight that is drawn for every episode, uniformly, or fixed in that range.
#[derive(Clone, Debug)]
pub(super) struct DrawnWeight {
    pub place: Place,
    pub from: Option<Number>,
    pub to: Option<Number>,
    pub at: Option<Number>,
}

#[derive(Clone, Debug)]
pub(super) struct Cost {
    pub value: Option<Text>,
    pub limit: Option<Number>,
    pub cvar: Option<Number>,
    pub budget: bool,
}

#[derive(Clone, Debug)]
pub(super) struct End {
    pub when: Option<Text>,
    /// Per time: the end is drawn.
    pub hazard: Option<Text>,
    pub truncates: bool,
}

/// A rule: what it gives of each action, and parameters that are searched.
#[derive(Clone, Debug)]
pub(super) struct Baseline {
    pub title: String,
    pub gives: Vec<(Text, Text)>,
    pub search: Vec<(Text, Search)>,
}

#[derive(Clone, Debug)]
pub(super) struct Search {
    pub place: Place,
    pub from: Option<Number>,
    pub to: Option<Number>,
    pub points: Option<Number>,
}

/// What a look-ahead may predict.
const LOOKS: [&str; 4] = ["min", "max", "integral", "time_while"];

const WATCHES: [(&str, WatchKind); 5] = [
    ("min", WatchKind::Min),
    ("max", WatchKind::Max),
    ("integral", WatchKind::Integral),
    ("time_while", WatchKind::TimeWhile),
    ("first_time", WatchKind::FirstTime),
];

impl TaskFile {
    /// Reads the text; every finding is returned beside what could be read.
    pub fn read(source: &Source) -> (Self, Diagnostics) {
        let (mut reader, root) = Reader::open(source);
        let top = Section {
            table: root.get_ref(),
            place: reader.place(0..0),
            what: "the task".to_owned(),
        };
        let file = file(&mut reader, &top);
        (file, reader.finish())
    }
}

fn words(reader: &mut Reader, section: &Section<'_>, key: &str) -> String {
    let text = reader.text(section, key);
    text.map_or_else(String::new, |text| text.value.trim().to_owned())
}

fn file(reader: &mut Reader, top: &Section<'_>) -> TaskFile {
    reader.only(
        top,
        &[
            "title",
            "description",
            "model",
            "population",
            "patients",
            "decisions",
            "actions",
            "observe",
            "watch",
            "memory",
            "features",
            "hidden",
            "reward",
            "costs",
            "end",
            "learning",
            "baselines",
        ],
    );
    let mut task = TaskFile {
        title: words(reader, top, "title"),
        description: words(reader, top, "description"),
        model: reader.required_text(top, "model", "the model file, relative to this one"),
        population: reader.text(top, "population"),
        ..TaskFile::default()
    };
    if let Some(section) = reader.section(top, "patients", "[patients]") {
        reader.only(&section, &["pool", "typical", "only"]);
        task.only = reader.text(&section, "only");
        task.pool = reader.number(&section, "pool");
        task.typical = reader.flag(&section, "typical").unwrap_or(false);
    }
    match reader.section(top, "decisions", "[decisions]") {
        Some(section) => {
            reader.only(&section, &["every", "horizon", "discount"]);
            task.every = reader.required_text(&section, "every", "such as \"7 d\"");
            task.horizon = reader.required_text(&section, "horizon", "such as \"300 d\"");
            task.discount = reader.number(&section, "discount");
        }
        None => reader.missing(
            top,
            "decisions",
            "when decisions are made, and for how long",
        ),
    }
    task.actions = all(reader, top, "actions", "action", action);
    task.observe = all(reader, top, "observe", "observation", observe);
    task.watch = all(reader, top, "watch", "watch", watch);
    task.memory = all(reader, top, "memory", "memory", memory);
    task.features = all(reader, top, "features", "feature", feature);
    task.hidden = all(reader, top, "hidden", "hidden quantity", feature);
    task.rewards = all(reader, top, "reward", "reward", reward);
    task.costs = all(reader, top, "costs", "cost", cost);
    task.ends = all(reader, top, "end", "end", end);
    let actions: Vec<String> = task.actions.iter().map(|(n, _)| n.value.clone()).collect();
    task.baselines = all(reader, top, "baselines", "baseline", |reader, section| {
        baseline(reader, section, &actions)
    });
    for (key, empty, help) in [
        ("actions", task.actions.is_empty(), "what may be decided"),
        ("features", task.features.is_empty(), "what the policy sees"),
        ("reward", task.rewards.is_empty(), "what is to be gained"),
    ] {
        if empty {
            reader.missing(top, key, help);
        }
    }
    task
}

fn all<T>(
    reader: &mut Reader,
    top: &Section<'_>,
    key: &str,
    what: &str,
    read: impl Fn(&mut Reader, &Section<'_>) -> T,
) -> Vec<(Text, T)> {
    let sections = reader.named(top, key, what);
    let each = sections.into_iter();
    each.map(|(name, section)| (name, read(reader, &section)))
        .collect()
}

fn action(reader: &mut Reader, section: &Section<'_>) -> Action {
    reader.only(
        section,
        &[
            "into",
            "sets",
            "levels",
            "largest",
            "unit",
            "amount",
            "over",
            "at",
            "allowed",
            "shield",
            "look_ahead",
        ],
    );
    let look_ahead = reader.section(section, "look_ahead", "the look-ahead");
    let look_ahead = look_ahead.map(|section| look(reader, &section));
    Action {
        place: section.place.clone(),
        into: reader.text(section, "into"),
        sets: reader.text(section, "sets"),
        levels: reader.numbers(section, "levels"),
        largest: reader.number(section, "largest"),
        unit: reader.text(section, "unit"),
        amount: reader.text(section, "amount"),
        over: reader.text(section, "over"),
        at: reader
            .texts(section, "at")
            .map_or_else(Vec::new, |(_, texts)| texts),
        allowed: reader.text(section, "allowed"),
        shield: reader.text(section, "shield"),
        look_ahead,
    }
}

fn look(reader: &mut Reader, section: &Section<'_>) -> LookAhead {
    let mut keys: Vec<&str> = LOOKS.to_vec();
    keys.extend(["within", "limit", "twin"]);
    reader.only(section, &keys);
    LookAhead {
        place: section.place.clone(),
        kind: one_of(reader, section, &LOOKS),
        within: reader.required_text(section, "within", "how far ahead, such as \"14 d\""),
        limit: reader
            .text_or_number(section, "limit")
            .or_else(|| reader.required_text(section, "limit", "with its unit")),
        twin: reader.text(section, "twin"),
    }
}

fn observe(reader: &mut Reader, section: &Section<'_>) -> Observe {
    reader.only(
        section,
        &[
            "of",
            "every",
            "error",
            "additive",
            "proportional",
            "lognormal",
            "missed",
            "lloq",
        ],
    );
    Observe {
        of: reader.text(section, "of"),
        every: reader.text(section, "every"),
        error: reader.flag(section, "error"),
        additive: reader.text_or_number(section, "additive"),
        proportional: reader.number(section, "proportional"),
        lognormal: reader.number(section, "lognormal"),
        missed: reader.number(section, "missed"),
        lloq: reader.text_or_number(section, "lloq"),
    }
}

fn watch(reader: &mut Reader, section: &Section<'_>) -> Watch {
    let keys: Vec<&str> = WATCHES.iter().map(|(key, _)| *key).collect();
    reader.only(section, &keys);
    Watch {
        kind: one_of(reader, section, &keys),
    }
}

/// What is accumulated, by the only one of these keys that is there.
fn one_of(reader: &mut Reader, section: &Section<'_>, keys: &[&str]) -> Option<(WatchKind, Text)> {
    let mut kinds = Vec::new();
    for (key, kind) in WATCHES.iter().filter(|(key, _)| keys.contains(key)) {
        kinds.extend(reader.text(section, key).map(|text| (*kind, text)));
    }
    if kinds.len() != 1 {
        let help = format!("exactly one of {}", keys.join(", "));
        reader.missing(section, "min", &help);
    }
    kinds.pop()
}

fn memory(reader: &mut Reader, section: &Section<'_>) -> Memory {
    reader.only(section, &["start", "next", "hidden"]);
    Memory {
        place: section.place.clone(),
        start: reader
            .text_or_number(section, "start")
            .or_else(|| reader.required_text(section, "start", "its value as an episode begins")),
        next: reader.required_text(section, "next", "its value after each decision interval"),
        hidden: reader.flag(section, "hidden").unwrap_or(false),
    }
}

fn feature(reader: &mut Reader, section: &Section<'_>) -> Feature {
    reader.only(section, &["value", "mean", "scale"]);
    Feature {
        value: reader.required_text(section, "value", "an expression without unit"),
        mean: reader.number(section, "mean"),
        scale: reader.number(section, "scale"),
    }
}

fn reward(reader: &mut Reader, section: &Section<'_>) -> Reward {
    reader.only(section, &["value", "weight", "shaping"]);
    let tabular = |value: &toml::Spanned<DeValue<'_>>| matches!(value.get_ref(), DeValue::Table(_));
    let is_drawn = section.table.get("weight").is_some_and(tabular);
    let drawn = if is_drawn {
        let range = reader.section(section, "weight", "the weight");
        range.map(|range| {
            reader.only(&range, &["from", "to", "at"]);
            DrawnWeight {
                place: range.place.clone(),
                from: reader.required_number(&range, "from"),
                to: reader.required_number(&range, "to"),
                at: reader.number(&range, "at"),
            }
        })
    } else {
        None
    };
    Reward {
        value: reader.required_text(section, "value", "an expression without unit"),
        weight: if is_drawn {
            None
        } else {
            reader.number(section, "weight")
        },
        drawn,
        shaping: reader.flag(section, "shaping").unwrap_or(false),
    }
}

fn cost(reader: &mut Reader, section: &Section<'_>) -> Cost {
    reader.only(section, &["value", "limit", "cvar", "budget"]);
    Cost {
        value: reader.required_text(section, "value", "an expression without unit"),
        limit: reader.required_number(section, "limit"),
        cvar: reader.number(section, "cvar"),
        budget: reader.flag(section, "budget").unwrap_or(false),
    }
}

fn end(reader: &mut Reader, section: &Section<'_>) -> End {
    reader.only(section, &["when", "hazard", "truncates"]);
    let (when, hazard) = (reader.text(section, "when"), reader.text(section, "hazard"));
    if when.is_some() == hazard.is_some() {
        reader.missing(
            section,
            "when",
            "exactly one of `when`, a condition, and `hazard`, per time",
        );
    }
    End {
        when,
        hazard,
        truncates: reader.flag(section, "truncates").unwrap_or(false),
    }
}

fn baseline(reader: &mut Reader, section: &Section<'_>, actions: &[String]) -> Baseline {
    let mut keys: Vec<&str> = actions.iter().map(String::as_str).collect();
    keys.extend(["title", "search"]);
    reader.only(section, &keys);
    let mut gives = Vec::new();
    for (key, _) in reader.entries(section.table) {
        if actions.contains(&key.value) {
            let text = reader.text_or_number(section, &key.value);
            gives.extend(text.map(|text| (key, text)));
        }
    }
    let search = all(reader, section, "search", "parameter", |reader, section| {
        reader.only(section, &["from", "to", "points"]);
        Search {
            place: section.place.clone(),
            from: reader.required_number(section, "from"),
            to: reader.required_number(section, "to"),
            points: reader.number(section, "points"),
        }
    });
    Baseline {
        title: words(reader, section, "title"),
        gives,
        search,
    }
}
