//! Cookies and addresses as clients write them.

use http::{HeaderMap, HeaderValue, header};

use super::{cookies, of_address};

#[test]
fn cookies_are_found_by_their_whole_name_in_all_fields() {
    let table: [(&[&str], &[&str]); 11] = [
        (&[], &[]),
        (&["session=a"], &["a"]),
        (&["other=b; session=a"], &["a"]),
        (&["session=a;other=b"], &["a"]),
        (&["other=b", "session=a"], &["a"]),
        (&["session=a; session=b"], &["a", "b"]),
        (&["my-session=a"], &[]),
        (&["session2=a"], &[]),
        (&["Session=a"], &[]),
        (&["session"], &[]),
        (&["session=; x=session=y"], &[""]),
    ];
    for (fields, expected) in table {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(header::COOKIE, HeaderValue::from_static(field));
        }
        let found: Vec<&[u8]> = cookies(&headers, "session").collect();
        let expected: Vec<&[u8]> = expected.iter().map(|value| value.as_bytes()).collect();
        assert_eq!(found, expected, "{fields:?}");
    }
}

#[test]
fn an_address_hashes_the_same_in_both_of_its_forms() {
    let hash = |text: &str| of_address(text.parse().unwrap());
    assert_eq!(hash("10.0.0.1"), hash("::ffff:10.0.0.1"));
    assert_ne!(hash("10.0.0.1"), hash("10.0.0.2"));
    assert_ne!(hash("fd00::1"), hash("fd00::2"));
}
