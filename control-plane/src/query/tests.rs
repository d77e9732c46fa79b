use super::*;

#[test]
fn parameters_are_decoded_once_and_told_apart() {
    let text = b"Action=GetCallerIdentity&A+b=%C3%A4%2B%3D&Empty=&Bare&=nameless&&X=a=b";
    let parameters = Parameters::parse(text).unwrap();
    for (name, value) in [
        ("Action", Some("GetCallerIdentity")),
        ("A b", Some("\u{e4}+=")),
        ("Empty", Some("")),
        ("Bare", Some("")),
        ("", Some("nameless")),
        ("X", Some("a=b")),
        ("action", None),
        ("Absent", None),
    ] {
        assert_eq!(parameters.find(name), value, "{name}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let many = (0..=MAX_PARAMETERS)
        .map(|number| format!("p{number}=x"))
        .collect::<Vec<_>>();
    for (text, error) in [
        ("A=1&A=2", QueryError::Twice("A".to_owned())),
        ("A=1&%41=1", QueryError::Twice("A".to_owned())),
        ("A=%", QueryError::Encoding),
        ("A=%4", QueryError::Encoding),
        ("A=%zz", QueryError::Encoding),
        ("A=%ff", QueryError::Encoding),
        ("%ff=A", QueryError::Encoding),
        (&many.join("&"), QueryError::TooMany),
    ] {
        assert_eq!(
            Parameters::parse(text.as_bytes()).unwrap_err(),
            error,
            "{text}"
        );
    }
    assert!(Parameters::parse(many[1..].join("&").as_bytes()).is_ok());
}

#[test]
fn lists_are_read_in_the_order_of_their_numbers() {
    let text = b"Tags.member.2.Key=b&Tags.member.10.Key=c&Tags.member.1.Key=a&Tags.member.1.Value=1&Tags.member.x.Key=no&Keys.member.1=k";
    let parameters = Parameters::parse(text).unwrap();
    let tags = parameters.list("Tags");
    let keys: Vec<_> = tags
        .iter()
        .map(|tag| (tag.find("Key"), tag.find("Value")))
        .collect();
    assert_eq!(
        keys,
        [(Some("a"), Some("1")), (Some("b"), None), (Some("c"), None)]
    );
    assert_eq!(parameters.list("Keys")[0].find(""), Some("k"));
    assert!(parameters.list("Tag").is_empty());
}
