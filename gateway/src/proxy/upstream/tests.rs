use std::time::Duration;

use http::HeaderValue;

use super::announced;

#[test]
fn a_target_announces_when_it_closes_a_connection() {
    let rows = [
        ("timeout=5", Some(5)),
        ("timeout=5, max=100", Some(5)),
        ("max=100 , Timeout = 75", Some(75)),
        ("timeout=0", Some(0)),
        ("max=100", None),
        ("timeout", None),
        ("timeout=", None),
        ("timeout=-1", None),
        ("timeout=5s", None),
        ("timeout=99999999999999999999", None),
        ("", None),
    ];
    for (value, expected) in rows {
        let seconds = announced(&HeaderValue::from_static(value)).map(|time| time.as_secs());
        assert_eq!(seconds, expected, "{value:?}");
    }
    let opaque = HeaderValue::from_bytes(b"timeout=\xff").unwrap();
    assert_eq!(announced(&opaque), None::<Duration>);
}
