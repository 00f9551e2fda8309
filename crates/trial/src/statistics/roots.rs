//! Roots of monotone functions of one variable.

/// The point where `f`, monotone on `(low, high)`, changes sign, by bisection to rounding. The
/// end at which `f` is largest in the wanted direction need not be evaluated: only `f` between
/// the ends is. Without a change of sign the end that is nearer to one is returned.
pub(super) fn bisect(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut below, mut above) = (low, high);
    let mut middle = 0.5 * (below + above);
    // The sign that counts as below comes from a point just inside the lower end.
    let rising = f(low + 1e-12 * (high - low)) <= 0.0;
    for _ in 0..300 {
        let value = f(middle);
        if value == 0.0 {
            return middle;
        }
        if (value < 0.0) == rising {
            below = middle;
        } else {
            above = middle;
        }
        let next = 0.5 * (below + above);
        if next <= below || next >= above {
            break;
        }
        middle = next;
    }
    middle
}
