//! The examples in the help of every command are command lines that work.

use std::{fs, path::Path, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};

use super::Cli;

/// Runs a command line; gives what it writes, to either output, and its exit code.
pub(super) fn run(arguments: &[String]) -> (String, u8) {
    let cli = Cli::try_parse_from(arguments).unwrap_or_else(|error| panic!("{error}"));
    let mut out = Vec::new();
    let code = match cli.command.run(&mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&mut out),
    };
    let code = (0..=2).find(|number| ExitCode::from(*number) == code);
    (String::from_utf8(out).unwrap(), code.unwrap())
}

/// The words of a line; single quotes keep blanks.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(character),
        }
    }
    words
}

/// The command lines in the help of `trellis` and its commands, without what a shell would do with their output.
fn examples() -> Vec<String> {
    let mut cli = Cli::command();
    cli.build();
    let texts = std::iter::once(&cli)
        .chain(cli.get_subcommands())
        .filter_map(|command| command.get_after_help().map(ToString::to_string));
    let mut examples = Vec::new();
    for text in texts {
        let (_, lines) = text.split_once("Examples:\n").unwrap();
        for line in lines.replace("\\\n    ", "").lines().map(str::trim) {
            if line.starts_with("trellis ") {
                // A comment stands off.
                let line = line.split("  ").next().unwrap();
                let line = line.split(" | ").next().unwrap();
                examples.push(line.split(" > ").next().unwrap().to_owned());
            }
        }
    }
    examples
}

#[test]
fn examples_are_understood() {
    let examples = examples();
    for command in Cli::command().get_subcommands() {
        let start = format!("trellis {}", command.get_name());
        assert!(
            examples.iter().any(|line| line.starts_with(&start)),
            "no example of `{start}`"
        );
    }
    for line in examples {
        if let Err(error) = Cli::try_parse_from(words(&line)) {
            panic!("{line}: {error}");
        }
    }
}

/// Copies the files of a folder and of those in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

#[test]
fn examples_that_end_do_what_they_say() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop");
    let folder = tempfile::tempdir().unwrap();
    copy(&shop, folder.path());
    copy(&shop, &folder.path().join("conf.d"));
    // What the examples name stands in a folder of the test, not where the test runs.
    let place = |word: String| match word.as_str() {
        "trellis.yaml" | "./conf.d" | "./trellis-data" | "tests/orders.yaml" => {
            folder.path().join(word).display().to_string()
        }
        _ => word,
    };
    let mut ran = 0;
    for line in examples() {
        let words: Vec<String> = words(&line).into_iter().map(place).collect();
        // What `logs` ships a gateway has left behind: `tests/clients/test_log_storage.py` has one.
        let runs_on = matches!(words[1].as_str(), "serve" | "demo" | "echo" | "logs");
        // That one takes a running gateway, which the tests of `explain` have.
        let asks = words.iter().any(|word| word == "--admin");
        if runs_on || asks {
            continue;
        }
        let (text, code) = run(&words);
        let refused = line.contains("-X DELETE");
        assert_eq!(code, u8::from(refused), "{line}\n{text}");
        assert!(!text.is_empty(), "{line}");
        ran += 1;
    }
    assert!(ran >= 11, "{ran} examples ran");
}
