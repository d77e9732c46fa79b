//! Keys of objects, and what servers say of them.

use super::*;

fn facts() -> Facts {
    Facts {
        node: "0a1b2c3d".to_owned(),
        id: "als-00123456789abcdef".to_owned(),
        arn: "arn".to_owned(),
        account: "111122223333".to_owned(),
        region: "us-west-2".to_owned(),
        resource: "svc-0123456789abcdef0".to_owned(),
    }
}

#[test]
fn keys_have_the_layout_of_vpc_lattice() {
    // 2026-01-01T11:28:40Z
    let key_of =
        |prefix, compression, number| key(prefix, &facts(), compression, number, 1_767_266_920_123);
    let plain = key_of("", Compression::Gzip, 7);
    let (rest, hash) = plain.rsplit_once('_').unwrap();
    assert_eq!(
        rest,
        "AWSLogs/111122223333/VpcLattice/AccessLogs/us-west-2/2026/01/01/svc-0123456789abcdef0/\
         111122223333_VpcLatticeAccessLogs_us-west-2_svc-0123456789abcdef0_20260101T1128Z"
    );
    assert!(hash.ends_with(".json.gz") && hash.len() == 16 + 8, "{hash}");
    assert_eq!(
        plain,
        key_of("", Compression::Gzip, 7),
        "the same records, the same key"
    );
    assert_ne!(plain, key_of("", Compression::Gzip, 8));
    let prefixed = key_of("logs/", Compression::Zstd, 7);
    assert!(
        prefixed.starts_with("logs/AWSLogs/") && prefixed.ends_with(".json.zst"),
        "{prefixed}"
    );
}

#[track_caller]
fn check(headers: &[(&'static str, &'static str)], wanted: Result<Option<&str>, ()>) {
    let digest = "0123456789abcdef0123456789abcdef";
    let mut reply = Reply {
        status: StatusCode::OK,
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
    };
    for (name, value) in headers {
        reply.headers.insert(*name, HeaderValue::from_static(value));
    }
    let found = stored(&reply, digest).map_err(|_| ());
    assert_eq!(
        found.as_ref().map(Option::as_deref),
        wanted.as_ref().map(|tag| *tag)
    );
}

#[test]
fn a_server_that_stored_something_else_is_found_out() {
    let (right, wrong) = (
        "\"0123456789abcdef0123456789abcdef\"",
        "\"1123456789abcdef0123456789abcdef\"",
    );
    check(
        &[("etag", right)],
        Ok(Some("0123456789abcdef0123456789abcdef")),
    );
    check(&[("etag", wrong)], Err(()));
    check(&[], Ok(None));
    check(&[("etag", "\"opaque\"")], Ok(Some("opaque")));
    let kms = ("x-amz-server-side-encryption", "aws:kms");
    check(
        &[("etag", wrong), kms],
        Ok(Some("1123456789abcdef0123456789abcdef")),
    );
    check(
        &[("etag", wrong), ("x-amz-server-side-encryption", "AES256")],
        Err(()),
    );
}

#[test]
fn errors_are_told_in_the_servers_words() {
    let body = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    let text = error_text(StatusCode::FORBIDDEN, body);
    assert_eq!(text, "answer 403: AccessDenied Access Denied");
    assert_eq!(error_text(StatusCode::BAD_GATEWAY, "<html>"), "answer 502");
}

#[test]
fn paths_are_escaped_as_signatures_want_them() {
    assert_eq!(escape("a-b_c.d~9"), "a-b_c.d~9");
    assert_eq!(escape("a'b(c)*!"), "a%27b%28c%29%2A%21");
}
