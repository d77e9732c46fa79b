//! `trellis policy`: what reviewers of policies ask.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser as _};
use serde::Serialize;
use trellis_model::problem::{Code, Problem, Problems, Severity};

use super::{
    failure::Failure,
    inputs::Configuration,
    output::{OutputFormat, write_json},
};
use crate::check;

/// Look at the policies of a configuration.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Policy {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    Lint(Lint),
}

const AFTER_HELP: &str = "\
Examples:
  trellis policy lint --config trellis.yaml --allow public-access
  trellis policy lint --config trellis.yaml --allow public-access --output json | jq '.findings[].code'";

/// Print what a reviewer of the policies should look at.
///
/// That is what `trellis validate` warns of, and what policies mean together with what they guard: what is open to everybody, what
/// never applies, what is never consulted, who can never call. Each finding has its file, line and code; docs/policies.md
/// describes the codes.
#[derive(Debug, Args)]
#[command(after_help = AFTER_LINT_HELP)]
struct Lint {
    /// A configuration file, a folder whose .yaml, .yml and .json files are one configuration, or `-` for standard input: JSON
    /// where it begins with `{`, else YAML.
    #[arg(long, value_name = "PATH")]
    config: PathBuf,
    /// Leave out findings with this code; may be given more than once.
    #[arg(long, value_name = "CODE", value_parser = codes(), hide_possible_values = true)]
    allow: Vec<Code>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

const AFTER_LINT_HELP: &str = "\
Exit codes:
  0  nothing was found
  1  there are findings
  2  the command line or the configuration is wrong

Examples:
  trellis policy lint --config trellis.yaml --allow public-access";

/// The code of warnings that have none of their own: those about the rest of the configuration.
const CONFIGURATION: &str = "configuration";

fn codes() -> impl clap::builder::TypedValueParser<Value = Code> {
    PossibleValuesParser::new(Code::ALL.map(Code::as_str))
        .try_map(|text| Code::parse(&text).ok_or("there is no such code"))
}

/// The report for scripts.
#[derive(Serialize)]
struct Report<'a> {
    usable: bool,
    findings: Vec<Finding<'a>>,
}

/// One finding for scripts.
#[derive(Serialize)]
struct Finding<'a> {
    code: &'static str,
    severity: &'static str,
    file: Option<String>,
    line: Option<u32>,
    path: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
}

impl<'a> From<&'a Problem> for Finding<'a> {
    fn from(problem: &'a Problem) -> Self {
        let file = problem.place.file.as_ref();
        Self {
            code: label(problem),
            severity: match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            file: file.map(|file| file.display().to_string()),
            line: problem.place.line,
            path: &problem.place.path,
            message: &problem.message,
            hint: problem.hint.as_deref(),
        }
    }
}

fn label(problem: &Problem) -> &'static str {
    match (problem.severity, problem.code) {
        (Severity::Error, _) => "error",
        (Severity::Warning, Some(code)) => code.as_str(),
        (Severity::Warning, None) => CONFIGURATION,
    }
}

impl Policy {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        match &self.command {
            PolicyCommand::Lint(lint) => lint.run(out),
        }
    }
}

impl Lint {
    fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let configuration = Configuration::or_input(&self.config, &mut io::stdin().lock());
        let problems = self.problems(&configuration);
        let usable = !problems.has_errors();
        match self.output {
            OutputFormat::Json => write_json(
                out,
                &Report {
                    usable,
                    findings: problems.iter().map(Finding::from).collect(),
                },
            )?,
            OutputFormat::Text => {
                for problem in problems.iter() {
                    writeln!(out, "{}", problem.labelled(label(problem)))?;
                }
                match problems.iter().count() {
                    0 => writeln!(out, "nothing found")?,
                    1 => writeln!(out, "1 finding")?,
                    number => writeln!(out, "{number} findings")?,
                }
            }
        }
        match (usable, problems.is_empty()) {
            (false, _) => Err(Failure::ConfigurationReported),
            (true, true) => Ok(()),
            (true, false) => Err(Failure::Reported),
        }
    }

    /// Every problem and every finding, in the order of files and lines; findings that are allowed left out.
    fn problems(&self, configuration: &Configuration) -> Problems {
        let loaded = match configuration.load() {
            Ok(loaded) => loaded,
            Err(problems) => return problems,
        };
        let mut problems = loaded.warnings;
        problems.extend(check::check(&loaded.config));
        problems.extend(trellis_policy::lint(&loaded.config));
        let told = |problem: &Problem| {
            let allowed = problem.code.is_some_and(|code| self.allow.contains(&code));
            problem.severity == Severity::Error || !allowed
        };
        let problems = configuration.locate(problems);
        problems.into_iter().filter(told).collect()
    }
}

#[cfg(test)]
mod tests;
