//! Launches of kernels, counted as the runtime issues them, whoever asks for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use cubecl::logging::{Duration, LaunchObservation, LaunchObserver, TimingMethod, TimingRequest};
use serde::Serialize;

/// What one kernel did while it was watched.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Kernel {
    pub name: String,
    pub launches: u64,
    /// Seconds on the device; 0 where launches were only counted.
    pub seconds: f64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    launches: u64,
    seconds: f64,
}

#[derive(Debug)]
struct Observer {
    /// Launches of other threads are not this one's business.
    thread: ThreadId,
    timed: bool,
    kernels: Mutex<BTreeMap<&'static str, Seen>>,
}

impl Observer {
    fn note(&self, kernel: &'static str, change: impl FnOnce(&mut Seen)) {
        if thread::current().id() == self.thread {
            let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
            change(kernels.entry(kernel).or_default());
        }
    }
}

impl LaunchObserver for Observer {
    fn launched(&self, kernel: &'static str) {
        self.note(kernel, |seen| seen.launches += 1);
    }

    fn timing(&self) -> TimingRequest {
        if self.timed {
            TimingRequest::Resolved
        } else {
            TimingRequest::None
        }
    }

    fn timed(&self, kernel: &'static str, duration: Duration, _method: TimingMethod) {
        self.note(kernel, |seen| seen.seconds += duration.as_secs_f64());
    }
}

/// Watches the launches of this thread for as long as it lives. There is one watch in a process: a
/// second one replaces the first while it lives.
#[derive(Debug)]
pub struct Watch {
    observer: Arc<Observer>,
    _installed: LaunchObservation,
}

impl Watch {
    /// Count launches, which costs nearly nothing.
    pub fn counting() -> Self {
        Self::new(false)
    }

    /// Count launches and wait for each, to know how long it took: the work as a whole is slower.
    pub fn timing() -> Self {
        Self::new(true)
    }

    fn new(timed: bool) -> Self {
        let observer = Arc::new(Observer {
            thread: thread::current().id(),
            timed,
            kernels: Mutex::default(),
        });
        Self {
            _installed: LaunchObservation::new(observer.clone()),
            observer,
        }
    }

    /// Launches so far.
    pub fn launches(&self) -> u64 {
        self.kernels().iter().map(|kernel| kernel.launches).sum()
    }

    /// The kernels so far, those that took longest first.
    pub fn kernels(&self) -> Vec<Kernel> {
        let seen = self.observer.kernels.lock();
        let seen = seen.unwrap_or_else(PoisonError::into_inner);
        let mut kernels: Vec<Kernel> = seen
            .iter()
            .map(|(name, seen)| Kernel {
                name: short(name),
                launches: seen.launches,
                seconds: seen.seconds,
            })
            .collect();
        kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        kernels
    }
}

/// `module::kernel` of the full name of a kernel's type, without generic arguments.
fn short(name: &str) -> String {
    let path = name.split('<').next().unwrap_or(name);
    let mut words: Vec<&str> = path.split("::").collect();
    // the type is the kernel's name once more
    if words.len() > 2 {
        words.pop();
    }
    let from = words.len().saturating_sub(2);
    words[from..].join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_modules_and_kernels() {
        assert_eq!(
            short("posology_kernels::dense::apply::apply::Apply<W, N>"),
            "apply::apply"
        );
        assert_eq!(short("alone"), "alone");
    }
}
