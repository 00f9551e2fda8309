# Golden values for comparisons of arms. Usage: comparisons.R SURVIVAL.json COMPARISONS.json OUTPUT.json
suppressPackageStartupMessages({ library(survival); library(cmprsk); library(jsonlite) })
arguments <- commandArgs(trailingOnly = TRUE)
regression <- fromJSON(arguments[1])$regression_data
golden <- fromJSON(arguments[2])
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
source(file.path(here, "tables.R"))
source(file.path(here, "wins.R"))

control <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 100)
regression <- lapply(regression, function(d) c(d, list(event = as.numeric(d$events))))
source(file.path(here, "means.R"))
zph <- function(formula, d) {
  fit <- coxph(formula, data = d, ties = "efron", control = control)
  tests <- lapply(c("km", "rank", "identity"), function(transform) {
    z <- cox.zph(fit, transform = transform, terms = FALSE)
    order <- order(z$time)
    list(transform = transform, chisq = unname(z$table[, "chisq"]), p = unname(z$table[, "p"]),
         time = unname(z$time[order]), x = unname(z$x[order]), y = unname(z$y[order, , drop = FALSE]))
  })
  list(tests = tests, coefficients = unname(coef(fit)),
       likelihood_ratio = 2 * diff(fit$loglik), score = fit$score, wald = unname(fit$wald.test))
}
proportional <- lapply(regression, function(d) list(
  one = zph(Surv(times, event) ~ arm, d),
  three = zph(Surv(times, event) ~ arm + age + marker, d),
  interaction = zph(Surv(times, event) ~ arm + age + marker + arm:age, d),
  stratified = zph(Surv(times, event) ~ arm + age + marker + strata(stratum), d)))

weighted <- lapply(regression, function(d) {
  test <- function(rho) survdiff(Surv(times, event) ~ arm, data = d, rho = rho)$chisq
  list(rho_0 = test(0), rho_half = test(0.5), rho_1 = test(1))
})

incidence <- lapply(golden$competing_data, function(d) {
  d <- as.data.frame(d)
  d$status <- factor(d$causes, 0:3, c("none", "1", "2", "3"))
  curves <- function(type) {
    fit <- survfit(Surv(times, status) ~ 1, data = d, conf.type = type)
    lapply(c("1", "2"), function(cause) {
      j <- match(cause, fit$states)
      list(time = fit$time, incidence = fit$pstate[, j], error = fit$std.err[, j],
           low = fit$lower[, j], high = fit$upper[, j])
    })
  }
  tests <- cuminc(d$times, d$causes, d$group)$Tests
  stratified <- cuminc(d$times, d$causes, d$group, d$stratum)$Tests
  both <- cuminc(d$times, d$causes)
  list(log_log = curves("log-log"), plain = curves("plain"),
       gray = list(statistic = unname(tests[, "stat"]), p = unname(tests[, "pv"])),
       gray_stratified = list(statistic = unname(stratified[, "stat"]), p = unname(stratified[, "pv"])),
       cuminc = lapply(both[1:2], function(z) list(time = z$time, incidence = z$est, variance = z$var)))
})

write_json(list(
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."),
                  survival = as.character(packageVersion("survival")),
                  cmprsk = as.character(packageVersion("cmprsk")),
                  metafor = as.character(packageVersion("metafor")),
                  coin = as.character(packageVersion("coin")),
                  WINS = package_version_of("WINS_SOURCE"), hce = package_version_of("HCE_SOURCE"),
                  gsDesign = package_version_of("GSDESIGN_SOURCE")),
  proportional_hazards = proportional,
  weighted_log_rank = weighted,
  incidence = incidence,
  tables = tables,
  wins = wins,
  ranks = ranks,
  subgroups = subgroups,
  power = power
), arguments[3], auto_unbox = TRUE, digits = NA, na = "null", pretty = TRUE)
