//! What must be signed, what is not a signature, and what each refusal says.

use super::*;

/// What is done to a request that is rightly signed.
type Change = fn(Sent) -> Sent;

/// The hash of an empty body.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Changes, the exception and what its message is or, ending in an ellipsis, begins with.
const RULES: &[(Change, &str, &str)] = &[
    (
        |sent| sent.without("x-amz-content-sha256"),
        INCOMPLETE,
        "'x-amz-content-sha256' is named as a SignedHeader, but it does not exist in the HTTP request.",
    ),
    (
        |sent| {
            sent.without("x-amz-content-sha256")
                .replace("x-amz-content-sha256;", "")
        },
        INCOMPLETE,
        "Missing the 'x-amz-content-sha256' in canonical headers.",
    ),
    (
        |sent| sent.replace("x-amz-content-sha256;", ""),
        INCOMPLETE,
        "Missing the 'x-amz-content-sha256' in canonical headers.",
    ),
    (
        |sent| sent.set("x-amz-content-sha256", EMPTY),
        INVALID,
        "Payload signing is not supported: 'x-amz-content-sha256' must be 'UNSIGNED-PAYLOAD', got 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'.",
    ),
    (
        |sent| sent.set("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        INVALID,
        "Payload signing is not supported: 'x-amz-content-sha256' must be 'UNSIGNED-PAYLOAD', got 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'.",
    ),
    (
        |sent| sent.set("x-amz-content-sha256", "unsigned-payload"),
        INVALID,
        "Payload signing is not supported: …",
    ),
    (
        |sent| sent.header("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        INCOMPLETE,
        "The 'x-amz-content-sha256' header must be given once.",
    ),
    (
        |sent| sent.replace("host;", ""),
        INVALID,
        "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    ),
    (
        |sent| sent.replace("x-amz-date;", ""),
        INVALID,
        "'x-amz-date' must be a 'SignedHeader' in the AWS Authorization.",
    ),
    (
        |sent| sent.header("x-amz-meta-more", "1"),
        INVALID,
        "'x-amz-meta-more' must be a 'SignedHeader' in the AWS Authorization.",
    ),
    (
        |sent| sent.header("x-amz-security-token", "token"),
        INVALID,
        "'x-amz-security-token' must be a 'SignedHeader' in the AWS Authorization.",
    ),
    (
        |sent| {
            sent.header("x-amz-security-token", "token")
                .replace("x-amz-date;", "x-amz-date;x-amz-security-token;")
        },
        UNRECOGNIZED,
        "The security token included in the request is invalid.",
    ),
    (
        |sent| sent.replace("x-amz-date;", "x-amz-date;x-amz-security-token;"),
        INCOMPLETE,
        "'x-amz-security-token' is named as a SignedHeader, but it does not exist in the HTTP request.",
    ),
    (
        |sent| sent.without("x-team"),
        INCOMPLETE,
        "'x-team' is named as a SignedHeader, but it does not exist in the HTTP request.",
    ),
    (
        |sent| sent.without("x-amz-date"),
        INCOMPLETE,
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
    ),
    (
        |sent| sent.set("x-amz-date", "2026-11-24T12:00:00Z"),
        INCOMPLETE,
        "Date must be in ISO-8601 'basic format'. Got '2026-11-24T12:00:00Z'. See http://en.wikipedia.org/wiki/ISO_8601",
    ),
    (
        |sent| sent.set("x-amz-date", "20261131T120000Z"),
        INCOMPLETE,
        "Date must be in …",
    ),
    (
        |sent| sent.set("x-amz-date", "20261124T120060Z"),
        INCOMPLETE,
        "Date must be in …",
    ),
    (
        |sent| sent.set("x-amz-date", ""),
        INCOMPLETE,
        "Date must be in …",
    ),
    (
        |sent| sent.header("x-amz-date", NOON),
        INCOMPLETE,
        "The 'x-amz-date' header must be given once.",
    ),
    (
        |sent| sent.replace("us-west-2", "us-east-1"),
        INVALID,
        "Credential should be scoped to a valid region, not 'us-east-1'.",
    ),
    (
        |sent| sent.replace("vpc-lattice-svcs", "execute-api"),
        INVALID,
        "Credential should be scoped to correct service: 'vpc-lattice-svcs'.",
    ),
    (
        |sent| sent.replace("aws4_request", "aws5_request"),
        INVALID,
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'.",
    ),
    (
        |sent| sent.replace("/20261124/", "/20261123/"),
        INVALID,
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261123' != '20261124', from '20261124T120000Z'.",
    ),
    (
        |sent| sent.replace(KEY, "AKIANOBODY"),
        UNRECOGNIZED,
        "The security token included in the request is invalid.",
    ),
    (
        |sent| sent.replace(KEY, "akiatest"),
        UNRECOGNIZED,
        "The security token included in the request is invalid.",
    ),
    (
        |sent| sent.replace(KEY, ""),
        UNRECOGNIZED,
        "The security token included in the request is invalid.",
    ),
    (
        |sent| sent.replace(KEY, "AKIAOTHER"),
        INVALID,
        "The request signature we calculated does not match the signature you provided. …",
    ),
    (
        |sent| sent.replace("Signature=", "Signature=0"),
        INVALID,
        "The request signature we calculated does not match the signature you provided. …",
    ),
    (
        |sent| sent.replace("Credential=", "Credential=a/"),
        INCOMPLETE,
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/AKIATEST/20261124/us-west-2/vpc-lattice-svcs/aws4_request'.",
    ),
    (
        |sent| sent.replace("/aws4_request", ""),
        INCOMPLETE,
        "Credential must have exactly 5 slash-delimited elements, …",
    ),
    (
        |sent| sent.replace("Signature=", "Sign="),
        INCOMPLETE,
        "Authorization header does not know the 'Sign' parameter.",
    ),
    (
        |sent| sent.replace("Signature=", "Signature"),
        INCOMPLETE,
        "'Signature…",
    ),
    (
        |sent| sent.replace("SignedHeaders=", "SignedHeaders=X-A;"),
        INCOMPLETE,
        "'SignedHeaders' must be header names in lower case and ascending order, got 'X-A'.",
    ),
    (
        |sent| sent.replace("host;", "host;host;"),
        INCOMPLETE,
        "'SignedHeaders' must be header names in lower case and ascending order, got 'host'.",
    ),
    (
        |sent| sent.replace("host;", "host;;"),
        INCOMPLETE,
        "'SignedHeaders' must be header names in lower case and ascending order, got ''.",
    ),
    (
        |sent| sent.replace("Credential=", "Credential=x, Credential="),
        INCOMPLETE,
        "Authorization header requires the 'Credential' parameter once.",
    ),
    (
        |sent| sent.set("authorization", "AWS4-HMAC-SHA256 "),
        INCOMPLETE,
        "'' not a valid key=value pair (missing equal-sign) in Authorization header.",
    ),
    (
        |sent| sent.set("authorization", "AWS4-HMAC-SHA256 Credential=a"),
        INCOMPLETE,
        "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.",
    ),
    (
        |sent| sent.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P384-SHA384"),
        INCOMPLETE,
        "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P384-SHA384' (only AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256).",
    ),
    (
        |sent| sent.replace("AWS4-HMAC-SHA256", "aws4-hmac-sha256"),
        INCOMPLETE,
        "Unsupported AWS 'algorithm': 'aws4-hmac-sha256' (only AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256).",
    ),
    (
        |sent| sent.header("authorization", "Bearer x"),
        INCOMPLETE,
        "The 'Authorization' header must be given once.",
    ),
    (
        |sent| sent.query("a=1&b=2&X-Amz-Signature=00"),
        INCOMPLETE,
        "Sign either the 'Authorization' header or the query string, not both.",
    ),
    (
        |sent| {
            sent.without("authorization")
                .query("X-Amz-Algorithm=AWS4-HMAC-SHA256")
        },
        INCOMPLETE,
        "AWS query-string parameters must include 'X-Amz-Credential'. Re-examine the query-string parameters.",
    ),
    (
        |sent| sent.without("authorization").query("x%2DAMZ-credential"),
        INCOMPLETE,
        "AWS query-string parameters must include 'X-Amz-Algorithm'. Re-examine the query-string parameters.",
    ),
];

const INCOMPLETE: &str = "IncompleteSignatureException";
const INVALID: &str = "InvalidSignatureException";
const UNRECOGNIZED: &str = "UnrecognizedClientException";

#[test]
fn each_broken_rule_has_its_text() {
    assert_eq!(good().outcome(), "owner");
    for (change, exception, message) in RULES {
        let sent = change(good());
        let outcome = sent.outcome();
        let expected = format!("{exception}: {message}");
        match expected.strip_suffix('…') {
            Some(beginning) => assert!(outcome.starts_with(beginning), "{outcome}: {sent:?}"),
            None => assert_eq!(outcome, expected, "{sent:?}"),
        }
    }
}

#[test]
fn the_date_may_come_in_the_header_date_when_it_is_signed() {
    let http_date = "Tue, 24 Nov 2026 12:00:00 GMT";
    let signed = "date;host;x-amz-content-sha256";
    let text = |date: &str| {
        format!(
            "GET\n/\n\ndate:{date}\nhost:orders.test\nx-amz-content-sha256:UNSIGNED-PAYLOAD\n\n{signed}\nUNSIGNED-PAYLOAD"
        )
    };
    for date in [http_date, NOON] {
        let sent = Sent::new("GET /")
            .without("x-amz-date")
            .header("date", date);
        assert_eq!(sent.sign(&text(date)).outcome(), "owner", "{date}");
    }
    for date in [
        "Tuesday, 24-Nov-26 12:00:00 GMT",
        "Tue Nov 24 12:00:00 2026",
        "",
    ] {
        let sent = Sent::new("GET /")
            .without("x-amz-date")
            .header("date", date);
        assert!(
            sent.sign(&text(date))
                .outcome()
                .starts_with("IncompleteSignatureException: Date must be"),
            "{date}"
        );
    }
    let unsigned = plain("GET", "/", "").replace(";x-amz-date", "");
    let sent = Sent::new("GET /")
        .without("x-amz-date")
        .header("date", http_date)
        .sign(&unsigned);
    assert!(
        sent.outcome()
            .starts_with("InvalidSignatureException: 'date' must be")
    );
}

#[test]
fn what_is_not_signed_is_anonymous() {
    assert_eq!(Sent::new("GET /").outcome(), "anonymous");
    for value in [
        "Bearer eyJhbGciOi",
        "Basic dXNlcjpwYXNz",
        "Digest username=AWS4",
        "",
        "token aws4-hmac",
    ] {
        assert_eq!(
            Sent::new("GET /").header("authorization", value).outcome(),
            "anonymous",
            "{value}"
        );
    }
    for query in [
        "a=X-Amz-Signature",
        "xx-amz-signature=1",
        "X-Amz-Date=1",
        "a=1&=X-Amz-Credential",
    ] {
        assert_eq!(
            Sent::new("GET /").query(query).outcome(),
            "anonymous",
            "{query}"
        );
    }
}

/// Where no policy asks who is calling, the parameters of a presigned URL are the application's.
#[test]
fn a_presigned_query_is_the_applications_where_nobody_asks_for_callers() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=00";
    let theirs = |sent: Sent| Sent {
        presigned: Presigned::Ignored,
        ..sent
    };
    let unsigned = Sent::new("GET /").query(query);
    assert_eq!(theirs(unsigned.clone()).outcome(), "anonymous");
    assert!(unsigned.outcome().starts_with(INCOMPLETE));
    // A header that looks signed must verify everywhere.
    assert_eq!(theirs(good()).outcome(), "owner");
    assert_eq!(theirs(good().query("a=1&b=3")).outcome(), MISMATCH);
    let both = good().query(&format!("a=1&b=2&{query}"));
    assert_eq!(theirs(both.clone()).outcome(), MISMATCH);
    assert!(both.outcome().starts_with(INCOMPLETE));
}

#[test]
fn what_looks_signed_is_never_anonymous() {
    for value in [
        "AWS AKIA:c2ln",
        "AWS4",
        "aws4-HMAC-sha256 x",
        "AWS4-HMAC-SHA256\tCredential=x",
        "AWS3-HTTPS x",
        "Basic x, AWS4-HMAC-SHA256 Credential=x",
        "Bearer x,AWS4-HMAC-SHA256 y",
    ] {
        let outcome = Sent::new("GET /").header("authorization", value).outcome();
        assert!(
            outcome.starts_with("IncompleteSignatureException"),
            "{value}: {outcome}"
        );
    }
    for second in ["AWS4-HMAC-SHA256 x", "a, AWS4-HMAC-SHA256 x"] {
        let sent = Sent::new("GET /")
            .header("authorization", "Bearer x")
            .header("authorization", second);
        assert!(
            sent.outcome().starts_with("IncompleteSignatureException"),
            "{second}"
        );
    }
}

#[test]
fn hostile_signatures_cost_little_and_are_quoted_harmlessly() {
    let long = format!("AWS4-HMAC-SHA256 Credential={}", "a".repeat(9_000));
    assert_eq!(
        Sent::new("GET /").set("authorization", &long).outcome(),
        "IncompleteSignatureException: The 'Authorization' header is longer than 8192 bytes."
    );
    let names: Vec<String> = (100..201).map(|n| format!("h{n}")).collect();
    assert_eq!(
        good().replace(SIGNED, &names.join(";")).outcome(),
        "IncompleteSignatureException: 'SignedHeaders' must not name more than 100 headers."
    );
    let query = vec!["a=1"; 1_001].join("&");
    assert_eq!(
        good().query(&query).outcome(),
        "InvalidSignatureException: A signed request must not have more than 1000 query parameters."
    );
    // Nothing of the answer can be markup, a control character or another line, and it stays short.
    let odd = good().replace("us-west-2", "<script>\u{e9}");
    let text = odd.outcome();
    assert!(text.ends_with("not '?script???'."), "{text}");
    let region = "r".repeat(2_000);
    assert!(good().replace("us-west-2", &region).outcome().len() < 300);
    for piece in ["\t", "\u{7f}", "%0a", "\\"] {
        let value = format!("AWS4-HMAC-SHA256 {piece}=x, {piece}");
        let text = match HeaderValue::from_str(&value) {
            Ok(_) => Sent::new("GET /").set("authorization", &value).outcome(),
            Err(_) => continue,
        };
        assert!(!text.contains(['\t', '\u{7f}', '%', '\\', '\n']), "{text}");
    }
}

#[test]
fn an_access_key_is_given_once() {
    let region: Region = "us-west-2".parse().unwrap();
    let key = || ("AKIA".into(), Secret::new("s"), PrincipalIndex(0));
    let error = KeyRing::new(&region, [key(), key()]).unwrap_err();
    assert_eq!(error.to_string(), "access key `AKIA` is given twice");
}
