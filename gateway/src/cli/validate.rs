//! `trellis validate`: every problem of a configuration at once.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use serde::Serialize;
use trellis_model::{
    config::Config,
    problem::{Problem, Problems, Severity},
};

use super::{
    failure::Failure,
    inputs::Configuration,
    output::{OutputFormat, write_json},
};

/// Check a configuration and print every problem of it.
///
/// Exits with 0 when the configuration can be used, warnings or not, and with 2 otherwise. Nothing is started.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Validate {
    /// A configuration file, a folder whose .yaml, .yml and .json files are one configuration, or `-` for standard input: JSON
    /// where it begins with `{`, else YAML.
    #[arg(long, value_name = "PATH")]
    config: PathBuf,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
}

const AFTER_HELP: &str = "\
Examples:
  trellis validate --config trellis.yaml
  trellis validate --config ./conf.d --output json | jq '.problems[].message'
  kubectl get configmap trellis --output jsonpath='{.data.config}' | trellis validate --config -";

/// The report for scripts.
#[derive(Serialize)]
struct Report<'a> {
    valid: bool,
    problems: Vec<Entry<'a>>,
}

/// One problem for scripts.
#[derive(Serialize)]
struct Entry<'a> {
    severity: &'static str,
    file: Option<String>,
    line: Option<u32>,
    path: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
}

impl<'a> From<&'a Problem> for Entry<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self {
            severity: match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            file: problem
                .place
                .file
                .as_ref()
                .map(|file| file.display().to_string()),
            line: problem.place.line,
            path: &problem.place.path,
            message: &problem.message,
            hint: problem.hint.as_deref(),
        }
    }
}

impl Validate {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let (config, problems) =
            Configuration::or_input(&self.config, &mut io::stdin().lock()).check();
        match self.output {
            OutputFormat::Json => write_json(
                out,
                &Report {
                    valid: config.is_some(),
                    problems: problems.iter().map(Entry::from).collect(),
                },
            )?,
            OutputFormat::Text => {
                if !problems.is_empty() {
                    writeln!(out, "{problems}")?;
                }
                match &config {
                    Some(config) => writeln!(out, "valid: {}", summary(config))?,
                    None => writeln!(out, "{} in {}", count(&problems), self.name())?,
                }
            }
        }
        config.map(drop).ok_or(Failure::ConfigurationReported)
    }

    /// What was checked, for the report.
    fn name(&self) -> String {
        match self.config.to_str() {
            Some("-") => "standard input".to_owned(),
            _ => format!("`{}`", self.config.display()),
        }
    }
}

fn summary(config: &Config) -> String {
    let counted = [
        (config.vpcs.len(), "VPC"),
        (config.service_networks.len(), "service network"),
        (config.services.len(), "service"),
        (
            config.target_groups.len() + config.function_groups.len(),
            "target group",
        ),
        (config.users.len() + config.roles.len(), "principal"),
    ];
    let texts: Vec<_> = counted
        .iter()
        .map(|(number, noun)| plural(*number, noun))
        .collect();
    texts.join(", ")
}

fn count(problems: &Problems) -> String {
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    plural(errors, "problem")
}

fn plural(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

#[cfg(test)]
mod tests;
