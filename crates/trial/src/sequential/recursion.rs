//! Crossing probabilities of a Brownian motion seen at a few times.
//!
//! Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000, chapter 19. The
//! density of W at a look, among trials that went on so far, is a convolution of that at the look
//! before with a normal density over the interval in which the trial goes on. Each interval is cut
//! into panels no wider than two standard deviations of the narrower of the neighbouring steps,
//! with sixteen Gauss-Legendre nodes each: the integrand is a product of such normal densities, so
//! the error lies below 1e-12.

use super::normal::{density, lower, upper};

/// Normal deviates beyond which the density is taken as zero (P = 1e-23).
const REACH: f64 = 10.0;
/// Widest panel, in standard deviations of the narrower neighbouring step.
const PANEL: f64 = 2.0;

/// Positive nodes of the sixteen-point Gauss-Legendre rule on (-1, 1) with their weights
/// (Abramowitz and Stegun 1964, table 25.4).
const GAUSS_LEGENDRE: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_6),
    (0.458_016_777_657_227_4, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_7, 0.149_595_988_816_576_73),
    (0.755_404_408_355_003, 0.124_628_971_255_533_87),
    (0.865_631_202_387_831_7, 0.095_158_511_682_492_78),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_894),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_096),
];

/// The density of W among trials that go on after a look, as nodes with their share of
/// probability.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    drift: f64,
    /// Information fraction of the latest look; 0 at the start.
    time: f64,
    /// Places and probabilities; at the start all probability lies at zero.
    nodes: Vec<(f64, f64)>,
}

impl Walk {
    /// Before the first look. `drift` is the expectation of Z at full information.
    pub(super) fn new(drift: f64) -> Self {
        Self {
            drift,
            time: 0.0,
            nodes: vec![(0.0, 1.0)],
        }
    }

    /// P(still running, and then W(time) above `bound`).
    pub(super) fn above(&self, time: f64, bound: f64) -> f64 {
        self.tail(time, bound, upper)
    }

    /// P(still running, and then W(time) below `bound`).
    pub(super) fn below(&self, time: f64, bound: f64) -> f64 {
        self.tail(time, bound, lower)
    }

    fn tail(&self, time: f64, bound: f64, of: impl Fn(f64) -> f64) -> f64 {
        let (mean, deviation) = self.increment(time);
        let probability =
            |&(place, share): &(f64, f64)| share * of((bound - place - mean) / deviation);
        self.nodes.iter().map(probability).sum()
    }

    /// Mean and standard deviation of the step to `time`.
    fn increment(&self, time: f64) -> (f64, f64) {
        let duration = time - self.time;
        (self.drift * duration, duration.sqrt())
    }

    /// Goes on to a look at `time` where trials inside (`low`, `high`) continue; `next` is the
    /// time of the look after it.
    pub(super) fn advance(&mut self, time: f64, low: f64, high: f64, next: f64) {
        let (mean, deviation) = self.increment(time);
        let centre = self.drift * time;
        let low = low.max(centre - REACH * time.sqrt());
        let high = high.min(centre + REACH * time.sqrt());
        let following = (next - time).sqrt();
        let mut nodes = Vec::new();
        if high > low {
            let widest = PANEL * deviation.min(following);
            let panels = ((high - low) / widest).ceil().max(1.0);
            let half = 0.5 * (high - low) / panels;
            for panel in 0..panels as usize {
                let middle = low + (2 * panel + 1) as f64 * half;
                for (node, weight) in GAUSS_LEGENDRE {
                    for place in [middle - half * node, middle + half * node] {
                        let shape = |&(from, share): &(f64, f64)| {
                            share * density((place - from - mean) / deviation)
                        };
                        let here: f64 = self.nodes.iter().map(shape).sum();
                        nodes.push((place, half * weight * here / deviation));
                    }
                }
            }
        }
        self.nodes = nodes;
        self.time = time;
    }
}
