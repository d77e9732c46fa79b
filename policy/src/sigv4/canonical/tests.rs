//! Amazon's vectors: `policy/testdata/README.md` says where they come from.

use aws_sigv4::sign::v4::generate_signing_key;
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use serde_json::Value;

use super::*;
use trellis_model::config::Secret;

use crate::sigv4::{authorization::parse_signed_headers, keys::KeyMaterial};

const VECTORS: &str = include_str!("../../../testdata/sigv4/vectors.jsonl");

/// A request as a vector writes it: not always one that HTTP would take.
struct Written {
    method: String,
    path: String,
    query: Option<String>,
    host: String,
    headers: HeaderMap,
}

fn read(text: &str) -> Written {
    let (line, rest) = text.split_once('\n').unwrap();
    let (method, target) = line.split_once(' ').unwrap();
    let target = target.strip_suffix(" HTTP/1.1").unwrap_or(target);
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let (head, _) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let mut headers = HeaderMap::new();
    // Spec: RFC 9112 §5.2: a folded line goes on with a space. The gateway refuses them, the vectors have one.
    for line in head.replace("\n ", " ").lines() {
        let (name, value) = line.split_once(':').unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    Written {
        method: method.to_owned(),
        path: path.to_owned(),
        query,
        host: headers["host"].to_str().unwrap().to_owned(),
        headers,
    }
}

/// Every spelling of a request: its canonical request and its text to sign.
fn spellings(parts: &SignedParts<'_>, terms: &Terms<'_, '_>) -> Vec<(String, String)> {
    let mut scratch = Scratch::new();
    let mut request = scratch.prepare(parts, terms).unwrap();
    for form in PathForm::ALL {
        request.spell_path(form);
    }
    for form in QueryForm::ALL {
        request.spell_query(form);
    }
    let mut all = Vec::new();
    for host in [HostForm::AsSent, HostForm::WithoutPort] {
        for query in 0..request.scratch.queries.len() {
            for path in 0..request.scratch.paths.len() {
                let text = request.text_to_sign(host, query, path);
                let text = String::from_utf8(text.to_vec()).unwrap();
                let canonical = String::from_utf8(request.scratch.request.clone()).unwrap();
                all.push((canonical, text));
            }
        }
    }
    all
}

/// Canonicalises the request of a vector and compares canonical request and text to sign; gives the latter.
#[track_caller]
fn check(name: &str, files: &Value, kind: &str, written: &Written) -> String {
    let file = |name: &str| files[format!("{kind}-{name}")].as_str().map(str::trim_end);
    let canonical = file("canonical-request").unwrap();
    let [.., signed_headers, payload] = canonical.lines().collect::<Vec<_>>()[..] else {
        panic!("{name} has no canonical request");
    };
    let to_sign = file("string-to-sign");
    // One vector has none.
    let any = "AWS4-HMAC-SHA256\n20210511T154045Z\n-\n-";
    let [algorithm, date, scope, _] = to_sign.unwrap_or(any).lines().collect::<Vec<_>>()[..] else {
        panic!("{name} has no text to sign");
    };
    let parts = SignedParts {
        method: &written.method,
        path: written.path.as_bytes(),
        query: written.query.as_deref().map(str::as_bytes),
        authority: written.host.as_bytes(),
        headers: &written.headers,
        presigned: crate::sigv4::Presigned::Counts,
    };
    let signed_headers = parse_signed_headers(signed_headers.as_bytes()).unwrap();
    let signed_at = Timestamp::parse(date.as_bytes()).unwrap();
    let terms = Terms {
        algorithm: algorithm.as_bytes(),
        signed_at: &signed_at,
        scope: scope.as_bytes(),
        signed_headers: &signed_headers,
        payload: payload.as_bytes(),
    };
    let spellings = spellings(&parts, &terms);
    let found = spellings.iter().find(|(request, _)| request == canonical);
    let Some((_, text)) = found else {
        panic!("{name}, {kind}: no spelling is\n{canonical}\n{spellings:#?}");
    };
    assert_eq!(text, to_sign.unwrap_or(text), "{name}, {kind}");
    text.clone()
}

/// The signature that a vector's key makes of a text.
fn sign(context: &Value, to_sign: &str) -> String {
    let date = Timestamp::parse(to_sign.lines().nth(1).unwrap().as_bytes()).unwrap();
    let key = generate_signing_key(
        context["credentials"]["secret_access_key"]
            .as_str()
            .unwrap(),
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(date.unix().try_into().unwrap()),
        context["region"].as_str().unwrap(),
        context["service"].as_str().unwrap(),
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_ref());
    let tag = hmac::sign(&key, to_sign.as_bytes());
    let digits = tag.as_ref().iter().flat_map(|byte| hex(*byte));
    String::from_utf8(digits.collect()).unwrap()
}

/// Checks signatures of a text by a vector's key, and that they are none of another text; gives their number.
#[track_caller]
fn check_signatures(name: &str, context: &Value, to_sign: &str, signatures: [&str; 2]) -> usize {
    for signature in signatures.map(str::trim_end) {
        if to_sign.starts_with("AWS4-HMAC-SHA256") {
            assert_eq!(sign(context, to_sign), signature, "{name}");
            continue;
        }
        let credential = |part: &str| context["credentials"][part].as_str().unwrap();
        let secret = Secret::new(credential("secret_access_key"));
        let key = KeyMaterial::new(credential("access_key_id").into(), secret);
        let bytes = signature
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        let bytes: Vec<u8> = bytes.collect();
        assert!(key.verifies(to_sign.as_bytes(), &bytes), "{name}");
        assert!(!key.verifies(&to_sign.as_bytes()[1..], &bytes), "{name}");
    }
    signatures.len()
}

/// What of a signed query was not there when it was signed: the signature, and a token that is added later.
fn unsigned_query(query: &str, token_is_signed: bool) -> String {
    let kept = query.split('&').filter(|pair| {
        !pair.starts_with("X-Amz-Signature=")
            && (token_is_signed || !pair.starts_with("X-Amz-Security-Token="))
    });
    kept.collect::<Vec<_>>().join("&")
}

#[test]
fn amazons_vectors_have_their_canonical_requests_texts_and_signatures() {
    let (mut headers, mut queries, mut signatures) = (0, 0, 0);
    for line in VECTORS.lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let (suite, case) = (
            vector["suite"].as_str().unwrap(),
            vector["case"].as_str().unwrap(),
        );
        let (files, context) = (&vector["files"], &vector["context"]);
        let name = format!("{suite}/{case}");
        let token_is_signed = context["omit_session_token"] != true;

        let mut written = read(files["header-signed-request"].as_str().unwrap());
        if case == "double-encode-path" {
            // Its files disagree about the date; the canonical request is what is compared.
            let date = HeaderValue::from_static("20210511T154045Z");
            written.headers.insert("x-amz-date", date);
        }
        let to_sign = check(&name, files, "header", &written);
        headers += 1;
        let in_header = written.headers["authorization"].to_str().unwrap();
        let (_, in_header) = in_header.rsplit_once("Signature=").unwrap();
        if let Some(signature) = files["header-signature"].as_str() {
            signatures += check_signatures(&name, context, &to_sign, [signature, in_header]);
        }

        let Some(text) = files["query-signed-request"].as_str() else {
            continue;
        };
        let mut written = read(text);
        written.query = written
            .query
            .map(|query| unsigned_query(&query, token_is_signed));
        let to_sign = check(&name, files, "query", &written);
        queries += 1;
        let (_, in_query) = text.split_once("X-Amz-Signature=").unwrap();
        let in_query = in_query.split(['&', ' ']).next().unwrap();
        let signature = files["query-signature"].as_str().unwrap();
        signatures += check_signatures(&name, context, &to_sign, [signature, in_query]);
    }
    assert_eq!((headers, queries, signatures), (78, 76, 304));
}

