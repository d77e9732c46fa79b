//! What `trellis explain` tells about rules: each one tried, and why it did not fit.

#[cfg(test)]
mod tests;

use std::fmt;

use http::HeaderName;
use trellis_model::config::{Case, HeaderMatchKind, PathMatchKind};

use super::{RequestParts, RuleTable, condition::Failure};

/// The trial of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// All its conditions hold.
    Matched,
    /// A condition does not; later ones were not looked at.
    Failed(Mismatch),
}

/// The first condition of a rule that does not hold, with what was wanted and what was sent.
///
/// `Display` says it as a clause: "path `/x` does not begin with `/pay`". Bytes that are not UTF-8 are shown as `�`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The method is another one.
    Method {
        /// Method of the rule.
        wanted: Box<str>,
        /// Method of the request.
        sent: Box<str>,
    },
    /// The path does not fit.
    Path {
        /// How it is compared.
        kind: PathMatchKind,
        /// Does case matter?
        case: Case,
        /// Text of the rule.
        wanted: Box<str>,
        /// Path of the request.
        sent: Box<str>,
    },
    /// No line of the header fits, nor do all of them joined.
    Header {
        /// Which of the rule's header conditions, from 0.
        number: usize,
        /// Name of the header.
        name: Box<str>,
        /// How it is compared.
        kind: HeaderMatchKind,
        /// Does case matter?
        case: Case,
        /// Text of the rule.
        wanted: Box<str>,
        /// The lines of the request; none when the header is absent.
        sent: Vec<Box<str>>,
    },
}

impl RuleTable {
    /// The rules that a request goes through, in order, up to and including the first one that fits.
    ///
    /// Decides with the same code as [`RuleTable::first_match`], without the index, and allocates as it likes.
    pub fn trials(&self, request: &RequestParts<'_>) -> Vec<Trial> {
        let mut trials = Vec::new();
        for position in 0..self.len() {
            let Err(failure) = self.conditions.check(position, request) else {
                trials.push(Trial::Matched);
                break;
            };
            trials.push(Trial::Failed(self.mismatch(position, failure, request)));
        }
        trials
    }

    fn mismatch(&self, position: usize, failure: Failure, request: &RequestParts<'_>) -> Mismatch {
        match failure {
            Failure::Method => Mismatch::Method {
                wanted: shown(self.conditions.method(position).unwrap_or_default()),
                sent: request.method.into(),
            },
            Failure::Path => {
                let (wanted, kind, case) = self.conditions.path(position).unwrap_or((
                    b"",
                    PathMatchKind::Exact,
                    Case::Sensitive,
                ));
                Mismatch::Path {
                    kind,
                    case,
                    wanted: shown(wanted),
                    sent: shown(request.path),
                }
            }
            Failure::Header(number) => {
                let (name, wanted, kind, case) = self
                    .conditions
                    .header(position, number)
                    .unwrap_or((b"", b"", HeaderMatchKind::Exact, Case::Sensitive));
                let name = shown(name);
                let known = HeaderName::from_bytes(name.as_bytes()).ok();
                Mismatch::Header {
                    number,
                    kind,
                    case,
                    wanted: shown(wanted),
                    sent: known
                        .into_iter()
                        .flat_map(|name| request.lines(&name))
                        .map(shown)
                        .collect(),
                    name,
                }
            }
        }
    }
}

fn shown(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}

/// Longest part of a sent text that a clause quotes, in characters.
const QUOTE_LIMIT: usize = 120;

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method { wanted, sent } => {
                write!(f, "method `{}` is not `{wanted}`", quote(sent))
            }
            Self::Path {
                kind, wanted, sent, ..
            } => {
                let verb = match kind {
                    PathMatchKind::Exact => "is not",
                    PathMatchKind::Prefix => "does not begin with",
                };
                write!(f, "path `{}` {verb} `{wanted}`", quote(sent))
            }
            Self::Header { name, sent, .. } if sent.is_empty() => {
                write!(f, "header `{name}` is absent")
            }
            Self::Header {
                name,
                kind,
                wanted,
                sent,
                ..
            } => {
                let verb = match kind {
                    HeaderMatchKind::Exact => "is not",
                    HeaderMatchKind::Prefix => "does not begin with",
                    HeaderMatchKind::Contains => "does not contain",
                };
                let sent = sent.join(", ");
                write!(f, "header `{name}: {}` {verb} `{wanted}`", quote(&sent))
            }
        }?;
        if self.fits_in_another_case() {
            f.write_str(" in this case")?;
        }
        Ok(())
    }
}

impl Mismatch {
    /// Would the condition hold if it did not regard case? The usual surprise, and hard to see.
    fn fits_in_another_case(&self) -> bool {
        match self {
            Self::Method { wanted, sent } => wanted.eq_ignore_ascii_case(sent),
            Self::Path {
                kind, wanted, sent, ..
            } => {
                let (wanted, sent) = (wanted.to_ascii_lowercase(), sent.to_ascii_lowercase());
                match kind {
                    PathMatchKind::Exact => sent == wanted,
                    PathMatchKind::Prefix => sent.starts_with(&wanted),
                }
            }
            Self::Header {
                kind, wanted, sent, ..
            } => {
                let wanted = wanted.to_ascii_lowercase();
                sent.iter()
                    .map(|line| line.to_ascii_lowercase())
                    .any(|line| match kind {
                        HeaderMatchKind::Exact => line == wanted,
                        HeaderMatchKind::Prefix => line.starts_with(&wanted),
                        HeaderMatchKind::Contains => line.contains(&wanted),
                    })
            }
        }
    }
}

/// The text, or its beginning and an ellipsis when it is long.
fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE_LIMIT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
