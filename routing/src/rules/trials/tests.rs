use crate::rules::{
    RuleTable, Trial,
    tests::{parse_rules, with_request},
};

fn check(rules: &str, request: &str, expected: &[&str]) {
    let table = RuleTable::compile(&parse_rules(rules));
    let said: Vec<String> = with_request(request, |request| table.trials(request))
        .into_iter()
        .map(|trial| match trial {
            Trial::Matched => "matched".to_owned(),
            Trial::Failed(mismatch) => mismatch.to_string(),
        })
        .collect();
    assert_eq!(said, expected, "{request} against {rules}");
}

#[test]
fn trials_end_with_the_rule_that_matched() {
    check(
        "=/a\n=/b\n=/c",
        "GET /b",
        &["path `/b` is not `/a`", "matched"],
    );
    check("any", "GET /b", &["matched"]);
    check("=/a", "GET /b", &["path `/b` is not `/a`"]);
}

#[test]
fn the_first_failing_condition_is_named() {
    let rule = "GET ~/pay x-a=1 x-b~2 x-c*3";
    let cases = [
        ("PUT /x", "method `PUT` is not `GET`"),
        ("GET /x", "path `/x` does not begin with `/pay`"),
        ("GET /pay/x", "header `x-a` is absent"),
        ("GET /pay x-a:2", "header `x-a: 2` is not `1`"),
        ("GET /pay x-a:2|x-a:3", "header `x-a: 2, 3` is not `1`"),
        (
            "GET /pay x-a:1|x-b:3",
            "header `x-b: 3` does not begin with `2`",
        ),
        (
            "GET /pay x-a:1|x-b:2|x-c:4",
            "header `x-c: 4` does not contain `3`",
        ),
    ];
    for (request, expected) in cases {
        check(rule, request, &[expected]);
    }
}

#[test]
fn a_difference_of_case_alone_is_pointed_out() {
    check("GET", "get /", &["method `get` is not `GET` in this case"]);
    check(
        "~/Pay",
        "GET /pay/1",
        &["path `/pay/1` does not begin with `/Pay` in this case"],
    );
    check(
        "!x-a*Blue",
        "GET / x-a:blue",
        &["header `x-a: blue` does not contain `Blue` in this case"],
    );
}

#[test]
fn long_texts_are_cut() {
    let path = format!("/{}", "x".repeat(500));
    let expected = format!("path `/{}…` is not `/a`", "x".repeat(119));
    check("=/a", &format!("GET {path}"), &[&expected]);
}
