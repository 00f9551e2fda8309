//! What every command shares: the device, printing, progress, interruption.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use posology_kernels::device::{self, Device};
use posology_model::Diagnostics;
use serde::Serialize;

use crate::args::{Colour, Global};
use crate::error::{Class, Failure};

/// Set by the first interruption.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// A run looks at [`INTERRUPTED`] between batches and cleans up itself.
static GRACEFUL: AtomicBool = AtomicBool::new(false);
/// The unfinished output, removed if the program has to end at once.
static STAGED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Options and terminal of this invocation.
#[derive(Clone, Debug)]
pub struct Context {
    pub global: Global,
    colour_out: bool,
    colour_err: bool,
}

impl Context {
    pub fn new(global: Global) -> Self {
        let allowed = |terminal: bool| match global.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && std::env::var_os("NO_COLOR").is_none(),
        };
        let colour_out = allowed(io::stdout().is_terminal());
        let colour_err = allowed(io::stderr().is_terminal());
        Self {
            global,
            colour_out,
            colour_err,
        }
    }

    pub fn colour_err(&self) -> bool {
        self.colour_err
    }

    /// The adapter of `--device`, or the best one.
    ///
    /// # Errors
    /// Class device.
    pub fn open_device(&self) -> Result<Device, Failure> {
        let device = device::open(self.global.device.as_deref())?;
        tracing::info!(
            name = device.description.name,
            driver = device.description.driver,
            "opened the device"
        );
        Ok(device)
    }

    /// Bold on a terminal.
    pub fn bold(&self, text: &str) -> String {
        if self.colour_out {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Print the result of a command.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// Print the result of a command as one JSON document.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn print_json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::new(Class::Io, error.to_string()))?;
        self.print(&text)
    }

    /// A remark on standard error, unless `--quiet` or `--json`.
    pub fn note(&self, text: &str) {
        if !self.global.quiet && !self.global.json {
            // nobody is left to tell if standard error is gone
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Findings that do not stop the command, unless `--quiet` or `--json`.
    pub fn warn(&self, found: &Diagnostics) {
        if !found.is_empty() {
            self.note(found.render(self.colour_err).trim_end());
        }
    }

    /// A bar on standard error, if that is a terminal and the user wants to see it.
    pub fn progress(&self, total: u64, what: &str) -> ProgressBar {
        let hidden = self.global.quiet || !io::stderr().is_terminal();
        let target = if hidden {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target)
            .with_message(what.to_owned())
            // a failure is told on a line of its own
            .with_finish(ProgressFinish::AndClear);
        if let Ok(style) =
            ProgressStyle::with_template("{msg} [{bar:30}] {human_pos}/{human_len} {eta}")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        if !hidden {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        bar
    }

    /// Whether the user asked to stop.
    pub fn interrupted(&self) -> bool {
        INTERRUPTED.load(Ordering::Relaxed)
    }
}

/// Until dropped, an interruption is left to the command, which looks at [`Context::interrupted`].
pub struct Graceful(());

impl Graceful {
    pub fn begin() -> Self {
        GRACEFUL.store(true, Ordering::Relaxed);
        Graceful(())
    }
}

impl Drop for Graceful {
    fn drop(&mut self) {
        GRACEFUL.store(false, Ordering::Relaxed);
    }
}

/// Name the unfinished output that an abrupt end removes; `None` once it is finished.
pub fn stage(path: Option<PathBuf>) {
    if let Ok(mut staged) = STAGED.lock() {
        *staged = path;
    }
}

/// Handle Ctrl-C: a graceful command ends after its batch, the second time or otherwise at once.
pub fn watch_for_interruption() {
    let outcome = ctrlc::set_handler(|| {
        let again = INTERRUPTED.swap(true, Ordering::Relaxed);
        if again || !GRACEFUL.load(Ordering::Relaxed) {
            if let Ok(Some(path)) = STAGED.lock().map(|mut staged| staged.take()) {
                let _ = std::fs::remove_dir_all(path);
            }
            std::process::exit(i32::from(Class::Interrupted.code()));
        }
    });
    if let Err(error) = outcome {
        tracing::warn!("interruptions are not handled: {error}");
    }
}
