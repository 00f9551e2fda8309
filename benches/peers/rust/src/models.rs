//! Rates of the models, written once for numbers and for dual numbers.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// What rates are made of: `f64`, or a value with its derivative.
pub trait Number:
    Copy
    + From<f64>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Mul<f64, Output = Self>
{
    fn power(self, exponent: f64) -> Self;
    fn exponential(self) -> Self;
    /// The larger of this and a constant.
    fn floor_at(self, constant: f64) -> Self;
}

impl Number for f64 {
    fn power(self, exponent: f64) -> Self {
        self.powf(exponent)
    }
    fn exponential(self) -> Self {
        self.exp()
    }
    fn floor_at(self, constant: f64) -> Self {
        self.max(constant)
    }
}

/// A value and its derivative along one direction: exact products of the Jacobian with a vector,
/// which implicit methods ask for.
#[derive(Clone, Copy, Default)]
pub struct Dual {
    pub value: f64,
    pub slope: f64,
}

impl From<f64> for Dual {
    fn from(value: f64) -> Self {
        Dual { value, slope: 0.0 }
    }
}

impl Add for Dual {
    type Output = Dual;
    fn add(self, other: Dual) -> Dual {
        Dual {
            value: self.value + other.value,
            slope: self.slope + other.slope,
        }
    }
}

impl Sub for Dual {
    type Output = Dual;
    fn sub(self, other: Dual) -> Dual {
        Dual {
            value: self.value - other.value,
            slope: self.slope - other.slope,
        }
    }
}

impl Mul for Dual {
    type Output = Dual;
    fn mul(self, other: Dual) -> Dual {
        Dual {
            value: self.value * other.value,
            slope: self.slope * other.value + self.value * other.slope,
        }
    }
}

impl Mul<f64> for Dual {
    type Output = Dual;
    fn mul(self, factor: f64) -> Dual {
        Dual {
            value: self.value * factor,
            slope: self.slope * factor,
        }
    }
}

impl Div for Dual {
    type Output = Dual;
    fn div(self, other: Dual) -> Dual {
        let value = self.value / other.value;
        Dual {
            value,
            slope: (self.slope - value * other.slope) / other.value,
        }
    }
}

impl Neg for Dual {
    type Output = Dual;
    fn neg(self) -> Dual {
        Dual {
            value: -self.value,
            slope: -self.slope,
        }
    }
}

impl Number for Dual {
    fn power(self, exponent: f64) -> Self {
        let value = self.value.powf(exponent);
        Dual {
            value,
            slope: exponent * value / self.value * self.slope,
        }
    }
    fn exponential(self) -> Self {
        let value = self.value.exp();
        Dual {
            value,
            slope: value * self.slope,
        }
    }
    fn floor_at(self, constant: f64) -> Self {
        if self.value > constant {
            self
        } else {
            constant.into()
        }
    }
}

/// One model: names in the order in which `rates` takes them.
pub trait Model: Send + Sync + 'static {
    const STATES: usize;
    const PARAMETERS: usize;
    fn states() -> Vec<String>;
    fn parameters() -> Vec<String>;
    fn rates<T: Number>(y: &[T], p: &[f64], dy: &mut [T]);
}

/// No model here has more.
pub const MOST_STATES: usize = 40;
pub const MOST_PARAMETERS: usize = 42;

