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
        (config.target_groups.len(), "target group"),
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
mod tests {
    use std::{fs, path::Path};

    use super::{OutputFormat, Validate};

    const BROKEN: &str = "\
account: \"111122223333\"
region: us-west-2
services:
  - name: o
  - name: orders
    listeners: [{name: http, protocol: HTTP, port: 0, defaultAction: {fixedResponse: {statusCode: 404}}}]
";

    /// Validates a file and gives back whether it may be used, and the report.
    fn validate(path: &Path, output: OutputFormat) -> (bool, String) {
        let mut out = Vec::new();
        let config = path.to_owned();
        let result = Validate { config, output }.run(&mut out);
        (result.is_ok(), String::from_utf8(out).unwrap())
    }

    fn broken(output: OutputFormat) -> (bool, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trellis.yaml");
        fs::write(&path, BROKEN).unwrap();
        validate(&path, output)
    }

    #[test]
    fn the_examples_may_be_used_as_they_stand() {
        for example in ["shop/trellis.yaml", "shop", "two-tenants"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../examples")
                .join(example);
            let (valid, report) = validate(&path, OutputFormat::Text);
            assert!(valid, "{report}");
            assert!(report.starts_with("valid: 2 VPCs, "), "{report}");
        }
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let (valid, report) = broken(OutputFormat::Text);
        assert!(!valid);
        for part in [
            "services[0].name: `o`",
            "services[1].listeners[0].port: 0 is not in the range 1 to 65535",
            "2 problems in `",
        ] {
            assert!(report.contains(part), "no `{part}` in:\n{report}");
        }
    }

    #[test]
    fn scripts_get_the_same_as_json() {
        let (valid, report) = broken(OutputFormat::Json);
        assert!(!valid);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["valid"], false);
        assert_eq!(report["problems"].as_array().unwrap().len(), 2);
        assert_eq!(report["problems"][0]["severity"], "error");
        assert_eq!(report["problems"][0]["path"], "services[0].name");
    }
}
