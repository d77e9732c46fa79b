//! What is wrong with a configuration: every problem at once, each with its place, the value and what would be right.

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
}

impl Problem {
    /// A problem that stops the configuration from being used.
    pub fn error(place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place,
            message: message.into(),
            hint: None,
        }
    }

    /// A problem that is reported while the configuration runs.
    pub fn warning(place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            place,
            message: message.into(),
            hint: None,
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
        if let Some(file) = &self.place.file {
            write!(f, "{}", Plain(file.display()))?;
            if let Some(line) = self.place.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.place.path.is_empty() {
            write!(f, "{}: ", Plain(&self.place.path))?;
        }
        write!(f, "{}", Plain(&self.message))?;
        if let Some(hint) = &self.hint {
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
