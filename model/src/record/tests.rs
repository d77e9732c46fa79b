//! The table of fields, redaction of paths, sampling.

use super::*;

#[test]
fn names_are_unique_and_find_their_fields() {
    for field in Field::ALL {
        assert_eq!(Field::named(field.name()), Some(*field));
        assert_eq!(
            field.is_addition(),
            field.name().starts_with("trellis."),
            "{field:?}"
        );
        assert_eq!(field.description().before, format!(",\"{}\":", field.key()));
    }
    assert_eq!(Field::named("generation"), None);
    assert_eq!(FieldSet::ALL.iter().count(), Field::ALL.len());
    assert!(FieldSet::NONE.is_empty());
    let some: FieldSet = [Field::Truncated, Field::RequestId].into_iter().collect();
    assert!(some.iter().eq([Field::RequestId, Field::Truncated]));
}

#[test]
fn patterns_hide_segments_however_a_path_is_spelled() {
    #[track_caller]
    fn check(patterns: &[&str], path: &str, shown: &str) {
        let patterns: Vec<PathPattern> = patterns.iter().map(|p| p.parse().unwrap()).collect();
        let redacted = PathPattern::redact(&patterns, path.as_bytes());
        let redacted = redacted.unwrap_or_else(|| path.as_bytes().to_vec());
        assert_eq!(String::from_utf8_lossy(&redacted), shown);
    }
    let one = &["/customers/*/cards/*"];
    check(
        one,
        "/customers/ann/cards/4711/pay",
        "/customers/*/cards/*/pay",
    );
    check(one, "/Customers/ann/CARDS/4711", "/Customers/*/CARDS/*");
    check(one, "/%63ustomers/ann/cards/4711", "/%63ustomers/*/cards/*");
    check(one, "/customers/ann", "/customers/*");
    check(one, "/customers/ann/orders", "/customers/ann/orders");
    check(one, "/customers", "/customers");
    check(one, "/", "/");
    check(one, "*", "*");
    // What a target may read in another way is hidden whole.
    check(one, "//customers/ann", "/*");
    check(one, "/x/../customers/ann/cards/1", "/*");
    check(one, "/x/%2e%2E/customers/ann/cards/1", "/*");
    check(one, "/x%2fcustomers/ann", "/*");
    check(one, "/x\\customers", "/*");
    check(one, "/%2563ustomers/ann/cards/1", "/*");
    check(one, "customers/ann/cards/1", "/*");
    check(one, "/orders/", "/orders/");
    check(&["/a/*", "/a/b/*"], "/a/b/c/d", "/a/*/*/d");
    check(&[], "/customers/ann/cards/1", "/customers/ann/cards/1");
}

#[test]
fn patterns_that_hide_nothing_or_no_segment_are_refused() {
    for (text, fault) in [
        ("customers/*", PathPatternError::NoSlash),
        ("/a//*", PathPatternError::Segment),
        ("/../*", PathPatternError::Segment),
        ("/", PathPatternError::Segment),
        ("/a/b*", PathPatternError::Wildcard),
        ("/a/b", PathPatternError::Nothing),
    ] {
        assert_eq!(text.parse::<PathPattern>(), Err(fault), "{text}");
    }
}

#[test]
fn sampling_goes_by_class_and_keeps_server_errors() {
    let sampling = Sampling {
        success: 100,
        redirection: 10,
        client_error: 0,
    };
    for (status, one_in) in [
        (200, 100),
        (101, 100),
        (302, 10),
        (404, 1),
        (500, 1),
        (503, 1),
    ] {
        assert_eq!(sampling.one_in(status), one_in, "{status}");
    }
}

/// Every `$ref`-free keyword of the schema is one that validators know, and every field is in it.
#[test]
fn the_schema_has_every_field() {
    let schema = schema::json_schema();
    for field in Field::ALL {
        let object = if field.is_addition() {
            &schema["properties"]["trellis"]["properties"]
        } else {
            &schema["properties"]
        };
        assert!(object[field.key()]["description"].is_string(), "{field:?}");
    }
}