/// All spellings of one part, the others left alone.
#[track_caller]
fn check_paths(raw: &str, expected: [&str; 4]) {
    let written = PathForm::ALL.map(|form| {
        let mut out = Vec::new();
        path::write(form, raw.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    });
    // Normalised, as sent, encoded again, normalised as RFC 3986 has it.
    assert_eq!(written, expected, "{raw}");
}

#[test]
fn every_spelling_of_a_path_is_written() {
    check_paths("", ["/", "/", "/", "/"]);
    check_paths("/", ["/", "/", "/", "/"]);
    check_paths("*", ["/%2A", "*", "%2A", "/%2A"]);
    check_paths("/a/b", ["/a/b", "/a/b", "/a/b", "/a/b"]);
    check_paths("/a/b/", ["/a/b/", "/a/b/", "/a/b/", "/a/b/"]);
    check_paths("/a%20b", ["/a%2520b", "/a%20b", "/a%2520b", "/a%2520b"]);
    check_paths("/a%2Fb", ["/a%252Fb", "/a%2Fb", "/a%252Fb", "/a%252Fb"]);
    check_paths("//a", ["/a", "//a", "//a", "/a"]);
    check_paths("/a//c/../d", ["/a/d", "/a//c/../d", "/a//c/../d", "/a/d"]);
    check_paths("/../../a", ["/a", "/../../a", "/../../a", "/a"]);
    check_paths("/a/.", ["/a", "/a/.", "/a/.", "/a/"]);
    check_paths("/a/..", ["/", "/a/..", "/a/..", "/"]);
    check_paths("/a/b/..", ["/a", "/a/b/..", "/a/b/..", "/a/"]);
    check_paths("/~-._", ["/~-._", "/~-._", "/~-._", "/~-._"]);
    check_paths("/é", ["/%C3%A9", "/é", "/%C3%A9", "/%C3%A9"]);
    check_paths(
        "/a;b=c",
        ["/a%3Bb%3Dc", "/a;b=c", "/a%3Bb%3Dc", "/a%3Bb%3Dc"],
    );
}

#[track_caller]
fn check_queries(raw: &str, expected: [&str; 3]) {
    let mut buffers = query::Parameters::new();
    let written = QueryForm::ALL.map(|form| {
        let mut out = Vec::new();
        query::write(form, raw.as_bytes(), &mut buffers, &mut out);
        String::from_utf8(out).unwrap()
    });
    // A plus sign is a plus sign, a plus sign is a space, as sent.
    assert_eq!(written, expected, "{raw}");
}

#[test]
fn every_spelling_of_a_query_is_written() {
    check_queries("", ["", "", ""]);
    check_queries("a", ["a=", "a=", "a="]);
    check_queries("a=", ["a=", "a=", "a="]);
    check_queries("=", ["=", "=", "="]);
    check_queries("b=2&a=1", ["a=1&b=2", "a=1&b=2", "a=1&b=2"]);
    check_queries("a=2&a=1&a", ["a=&a=1&a=2", "a=&a=1&a=2", "a=&a=1&a=2"]);
    check_queries("a=1&B=2", ["B=2&a=1", "B=2&a=1", "B=2&a=1"]);
    check_queries("a=b+c", ["a=b%2Bc", "a=b%20c", "a=b+c"]);
    check_queries("a=%2f", ["a=%2F", "a=%2F", "a=%2f"]);
    check_queries("a=b=c", ["a=b%3Dc", "a=b%3Dc", "a=b=c"]);
    check_queries("a=%zz%4", ["a=%25zz%254", "a=%25zz%254", "a=%zz%4"]);
    check_queries("&&a=1&", ["a=1", "a=1", "=&=&=&a=1"]);
    check_queries("a=1;b=2", ["a=1%3Bb%3D2", "a=1%3Bb%3D2", "a=1;b=2"]);
    check_queries("a=~-._é", ["a=~-._%C3%A9", "a=~-._%C3%A9", "a=~-._é"]);
    // Names are sorted before values: `a` comes before `a-`, whatever stands after them.
    check_queries("a-=1&a=2", ["a=2&a-=1", "a=2&a-=1", "a=2&a-=1"]);
}
