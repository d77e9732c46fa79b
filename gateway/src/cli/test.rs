//! `trellis test`: requests with what is expected of them, for the users' own pipelines.

mod case;
mod document;
mod junit;
mod report;

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use clap::{Args, ValueEnum};
use trellis_model::{
    config::Config,
    load::{Inputs, Source, locate},
    problem::{Place, Problem, Problems},
};

use self::{
    document::{Document, read},
    report::{Outcome, Summary},
};
use super::{failure::Failure, inputs::Configuration, output::write_json};
use crate::snapshot::{self, Snapshot};

pub(super) use document::schema;

/// Check that requests end as expected, by the code that serves real ones.
///
/// A file holds requests (VPC, principal, method, URL, headers) with what is expected of them: the decision, the status, the
/// rule, the target group, the statement that decides. Nothing is sent and nothing is started, as with `trellis explain`. Every
/// failure is told, with its line and the explanation of the request.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Test {
    /// Files of tests, YAML or JSON; `trellis schema --tests` describes them.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The configuration to test, instead of the one that each file names: a file or a folder.
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  every request ends as expected
  1  some do not
  2  a file of tests or the configuration is wrong

Examples:
  trellis test tests/orders.yaml
  trellis test --config trellis.yaml tests/orders.yaml
  trellis test --output junit tests/orders.yaml > results.xml";

/// The form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For scripts.
    Json,
    /// XML as test runners write it, which most pipelines show.
    Junit,
}

/// Largest file of tests, in bytes.
const LARGEST: u64 = 16 << 20;

impl Test {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let now = SystemTime::now();
        let mut subjects = Subjects::default();
        let mut outcomes = Vec::new();
        let mut problems = Vec::new();
        for path in &self.files {
            let source = Source {
                path: path.clone(),
                text: text(path),
            };
            match self.outcomes_of(&source, &mut subjects, now) {
                Ok(found) => outcomes.extend(found),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(Failure::Configuration(problems.into_iter().collect()));
        }
        let summary = Summary::new(outcomes);
        match self.output {
            Format::Text => write!(out, "{summary}")?,
            Format::Json => write_json(out, &summary)?,
            Format::Junit => write!(out, "{}", junit::Suites(&summary))?,
        }
        if summary.failed == 0 {
            Ok(())
        } else {
            Err(Failure::Reported)
        }
    }

    /// What becomes of the requests of a file; or what is wrong with the file or the configuration.
    fn outcomes_of(
        &self,
        source: &Source,
        subjects: &mut Subjects,
        now: SystemTime,
    ) -> Result<Vec<Outcome>, Problems> {
        let document: Document = read(source).map_err(|problem| Problems::from_iter([problem]))?;
        let folder = source.path.parent().unwrap_or(Path::new(""));
        let config = match (&self.config, &document.config) {
            (Some(path), _) => path.clone(),
            (None, Some(written)) => folder.join(written),
            (None, None) => {
                let problem = Problem::error(whole(source), "names no configuration")
                    .hint("write `config: PATH`, relative to this file, or give `--config PATH`");
                return Err(Problems::from_iter([problem]));
            }
        };
        let subject = subjects.of(&config, now)?;
        let mut outcomes = Vec::new();
        let mut problems = Problems::default();
        for (position, test) in document.tests.iter().enumerate() {
            let place = whole(source).below(&format!("tests[{position}]"));
            match case::run(test, (&document.defaults, folder), &subject, now) {
                Ok(verdict) => outcomes.push(Outcome::new(test, place, verdict)),
                Err(wrong) => {
                    let place = place.below(&format!(".{}", wrong.member));
                    problems.push(Problem::error(place, wrong.message));
                }
            }
        }
        let sources = std::slice::from_ref(source);
        if problems.is_empty() {
            for outcome in &mut outcomes {
                let here = Problem::error(outcome.place.clone(), "");
                let located = locate(Problems::from_iter([here]), sources, &NoInputs);
                outcome.place.line = located.iter().find_map(|problem| problem.place.line);
            }
            Ok(outcomes)
        } else {
            Err(locate(problems, sources, &NoInputs))
        }
    }
}

/// The file as a whole.
fn whole(source: &Source) -> Place {
    Place {
        file: Some(Arc::new(source.path.clone())),
        ..Place::default()
    }
}

fn text(path: &Path) -> Result<String, String> {
    let say = |error: &std::io::Error| crate::reason::reason(error);
    let size = fs::metadata(path).map_err(|error| say(&error))?.len();
    if size > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    fs::read_to_string(path).map_err(|error| say(&error))
}

/// The lines of a file of tests are found without the files that it names.
struct NoInputs;

impl Inputs for NoInputs {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("not read".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// A configuration under test.
#[derive(Debug)]
struct Subject {
    config: Config,
    snapshot: Arc<Snapshot>,
}

/// Configurations under test, each compiled once.
#[derive(Debug, Default)]
struct Subjects(HashMap<PathBuf, Arc<Subject>>);

impl Subjects {
    fn of(&mut self, path: &Path, now: SystemTime) -> Result<Arc<Subject>, Problems> {
        if let Some(subject) = self.0.get(path) {
            return Ok(Arc::clone(subject));
        }
        let config = Configuration::new(path.to_owned()).load()?.config;
        let snapshot = Arc::new(snapshot::preview(&config, now)?);
        let subject = Arc::new(Subject { config, snapshot });
        self.0.insert(path.to_owned(), Arc::clone(&subject));
        Ok(subject)
    }
}

#[cfg(test)]
mod tests;
