//! Tables of rules in a small language, one rule per line, against one request each; and property tests against an oracle.
//!
//! A rule is a sequence of conditions: `GET`, `=/exact`, `~/prefix`, `x-a=exact`, `x-a~prefix`, `x-a*contains`; a `!` before a
//! condition turns its default case rule round. A request is a method, a path, and header lines `name:value` joined with `|`.

mod oracle;
mod properties;

use http::{HeaderMap, HeaderName, HeaderValue};
use trellis_model::config::{
    Case, HeaderMatch, HeaderMatchKind, HttpMatch, PathMatch, PathMatchKind,
};

use super::*;

/// The rules as a table that tries them in order, and as one with an index.
pub(super) fn both_tables(rules: &[HttpMatch]) -> [RuleTable; 2] {
    let rules: Vec<&HttpMatch> = rules.iter().collect();
    [None, Some(Box::new(Index::new(&rules)))].map(|index| RuleTable {
        conditions: Conditions::new(&rules),
        index,
    })
}

pub(super) fn parse_rules(text: &str) -> Vec<HttpMatch> {
    text.split('\n').map(str::trim).map(parse_rule).collect()
}

fn parse_rule(line: &str) -> HttpMatch {
    let mut rule = HttpMatch::default();
    for word in line.split(' ').filter(|word| *word != "any") {
        let (word, turned) = match word.strip_prefix('!') {
            Some(word) => (word, true),
            None => (word, false),
        };
        let Some(sign) = word.chars().find(|c| "=~*".contains(*c)) else {
            rule.method = Some(word.into());
            continue;
        };
        let (name, value) = word.split_once(sign).unwrap();
        let value = value.replace('_', " ").into();
        if name.is_empty() {
            let kind = if sign == '=' {
                PathMatchKind::Exact
            } else {
                PathMatchKind::Prefix
            };
            let case = if turned {
                Case::Insensitive
            } else {
                Case::Sensitive
            };
            rule.path = Some(PathMatch { kind, value, case });
        } else {
            let kind = match sign {
                '=' => HeaderMatchKind::Exact,
                '~' => HeaderMatchKind::Prefix,
                _ => HeaderMatchKind::Contains,
            };
            let case = if turned {
                Case::Sensitive
            } else {
                Case::Insensitive
            };
            let name = name.into();
            rule.headers.push(HeaderMatch {
                name,
                kind,
                value,
                case,
            });
        }
    }
    rule
}

