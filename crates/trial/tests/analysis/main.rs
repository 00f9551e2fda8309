//! The analysis of a trial on results made by hand: against the statistics called directly, against
//! counting by hand, and for what must not change them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod every_arm;
mod hostile;
mod json;
mod parallel;
mod subgroups;

use std::path::PathBuf;

use posology_cohort::Cohort;
use posology_kernels::simulate::Status;
use posology_trial::Trial;
use posology_trial::design::{Endpoint, EndpointKind};
use posology_trial::run::{ArmResult, CohortAnalysis, CohortResult, CourseResult};

/// A trial with every class of endpoint; the model's only toxicity is neutropenia.
const TRIAL: &str = r#"name = "base"
title = "Two doses"
model = "../models/docetaxel-neutropenia.toml"
horizon = "140 d"
time_unit = "d"

[virtual]
patients = 100

[visits]
every = "7 d"
[visits.observe.ANC]

[protocols.standard]
rules = [
    "ANC < 1.5e9/L on day 1: delay 7 d up to 21 d",
    "grade 4 neutropenia: reduce 25 %; second time: stop",
]

[arms.d75]
title = "75"
regimen = "75 mg/m2 over 1 h every 21 d x 6"
protocol = "standard"
[arms.d100]
title = "100"
regimen = "100 mg/m2 over 1 h every 21 d x 6"
protocol = "standard"

[design]
DESIGN

[endpoints.death]
hazard = "0.01[1/d]"
unit = "d"
[endpoints.neutropenia]
first_time = "circulating < 0.5[1e9/L]"
unit = "wk"
[endpoints.first]
earliest = ["death", "neutropenia"]
unit = "d"
[endpoints.grade4]
toxicity = "neutropenia"
grade = 4
[endpoints.nadir]
min = "circulating"
unit = "1e9/L"

[subgroups.sex]
title = "sex"
groups = { men = "female < 0.5", women = "female > 0.5" }
[subgroups.age]
title = "performance status, of men"
groups = { "0, men" = "ecog1 + 2*female < 0.5", "1, men" = "ecog1 + 2*female < 1.5" }

[analysis]
control = "d75"
primary = "death"
secondary = ["grade4", "nadir"]
win_ratio = ["death", "neutropenia"]
times = ["28 d", "70 d"]
resamples = 200
"#;

const PARALLEL: &str = "allocation = \"parallel\"\nratio = [1, 1]\nblock = 4\nstrata = [\"ecog1\"]";

/// Index of the best response, which the model of the file does not have.
pub const RESPONSE: usize = 5;

pub fn trial(every_arm: bool) -> Trial {
    let design = if every_arm {
        "allocation = \"every-arm\""
    } else {
        PARALLEL
    };
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs/trials");
    let text = TRIAL.replace("DESIGN", design);
    let mut trial =
        Trial::parse("base.toml", &text, &dir).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(trial.endpoints.len(), RESPONSE);
    trial.endpoints.push(Endpoint {
        name: "response".into(),
        title: "Best response".into(),
        unit: trial.endpoints[3].unit.clone(),
        kind: EndpointKind::Response {
            observed: 0,
            confirm: None,
        },
        text: "size".into(),
        until: None,
        note: String::new(),
        source: String::new(),
    });
    trial
}

/// Fractions from 0 to 1, the same ever after.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> f64 {
        // Steele, Lea and Flood 2014, splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Who the patients are: every second a woman, every third with performance status 1.
pub fn people(trial: &Trial, n: usize) -> Cohort {
    let mut cohort = Cohort::typical(&trial.model, n);
    let slot = |name: &str| trial.model.slot_index(name).unwrap();
    for p in 0..n {
        cohort.slots[slot("female")][p] = f64::from(u8::from(p % 2 == 1));
        cohort.slots[slot("ecog1")][p] = f64::from(u8::from(p % 3 == 0));
    }
    cohort
}

