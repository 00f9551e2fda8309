//! `posology bench engine`: how fast the engine is on this machine, and why.

mod case;
mod device;
mod measure;
mod native;

use case::{Case, MODELS};

pub fn first() -> anyhow::Result<()> {
    let device = posology_kernels::device::open(Some("software"))?;
    let options = device::simulator_options(&device)?;
    println!("guard {}", options.guard_compensation);
    for (name, text) in MODELS {
        let case = Case::new(name, text)?;
        println!("{name}: states {} ops {} per step {}", case.program.n_states, case.operations(), case.operations_per_step());
        println!("build {:?}", device::build_seconds(&device, &case, options)?);
        let steps = if case.program.n_states > 12 { 200 } else { 1000 };
        let t = device::run(&device, &case, options, 4096, steps, 7)?;
        println!("{t:?}\n  -> {:.3e} patient-steps/s", 4096.0 * f64::from(steps) / t.seconds.median);
        let values = case.values(4096)?;
        let job = native::Job { program: &case.program, values: &values, n: 4096, steps, h: case.h as f32 };
        let mut variants: Vec<(&str, fn(&native::Job<'_>) -> Vec<f32>)> = vec![("interp lanes", native::interpret::lanes), ("interp scalar", native::interpret::scalar)];
        if case.program.n_states == 12 {
            for (k, n) in native::hand::NAMES.iter().enumerate() { anyhow::ensure!(case.model.slot_index(n) == Some(k), "slot {n}"); }
            variants.push(("hand lanes", native::hand::lanes));
            variants.push(("hand scalar", native::hand::scalar));
        }
        for (what, f) in variants {
            let start = std::time::Instant::now();
            let states = f(&job);
            let s = start.elapsed().as_secs_f64();
            println!("{what}: {s:.4} s {:.3e} /s error {:.2e}", 4096.0 * f64::from(steps) / s, case.error(&values, &states, 4096, steps)?);
        }
    }
    Ok(())
}
