//! What the index leaves out, and that hostile tables and requests stay bounded. That it leaves out no rule that fits is shown by
//! the property tests of the tables.

use http::HeaderMap;

use crate::rules::{
    RequestParts,
    index::{Candidates, Index},
    tests::{headers, parse_rules, with_request},
};

fn candidates(rules: &str, request: &str) -> Vec<usize> {
    let rules = parse_rules(rules);
    let index = Index::new(&rules.iter().collect::<Vec<_>>());
    with_request(request, |request| index.candidates(request).collect())
}

fn check(rules: &str, request: &str, expected: &[usize]) {
    assert_eq!(
        candidates(rules, request),
        expected,
        "{request} against {rules}"
    );
}

#[test]
fn only_rules_on_the_way_to_the_path_are_tried() {
    let rules = "~/a/b\n=/a\n~/\n=/a/b/c\n~/b\n~/a\n=/c";
    check(rules, "GET /a/b/c", &[0, 2, 3, 5]);
    check(rules, "GET /a/b/d", &[0, 2, 5]);
    check(rules, "GET /a", &[1, 2, 5]);
    check(rules, "GET /zzz", &[2]);
    check(rules, "OPTIONS *", &[]);
}

#[test]
fn rules_below_one_path_are_told_apart_by_header_or_method() {
    check("~/ x-a=1\n~/ x-a=2\n~/ x-a=3", "GET /x x-a:2", &[1]);
    check("PUT ~/\nGET ~/\nPOST ~/", "GET /x", &[1]);
    check("x-a~1\nx-b~1\nx-b*2\nany", "GET / x-b:12", &[1, 2, 3]);
    check("x-a~1\nx-b~1\nx-b*2\nany", "GET / x-b:3", &[3]);
}

#[test]
fn a_value_that_only_joined_lines_have_is_not_missed() {
    check("x-a=1,_2\nx-a=1", "GET / x-a:1|x-a:2", &[0, 1]);
}

#[test]
fn rules_are_told_apart_by_parts_of_a_header() {
    let rules = "x-a*one\nx-a*two\nx-a~three\nx-a*TWO\nx-a=two\nx-b*two";
    check(rules, "GET / x-a:twone", &[0, 1, 3]);
    check(rules, "GET / x-a:tWo", &[1, 3, 4]);
    check(rules, "GET / x-a:one|x-a:three", &[0, 2]);
    check(rules, "GET / x-a:none_of_them", &[0]);
    check(rules, "GET / x-a:other", &[]);
}

#[test]
fn a_line_made_to_be_found_everywhere_is_not_searched_to_its_end() {
    let rules: Vec<String> = (1..=200)
        .map(|length| format!("x-a*{}", "a".repeat(length)))
        .collect();
    let rules = parse_rules(&rules.join("\n"));
    let index = Index::new(&rules.iter().collect::<Vec<_>>());
    let headers = headers(&[("x-a", "a".repeat(60_000).as_bytes())]);
    let request = RequestParts {
        method: "GET",
        path: b"/",
        authority: b"",
        headers: &headers,
    };
    let candidates = index.candidates(&request);
    assert!(candidates.mixed.len() <= 200 * (super::FINDS_PER_PART + 1));
    assert_eq!(candidates.count(), 200);
}

#[test]
fn long_chains_of_prefixes_are_walked_once() {
    let rules: Vec<String> = (1..=200)
        .map(|length| format!("~/{}", "a".repeat(length)))
        .collect();
    let path = format!("GET /{}", "a".repeat(60_000));
    assert_eq!(candidates(&rules.join("\n"), &path).len(), 200);
    assert_eq!(candidates(&rules.join("\n"), "GET /aaab"), [0, 1, 2]);
}

#[test]
fn a_repeated_header_line_is_looked_up_without_trying_rules_again() {
    let rules: Vec<String> = (0..50).map(|_| "x-a=1".to_owned()).collect();
    let rules = parse_rules(&rules.join("\n"));
    let index = Index::new(&rules.iter().collect::<Vec<_>>());
    let headers = headers(&[("x-a", &b"1"[..]); 100]);
    let request = RequestParts {
        method: "GET",
        path: b"/",
        authority: b"",
        headers: &headers,
    };
    assert_eq!(
        index.candidates(&request).collect::<Vec<_>>(),
        (0..50).collect::<Vec<_>>()
    );
}

#[test]
fn many_different_headers_do_not_all_become_keys() {
    let rules: Vec<String> = (0..100).map(|number| format!("x-{number}=1")).collect();
    let rules = parse_rules(&rules.join("\n"));
    let index = Index::new(&rules.iter().collect::<Vec<_>>());
    assert_eq!(index.headers.len(), super::HEADER_LIMIT);
    let request = RequestParts {
        method: "GET",
        path: b"/",
        authority: b"",
        headers: &HeaderMap::new(),
    };
    assert_eq!(
        index.candidates(&request).count(),
        100 - super::HEADER_LIMIT
    );
}

#[test]
fn lists_are_merged_in_order() {
    let mut merged = Candidates::default();
    for list in [&[3, 7][..], &[], &[0, 4, 9], &[1], &[0, 4, 9]] {
        merged.add(list);
    }
    assert_eq!(merged.collect::<Vec<_>>(), [0, 1, 3, 4, 7, 9]);
}
