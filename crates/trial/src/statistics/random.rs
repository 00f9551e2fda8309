//! Uniform random words for resampling.

/// A stream of uniformly distributed 32-bit words. The caller chooses the generator and its
/// seed, so that a result is reproducible from the run's own seed.
pub trait UniformSource {
    /// The next word.
    fn next_u32(&mut self) -> u32;
}

impl<S: UniformSource + ?Sized> UniformSource for &mut S {
    fn next_u32(&mut self) -> u32 {
        (**self).next_u32()
    }
}

/// A uniform integer in `0..bound`, without bias. Lemire 2019, ACM Trans Model Comput Simul 29:3.
pub(super) fn below<S: UniformSource + ?Sized>(source: &mut S, bound: u32) -> u32 {
    let threshold = bound.wrapping_neg() % bound.max(1);
    loop {
        let product = u64::from(source.next_u32()) * u64::from(bound);
        if product as u32 >= threshold {
            return (product >> 32) as u32;
        }
    }
}
