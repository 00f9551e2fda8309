"""Golden values of a linear mixed model for the population fit (crates/twin/tests/population.rs).

y_ij = base_i + slope_i t_ij + e_ij, random intercept and slope, exact maximum likelihood by statsmodels.
Writes the data as an event table and prints the estimates.

    python mixed.py ../../crates/twin/tests/golden/mixed.csv
"""
import sys

import numpy as np
import pandas as pd
import statsmodels
import statsmodels.api as sm

rng = np.random.default_rng(20240607)
rows = []
for i in range(1, 81):
    base, slope = rng.normal(50, 6), rng.normal(-0.8, 0.5)
    # a course begins with its first record, so that has to be time zero
    later = rng.choice(np.arange(1, 21), size=rng.integers(2, 7), replace=False)
    times = np.sort(np.append(later, 0))
    for t in times:
        rows.append((i, float(t), round(base + slope * t + rng.normal(0, 2.5), 4)))
data = pd.DataFrame(rows, columns=["ID", "TIME", "DV"])
data.to_csv(sys.argv[1], index=False)
x = sm.add_constant(data["TIME"])
free = sm.regression.mixed_linear_model.MixedLMParams.from_components(
    fe_params=np.ones(2), cov_re=np.eye(2)
)
fit = sm.MixedLM(data["DV"], x, groups=data["ID"], exog_re=x).fit(reml=False, free=free, gtol=1e-8)
print("statsmodels", statsmodels.__version__)
print("typical", fit.fe_params.tolist(), "se", fit.bse_fe.tolist())
print("variances", np.diag(fit.cov_re).tolist(), "sd", float(np.sqrt(fit.scale)))
print("log likelihood", fit.llf)
blup = fit.random_effects[1]
print("first patient", (fit.fe_params.to_numpy() + np.asarray(blup)).tolist())
