# Golden values that the Python packages lack. Usage: survival.R DATA.json OUTPUT.json
suppressPackageStartupMessages({ library(survival); library(jsonlite) })
arguments <- commandArgs(trailingOnly = TRUE)
golden <- fromJSON(arguments[1])

quantiles <- c(0.1, 0.25, 0.5, 0.75)
curve <- function(d, horizon) {
  frame <- data.frame(time = d$times, event = as.numeric(d$events))
  band <- function(type) {
    fit <- survfit(Surv(time, event) ~ 1, data = frame, conf.type = type)
    q <- quantile(fit, quantiles)
    list(low = fit$lower, high = fit$upper,
         quantile = unname(q$quantile), quantile_low = unname(q$lower), quantile_high = unname(q$upper))
  }
  fit <- survfit(Surv(time, event) ~ 1, data = frame)
  mean <- summary(fit, rmean = horizon)$table
  list(time = fit$time, survival = fit$surv, log_log = band("log-log"), plain = band("plain"),
       restricted_mean = unname(mean["rmean"]), restricted_mean_se = unname(mean["se(rmean)"]))
}
curves <- lapply(names(golden$data), function(n) curve(golden$data[[n]], golden$curves[[n]]$horizon))
names(curves) <- names(golden$data)

log_rank <- function(names) {
  frame <- do.call(rbind, lapply(names, function(n) data.frame(
    time = golden$data[[n]]$times, event = as.numeric(golden$data[[n]]$events), group = n)))
  frame$group <- factor(frame$group, levels = names)
  fit <- survdiff(Surv(time, event) ~ group, data = frame)
  list(statistic = fit$chisq, observed = unname(fit$obs), expected = unname(fit$exp))
}
regression <- lapply(golden$regression_data, function(d) {
  d$event <- as.numeric(d$events)
  control <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 100)
  cox <- function(formula) {
    fit <- coxph(formula, data = d, ties = "efron", control = control)
    s <- summary(fit)
    list(coefficients = unname(coef(fit)), standard_errors = unname(sqrt(diag(vcov(fit)))),
         log_likelihood = fit$loglik, score = fit$score, wald = unname(fit$wald.test),
         low = unname(s$conf.int[, 3]), high = unname(s$conf.int[, 4]))
  }
  list(
    stratified_log_rank = survdiff(Surv(times, event) ~ arm + strata(stratum), data = d)$chisq,
    cox = list(
      cox(Surv(times, event) ~ arm),
      cox(Surv(times, event) ~ arm + age + marker),
      cox(Surv(times, event) ~ arm + age + marker + strata(stratum))))
})
paired <- golden$paired_data
exact <- wilcox.test(paired$before, paired$after, paired = TRUE, conf.int = TRUE, exact = TRUE)
tied <- suppressWarnings(wilcox.test(paired$before, paired$tied, paired = TRUE, exact = FALSE))

write_json(list(
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."),
                  survival = as.character(packageVersion("survival"))),
  quantiles = quantiles,
  curves = curves,
  log_rank = lapply(golden$log_rank$groups, log_rank),
  regression = regression,
  signed_rank = list(
    exact = list(statistic = unname(exact$statistic), p_value = exact$p.value,
                 shift = unname(exact$estimate), low = exact$conf.int[1], high = exact$conf.int[2]),
    tied = list(statistic = unname(tied$statistic), p_value = tied$p.value))
), arguments[2], auto_unbox = TRUE, digits = NA, na = "null", pretty = TRUE)
