//! Times to an event.

use crate::Trial;
use crate::design::{EndpointKind, Reported};
use crate::run::TrialError;
use crate::run::within::{Paired, paired};
use crate::statistics::{
    Band, ChiSquaredTest, Covariate, CoxFit, Estimate, KaplanMeier, RestrictedMean,
    RestrictedMeanDifference, StatisticsError, SurvivalSample, TimeEstimate, TimeTransform,
    clopper_pearson, cox, log_rank, proportional_hazards, restricted_mean,
    restricted_mean_difference, stratified_log_rank,
};

use super::Found;
use super::competing::{Competing, competing};
use super::data::Data;

/// A time to an event in every group.
#[derive(Clone, Debug)]
pub struct Times {
    /// Index of the endpoint; `None` for what was reported.
    pub endpoint: Option<usize>,
    /// Unit of all times.
    pub unit: String,
    /// One per arm (or reported group) that has patients.
    pub arms: Vec<ArmTimes>,
    /// Arms without, and why.
    pub without: Vec<(usize, StatisticsError)>,
    /// Every arm but the control against the control.
    pub comparisons: Vec<Comparison>,
    /// Which of its events came first, for the earliest of several.
    pub competing: Option<Competing>,
}

/// A time to an event in one group.
#[derive(Clone, Debug)]
pub struct ArmTimes {
    /// Index of the arm.
    pub arm: usize,
    /// Patients with the event.
    pub events: usize,
    /// Analysed patients whose time does not exist.
    pub missing: usize,
    /// The curve.
    pub curve: KaplanMeier,
    /// With its interval.
    pub median: TimeEstimate,
    /// Median time of follow-up: that of the curve with events and censorings exchanged.
    pub follow_up: TimeEstimate,
    /// Up to the horizon, or the last time that every group reaches.
    pub restricted_mean: Option<RestrictedMean>,
    /// (time, event-free share): Clopper-Pearson where nobody was censored before, else the curve's.
    pub free: Vec<(f64, Option<Estimate>)>,
}

/// An arm against the control.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Index of the arm.
    pub arm: usize,
    /// Log-rank test; the reason if there is none.
    pub log_rank: Found<ChiSquaredTest>,
    /// Within the strata of the randomisation, where there are any.
    pub stratified_log_rank: Option<Found<ChiSquaredTest>>,
    /// Hazard ratio; the reason if there is none.
    pub hazard_ratio: Found<Estimate>,
    /// With a baseline hazard for each stratum of the randomisation, where there are any.
    pub stratified_hazard_ratio: Option<Found<Estimate>>,
    /// Score test of a hazard ratio that does not change with time (Grambsch and Therneau).
    pub proportional_hazards: Found<ChiSquaredTest>,
    /// Arm minus control; the reason if there is none.
    pub restricted_mean: Found<RestrictedMeanDifference>,
    /// Effects within patients, where the same patients were in both.
    pub paired: Option<Found<Paired>>,
}

/// One group of a comparison.
struct Group {
    arm: usize,
    sample: SurvivalSample,
    strata: Option<Vec<u32>>,
    missing: usize,
}

pub(super) fn times(data: &Data<'_>, e: usize) -> Result<Times, TrialError> {
    let trial = data.trial;
    let endpoint = &trial.endpoints[e];
    let scale = trial.model.units.scale(&endpoint.unit);
    let horizon = trial.horizon / scale;
    let (mut groups, mut without) = (Vec::new(), Vec::new());
    for arm in 0..data.result.arms.len() {
        let known = data.known(e, arm);
        match data.sample(e, arm, &known) {
            Ok(sample) => groups.push(Group {
                arm,
                sample,
                strata: data.strata_of(arm, &known),
                missing: data.positions[arm].len() - known.len(),
            }),
            Err(reason) => without.push((arm, reason)),
        }
    }
    let mut out = compared(trial, &groups, horizon, &shown_times(trial, scale))?;
    out.endpoint = Some(e);
    out.unit = endpoint.unit.text().to_owned();
    out.without = without;
    if data.result.every_arm {
        let (seed, number) = data.streams;
        for comparison in &mut out.comparisons {
            let pairs = data.pairs(e, comparison.arm);
            let streams = (seed, number, (e * 1024 + comparison.arm) as u32 * 2);
            comparison.paired = Some(paired(
                trial,
                &data.values(e, comparison.arm, &pairs),
                &data.values(e, data.control(), &pairs),
                horizon,
                streams,
            ));
        }
    }
    if let EndpointKind::Earliest(parts) = &endpoint.kind {
        out.competing = Some(competing(data, e, parts, &shown_times(trial, scale)));
    }
    Ok(out)
}

fn shown_times(trial: &Trial, scale: f64) -> Vec<f64> {
    let times = &trial.analysis.times;
    times.iter().map(|time| time / scale).collect()
}

/// What the real trial found, with the same methods.
pub(in crate::run) fn reported(trial: &Trial, reported: &Reported) -> Result<Times, TrialError> {
    let groups: Vec<Group> = reported
        .groups
        .iter()
        .map(|group| {
            let name = trial.arms[group.arm].title.clone();
            let sample = SurvivalSample::new(name, group.times.clone(), group.events.clone())?;
            Ok(Group {
                arm: group.arm,
                sample,
                strata: None,
                missing: 0,
            })
        })
        .collect::<Result<_, StatisticsError>>()?;
    let scale = trial.model.units.scale(&reported.unit);
    // as far as every curve is known
    let known = groups
        .iter()
        .map(|group| group.sample.last_time())
        .fold(f64::INFINITY, f64::min);
    let mut out = compared(trial, &groups, known, &shown_times(trial, scale))?;
    out.unit = reported.unit.text().to_owned();
    Ok(out)
}