pub(super) fn headers(lines: &[(&str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

pub(super) fn with_request<R>(request: &str, test: impl FnOnce(&RequestParts<'_>) -> R) -> R {
    let (method, rest) = request.split_once(' ').unwrap();
    let (path, lines) = rest.split_once(' ').unwrap_or((rest, ""));
    let lines: Vec<(&str, &[u8])> = lines
        .split('|')
        .filter_map(|line| line.rsplit_once(':'))
        .map(|(name, value)| (name, value.as_bytes()))
        .collect();
    let authority = lines.iter().find(|(name, _)| *name == ":authority");
    let host = lines.iter().find(|(name, _)| *name == "host");
    let fields: Vec<_> = lines
        .iter()
        .filter(|(name, _)| *name != ":authority")
        .copied()
        .collect();
    test(&RequestParts {
        method,
        path: path.as_bytes(),
        authority: authority.or(host).map_or(b"", |(_, value)| value),
        headers: &headers(&fields),
    })
}

fn check(rules: &str, request: &str, expected: Option<usize>) {
    for table in both_tables(&parse_rules(rules)) {
        let found = with_request(request, |request| table.first_match(request));
        assert_eq!(found, expected, "{request} against {rules} in {table:?}");
    }
}

#[test]
fn exact_paths_are_exact() {
    let rules = "=/one\n=/two";
    check(rules, "GET /one", Some(0));
    check(rules, "GET /two", Some(1));
    for path in [
        "/",
        "/one/example",
        "/two/",
        "/Two",
        "/on",
        "/one?x",
        "//one",
        "one",
        "*",
    ] {
        check(rules, &format!("GET {path}"), None);
    }
}

#[test]
fn prefixes_are_of_characters_not_of_segments() {
    let rules = "~/foo";
    for path in ["/foo", "/foo/", "/foo/bar", "/foobar"] {
        check(rules, &format!("GET {path}"), Some(0));
    }
    for path in ["/", "/fo", "/FOO", "/bar/foo", "//foo"] {
        check(rules, &format!("GET {path}"), None);
    }
}

#[test]
fn the_path_is_compared_as_sent() {
    check("=/a%2Fb", "GET /a%2Fb", Some(0));
    check("=/a%2Fb", "GET /a%2fb", None);
    check("=/a%2Fb", "GET /a/b", None);
    check("~/a/", "GET /a/../b", Some(0));
    check("=/b", "GET /a/../b", None);
    check("=/a?b", "GET /a?b", Some(0));
}

#[test]
fn case_of_paths_matters_unless_the_rule_says_otherwise() {
    check("=/Pay", "GET /pay", None);
    check("!=/Pay", "GET /pAY", Some(0));
    check("~/Pay", "GET /pay/1", None);
    check("!~/Pay", "GET /pAY/1", Some(0));
    check("!=/\u{c4}", "GET /\u{e4}", None);
}

#[test]
fn methods_are_exact_and_case_sensitive() {
    check("GET", "GET /", Some(0));
    check("GET", "get /", None);
    check("GET", "GETS /", None);
    check("GET", "GE /", None);
    check("PURGE-ALL", "PURGE-ALL /", Some(0));
    check("get", "GET /", None);
}

#[test]
fn header_values_are_compared_without_case_unless_the_rule_says_otherwise() {
    check("x-a=Blue", "GET / x-a:bLUE", Some(0));
    check("!x-a=Blue", "GET / x-a:blue", None);
    check("!x-a=Blue", "GET / x-a:Blue", Some(0));
    check("x-a~Blue", "GET / x-a:blueish", Some(0));
    check("!x-a~Blue", "GET / x-a:blueish", None);
    check("x-a*Blue", "GET / x-a:light blue!", Some(0));
    check("!x-a*Blue", "GET / x-a:light blue!", None);
    check("!x-a*Blue", "GET / x-a:light Blue!", Some(0));
}

#[test]
fn header_values_fit_whole_from_the_start_or_anywhere() {
    check("x-a=blue", "GET / x-a:blueish", None);
    check("x-a=blue", "GET / x-a:blu", None);
    check("x-a~blue", "GET / x-a:light blue", None);
    check("x-a~blue", "GET / x-a:blu", None);
    check("x-a*blue", "GET / x-a:blu e", None);
    check("x-a*blue", "GET / x-b:blue", None);
    check("x-a=blue", "GET /", None);
}

#[test]
fn header_names_are_compared_without_case() {
    check("x-color=blue", "GET / X-Color:blue", Some(0));
    check("x-color=blue", "GET / x-colour:blue", None);
}

#[test]
fn a_name_that_no_header_can_have_never_fits() {
    check("x(a)=blue\nany", "GET / x-a:blue", Some(1));
    check(":path~/\nany", "GET /", Some(1));
}

#[test]
fn repeated_lines_fit_one_by_one_or_joined() {
    let request = "GET / x-a:one|x-b:no|x-a:two";
    for fits in [
        "x-a=two",
        "x-a~tw",
        "x-a*wo",
        "x-a=one,_two",
        "x-a~one,",
        "x-a*e,_t",
        "x-a*_two",
        "x-a*one,",
    ] {
        check(fits, request, Some(0));
    }
    for fails in [
        "x-a=one,two",
        "x-a=two,_one",
        "x-a=one,",
        "x-a~_two",
        "x-a~one,_two,",
        "x-a*onetwo",
        "x-a=one;_two",
    ] {
        check(fails, request, None);
    }
    check("!x-a=One,_two", "GET / x-a:one|x-a:two", None);
    check("x-a=One,_two", "GET / x-a:one|x-a:two", Some(0));
    check("x-a=one,_two", "GET / x-a:one, two", Some(0));
    check("x-a=,_", "GET / x-a:|x-a:", Some(0));
}

/// HTTP/2 names the host in `:authority`; a condition on `host` means the same in every version.
#[test]
fn a_condition_on_the_host_looks_at_the_authority() {
    for rules in [
        "host=a.test",
        "host~a.",
        "host*test",
        "host=b.test\nhost=a.test",
    ] {
        let last = Some(rules.lines().count() - 1);
        check(rules, "GET / :authority:a.test", last);
        check(rules, "GET / host:a.test", last);
        check(rules, "GET / :authority:c.example", None);
        check(rules, "GET / x:a.test", None);
    }
}

/// HTTP/2 clients send each cookie in a line of its own; the value is what HTTP/1.1 would have carried.
#[test]
fn cookies_are_joined_with_semicolons() {
    check("cookie*a=1;_b=2", "GET / cookie:a=1|cookie:b=2", Some(0));
    check("cookie*a=1,_b=2", "GET / cookie:a=1|cookie:b=2", None);
    check("cookie*_b=2", "GET / cookie:a=1|cookie:b=2", Some(0));
}

#[test]
fn bytes_that_are_no_text_are_compared_as_bytes() {
    let rules = parse_rules("x-a*\u{e9}\nx-a=a\u{e9}b\nx-a~ab");
    for (value, expected) in [
        (&b"ab\xff\xfe"[..], Some(2)),
        (b"\xffab", None),
        (b"\xff\xc3\xa9", Some(0)),
        (b"\xc3", None),
    ] {
        for table in both_tables(&rules) {
            let headers = headers(&[("x-a", value)]);
            let request = RequestParts {
                method: "GET",
                path: b"/",
                authority: b"",
                headers: &headers,
            };
            assert_eq!(table.first_match(&request), expected, "{value:?}");
        }
    }
}

#[test]
fn all_conditions_must_hold() {
    let rule = "GET ~/pay x-a=1 x-b=2";
    check(rule, "GET /pay x-a:1|x-b:2", Some(0));
    check(rule, "PUT /pay x-a:1|x-b:2", None);
    check(rule, "GET /buy x-a:1|x-b:2", None);
    check(rule, "GET /pay x-a:2|x-b:2", None);
    check(rule, "GET /pay x-a:1", None);
    check("x-a~a x-a*b", "GET / x-a:ab", Some(0));
    check("x-a~a x-a*b", "GET / x-a:ac", None);
}

#[test]
fn a_rule_without_conditions_fits_everything() {
    check("any", "GET /", Some(0));
    check("any", "* *", Some(0));
    check("=/a\nany\n=/b", "GET /b", Some(1));
}

#[test]
fn the_first_fitting_rule_wins_however_specific_later_ones_are() {
    let rules = "~/\n=/pay\nGET =/pay x-a=1";
    check(rules, "GET /pay x-a:1", Some(0));
    let rules = "GET =/pay x-a=1\nx-a=1\n=/pay\n~/p\nPUT\nany";
    check(rules, "GET /pay x-a:1", Some(0));
    check(rules, "GET /buy x-a:1", Some(1));
    check(rules, "GET /pay", Some(2));
    check(rules, "GET /play", Some(3));
    check(rules, "PUT /buy", Some(4));
    check(rules, "GET /buy", Some(5));
}

#[test]
fn a_table_without_rules_matches_nothing() {
    let table = RuleTable::compile([]);
    assert!(table.is_empty());
    assert_eq!(
        with_request("GET /", |request| table.first_match(request)),
        None
    );
}

#[test]
fn only_large_tables_get_an_index() {
    let indexed = |count| {
        let rules = vec![HttpMatch::default(); count];
        RuleTable::compile(&rules).index.is_some()
    };
    assert!(!indexed(SCAN_LIMIT));
    assert!(indexed(SCAN_LIMIT + 1));
}

#[test]
fn ten_rules_need_few_bytes() {
    let rules: Vec<HttpMatch> = (0..10)
        .map(|number| parse_rule(&format!("GET ~/api/v1/things/{number} x-tenant=blue")))
        .collect();
    let table = RuleTable::compile(&rules);
    let bytes = size_of::<RuleTable>() + table.conditions.heap_bytes();
    assert!(bytes <= 1200, "{bytes}");
}