/// The product of the Jacobian with `v`.
pub fn jacobian_times<M: Model>(y: &[f64], p: &[f64], v: &[f64], out: &mut [f64]) {
    let mut along = [Dual::default(); MOST_STATES];
    let mut rates = [Dual::default(); MOST_STATES];
    let n = y.len();
    for i in 0..n {
        along[i] = Dual {
            value: y[i],
            slope: v[i],
        };
    }
    M::rates(&along[..n], p, &mut rates[..n]);
    for i in 0..n {
        out[i] = rates[i].slope;
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

pub struct TwelveState;

impl Model for TwelveState {
    const STATES: usize = 12;
    const PARAMETERS: usize = 22;

    fn states() -> Vec<String> {
        words(
            "depot central peripheral metabolite tumour effector cytokine precursors transit1 \
             transit2 transit3 circulating",
        )
    }

    fn parameters() -> Vec<String> {
        words(
            "ka k10 k12 k21 V dosing km growth capacity kill ec50 sE pE half mE dE ksyn kdeg ktr \
             slope gamma N0",
        )
    }

    #[inline(always)]
    fn rates<T: Number>(y: &[T], p: &[f64], dy: &mut [T]) {
        let &[depot, central, peripheral, metabolite, tumour, effector, cytokine, precursors, transit1, transit2, transit3, circulating] =
            y
        else {
            unreachable!("twelve states");
        };
        let &[ka, k10, k12, k21, volume, dosing, km, growth, capacity, kill, ec50, s_e, p_e, half, m_e, d_e, ksyn, kdeg, ktr, slope, gamma, n0] =
            &p[..22]
        else {
            unreachable!("22 parameters");
        };
        let one = T::from(1.0);
        let concentration = central * (1.0 / volume);
        let effect = concentration / (concentration + ec50.into());
        let feedback = (T::from(n0) / circulating.floor_at(0.001)).power(gamma);
        let proliferation =
            precursors * ktr * (one - concentration * slope).floor_at(0.0) * feedback;
        dy[0] = -depot * ka;
        dy[1] = depot * ka + dosing.into() + peripheral * k21 - central * k10 - central * k12;
        dy[2] = central * k12 - peripheral * k21;
        dy[3] = central * k10 - metabolite * km;
        dy[4] = tumour * growth * (one - tumour * (1.0 / capacity))
            - effect * kill * tumour
            - effector * m_e * tumour;
        dy[5] = T::from(s_e) + effector * p_e * tumour / (tumour + half.into()) - effector * d_e;
        dy[6] = effector * ksyn - cytokine * kdeg;
        dy[7] = proliferation - precursors * ktr;
        dy[8] = precursors * ktr - transit1 * ktr;
        dy[9] = transit1 * ktr - transit2 * ktr;
        dy[10] = transit2 * ktr - transit3 * ktr;
        dy[11] = transit3 * ktr - circulating * ktr;
    }
}

pub struct SensitiveResistant;

impl Model for SensitiveResistant {
    const STATES: usize = 3;
    const PARAMETERS: usize = 8;

    fn states() -> Vec<String> {
        words("drug sensitive resistant")
    }

    fn parameters() -> Vec<String> {
        words("kel rS rR capacity onS onR emax ec50")
    }

    #[inline(always)]
    fn rates<T: Number>(y: &[T], p: &[f64], dy: &mut [T]) {
        let (drug, sensitive, resistant) = (y[0], y[1], y[2]);
        let &[kel, r_s, r_r, capacity, on_s, on_r, emax, ec50] = &p[..8] else {
            unreachable!("8 parameters");
        };
        let one = T::from(1.0);
        let effect = drug * emax / (drug + ec50.into());
        dy[0] = -drug * kel;
        dy[1] = sensitive * r_s * (one - (sensitive + resistant * on_s) * (1.0 / capacity))
            - effect * sensitive;
        dy[2] = resistant * r_r * (one - (resistant + sensitive * on_r) * (1.0 / capacity));
    }
}

pub struct Lu177Psma;

impl Model for Lu177Psma {
    const STATES: usize = 21;
    const PARAMETERS: usize = 40;

    fn states() -> Vec<String> {
        words(
            "blood salivary kidney liver tumour other dose_tumour dose_kidney dose_salivary \
             dose_liver dose_marrow unrepaired_kidney bed_kidney unrepaired_salivary bed_salivary \
             unrepaired_tumour bed_tumour excreted cells psa_relative tad",
        )
    }

    fn parameters() -> Vec<String> {
        words(
            "k10 V1 k12 k21 Bmax k13 k31 k14 k41 k15 k51 k16 k61 vol_k15 CRCL_ref VOL_ref bias \
             half_life S_tumour S_exponent S_kidney S_salivary S_liver S_marrow alpha_beta_kidney \
             T_repair_kidney alpha_beta_salivary T_repair_salivary alpha_tumour alpha_beta_tumour \
             T_repair_tumour PSA0 proliferation cell_death psa_loss shape_death scale_death \
             psa_death CRCL TUM_VOL",
        )
    }

    /// Time in h; parameters in the units of their source. `tad` is the time after the last dose, a
    /// state of its own: every dose sets it back.
    #[inline(always)]
    fn rates<T: Number>(y: &[T], p: &[f64], dy: &mut [T]) {
        let &[blood, salivary, kidney, liver, tumour, other, _, _, _, _, _, unrepaired_kidney, _, unrepaired_salivary, _, unrepaired_tumour, _, _, cells, psa, tad] =
            y
        else {
            unreachable!("21 states");
        };
        let &[k10, v1, k12, k21, bmax, k13, k31, k14, k41, k15, k51, k16, k61, vol_k15, crcl_ref, vol_ref, _, half_life, s_tumour, s_exponent, s_kidney, s_salivary, s_liver, s_marrow, alpha_beta_kidney, t_repair_kidney, alpha_beta_salivary, t_repair_salivary, alpha_tumour, alpha_beta_tumour, t_repair_tumour, _, proliferation, cell_death, psa_loss, _, _, _, crcl, volume] =
            &p[..40]
        else {
            unreachable!("40 parameters");
        };
        const LN_2: f64 = std::f64::consts::LN_2;
        let one = T::from(1.0);
        let relative = volume / vol_ref;
        let excretion = blood * (k10 * crcl / crcl_ref);
        let to_salivary = (one - salivary * (1.0 / bmax)) * k12 * blood - salivary * k21;
        let to_kidney = blood * k13 - kidney * k31;
        let to_liver = blood * k14 - liver * k41;
        let to_tumour = blood * (k15 * relative.powf(vol_k15)) - tumour * k51;
        let to_other = blood * k16 - other * k61;
        // half-life in d
        let remaining = (tad * (-LN_2 / 24.0 / half_life)).exponential();
        // mGy/s
        let q_tumour = tumour * (3.6 * s_tumour * relative.powf(-s_exponent)) * remaining;
        // Gy/min
        let q_kidney = kidney * (60.0 * s_kidney) * remaining;
        // mGy/s
        let q_salivary = salivary * (3.6 * s_salivary) * remaining;
        let effect =
            |q: T, unrepaired: T, alpha_beta: f64| q * (one + unrepaired * (2.0 / alpha_beta));
        let bed_tumour = effect(q_tumour, unrepaired_tumour, alpha_beta_tumour);
        dy[0] = -excretion - to_salivary - to_kidney - to_liver - to_tumour - to_other;
        dy[1] = to_salivary;
        dy[2] = to_kidney;
        dy[3] = to_liver;
        dy[4] = to_tumour;
        dy[5] = to_other;
        dy[6] = q_tumour;
        dy[7] = q_kidney;
        dy[8] = q_salivary;
        // mGy/h
        dy[9] = liver * (1e-3 * s_liver) * remaining;
        dy[10] = blood * (s_marrow / v1) * remaining;
        dy[11] = q_kidney - unrepaired_kidney * (LN_2 / t_repair_kidney);
        dy[12] = effect(q_kidney, unrepaired_kidney, alpha_beta_kidney);
        dy[13] = q_salivary - unrepaired_salivary * (LN_2 / t_repair_salivary);
        dy[14] = effect(q_salivary, unrepaired_salivary, alpha_beta_salivary);
        // min
        dy[15] = q_tumour - unrepaired_tumour * (60.0 * LN_2 / t_repair_tumour);
        dy[16] = bed_tumour;
        dy[17] = excretion;
        // 1/d
        dy[18] = (T::from((proliferation - cell_death) / 24.0) - bed_tumour * alpha_tumour) * cells;
        dy[19] = (cells - psa) * (psa_loss / 24.0);
        dy[20] = one;
    }
}

pub struct Chain<const N: usize>;

impl<const N: usize> Model for Chain<N> {
    const STATES: usize = N;
    const PARAMETERS: usize = N + 2;

    fn states() -> Vec<String> {
        (1..=N).map(|i| format!("x{i:02}")).collect()
    }

    fn parameters() -> Vec<String> {
        let mut names = words("k vmax km");
        names.extend((2..=N).map(|i| format!("kin{i:02}")));
        names
    }

    #[inline(always)]
    fn rates<T: Number>(y: &[T], p: &[f64], dy: &mut [T]) {
        let (y, dy) = (&y[..N], &mut dy[..N]);
        let (k, vmax, km, kin) = (p[0], p[1], p[2], &p[3..N + 2]);
        for i in 0..N {
            let lost = y[i] * k + y[i] * vmax / (y[i] + km.into());
            dy[i] = if i == 0 {
                -lost
            } else {
                y[i - 1] * kin[i - 1] - lost
            };
        }
    }
}
