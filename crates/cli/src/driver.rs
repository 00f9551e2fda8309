//! What Vulkan drivers are told, through their environment, before one is loaded.

/// Mesa's width of a vector of its software adapter, in bits.
pub const LANES: &str = "LP_NATIVE_VECTOR_WIDTH";
/// Where Mesa keeps compiled shaders.
pub const SHADER_CACHE: &str = "MESA_SHADER_CACHE_DIR";

/// Vulkan's device selection on Linux asks for a Wayland display and complains on standard error
/// where a session has none (servers, containers).
pub fn silence_display_libraries() {
    const RUNTIME: &str = "XDG_RUNTIME_DIR";
    if cfg!(target_os = "linux") && std::env::var_os(RUNTIME).is_none() {
        // SAFETY: the program has only this thread yet.
        unsafe { std::env::set_var(RUNTIME, std::env::temp_dir()) };
    }
}

/// Let Mesa's software adapter work on sixteen patients at a time where the processor has AVX-512.
///
/// It takes eight unless told otherwise; sixteen need a quarter less processor time (see
/// `results/performance.md`) and give the same bits. Mesa's shader cache does not tell the widths
/// apart, so this one gets a folder of its own. A width that the user has set stays.
pub fn widen_software_lanes() {
    if !wide_vectors()
        || std::env::var_os(LANES).is_some()
        || std::env::var_os(SHADER_CACHE).is_some()
    {
        return;
    }
    let home = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty());
    let cache = home("XDG_CACHE_HOME")
        .map(std::path::PathBuf::from)
        .or_else(|| home("HOME").map(|home| std::path::Path::new(&home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("posology-shaders-512");
    // Mesa makes one folder, not the path to it, and goes without a cache where that fails; it says so
    let _ = std::fs::create_dir_all(&cache);
    // SAFETY: the program has only this thread yet.
    unsafe {
        std::env::set_var(LANES, "512");
        std::env::set_var(SHADER_CACHE, cache);
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn wide_vectors() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn wide_vectors() -> bool {
    false
}
