//! One test: the request is walked, and each expectation compared with what comes of it.

use std::{path::Path, time::SystemTime};

use trellis_policy::Explanation;

use super::{
    Subject,
    document::{self, Case, Defaults, Expect, LayerName, Request, Version},
};
use crate::{
    cli::explain::{Description, Explained, HttpVersion, SenderText, parse_time},
    proxy::walk::End,
};

/// Why a test describes no request. Its author must act.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The member in question.
    pub(super) member: &'static str,
    /// What is wrong with it.
    pub(super) message: String,
}

impl Wrong {
    fn new(member: &'static str, message: impl Into<String>) -> Self {
        Self {
            member,
            message: message.into(),
        }
    }
}

/// What came of a test.
#[derive(Debug)]
pub(super) struct Verdict {
    /// What is otherwise than expected.
    pub(super) failures: Vec<Failed>,
    /// The whole story.
    pub(super) explained: Explained,
}

/// An expectation that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failed {
    /// The member of `expect`.
    pub(super) member: &'static str,
    /// What was expected.
    pub(super) expected: String,
    /// What is.
    pub(super) actual: String,
}

/// Walks the request of a test, and compares.
pub(super) fn run(
    case: &Case,
    (defaults, folder): (&Defaults, &Path),
    subject: &Subject,
    now: SystemTime,
) -> Result<Verdict, Wrong> {
    if case.expect.is_empty() {
        return Err(Wrong::new("expect", "nothing is expected of the request"));
    }
    let explained = describe(&case.request, defaults, folder)?
        .explain(&subject.config, &subject.snapshot, now, None)
        .map_err(|error| Wrong::new("request", error.to_string()))?;
    Ok(Verdict {
        failures: compare(&case.expect, &explained),
        explained,
    })
}

fn describe(request: &Request, defaults: &Defaults, folder: &Path) -> Result<Description, Wrong> {
    if request.to.is_some() && request.from.is_none() {
        return Err(Wrong::new("request.to", "`to` takes `from` beside it"));
    }
    let sender = match (&request.principal, request.anonymous) {
        (Some(_), true) => {
            let message = "`principal` and `anonymous` exclude each other";
            return Err(Wrong::new("request.principal", message));
        }
        (Some(name), false) => SenderText::Principal {
            name: name.clone(),
            tags: request.session_tags.clone(),
        },
        (None, _) if !request.session_tags.is_empty() => {
            let message = "`sessionTags` take `principal` beside them";
            return Err(Wrong::new("request.sessionTags", message));
        }
        (None, true) => SenderText::Anonymous,
        (None, false) => SenderText::Signature,
    };
    let at = request.at.as_ref().or(defaults.at.as_ref());
    let at = at
        .map(|text| parse_time(text))
        .transpose()
        .map_err(|message| Wrong::new("request", format!("`at`: {message}")))?;
    let headers = request.headers.iter().flat_map(|(name, values)| {
        let values = values.all().iter();
        values.map(move |value| format!("{name}: {value}"))
    });
    Ok(Description {
        vpc: request.vpc.clone().or_else(|| defaults.vpc.clone()),
        from: request.from,
        to: request.to,
        sender,
        client_certificate: request
            .client_certificate
            .as_ref()
            .map(|file| folder.join(file)),
        method: request.method.clone(),
        url: request.url.clone(),
        headers: headers.collect(),
        http: request.http.or(defaults.http).map(HttpVersion::from),
        at,
    })
}

impl From<Version> for HttpVersion {
    fn from(version: Version) -> Self {
        match version {
            Version::Http10 => Self::Http10,
            Version::Http11 => Self::Http11,
            Version::Http2 => Self::Http2,
        }
    }
}

/// Every expectation that does not hold.
fn compare(expect: &Expect, explained: &Explained) -> Vec<Failed> {
    let mut comparison = Comparison::default();
    comparison.decisions(expect, explained);
    comparison.way(expect, explained);
    comparison.failures
}

fn none() -> String {
    "none".to_owned()
}

#[derive(Default)]
struct Comparison {
    failures: Vec<Failed>,
}

