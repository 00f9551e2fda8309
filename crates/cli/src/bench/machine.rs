//! The computer a figure was measured on.

use serde::Serialize;

/// What matters for speed, as far as the system tells.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub os: String,
    pub architecture: String,
    pub cpu: Option<String>,
    pub threads: usize,
    pub memory_bytes: Option<u64>,
    /// Processes that wanted to run in the minute before: above the baseline, times are too long.
    pub load: Option<f64>,
}

impl Machine {
    pub fn here() -> Self {
        let memory = std::fs::read_to_string("/proc/meminfo").ok();
        let load = std::fs::read_to_string("/proc/loadavg").ok();
        Self {
            os: std::env::consts::OS.to_owned(),
            architecture: std::env::consts::ARCH.to_owned(),
            cpu: cpu(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory.and_then(|text| kibibytes(&text, "MemTotal:")),
            load: load.and_then(|text| text.split(' ').next()?.parse().ok()),
        }
    }
}

fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Bytes in a line such as `VmHWM:   1234 kB`.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let number = line.split_whitespace().nth(1)?;
    Some(1024 * number.parse::<u64>().ok()?)
}

/// Largest resident memory of this process so far, where the system tells (Linux).
pub fn peak_memory() -> Option<u64> {
    kibibytes(
        &std::fs::read_to_string("/proc/self/status").ok()?,
        "VmHWM:",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_lines_are_read() {
        assert_eq!(
            kibibytes("VmPeak:\t 1 kB\nVmHWM:\t  12 kB\n", "VmHWM:"),
            Some(12_288)
        );
        assert_eq!(kibibytes("VmPeak:\t 1 kB\n", "VmHWM:"), None);
    }
}
