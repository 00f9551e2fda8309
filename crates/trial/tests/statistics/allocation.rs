//! The statistics of replicate trials must not allocate once their buffers have grown.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use posology_trial::statistics::*;

use crate::Xorshift;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system allocator unchanged; the counter is a thread-local
// integer without a destructor and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: as for this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as for this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn replicates_of_a_trial_allocate_nothing() {
    let mut random = Xorshift(77);
    let mut uniform = || (f64::from(random.next_u32()) + 0.5) / 4_294_967_296.0;
    let n = 300;
    let (mut times, mut events, mut treated) = (vec![0.0; n], vec![false; n], vec![false; n]);
    let mut scratch = TwoGroupScratch::default();
    let mut replicate = |scratch: &mut TwoGroupScratch| {
        for i in 0..n {
            let time = -uniform().ln() / 0.05;
            treated[i] = i % 2 == 0;
            events[i] = time < 24.0;
            times[i] = time.min(24.0);
        }
        sort_two_groups(&mut times, &mut events, &mut treated, scratch).unwrap();
        let z = log_rank_z(&times, &events, &treated).unwrap();
        let fit = cox_two_groups(&times, &events, &treated, scratch).unwrap();
        (z, fit.log_hazard_ratio / fit.standard_error)
    };
    // Grow the buffers to what n patients can need at most.
    let mut ascending: Vec<f64> = (0..n).map(|i| i as f64).collect();
    let mut alternating: Vec<bool> = (0..n).map(|i| i % 2 == 0).collect();
    let mut all = vec![true; n];
    sort_two_groups(&mut ascending, &mut all, &mut alternating, &mut scratch).unwrap();
    cox_two_groups(&ascending, &all, &alternating, &mut scratch).unwrap();

    let before = COUNT.with(Cell::get);
    let mut worst = 0.0_f64;
    for _ in 0..50 {
        let (z, wald) = replicate(&mut scratch);
        worst = worst.max((z - wald).abs());
    }
    assert_eq!(COUNT.with(Cell::get) - before, 0);
    // Score and Wald statistics of one effect are close without being equal.
    assert!(worst > 0.0 && worst < 0.3, "{worst}");
}