impl Comparison {
    fn check(&mut self, member: &'static str, expected: Option<String>, actual: String) {
        if let Some(expected) = expected.filter(|expected| *expected != actual) {
            self.failures.push(Failed {
                member,
                expected,
                actual,
            });
        }
    }

    /// What the policies say.
    fn decisions(&mut self, expect: &Expect, explained: &Explained) {
        let decision = explained.decision();
        let wanted = |decision: Option<document::Decision>| {
            decision.map(|decision| decision.as_str().to_owned())
        };
        self.check(
            "decision",
            wanted(expect.decision),
            decision.map_or_else(|| "the policies were not asked".to_owned(), verdict),
        );
        self.check(
            "candidate",
            wanted(expect.candidate),
            explained.rehearsal().map_or_else(
                || "no policy is in audit or has a candidate".to_owned(),
                verdict,
            ),
        );
        self.check(
            "refusedBy",
            expect.refused_by.map(|layer| layer.as_str().to_owned()),
            decision
                .and_then(|decision| decision.refused_by)
                .map_or_else(none, |layer| layer.word().to_owned()),
        );
        if let Some(wanted) = &expect.statement {
            let deciding =
                decision.map_or_else(Vec::new, |decision| statements(decision, expect.refused_by));
            let found = deciding.iter().any(|name| name == wanted);
            let actual = if deciding.is_empty() {
                "none decides".to_owned()
            } else {
                deciding.join(", ")
            };
            self.check("statement", (!found).then(|| wanted.clone()), actual);
        }
    }

    /// Where the request goes, and how it ends.
    fn way(&mut self, expect: &Expect, explained: &Explained) {
        let (end, status) = ended(explained.end());
        self.check(
            "outcome",
            expect.outcome.map(|end| end.as_str().to_owned()),
            end.as_str().to_owned(),
        );
        let status = status.map_or_else(
            || format!("{}, without a status of the gateway", end.as_str()),
            |status| status.to_string(),
        );
        let expected = expect.status.map(|status| status.to_string());
        self.check("status", expected, status);
        let service = explained.service().map_or_else(none, str::to_owned);
        self.check("service", expect.service.clone(), service);
        let rule = explained.rule().map_or_else(none, str::to_owned);
        self.check("rule", expect.rule.clone(), rule);
        let expected = expect.target_group.as_ref();
        self.check(
            "targetGroup",
            expected.map(|names| listed(names.all().iter().map(String::as_str).collect())),
            listed(explained.target_groups()),
        );
    }
}

/// Names in one order, each once.
fn listed(mut names: Vec<&str>) -> String {
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        none()
    } else {
        names.join(", ")
    }
}

fn verdict(decision: &Explanation) -> String {
    let decision = if decision.allowed {
        document::Decision::Allow
    } else {
        document::Decision::Deny
    };
    decision.as_str().to_owned()
}

/// How the request ends, and with which status of the gateway's own.
fn ended(end: &End) -> (document::End, Option<u16>) {
    match end {
        End::Forwarded => (document::End::Forwarded, None),
        End::FixedResponse { status } => (document::End::FixedResponse, Some(*status)),
        End::Refused { status, .. } => (document::End::Refused, Some(*status)),
        End::Unanswered { .. } => (document::End::Unanswered, None),
    }
}

/// The statements that decide: of this layer, or of the one that refuses, or, when none does, of any. By `Sid`, or by position.
fn statements(decision: &Explanation, layer: Option<LayerName>) -> Vec<String> {
    let wanted = layer
        .map(LayerName::as_str)
        .or_else(|| Some(decision.refused_by?.word()));
    let layers = decision
        .layers
        .iter()
        .filter(|layer| wanted.is_none_or(|wanted| layer.layer.word() == wanted));
    layers
        .filter_map(|layer| layer.deciding.as_deref())
        .map(short)
        .collect()
}

/// The `Sid`, `@id` or position in the name of a statement: the last word, without its quotes.
fn short(name: &str) -> String {
    let quoted = name
        .split_once('`')
        .and_then(|(_, rest)| rest.strip_suffix('`'));
    let last = || name.rsplit(' ').next().unwrap_or(name);
    quoted.unwrap_or_else(last).to_owned()
}
