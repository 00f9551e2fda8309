//! Power, sample size and the smallest effect that a comparison can show.
//!
//! Tests are two-sided at `alpha`; the power counts rejections in the direction of the effect
//! only. `share` is the share of patients (or events) in the treated arm, 0.5 for 1:1.

use super::StatisticsError;
use super::roots::bisect;
use super::tails::{normal_cdf, normal_quantile};

const METHOD: &str = "power";

/// Events that the log-rank test needs: Schoenfeld 1981, Biometrika 68:316; 1983, Biometrics
/// 39:499: d = (z_a + z_b)^2 / (p (1 - p) log^2 h).
///
/// # Errors
/// [`StatisticsError::Setting`] for a hazard ratio that is one or not positive, a `share`,
/// `alpha` or `power` outside 0 to 1.
pub fn schoenfeld_events(
    hazard_ratio: f64,
    share: f64,
    alpha: f64,
    power: f64,
) -> Result<f64, StatisticsError> {
    require_ratio(hazard_ratio)?;
    require_share(share)?;
    let quantiles = quantiles(alpha, power)?;
    Ok((quantiles / hazard_ratio.ln()).powi(2) / (share * (1.0 - share)))
}

/// Power of the log-rank test with `events`: Schoenfeld, as [`schoenfeld_events`].
///
/// # Errors
/// As [`schoenfeld_events`], and [`StatisticsError::Setting`] for a negative number of events.
pub fn schoenfeld_power(
    hazard_ratio: f64,
    events: f64,
    share: f64,
    alpha: f64,
) -> Result<f64, StatisticsError> {
    require_ratio(hazard_ratio)?;
    require_share(share)?;
    require_positive("events", events)?;
    let drift = hazard_ratio.ln().abs() * (events * share * (1.0 - share)).sqrt();
    Ok(normal_cdf(drift - critical(alpha)?))
}

/// The hazard ratio below one that `events` show with this power; its inverse is the one above.
///
/// # Errors
/// As [`schoenfeld_power`].
pub fn detectable_hazard_ratio(
    events: f64,
    share: f64,
    alpha: f64,
    power: f64,
) -> Result<f64, StatisticsError> {
    require_share(share)?;
    require_positive("events", events)?;
    let quantiles = quantiles(alpha, power)?;
    Ok((-quantiles / (events * share * (1.0 - share)).sqrt()).exp())
}

/// The ratio below one of two subgroups' hazard ratios that a test of interaction shows with this
/// power, at the numbers of events in the two subgroups: Peterson and George 1993, Control Clin
/// Trials 14:511.
///
/// # Errors
/// As [`schoenfeld_power`].
pub fn detectable_interaction(
    events: (f64, f64),
    share: f64,
    alpha: f64,
    power: f64,
) -> Result<f64, StatisticsError> {
    require_share(share)?;
    require_positive("events", events.0)?;
    require_positive("events", events.1)?;
    let variance = (events.0.recip() + events.1.recip()) / (share * (1.0 - share));
    Ok((-quantiles(alpha, power)? * variance.sqrt()).exp())
}

/// Events that the log-rank test needs: Freedman 1982, Stat Med 1:121: with r treated
/// patients for each control patient, d = (z_a + z_b)^2 (1 + r h)^2 / (r (1 - h)^2).
///
/// # Errors
/// As [`schoenfeld_events`].
pub fn freedman_events(
    hazard_ratio: f64,
    share: f64,
    alpha: f64,
    power: f64,
) -> Result<f64, StatisticsError> {
    let slope = freedman_slope(hazard_ratio, share)?;
    Ok((quantiles(alpha, power)? / slope).powi(2))
}

/// Power of the log-rank test with `events`: Freedman, as [`freedman_events`].
///
/// # Errors
/// As [`schoenfeld_power`].
pub fn freedman_power(
    hazard_ratio: f64,
    events: f64,
    share: f64,
    alpha: f64,
) -> Result<f64, StatisticsError> {
    require_positive("events", events)?;
    let drift = freedman_slope(hazard_ratio, share)? * events.sqrt();
    Ok(normal_cdf(drift - critical(alpha)?))
}

/// Drift of the log-rank statistic per square root of events.
fn freedman_slope(hazard_ratio: f64, share: f64) -> Result<f64, StatisticsError> {
    require_ratio(hazard_ratio)?;
    require_share(share)?;
    let arms = share / (1.0 - share);
    Ok(arms.sqrt() * (hazard_ratio - 1.0).abs() / (arms * hazard_ratio + 1.0))
}

/// Power of the chi-squared test of two proportions without continuity correction, with the
/// pooled variance under the null hypothesis: Fleiss, Levin and Paik 2003, Statistical Methods
/// for Rates and Proportions, chapter 4; as R's power.prop.test for equal arms.
///
/// # Errors
/// [`StatisticsError::Setting`] for a rate or `alpha` outside 0 to 1, or an arm without patients.
pub fn two_proportions_power(
    treated_rate: f64,
    treated: f64,
    control_rate: f64,
    control: f64,
    alpha: f64,
) -> Result<f64, StatisticsError> {
    require_rate("treated rate", treated_rate)?;
    require_rate("control rate", control_rate)?;
    require_positive("treated patients", treated)?;
    require_positive("control patients", control)?;
    let pooled = (treated * treated_rate + control * control_rate) / (treated + control);
    let null = (pooled * (1.0 - pooled) * (treated.recip() + control.recip())).sqrt();
    let spread = (treated_rate * (1.0 - treated_rate) / treated
        + control_rate * (1.0 - control_rate) / control)
        .sqrt();
    let gap = (treated_rate - control_rate).abs() - critical(alpha)? * null;
    Ok(if spread > 0.0 {
        normal_cdf(gap / spread)
    } else {
        f64::from(u8::from(gap > 0.0))
    })
}

