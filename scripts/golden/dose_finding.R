# Golden values for dose-finding designs. Usage: dose_finding.R OUTPUT.json
# Needs the R packages BOIN, dfcrm and jsonlite. Takes a few minutes.
suppressPackageStartupMessages({ library(BOIN); library(dfcrm); library(jsonlite) })
output <- commandArgs(trailingOnly = TRUE)[1]
set.seed(20240501)

targets <- c(0.15, 0.2, 0.25, 0.3, 0.33, 0.4)
boundaries <- lapply(targets, function(target) {
  b <- get.boundary(target, ncohort = 12, cohortsize = 3, extrasafe = TRUE)
  t <- unname(b$full_boundary_tab)
  list(target = target, lambda_e = b$lambda_e, lambda_d = b$lambda_d, escalate = t[2, ], deescalate = t[3, ],
       eliminate = t[4, ], stop_lowest = unname(b$stop_boundary)[2, ])
})

selections <- lapply(1:300, function(i) {
  target <- sample(targets, 1)
  doses <- sample(2:7, 1)
  tried <- sample(1:doses, 1)
  n <- c(sample(c(3, 6, 9, 12, 15), tried, replace = TRUE), rep(0, doses - tried))
  y <- rbinom(doses, n, sort(runif(doses, 0, 0.8)))
  extrasafe <- runif(1) < 0.5
  bound <- runif(1) < 0.5
  mtd <- select.mtd(target, n, y, extrasafe = extrasafe, boundMTD = bound)$MTD
  list(target = target, patients = n, toxicities = y, extra_safe = extrasafe, bounded = bound, mtd = if (mtd == 99) 0 else mtd)
})

oc <- function(target, truth, cohorts, size, stop = 100, extrasafe = FALSE, bounded = FALSE, trials = 20000) {
  r <- get.oc(target, truth, cohorts, size, n.earlystop = stop, extrasafe = extrasafe, boundMTD = bounded,
              ntrial = trials, seed = 6)
  list(target = target, truth = truth, patients = cohorts * size, cohort = size, stop_at = stop, extra_safe = extrasafe,
       bounded = bounded, trials = trials, selected = r$selpercent, treated = r$npatients, toxicities = r$ntox,
       stopped = r$percentstop, sample_size = r$totaln, overdose_60 = r$overdose60, overdose_80 = r$overdose80)
}
boin <- list(
  oc(0.3, c(0.05, 0.15, 0.3, 0.45, 0.6), 10, 3), # the scenario of the package's manual
  oc(0.3, c(0.05, 0.15, 0.3, 0.45, 0.6), 20, 3),
  oc(0.3, c(0.3, 0.45, 0.6, 0.7, 0.8), 10, 3, extrasafe = TRUE),
  oc(0.25, c(0.02, 0.06, 0.1, 0.25, 0.4), 10, 3, stop = 9),
  oc(0.2, c(0.04, 0.08, 0.12, 0.16, 0.2, 0.3), 36, 1, bounded = TRUE))

skeletons <- lapply(list(c(0.05, 0.25, 3, 5), c(0.06, 0.3, 4, 7), c(0.04, 0.2, 1, 4), c(0.08, 0.33, 5, 5)), function(a)
  list(halfwidth = a[1], target = a[2], mtd = a[3], doses = a[4], skeleton = getprior(a[1], a[2], a[3], a[4])))

posteriors <- lapply(1:200, function(i) {
  doses <- sample(2:8, 1)
  target <- sample(targets, 1)
  skeleton <- getprior(runif(1, 0.02, 0.08), target, sample(doses, 1), doses)
  n <- sample(1:40, 1)
  level <- sample(doses, n, replace = TRUE)
  tox <- rbinom(n, 1, runif(1, 0, 0.7))
  sd <- sample(c(sqrt(1.34), 0.85, 0.4, 1.34), 1)
  f <- crm(skeleton, target, tox, level, scale = sd)
  list(target = target, skeleton = skeleton, sd = sd, patients = tabulate(level, doses), toxicities = tabulate(level[tox == 1], doses),
       estimate = f$estimate, variance = f$post.var, toxicity = f$ptox, mtd = f$mtd)
})

sim <- function(truth, skeleton, target, n, cohort, trials = 4000, scale = sqrt(1.34), start = 1) {
  r <- crmsim(PI = truth, prior = skeleton, target = target, n = n, x0 = start, nsim = trials, mcohort = cohort,
              restrict = TRUE, count = FALSE, scale = scale, seed = 1009)
  list(truth = truth, skeleton = skeleton, target = target, patients = n, cohort = cohort, trials = trials, sd = scale,
       start = start, selected = r$MTD, treated = r$level, toxicities = r$tox)
}
crm_runs <- list(
  sim(c(0.05, 0.1, 0.25, 0.4, 0.55), getprior(0.05, 0.25, 3, 5), 0.25, 24, 1),
  sim(c(0.02, 0.04, 0.08, 0.16, 0.3), getprior(0.06, 0.3, 3, 5), 0.3, 30, 3),
  sim(c(0.3, 0.45, 0.55, 0.65), getprior(0.05, 0.2, 2, 4), 0.2, 20, 2, scale = 0.75))

write_json(list(
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."), BOIN = as.character(packageVersion("BOIN")),
                  dfcrm = as.character(packageVersion("dfcrm"))),
  boundaries = boundaries, selections = selections, boin = boin, skeletons = skeletons, posteriors = posteriors, crm = crm_runs
), output, auto_unbox = TRUE, digits = NA, na = "null", null = "null")
