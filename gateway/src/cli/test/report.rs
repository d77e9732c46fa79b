//! What came of the tests, for people and for scripts.

use std::fmt::{self, Display, Formatter};

use serde::{Serialize, Serializer};
use trellis_model::problem::Place;

use super::{
    case::{Failed, Verdict},
    document::Case,
};

/// All tests.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    /// How many ended as expected.
    pub(super) passed: usize,
    /// How many did not.
    pub(super) failed: usize,
    /// Each of them.
    pub(super) tests: Vec<Outcome>,
}

impl Summary {
    pub(super) fn new(tests: Vec<Outcome>) -> Self {
        let failed = tests.iter().filter(|test| !test.passed()).count();
        Self {
            passed: tests.len() - failed,
            failed,
            tests,
        }
    }
}

/// One test.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Its name.
    pub(super) name: String,
    /// Where it is written.
    pub(super) place: Place,
    /// What came of it.
    pub(super) verdict: Verdict,
}

impl Outcome {
    pub(super) fn new(case: &Case, place: Place, verdict: Verdict) -> Self {
        Self {
            name: case.name.clone(),
            place,
            verdict,
        }
    }

    /// Is all as expected?
    pub(super) fn passed(&self) -> bool {
        self.verdict.failures.is_empty()
    }

    /// The file that it is in.
    pub(super) fn file(&self) -> String {
        let file = self.place.file.as_ref();
        file.map_or_else(String::new, |file| file.display().to_string())
    }

    /// `file:line`.
    pub(super) fn at(&self) -> String {
        match self.place.line {
            Some(line) => format!("{}:{line}", self.file()),
            None => self.file(),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;

        let mut test = serializer.serialize_struct("Test", 6)?;
        test.serialize_field("name", &self.name)?;
        test.serialize_field("file", &self.file())?;
        test.serialize_field("line", &self.place.line)?;
        test.serialize_field("passed", &self.passed())?;
        test.serialize_field("failures", &self.verdict.failures)?;
        test.serialize_field("explanation", self.verdict.explained.report())?;
        test.end()
    }
}

impl Display for Failed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            member,
            expected,
            actual,
        } = self;
        write!(f, "{member}: expected {expected}, got {actual}")
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for test in &self.tests {
            if test.passed() {
                writeln!(f, "ok    {}", test.name)?;
                continue;
            }
            writeln!(f, "FAIL  {} ({})", test.name, test.at())?;
            for failure in &test.verdict.failures {
                writeln!(f, "      {failure}")?;
            }
            for line in test.verdict.explained.text().to_string().lines() {
                writeln!(f, "      | {line}")?;
            }
        }
        writeln!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}
