//! The classified requests of AWS's HTTP Desync Guardian (`testdata/desync`), run through our head check.
//!
//! Compliant requests pass. Severe and ambiguous ones are refused, except where the ambiguity is one that we resolve: those
//! reasons are listed in [`RESOLVED`]. Acceptable ones may go either way; how they go is written down in `acceptable.txt`.

use std::{fmt::Write as _, fs, path::Path};

use serde::Deserialize;

use super::{Head, HeadLimits, Violation, check};

/// Ambiguities that refer to the meaning of a body in methods that usually have none. The body is framed without doubt, and it
/// is forwarded with the same framing, so nothing can be smuggled by it.
const RESOLVED: [&str; 2] = [
    "UndefinedContentLengthSemantics",
    "UndefinedTransferEncodingSemantics",
];

/// Compliant requests that we refuse all the same, and why.
fn is_refused_by_choice(case: &Case, verdict: &Result<Head, Violation>) -> bool {
    match verdict {
        // RFC 9112 §6.1 has 501 for codings that a server does not undo; passing them on would leave the body's framing to
        // targets that may not know them either.
        Err(Violation::Coding) => true,
        // Parameters of `chunked` are not defined (RFC 9112 §7.1).
        Err(Violation::TransferEncoding) => case.fields().any(|field| field.value.contains(';')),
        // The corpus looks at headers only: an empty target, and a fragment within one.
        Err(Violation::Target) => case.uri.is_empty() || case.uri.contains('#'),
        _ => false,
    }
}

impl Case {
    fn fields(&self) -> impl Iterator<Item = &Field> {
        self.headers.iter().flatten()
    }
}

#[derive(Deserialize)]
struct Case {
    name: String,
    uri: String,
    method: String,
    version: String,
    #[serde(default)]
    headers: Option<Vec<Field>>,
    expected: Expected,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct Expected {
    tier: String,
    reason: String,
}

/// The corpus writes bytes as characters of the same number.
fn bytes(text: &str) -> Vec<u8> {
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?'))
        .collect()
}

fn head(case: &Case) -> Vec<u8> {
    let mut head = bytes(&format!(
        "{} {} {}\r\n",
        case.method, case.uri, case.version
    ));
    if !case
        .fields()
        .any(|field| field.name.eq_ignore_ascii_case("host"))
    {
        head.extend(b"Host: a\r\n");
    }
    for field in case.fields() {
        head.extend(bytes(&format!("{}:{}\r\n", field.name, field.value)));
    }
    head.extend(b"\r\n");
    head
}

#[test]
fn the_corpus_is_told_apart() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/desync");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    let (mut count, mut acceptable, mut wrong) = (0, String::new(), String::new());
    for file in files {
        let cases: Vec<Case> = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        for case in cases {
            count += 1;
            let head = head(&case);
            // `find_end` would have cut the head at the first empty line; a corpus head with a bare LF never gets here.
            let verdict = super::find_end(&head, 0).and_then(|_| {
                check(
                    &head,
                    HeadLimits {
                        bytes: 61_440,
                        fields: 100,
                    },
                )
            });
            let should_pass = match case.expected.tier.as_str() {
                "Compliant" => !is_refused_by_choice(&case, &verdict),
                "Acceptable" => {
                    let outcome = verdict
                        .as_ref()
                        .map_or_else(ToString::to_string, |_| "passes".to_owned());
                    writeln!(
                        acceptable,
                        "{} ({}): {outcome}",
                        case.name.escape_default(),
                        case.expected.reason
                    )
                    .unwrap();
                    continue;
                }
                // Ours may find something worse in the same request.
                _ => RESOLVED.contains(&case.expected.reason.as_str()) && verdict.is_ok(),
            };
            if verdict.is_ok() != should_pass {
                writeln!(
                    wrong,
                    "{}: {} {}: {verdict:?}",
                    case.name, case.expected.tier, case.expected.reason
                )
                .unwrap();
            }
        }
    }
    assert_eq!(wrong, "");
    assert_eq!(count, 159);
    let golden = folder.join("acceptable.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &acceptable).unwrap();
    }
    assert_eq!(acceptable, fs::read_to_string(&golden).unwrap_or_default());
}
