use super::*;

/// Renders a value so that a table can show it.
fn show(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => text.clone(),
        Value::Text(text) => format!("{text:?}"),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(show).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|member| format!("{}@{}={}", member.name, member.line, show(&member.node)))
                .collect();
            format!("{{{}}}", members.join(" "))
        }
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let got = match parse(text) {
        Ok(node) => show(&node),
        Err(error) => format!("line {}: {}", error.line, error.message),
    };
    assert_eq!(got, expected, "{text}");
}

#[test]
fn values_members_and_lines_are_kept_as_written() {
    check(
        "{\"a\": 1,\n\"a\": [true, null]}",
        "{a@1=1 a@2=[true null]}",
    );
    check(" [] ", "[]");
    check("{}", "{}");
    check(r#""\u00e9\n\ud83d\ude00\/""#, "\"é\\n😀/\"");
    check("-1.5e+10", "-1.5e+10");
    check("0", "0");
}

#[test]
fn what_is_not_json_is_named_with_its_line() {
    check("", "line 1: the text ends where a value should be");
    check("{\"a\" 1}", "line 1: a colon should follow the name `a`");
    check(
        "{a: 1}",
        "line 1: a member's name in double quotes should be here",
    );
    check("[1,]", "line 1: `]` where a value should be");
    check("[1\n2]", "line 2: a comma or `]` should follow an item");
    check("01", "line 1: `01` is not a JSON number");
    check("1.", "line 1: `1.` is not a JSON number");
    check("nil", "line 1: `nil` is not a JSON value");
    check("1 2", "line 1: something follows the value");
    check(
        r#""\ud800x""#,
        "line 1: half a surrogate pair within a string",
    );
    check(
        r#""\udc00""#,
        "line 1: half a surrogate pair within a string",
    );
    check(r#""\x""#, "line 1: an unknown escape within a string");
    check("\"a\nb\"", "line 2: a control character within a string");
    check("\"a", "line 1: the text ends within a string");
}

#[test]
fn deep_nesting_is_refused_without_recursing_into_it() {
    let text = "[".repeat(1_000_000);
    check(&text, "line 1: nested more than 16 levels deep");
}
