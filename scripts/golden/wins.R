# Win statistics of the packages WINS and hce, and Gehan's test of coin (sourced by comparisons.R).
# WINS_SOURCE and HCE_SOURCE name the unpacked sources of the two packages: of WINS four files
# are enough, so that its plotting dependencies are not needed.
suppressPackageStartupMessages({ library(survival); library(coin) })
for (file in c("win.strategy.default", "original.KL", "unadjusted.win.stat"))
  source(file.path(Sys.getenv("WINS_SOURCE"), "R", paste0(file, ".R")))
for (file in c("calcWO", "calcWO_data_frame", "calcWINS", "calcWINS_data_frame", "summaryWO", "summaryWO_data_frame"))
  source(file.path(Sys.getenv("HCE_SOURCE"), "R", paste0(file, ".R")))
package_version_of <- function(variable)
  unname(read.dcf(file.path(Sys.getenv(variable), "DESCRIPTION"), "Version")[1, 1])

wins_of <- function(d, margins, stratified) {
  arm <- ifelse(d$arm == 1, "treated", "control")
  df <- data.frame(arm = arm, stratum = if (stratified) d$stratum + 1 else 1,
                   Delta_1 = as.numeric(d$died), Delta_2 = as.numeric(d$progressed), Delta_3 = 1,
                   Y_1 = d$death, Y_2 = d$progression, Y_3 = d$score)
  result <- unadjusted.win.stat(
    df = df, n_total = nrow(df), arm.name = c("treated", "control"),
    id_trt = seq_len(sum(d$arm == 1)), id_con = seq_len(sum(d$arm == 0)),
    ep_type = c("tte", "tte", "continuous"), n_ep = 3, priority = 1:3, tau = margins,
    np_direction = rep("larger", 3), alpha = 0.05, pvalue = "two-sided",
    stratum.weight = if (stratified) "MH-type" else "unstratified", summary.print = FALSE)
  list(win_ratio = unname(result$Win_statistic$Win_Ratio), net_benefit = unname(result$Win_statistic$Net_Benefit),
       win_odds = unname(result$Win_statistic$Win_Odds), z = unname(unlist(result$z_statistic)),
       p = unname(unlist(result$p_value)))
}
wins <- lapply(golden$wins_data, function(d) {
  d <- as.data.frame(d)
  gehan <- logrank_test(Surv(death, died) ~ factor(arm), data = d, type = "Gehan-Breslow", ties.method = "mid-ranks")
  score <- calcWINS(data.frame(AVAL = d$score, TRTP = ifelse(d$arm == 1, "A", "P")), "AVAL", "TRTP", ref = "P")
  list(plain = wins_of(d, c(0, 0, 0), FALSE), margins = wins_of(d, c(1.5, 0.5, 1), FALSE),
       stratified = wins_of(d, c(0, 0, 0), TRUE), gehan_z = abs(unname(statistic(gehan))),
       score = list(win_odds = unname(unlist(score$WO)), win_ratio = unname(unlist(score$WR1)),
                    net_benefit = unname(unlist(score$NetBenefit))))
})