/// Curves of every group, and each group against the control.
fn compared(
    trial: &Trial,
    groups: &[Group],
    horizon: f64,
    at: &[f64],
) -> Result<Times, TrialError> {
    let level = trial.analysis.level;
    let curves: Vec<KaplanMeier> = groups
        .iter()
        .map(|group| KaplanMeier::fit(&group.sample))
        .collect();
    let reach = reach(&curves, horizon);
    let mut arms = Vec::new();
    for (group, curve) in groups.iter().zip(&curves) {
        let mut free = Vec::new();
        for &time in at {
            free.push((time, event_free(curve, &group.sample, time, level)?));
        }
        arms.push(ArmTimes {
            arm: group.arm,
            events: group.sample.event_count(),
            missing: group.missing,
            median: curve.median(Band::LogLog, level)?,
            follow_up: follow_up(&group.sample, level)?,
            restricted_mean: restricted_mean(curve, reach, level).ok(),
            free,
            curve: curve.clone(),
        });
    }
    let control = groups
        .iter()
        .position(|group| group.arm == trial.analysis.control);
    let comparisons = match control {
        Some(control) => (0..groups.len())
            .filter(|&g| g != control)
            .map(|g| {
                let mean = restricted_mean_difference(&curves[g], &curves[control], reach, level);
                against(&groups[g], &groups[control], mean, level)
            })
            .collect(),
        None => Vec::new(),
    };
    Ok(Times {
        endpoint: None,
        unit: String::new(),
        arms,
        without: Vec::new(),
        comparisons,
        competing: None,
    })
}

/// The horizon, or the last time at which every curve is known.
fn reach(curves: &[KaplanMeier], horizon: f64) -> f64 {
    curves
        .iter()
        .filter(|curve| curve.survival(horizon).is_none())
        .map(KaplanMeier::last_time)
        .fold(horizon, f64::min)
}

fn against(
    group: &Group,
    control: &Group,
    restricted_mean: Found<RestrictedMeanDifference>,
    level: f64,
) -> Comparison {
    let (sample, other) = (&group.sample, &control.sample);
    let fit = two_groups(sample, other, None, level);
    let strata = group.strata.as_ref().zip(control.strata.as_ref());
    Comparison {
        arm: group.arm,
        log_rank: log_rank(&[other, sample]).map(|result| result.test),
        stratified_log_rank: strata.map(|(own, others)| {
            stratified_log_rank(&[other, sample], &[others, own]).map(|result| result.test)
        }),
        hazard_ratio: fit
            .as_ref()
            .map(|two| two.fit.coefficients[0].hazard_ratio)
            .map_err(Clone::clone),
        stratified_hazard_ratio: strata.map(|(own, others)| {
            let strata = [own.as_slice(), others].concat();
            let two = two_groups(sample, other, Some(&strata), level)?;
            Ok(two.fit.coefficients[0].hazard_ratio)
        }),
        proportional_hazards: fit.and_then(|two| {
            let transform = TimeTransform::default();
            let check =
                proportional_hazards(&two.sample, &[two.covariate], None, &two.fit, transform)?;
            Ok(check.global)
        }),
        restricted_mean,
        paired: None,
    }
}

/// A Cox model of one group against another.
pub(super) struct TwoGroups {
    pub sample: SurvivalSample,
    pub covariate: Covariate,
    pub fit: CoxFit,
}

/// Fits the model; `strata` are those of the group, then of the control.
pub(super) fn two_groups(
    group: &SurvivalSample,
    control: &SurvivalSample,
    strata: Option<&[u32]>,
    level: f64,
) -> Found<TwoGroups> {
    let sample = SurvivalSample::new(
        format!("{} and {}", group.name(), control.name()),
        [group.times(), control.times()].concat(),
        [group.events(), control.events()].concat(),
    )?;
    let covariate = Covariate {
        name: format!("{} vs {}", group.name(), control.name()),
        values: [vec![1.0; group.len()], vec![0.0; control.len()]].concat(),
    };
    let fit = cox(&sample, std::slice::from_ref(&covariate), strata, level)?;
    Ok(TwoGroups {
        sample,
        covariate,
        fit,
    })
}

/// Schemper and Smith 1996, Control Clin Trials 17:343: Kaplan and Meier's curve of censoring.
fn follow_up(sample: &SurvivalSample, level: f64) -> Found<TimeEstimate> {
    let turned = sample.events().iter().map(|event| !event).collect();
    let turned = SurvivalSample::new(sample.name(), sample.times().to_vec(), turned)?;
    KaplanMeier::fit(&turned).median(Band::LogLog, level)
}

/// Share without the event at `time`: an exact binomial interval where all were followed for that
/// long, else that of the curve.
fn event_free(
    curve: &KaplanMeier,
    sample: &SurvivalSample,
    time: f64,
    level: f64,
) -> Found<Option<Estimate>> {
    let censored_before = sample
        .times()
        .iter()
        .zip(sample.events())
        .any(|(&t, &event)| !event && t < time);
    if censored_before {
        return curve.survival_interval(time, Band::LogLog, level);
    }
    let events = curve.events_until(time);
    clopper_pearson((sample.len() - events) as u64, sample.len() as u64, level).map(Some)
}
