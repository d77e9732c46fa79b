//! Whole outputs, as transcripts; and that what is explained is what happens.

mod client;
mod live;
mod requests;
mod running;
mod world;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use clap::Parser as _;

use self::world::World;
use super::request::{Line, RequestError};
use crate::cli::{
    Cli,
    examples::{run, words},
};

/// The transcript of a file: its commands with what they write now.
fn replay(script: &str, world: &World) -> String {
    let mut transcript = String::new();
    for line in script.lines() {
        if line.starts_with("# ") {
            writeln!(transcript, "{line}").unwrap();
        } else if let Some(command) = line.strip_prefix("$ ") {
            let mut arguments = words(command);
            for argument in &mut arguments {
                if argument == "world.yaml" {
                    *argument = world.file();
                } else if argument.starts_with("examples/") {
                    *argument = repository().join(&*argument).display().to_string();
                }
            }
            let (text, code) = run(&arguments);
            let text = text.replace(&world.file(), "world.yaml");
            writeln!(transcript, "\n$ {command}\n{text}(exit code {code})").unwrap();
        }
    }
    transcript
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn transcripts_are_what_is_printed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/explain");
    let world = World::usual();
    let mut differing = Vec::new();
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        seen += 1;
        let script = fs::read_to_string(&path).unwrap();
        let transcript = replay(&script, &world);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &transcript).unwrap();
        } else if transcript != script {
            differing.push(format!("{}:\n{transcript}", path.display()));
        }
    }
    assert_eq!(seen, 7, "transcripts");
    assert!(
        differing.is_empty(),
        "UPDATE_GOLDEN=1 rewrites them:\n{}",
        differing.join("\n")
    );
}

#[test]
fn urls_are_read_as_clients_read_them() {
    let read = |url: &str| {
        let line = Line::read("GET", url, &[]).unwrap();
        format!("{line:?}")
    };
    for (url, parts) in [
        (
            "http://a.test",
            &[
                r#"host: Some("a.test")"#,
                "port: 80,",
                r#"target: "/""#,
                r#"authority: "a.test""#,
            ][..],
        ),
        (
            "HTTPS://a.test/x?y#z",
            &["encrypted: true", "port: 443,", r#"target: "/x?y""#],
        ),
        ("http://a.test?y/z", &[r#"target: "/?y/z""#]),
        (
            "http://a.test#z",
            &[r#"target: "/""#, r#"authority: "a.test""#],
        ),
        ("http://[::1]:81/", &[r#"host: Some("[::1]")"#, "port: 81,"]),
        (
            "http://u:p@a.test:82/",
            &["host: None", "port: 82,", r#"authority: "u:p@a.test:82""#],
        ),
        ("http://a.test:99999/", &["host: None", "port: 80,"]),
    ] {
        let line = read(url);
        for part in parts {
            assert!(line.contains(part), "{url}: no `{part}` in {line}");
        }
    }
}

#[test]
fn a_header_cannot_smuggle_another_line() {
    let header = "x: 1\r\nhost: other.test".to_owned();
    assert_eq!(
        Line::read("GET", "http://a.test/", std::slice::from_ref(&header)),
        Err(RequestError::LineBreak { text: header })
    );
    for (method, url) in [("GET\n", "http://a.test/"), ("GET", "http://a.test/\0")] {
        let error = Line::read(method, url, &[]).unwrap_err();
        assert!(matches!(error, RequestError::LineBreak { .. }), "{error}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    for options in [
        "--vpc a --from 127.0.0.1 --to 127.0.0.1",
        "--to 127.0.0.1",
        "--principal a --anonymous",
        "--http 3",
        "--at yesterday",
    ] {
        let line = format!("trellis explain --config x.yaml {options} http://a.test/");
        let error = Cli::try_parse_from(words(&line)).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{options}");
    }
}
