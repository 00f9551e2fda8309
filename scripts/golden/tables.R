# Golden values of two-arm tables, multiplicity and power (sourced by comparisons.R).
suppressPackageStartupMessages(library(metafor))

two_arms <- function(counts) {
  x1 <- counts[1]; n1 <- counts[2]; x2 <- counts[3]; n2 <- counts[4]
  table <- matrix(c(x1, x2, n1 - x1, n2 - x2), 2)
  list(fisher = fisher.test(table)$p.value)
}
stratified_tables <- function(tables) {
  tables <- matrix(as.numeric(tables), ncol = 4)
  array <- array(apply(tables, 1, function(t) c(t[1], t[3], t[2] - t[1], t[4] - t[3])), c(2, 2, nrow(tables)))
  test <- mantelhaen.test(array, correct = FALSE)
  pooled <- function(measure) {
    fit <- rma.mh(measure = measure, ai = tables[, 1], n1i = tables[, 2], ci = tables[, 3], n2i = tables[, 4],
                  add = 0, drop00 = FALSE, correct = FALSE)
    c(unname(fit$b[1]), fit$se, fit$ci.lb, fit$ci.ub)
  }
  fit <- rma.mh(measure = "OR", ai = tables[, 1], n1i = tables[, 2], ci = tables[, 3], n2i = tables[, 4],
                add = 0, drop00 = FALSE, correct = FALSE)
  list(test = c(unname(test$statistic), test$p.value), odds_ratio = c(unname(test$estimate), test$conf.int),
       risk_difference = pooled("RD"), log_risk_ratio = pooled("RR"),
       tarone = c(fit$TA, fit$TAp))
}
tables <- list(
  two_arms = lapply(seq_len(nrow(golden$tables)), function(i) two_arms(golden$tables$counts[[i]])),
  strata = lapply(golden$strata$tables, stratified_tables),
  multiplicity = lapply(golden$multiplicity$p, function(p) list(
    bonferroni = p.adjust(p, "bonferroni"), holm = p.adjust(p, "holm"), hochberg = p.adjust(p, "hochberg"))))
