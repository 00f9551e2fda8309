//! What ends a command, and the exit code it ends with.

use std::fmt;
use std::io;
use std::path::Path;

use posology_agent::error::AgentError;
use posology_kernels::device::DeviceError;
use posology_model::Diagnostics;
use posology_model::diagnostic::Severity;
use posology_sim::{SampleError, SimError};
use serde_json::{Value, json};

/// Classes of failure, by exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Usage = 2,
    Model = 3,
    Data = 4,
    Numeric = 5,
    Device = 6,
    Io = 7,
    Interrupted = 130,
}

impl Class {
    pub fn code(self) -> u8 {
        self as u8
    }

    fn name(self) -> &'static str {
        match self {
            Class::Usage => "usage",
            Class::Model => "model",
            Class::Data => "data",
            Class::Numeric => "numeric",
            Class::Device => "device",
            Class::Io => "io",
            Class::Interrupted => "interrupted",
        }
    }

    /// The class of a diagnostic code: model and trial files, data and regimens, the command line.
    fn of_code(code: &str) -> Self {
        match code.as_bytes().first() {
            Some(b'D' | b'R') => Class::Data,
            Some(b'U') => Class::Usage,
            _ => Class::Model,
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// Findings about a text of the user.
    Found { class: Class, found: Diagnostics },
    /// Anything else.
    Plain {
        class: Class,
        message: String,
        help: Option<String>,
    },
    /// The reader of standard output went away; not an error of ours.
    BrokenPipe,
}

impl Failure {
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Failure::Plain {
            class,
            message: message.into(),
            help: None,
        }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Class::Usage, message)
    }

    /// Findings about the command line, whatever their codes.
    pub fn of_command_line(found: Diagnostics) -> Self {
        Failure::Found {
            class: Class::Usage,
            found,
        }
    }

    /// An operation on a file or folder failed.
    pub fn io(doing: &str, path: &Path, error: &dyn fmt::Display) -> Self {
        Self::new(
            Class::Io,
            format!("cannot {doing} {}: {error}", path.display()),
        )
    }

    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        if let Failure::Plain { help, .. } = &mut self {
            *help = Some(text.into());
        }
        self
    }

    pub fn class(&self) -> Option<Class> {
        match self {
            Failure::Found { class, .. } | Failure::Plain { class, .. } => Some(*class),
            Failure::BrokenPipe => None,
        }
    }

    /// For a terminal.
    pub fn render(&self, colour: bool) -> String {
        let (red, plain) = if colour {
            ("\x1b[1;31m", "\x1b[0m")
        } else {
            ("", "")
        };
        match self {
            Failure::Found { found, .. } => found.render(colour),
            Failure::Plain { message, help, .. } => {
                let help = help
                    .as_ref()
                    .map_or_else(String::new, |help| format!("  help: {help}\n"));
                format!("{red}error{plain}: {message}\n{help}")
            }
            Failure::BrokenPipe => String::new(),
        }
    }

    /// For a program.
    pub fn json(&self) -> Value {
        let class = self.class().map_or("", Class::name);
        let code = self.class().map_or(0, Class::code);
        let body = match self {
            Failure::Found { found, .. } => {
                let first = found.iter().find(|d| d.severity == Severity::Error);
                let message = first.map_or_else(String::new, |d| d.message.clone());
                json!({"class": class, "exit_code": code, "message": message, "diagnostics": found})
            }
            Failure::Plain { message, help, .. } => {
                json!({"class": class, "exit_code": code, "message": message, "help": help, "diagnostics": []})
            }
            Failure::BrokenPipe => Value::Null,
        };
        json!({ "error": body })
    }
}

impl From<Diagnostics> for Failure {
    fn from(found: Diagnostics) -> Self {
        let code = found
            .iter()
            .find(|d| d.severity == Severity::Error)
            .map_or("", |d| d.code);
        Failure::Found {
            class: Class::of_code(code),
            found,
        }
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self::new(Class::Device, error.to_string())
    }
}

impl From<SimError> for Failure {
    fn from(error: SimError) -> Self {
        let class = match &error {
            SimError::Device(_) | SimError::TooLarge { .. } => Class::Device,
            SimError::UnstableStep { .. }
            | SimError::TooManyDiverged { .. }
            | SimError::Reference(_)
            | SimError::TooManySteps { .. } => Class::Numeric,
            SimError::Interrupted { .. } => Class::Interrupted,
        };
        Self::new(class, error.to_string())
    }
}

impl From<AgentError> for Failure {
    fn from(error: AgentError) -> Self {
        let class = match error {
            AgentError::Task(found) => return found.into(),
            AgentError::Device(error) => return error.into(),
            AgentError::Simulation(error) => return error.into(),
            AgentError::Sampling(error) => return error.into(),
            AgentError::File { .. } => Class::Io,
            AgentError::Checkpoint { .. } => Class::Data,
            AgentError::Option { .. } => Class::Usage,
            AgentError::Diverged { .. } => Class::Numeric,
            AgentError::Unlike { .. } => {
                let help = "a larger --pool, fewer --cycles, or a wider --tolerance where \
                            measurements have no error";
                return Self::new(Class::Numeric, error.to_string()).help(help);
            }
        };
        Self::new(class, error.to_string())
    }
}

impl From<SampleError> for Failure {
    fn from(error: SampleError) -> Self {
        match error {
            SampleError::Device(error) => error.into(),
            SampleError::Input(found) => found.into(),
            other => Self::new(Class::Data, other.to_string()),
        }
    }
}

/// An error of standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::BrokenPipe;
        }
        Self::new(
            Class::Io,
            format!("cannot write to standard output: {error}"),
        )
    }
}
