# Golden values of ranks, subgroups and power (sourced by comparisons.R). GSDESIGN_SOURCE names
# the unpacked sources of the package gsDesign, of which one file is used.
suppressPackageStartupMessages(library(metafor))
source(file.path(Sys.getenv("GSDESIGN_SOURCE"), "R", "nEvents.R"))

ranks <- lapply(golden$ranks, function(d) {
  test <- suppressWarnings(wilcox.test(d$first, d$second, conf.int = TRUE, tol.root = 1e-13))
  list(p = test$p.value, low = test$conf.int[1], high = test$conf.int[2], estimate = unname(test$estimate))
})
fixed <- function(estimates, errors) {
  fit <- rma(yi = estimates, sei = errors, method = "FE")
  list(pooled = c(fit$b[1], fit$ci.lb, fit$ci.ub), q = c(fit$QE, fit$QEp), i2 = fit$I2 / 100)
}
subgroups <- lapply(golden$trials, function(d) {
  d <- as.data.frame(d)
  d$time <- d$auc * 10
  d$event <- as.numeric(d$response | d$age > 60)
  fit <- function(formula, data) coxph(formula, data = data, ties = "efron", control = control)
  full <- fit(Surv(time, event) ~ arm * factor(group), d)
  main <- fit(Surv(time, event) ~ arm + factor(group), d)
  each <- lapply(0:2, function(g) tryCatch({
    part <- fit(Surv(time, event) ~ arm, d[d$group == g, ])
    c(unname(coef(part)), sqrt(vcov(part)[1, 1]))
  }, warning = function(w) c(NA, NA)))
  each <- do.call(rbind, each)
  main_logit <- glm(response ~ arm + factor(group), binomial, d, epsilon = 1e-14, maxit = 100)
  full_logit <- glm(response ~ arm * factor(group), binomial, d, epsilon = 1e-14, maxit = 100)
  logit <- glm(response ~ arm + age + baseline, binomial, d, epsilon = 1e-14, maxit = 100)
  counts <- lapply(0:2, function(g) {
    part <- d[d$group == g, ]
    c(sum(part$response[part$arm == 1]), sum(part$arm == 1), sum(part$response[part$arm == 0]), sum(part$arm == 0))
  })
  rates <- do.call(rbind, counts)
  p1 <- rates[, 1] / rates[, 2]; p2 <- rates[, 3] / rates[, 4]
  errors <- sqrt(p1 * (1 - p1) / rates[, 2] + p2 * (1 - p2) / rates[, 4])
  list(event = d$event, time = d$time, interaction = 2 * (full$loglik[2] - main$loglik[2]),
       hazard = each, heterogeneity = fixed(each[, 1], each[, 2]), counts = counts,
       logistic_interaction = main_logit$deviance - full_logit$deviance,
       logistic = list(coefficients = unname(coef(logit))[-1], errors = unname(sqrt(diag(vcov(logit))))[-1]),
       differences = fixed(p1 - p2, errors))
})
events <- expand.grid(hr = c(0.6, 0.75, 1.3), ratio = c(1, 2), power = c(0.8, 0.9))
power <- list(
  schoenfeld = lapply(seq_len(nrow(events)), function(i) with(events[i, ], list(
    hr = hr, ratio = ratio, power = power, events = nEvents(hr = hr, alpha = 0.05, beta = 1 - power, ratio = ratio, sided = 2),
    power_100 = nEvents(hr = hr, alpha = 0.05, ratio = ratio, sided = 2, n = 100)))),
  proportions = lapply(list(c(0.3, 0.5, 80), c(0.1, 0.02, 200), c(0.6, 0.55, 1000)), function(x) list(
    p1 = x[1], p2 = x[2], n = x[3],
    power = power.prop.test(n = x[3], p1 = x[1], p2 = x[2], sig.level = 0.05)$power,
    patients = power.prop.test(p1 = x[1], p2 = x[2], sig.level = 0.05, power = 0.9, tol = 1e-12)$n,
    detectable = power.prop.test(n = x[3], p1 = x[1], power = 0.8, sig.level = 0.05, tol = 1e-12)$p2)))
