//! Random rules and requests from alphabets so small that they meet all the time.

use http::HeaderMap;
use proptest::{collection::vec, option, prelude::*};
use trellis_model::config::{
    Case, HeaderMatch, HeaderMatchKind, HttpMatch, PathMatch, PathMatchKind,
};

use super::{both_tables, headers, oracle};
use crate::rules::{Mismatch, RequestParts, RuleTable, Trial};

fn method() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("GET"), Just("get"), Just("POST"), Just("X")]
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof![4 => "/[aA/]{0,4}", 1 => "/(ab/){1,3}", 1 => "/a{250,260}", 1 => "[*]"]
}

fn header_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("x-a"), 2 => Just("x-b"), 1 => Just("cookie"), 1 => Just("accept"), 1 => Just("host")]
}

/// Separators and their halves come up often, for the sake of joined lines.
fn header_value() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[aA]{0,2}", 2 => "[ab]{0,1}[,;] [ab]{0,1}", 1 => "[a,; ]{0,3}", 1 => "\u{e9}a?", 1 => "a{250,260}"]
}

/// No condition on the control characters or the edges of a value is worth much: engines trim lines.
fn header_line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => header_value().prop_map(String::into_bytes), 1 => Just(b"a\xff".to_vec())]
}

fn case() -> impl Strategy<Value = Case> {
    prop_oneof![Just(Case::Sensitive), Just(Case::Insensitive)]
}

prop_compose! {
    fn path_match()(
        kind in prop_oneof![Just(PathMatchKind::Exact), Just(PathMatchKind::Prefix)],
        value in path(),
        case in case(),
    ) -> PathMatch {
        PathMatch { kind, value: value.into(), case }
    }
}

prop_compose! {
    fn header_match()(
        name in header_name(),
        kind in prop_oneof![
            Just(HeaderMatchKind::Exact),
            Just(HeaderMatchKind::Prefix),
            Just(HeaderMatchKind::Contains),
        ],
        value in header_value(),
        case in case(),
    ) -> HeaderMatch {
        HeaderMatch { name: name.into(), kind, value: value.into(), case }
    }
}

prop_compose! {
    fn rule()(
        method in option::weighted(0.3, method()),
        path in option::weighted(0.7, path_match()),
        headers in prop_oneof![3 => Just(Vec::new()), 2 => vec(header_match(), 1..3)],
    ) -> HttpMatch {
        HttpMatch { method: method.map(Into::into), path, headers }
    }
}

#[derive(Debug)]
struct Request {
    method: &'static str,
    path: String,
    authority: String,
    headers: HeaderMap,
}

impl Request {
    fn parts(&self) -> RequestParts<'_> {
        RequestParts {
            method: self.method,
            path: self.path.as_bytes(),
            authority: self.authority.as_bytes(),
            headers: &self.headers,
        }
    }
}

prop_compose! {
    fn request()(
        method in method(),
        path in path(),
        authority in "[aA]{0,2}",
        lines in vec((header_name(), header_line()), 0..5),
    ) -> Request {
        let lines: Vec<(&str, &[u8])> =
            lines.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        Request { method, path, authority, headers: headers(&lines) }
    }
}

/// The trials in the words of the oracle: `None` for a match.
fn failures(table: &RuleTable, request: &RequestParts<'_>) -> Vec<Option<String>> {
    let word = |trial: Trial| match trial {
        Trial::Matched => None,
        Trial::Failed(Mismatch::Method { .. }) => Some("method".to_owned()),
        Trial::Failed(Mismatch::Path { .. }) => Some("path".to_owned()),
        Trial::Failed(Mismatch::Header { number, .. }) => Some(number.to_string()),
    };
    table.trials(request).into_iter().map(word).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn every_table_agrees_with_the_oracle(
        rules in vec(rule(), 0..60),
        requests in vec(request(), 20),
    ) {
        let tables = both_tables(&rules);
        for request in &requests {
            let expected = oracle::first_match(&rules, &request.parts());
            for table in &tables {
                prop_assert_eq!(table.first_match(&request.parts()), expected, "{:?}", request);
            }
        }
    }

    #[test]
    fn a_single_rule_agrees_with_the_oracle(
        rule in rule(),
        requests in vec(request(), 20),
    ) {
        let rules = [rule];
        for request in &requests {
            let expected = oracle::first_match(&rules, &request.parts());
            for table in both_tables(&rules) {
                prop_assert_eq!(table.first_match(&request.parts()), expected, "{:?}", request);
            }
        }
    }

    #[test]
    fn trials_end_with_the_match_and_name_the_condition_that_failed(
        rules in vec(rule(), 0..30),
        request in request(),
    ) {
        let tried = match oracle::first_match(&rules, &request.parts()) {
            Some(position) => &rules[..=position],
            None => &rules,
        };
        let expected: Vec<Option<String>> =
            tried.iter().map(|rule| oracle::failure(rule, &request.parts())).collect();
        for table in both_tables(&rules) {
            prop_assert_eq!(&failures(&table, &request.parts()), &expected);
        }
    }
}
