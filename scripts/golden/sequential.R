# Golden values for group-sequential designs. Usage: sequential.R OUTPUT.json
# Needs the R packages rpact and jsonlite (Debian: r-cran-rpact r-cran-jsonlite).
suppressPackageStartupMessages({ library(rpact); library(jsonlite) })
output <- commandArgs(trailingOnly = TRUE)[1]

types <- c("obrien-fleming" = "OF", "pocock" = "P", "wang-tsiatis" = "WT", "lan-demets-of" = "asOF",
           "lan-demets-pocock" = "asP", "lan-demets-power" = "asKD", "hwang-shih-decani" = "asHSD")
design <- function(kind, looks, sides, alpha, shape = NA, power = 0.9, futility = NULL) {
  arguments <- list(typeOfDesign = types[[kind]], informationRates = looks, sided = sides, alpha = alpha,
                    beta = 1 - power, tolerance = 1e-10, twoSidedPower = FALSE)
  if (kind == "wang-tsiatis") arguments$deltaWT <- shape
  if (kind %in% c("lan-demets-power", "hwang-shih-decani")) arguments$gammaA <- shape
  if (!is.null(futility)) {
    arguments$typeBetaSpending <- sub("^as", "bs", types[[futility$kind]])
    if (!is.null(futility$shape)) arguments$gammaB <- futility$shape
    arguments$bindingFutility <- FALSE
  }
  d <- suppressWarnings(do.call(getDesignGroupSequential, arguments))
  characteristics <- getDesignCharacteristics(d)
  drift <- sqrt(characteristics$shift)
  drifts <- c(0, 0.5, 1) * drift
  # with one patient per unit of information the effect is the drift
  oc <- getPowerAndAverageSampleNumber(d, theta = drifts, nMax = 1)
  list(kind = kind, looks = looks, sides = sides, alpha = alpha, shape = shape, power = power,
       futility = futility, critical = d$criticalValues, alpha_spent = d$alphaSpent,
       nominal_p = d$stageLevels * sides, futility_bounds = if (is.null(futility)) NULL else I(d$futilityBounds),
       drift = drift, inflation = characteristics$inflationFactor,
       drifts = drifts, rejection = oc$overallReject, expected_information = oc$averageSampleNumber)
}
even <- function(k) (1:k) / k
designs <- list()
add <- function(...) designs[[length(designs) + 1]] <<- design(...)
for (k in c(2, 3, 5, 10)) for (kind in c("obrien-fleming", "pocock")) {
  add(kind, even(k), 1, 0.025)
  add(kind, even(k), 2, 0.05)
}
add("wang-tsiatis", even(4), 1, 0.025, 0.25)
add("wang-tsiatis", even(5), 2, 0.1, 0.1, power = 0.8)
uneven <- list(c(0.5, 1), c(0.3, 0.55, 1), c(0.2, 0.5, 0.6, 0.85, 1))
for (looks in uneven) {
  for (kind in c("lan-demets-of", "lan-demets-pocock")) add(kind, looks, 1, 0.025)
  for (rho in c(1, 3)) add("lan-demets-power", looks, 1, 0.025, rho, power = 0.8)
  for (gamma in c(-4, 1)) add("hwang-shih-decani", looks, 1, 0.05, gamma)
  add("lan-demets-of", looks, 2, 0.05)
  add("lan-demets-power", looks, 2, 0.01, 2, power = 0.95)
}
for (futility in list(list(kind = "lan-demets-of"), list(kind = "lan-demets-pocock"),
                      list(kind = "lan-demets-power", shape = 2), list(kind = "hwang-shih-decani", shape = -2))) {
  add("lan-demets-of", c(0.4, 0.7, 1), 1, 0.025, power = 0.9, futility = futility)
  add("lan-demets-of", c(0.5, 1), 1, 0.025, power = 0.8, futility = futility)
}
write_json(list(
  versions = list(R = paste(R.version$major, R.version$minor, sep = "."), rpact = as.character(packageVersion("rpact"))),
  designs = designs
), output, auto_unbox = TRUE, digits = NA, na = "null", null = "null", pretty = TRUE)