/// Patients in both arms together that the chi-squared test of two proportions needs, as
/// [`two_proportions_power`].
///
/// # Errors
/// As [`two_proportions_power`], and [`StatisticsError::Setting`] for equal rates, a `share` or
/// `power` outside 0 to 1.
pub fn two_proportions_patients(
    treated_rate: f64,
    control_rate: f64,
    share: f64,
    alpha: f64,
    power: f64,
) -> Result<f64, StatisticsError> {
    require_rate("treated rate", treated_rate)?;
    require_rate("control rate", control_rate)?;
    require_share(share)?;
    if treated_rate == control_rate {
        return Err(setting(
            "treated rate",
            treated_rate,
            "different from the control rate",
        ));
    }
    quantiles(alpha, power)?;
    let pooled = share * treated_rate + (1.0 - share) * control_rate;
    let null = (pooled * (1.0 - pooled) / (share * (1.0 - share))).sqrt();
    let spread = (treated_rate * (1.0 - treated_rate) / share
        + control_rate * (1.0 - control_rate) / (1.0 - share))
        .sqrt();
    let sum = critical(alpha)? * null + normal_quantile(power) * spread;
    Ok((sum / (treated_rate - control_rate)).powi(2))
}

/// The smallest risk differences, below and above zero, that two arms show with this power at a
/// rate of the control arm; `None` where even a rate of zero, or one, would not be enough.
///
/// # Errors
/// As [`two_proportions_power`], and [`StatisticsError::Setting`] for a `power` below one half,
/// where the approximation does not rise steadily with the difference.
pub fn detectable_risk_difference(
    control_rate: f64,
    treated: f64,
    control: f64,
    alpha: f64,
    power: f64,
) -> Result<(Option<f64>, Option<f64>), StatisticsError> {
    quantiles(alpha, power)?;
    if power < 0.5 {
        return Err(setting("power", power, "one half or more"));
    }
    let at = |rate: f64| two_proportions_power(rate, treated, control_rate, control, alpha);
    at(control_rate)?;
    let search = |end: f64| -> Result<Option<f64>, StatisticsError> {
        if end == control_rate || at(end)? < power {
            return Ok(None);
        }
        let gap = end - control_rate;
        let excess = |part: f64| at(control_rate + part * gap).map_or(f64::NAN, |p| p - power);
        Ok(Some(bisect(0.0, 1.0, excess) * gap))
    };
    Ok((search(0.0)?, search(1.0)?))
}

/// Power of the comparison of two means with a known standard deviation: normal approximation to
/// Student's test.
///
/// # Errors
/// [`StatisticsError::Setting`] for a standard deviation or arm that is not positive, or `alpha`
/// outside 0 to 1.
pub fn mean_difference_power(
    difference: f64,
    sd: f64,
    treated: f64,
    control: f64,
    alpha: f64,
) -> Result<f64, StatisticsError> {
    let error = mean_error(sd, treated, control)?;
    Ok(normal_cdf(difference.abs() / error - critical(alpha)?))
}

/// The smallest difference of two means that the arms show with this power, in the unit of `sd`.
///
/// # Errors
/// As [`mean_difference_power`], and for `power` outside 0 to 1.
pub fn detectable_mean_difference(
    sd: f64,
    treated: f64,
    control: f64,
    alpha: f64,
    power: f64,
) -> Result<f64, StatisticsError> {
    Ok(quantiles(alpha, power)? * mean_error(sd, treated, control)?)
}

fn mean_error(sd: f64, treated: f64, control: f64) -> Result<f64, StatisticsError> {
    require_positive("standard deviation", sd)?;
    require_positive("treated patients", treated)?;
    require_positive("control patients", control)?;
    Ok(sd * (treated.recip() + control.recip()).sqrt())
}

/// Critical value of a two-sided test.
fn critical(alpha: f64) -> Result<f64, StatisticsError> {
    if alpha > 0.0 && alpha < 1.0 {
        return Ok(-normal_quantile(0.5 * alpha));
    }
    Err(setting("alpha", alpha, "between 0 and 1, for example 0.05"))
}

/// Drift that a test needs, in standard errors.
fn quantiles(alpha: f64, power: f64) -> Result<f64, StatisticsError> {
    let critical = critical(alpha)?;
    if !(power > 0.0 && power < 1.0) {
        return Err(setting("power", power, "between 0 and 1, for example 0.9"));
    }
    let drift = critical + normal_quantile(power);
    if drift > 0.0 {
        Ok(drift)
    } else {
        Err(setting("power", power, "more than half of alpha"))
    }
}

fn require_ratio(value: f64) -> Result<(), StatisticsError> {
    if value > 0.0 && value.is_finite() && value != 1.0 {
        return Ok(());
    }
    Err(setting("hazard ratio", value, "positive, and not one"))
}

fn require_share(value: f64) -> Result<(), StatisticsError> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(setting("share", value, "between 0 and 1, for example 0.5"))
}

fn require_rate(name: &'static str, value: f64) -> Result<(), StatisticsError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(setting(name, value, "between 0 and 1"))
}

fn require_positive(name: &'static str, value: f64) -> Result<(), StatisticsError> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(setting(name, value, "above zero"))
}

fn setting(name: &'static str, value: f64, range: &'static str) -> StatisticsError {
    StatisticsError::Setting {
        method: METHOD,
        name,
        value,
        range,
    }
}