/// What happened to some patients in an arm, at random: deaths come `rate` times as fast.
pub fn arm(trial: &Trial, members: Vec<usize>, rate: f64, numbers: &mut Numbers) -> ArmResult {
    let n = members.len();
    // model time of a day
    let day = trial.horizon / 140.0;
    let mut out = ArmResult {
        members,
        values: vec![vec![f64::NAN; n]; trial.endpoints.len()],
        events: vec![Vec::new(); trial.endpoints.len()],
        status: vec![Status::Completed; n],
        worst: vec![vec![1.0; n]],
        grade: vec![Vec::new()],
        until: vec![trial.horizon; n],
        course: Some(CourseResult {
            inputs: vec![0],
            intensity: vec![Vec::new()],
            dose: vec![Vec::new()],
            ..CourseResult::default()
        }),
        ..ArmResult::default()
    };
    for k in 0..n {
        // whole days, so that there are ties
        let death = (-80.0 / rate * (1.0 - numbers.draw()).ln()).ceil();
        let nadir = (-120.0 * (1.0 - numbers.draw()).ln()).ceil();
        // every seventh leaves on day 60
        if k % 7 == 6 {
            out.until[k] = 60.0 * day;
        }
        let until = out.until[k] / day;
        let timed = |time: f64| (time.min(until), time <= until);
        let (death, dead) = timed(death);
        let (nadir, low) = timed(nadir);
        out.values[0][k] = death;
        out.events[0].push(dead);
        out.values[1][k] = nadir / 7.0;
        out.events[1].push(low);
        out.values[2][k] = death.min(nadir);
        out.events[2].push(dead && death <= nadir || low && nadir <= death);
        let grade = (6.0 * numbers.draw()).floor().min(4.0);
        out.grade[0].push(grade);
        out.values[3][k] = f64::from(u8::from(grade >= 4.0));
        out.events[3].push(grade >= 4.0);
        out.values[4][k] = 0.1 + numbers.draw() * rate;
        let response = [1.0, 2.0, 2.0, 3.0, 5.0, 6.0][(6.0 * numbers.draw()) as usize];
        out.values[RESPONSE][k] = response;
        out.events[RESPONSE].push(response <= 2.0);
        let course = out.course.as_mut().unwrap();
        course.cycles.push((k % 6 + 1) as f64);
        course.delays.push((k % 3) as f64);
        course.reductions.push(f64::from(u8::from(k % 4 == 0)));
        course.treated_until.push(21.0 * day * (k % 6 + 1) as f64);
        course.reason.push((k % 4) as f64);
        course.intensity[0].push(1.0 - 0.1 * (k % 4) as f64);
        course.dose[0].push(600.0);
    }
    out
}

/// Patients dealt out to two arms.
pub fn parallel(trial: &Trial, n: usize, seed: u64) -> CohortResult {
    let mut numbers = Numbers::new(seed);
    let cohort = people(trial, n);
    let (first, second): (Vec<usize>, Vec<usize>) = (0..n).partition(|p| p % 5 < 2);
    CohortResult {
        title: "virtual patients".into(),
        real: false,
        cohort,
        every_arm: false,
        arms: vec![
            arm(trial, first, 1.0, &mut numbers),
            arm(trial, second, 1.6, &mut numbers),
        ],
    }
}

/// The same patients in both arms.
pub fn every_arm(trial: &Trial, n: usize, seed: u64) -> CohortResult {
    let mut numbers = Numbers::new(seed);
    let all: Vec<usize> = (0..n).collect();
    CohortResult {
        title: "virtual patients".into(),
        real: false,
        cohort: people(trial, n),
        every_arm: true,
        arms: vec![
            arm(trial, all.clone(), 1.0, &mut numbers),
            arm(trial, all, 1.6, &mut numbers),
        ],
    }
}

pub fn analysed(trial: &Trial, cohort: &CohortResult) -> CohortAnalysis {
    CohortAnalysis::new(trial, cohort, 1, 0).unwrap()
}

pub fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "{a} is not {b}");
}
