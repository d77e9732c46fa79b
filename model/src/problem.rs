//! What is wrong with a configuration: every problem at once, each with its place, the value and what would be right.

mod code;

pub use code::Code;

use std::{fmt, path::PathBuf, sync::Arc};

/// Where in the documents something was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// The file, as the user named it; `None` for text that came from elsewhere.
    pub file: Option<Arc<PathBuf>>,
    /// Path within the document: `services[1].listeners[0].rules[2].priority`; empty for the whole document.
    pub path: String,
    /// Line, counted from one, where known.
    pub line: Option<u32>,
}

impl Place {
    /// The place `suffix` below this one: `.name` or `[3]`.
    #[must_use]
    pub fn below(&self, suffix: &str) -> Self {
        Self {
            file: self.file.clone(),
            path: format!("{}{suffix}", self.path),
            line: None,
        }
    }
}

/// Whether a problem stops the configuration from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration runs, but probably not as its author thinks.
    Warning,
}

/// One problem: place, value, what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Does it stop the configuration from being used?
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// What is wrong, lower case, no final stop, the user's own input in backticks.
    pub message: String,
    /// What would be right, where it is not already clear from the message.
    pub hint: Option<String>,
    /// Its kind, for findings about policies and about what they guard.
    pub code: Option<Code>,
}

impl Problem {
    /// A problem that stops the configuration from being used.
    pub fn error(place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place,
            message: message.into(),
            hint: None,
            code: None,
        }
    }

    /// A problem that is reported while the configuration runs.
    pub fn warning(place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            place,
            message: message.into(),
            hint: None,
            code: None,
        }
    }

    /// The same problem with its kind.
    #[must_use]
    pub fn code(mut self, code: Code) -> Self {
        self.code = Some(code);
        self
    }

    /// The problem with `label` in the place of the word that tells its severity.
    pub fn labelled<'a>(&'a self, label: &'a str) -> impl fmt::Display + 'a {
        Labelled {
            problem: self,
            label: Some(label),
        }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A text that may hold anything, for a terminal: control characters are escaped, so that a document can neither colour nor forge
/// what an operator reads.
struct Plain<T>(T);

impl<T: fmt::Display> fmt::Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Write::write_fmt(&mut Escaping(f), format_args!("{}", self.0))
    }
}

struct Escaping<'f, 'b>(&'f mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(position) = rest.find(char::is_control) {
            let (plain, found) = rest.split_at(position);
            self.0.write_str(plain)?;
            let mut following = found.chars();
            for control in following.by_ref().take(1) {
                write!(self.0, "{}", control.escape_default())?;
            }
            rest = following.as_str();
        }
        self.0.write_str(rest)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = (self.severity == Severity::Warning).then_some("warning");
        let labelled = Labelled {
            problem: self,
            label,
        };
        labelled.fmt(f)
    }
}

/// A problem with a word of what it is.
struct Labelled<'a> {
    problem: &'a Problem,
    label: Option<&'a str>,
}

impl fmt::Display for Labelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            place,
            message,
            hint,
            ..
        } = self.problem;
        if let Some(file) = &place.file {
            write!(f, "{}", Plain(file.display()))?;
            if let Some(line) = place.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(label) = self.label {
            write!(f, "{label}: ")?;
        }
        if !place.path.is_empty() {
            write!(f, "{}: ", Plain(&place.path))?;
        }
        write!(f, "{}", Plain(message))?;
        if let Some(hint) = hint {
            write!(f, "\n    hint: {}", Plain(hint))?;
        }
        Ok(())
    }
}

/// The report: all problems found, in the order of the documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one problem.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds every problem of another report.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.0.extend(problems);
    }

    /// Does any of them stop the configuration from being used?
    pub fn has_errors(&self) -> bool {
        self.0
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }

    /// Is there nothing to report?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems in order.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<T: IntoIterator<Item = Problem>>(problems: T) -> Self {
        Self(problems.into_iter().collect())
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
