//! Reading of templates.

use super::{operators, *};

/// A template as a text that shows how it was read: `{field|separator}`.
#[track_caller]
fn check(text: &str, read: &str) {
    let template = Template::line(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let shown: String = template
        .pieces()
        .iter()
        .map(|piece| match piece {
            Piece::Literal(literal) => literal.to_string(),
            Piece::Value(value) => {
                let what = match &value.operator {
                    Operator::Field(field) => field.name().to_owned(),
                    other => format!("{other:?}"),
                };
                let longest = value
                    .longest
                    .map_or(String::new(), |longest| format!(":{longest}"));
                let separator = value
                    .separator
                    .map_or("end".to_owned(), |byte| char::from(byte).to_string());
                format!("{{{what}{longest}|{separator}}}")
            }
        })
        .collect();
    assert_eq!(shown, read);
}

#[track_caller]
fn refused(text: &str, problem: &str) {
    assert_eq!(
        Template::line(text).map_err(|error| error.to_string()),
        Err(problem.to_owned())
    );
}

#[test]
fn operators_show_fields_and_end_at_a_separator() {
    check("%PROTOCOL%", "{protocol|end}");
    check("%PROTOCOL% %DURATION%ms\n", "{protocol| } {duration|end}ms");
    check("\"%REQ(:path):80%\" 100%%", "\"{requestPath:80|\"}\" 100%");
    check(
        "%REQ(X-NOBODY?HOST)%|%RECORD(trellis.decidedBy)%",
        "{hostHeader||}|{trellis.decidedBy|end}",
    );
    check(
        "%REQ(HOST)%ms, %RESP(grpc-status)%",
        "{hostHeader|,}ms, {grpcResponseCode|end}",
    );
    check(
        "%REQ(HOST)%-%RESPONSE_FLAGS%",
        "{hostHeader|-}-{ResponseFlags|end}",
    );
}

#[test]
fn what_a_template_cannot_mean_is_refused_with_its_place() {
    refused(
        "é %RESPONSE_COD%",
        "unknown operator `%RESPONSE_COD%` (at character 3)",
    );
    refused(
        "%REQ(COOKIE)%",
        "the value of header `COOKIE` is not recorded (at character 1)",
    );
    refused(
        "%RECORD(nobody)%",
        "records have no field `nobody` (at character 1)",
    );
    refused(
        "%PROTOCOL%%DURATION%",
        "something that is not a letter, digit or backslash must stand between two operators (at character 11)",
    );
    refused(
        "%PROTOCOL%x%DURATION%",
        "something that is not a letter, digit or backslash must stand between two operators (at character 12)",
    );
    refused(
        "%PROTOCOL",
        "`%` begins an operator that has no end; a percent sign is written `%%` (at character 1)",
    );
    refused(
        "100% of %PROTOCOL%",
        "`%` begins an operator that has no end; a percent sign is written `%%` (at character 4)",
    );
    refused(
        "%REQ(HOST%",
        "`%` begins an operator that has no end; a percent sign is written `%%` (at character 1)",
    );
    refused(
        "%REQ%",
        "operator `%REQ%` takes other parameters (at character 1)",
    );
    refused(
        "%DURATION(x)%",
        "operator `%DURATION%` takes other parameters (at character 1)",
    );
    refused(
        "%DURATION:3%",
        "operator `%DURATION%` takes other parameters (at character 1)",
    );
    refused(
        "%REQ(HOST):x%",
        "operator `%REQ%` takes other parameters (at character 1)",
    );
    refused(
        "%START_TIME(%q)%",
        "a time has no part `%q` (at character 1)",
    );
    refused(
        "a\r\n%PROTOCOL%",
        "a record is one line, so the format has no control characters but a last line feed (at character 2)",
    );
    refused("no operator", "the format has no operator (at character 1)");
    let many = "%DURATION% ".repeat(MOST_OPERATORS + 1);
    refused(
        &many,
        "the format has more than 64 operators, or more than 18 of texts (at character 1)",
    );
    let texts = "%REQ(HOST)% ".repeat(MOST_TEXTS + 1);
    refused(
        &texts,
        "the format has more than 64 operators, or more than 18 of texts (at character 1)",
    );
    refused(
        &"x".repeat(LONGEST + 1),
        "the format is longer than 4096 bytes (at character 1)",
    );
}

#[test]
fn envoys_default_format_is_understood() {
    let template = Template::line(DEFAULT).unwrap();
    assert_eq!(template.operators().count(), 15);
    assert!(Template::line("%START_TIME(%Y/%m/%dT%H:%M:%S.%3f %s %f %%)% %PROTOCOL%").is_ok());
}

/// The page names every operator and no other.
#[test]
fn every_operator_is_documented() {
    let page = include_str!("../../../../docs/access-records.md");
    let fields = operators::FIELDS.iter().map(|(name, _)| *name);
    let others = operators::OTHERS.iter().map(|(name, _)| *name);
    let headers = operators::REQUEST_HEADERS
        .iter()
        .chain(operators::ANSWER_HEADERS)
        .map(|(name, _)| *name);
    for name in fields.chain(others).chain(headers).chain(operators::NAMING) {
        assert!(
            page.contains(name),
            "docs/access-records.md says nothing of `{name}`"
        );
    }
}
