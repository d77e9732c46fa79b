//! Signatures in the query.

use super::*;

/// The query of a URL signed at noon for an hour, sorted, without its signature; `more` comes last.
fn query(algorithm: &str, scope: &str, more: &str) -> String {
    let credential = format!("{KEY}/{scope}").replace('/', "%2F");
    format!(
        "X-Amz-Algorithm={algorithm}&X-Amz-Credential={credential}&X-Amz-Date={NOON}&X-Amz-Expires=3600{more}"
    )
}

/// A request without headers of its own, to be signed in its query.
fn bare(query: &str) -> Sent {
    Sent::new("GET /pay/1")
        .without("x-amz-date")
        .without("x-amz-content-sha256")
        .query(query)
}

fn canonical(query: &str, headers: &str, names: &str) -> String {
    format!("GET\n/pay/1\n{query}\nhost:orders.test\n{headers}\n{names}\nUNSIGNED-PAYLOAD")
}

/// `GET /pay/1?a=1` with a signature in the query.
fn good() -> Sent {
    let query = query("AWS4-HMAC-SHA256", SCOPE, "&X-Amz-SignedHeaders=host&a=1");
    let signature = hmac(SECRET, SCOPE, NOON, &canonical(&query, "", "host"));
    bare(&format!("{query}&X-Amz-Signature={signature}"))
}

/// The same for all regions.
fn good_everywhere() -> Sent {
    let more = "&X-Amz-Region-Set=%2A&X-Amz-SignedHeaders=host&a=1";
    let query = query("AWS4-ECDSA-P256-SHA256", ECDSA_SCOPE, more);
    let signature = ecdsa(KEY, SECRET, NOON, &canonical(&query, "", "host"));
    bare(&format!("X-Amz-Signature={signature}&{query}"))
}

impl Sent {
    /// With one thing of its query replaced.
    fn in_query(mut self, from: &str, to: &str) -> Self {
        let query = String::from_utf8(self.query.unwrap()).unwrap();
        assert!(query.contains(from), "{query}");
        self.query = Some(query.replacen(from, to, 1).into_bytes());
        self
    }
}

#[test]
fn a_presigned_query_says_who_is_calling() {
    assert_eq!(good().outcome(), "owner");
    assert_eq!(good_everywhere().outcome(), "owner");
    // The order of the parameters is free, and so is how their names and values are encoded.
    let good = good();
    let query = String::from_utf8(good.query.clone().unwrap()).unwrap();
    let mut parameters: Vec<&str> = query.split('&').collect();
    parameters.reverse();
    assert_eq!(good.clone().query(&parameters.join("&")).outcome(), "owner");
    let encoded = good.in_query("X-Amz-Date", "X%2DAmz-Dat%65");
    assert_eq!(encoded.outcome(), "owner");
}

#[test]
fn the_word_for_an_unsigned_payload_may_stand_in_a_header_in_the_query_or_nowhere() {
    let header = query(
        "AWS4-HMAC-SHA256",
        SCOPE,
        "&X-Amz-SignedHeaders=host%3Bx-amz-content-sha256",
    );
    let text = canonical(
        &header,
        "x-amz-content-sha256:UNSIGNED-PAYLOAD\n",
        "host;x-amz-content-sha256",
    );
    let signature = hmac(SECRET, SCOPE, NOON, &text);
    let header = bare(&format!("{header}&X-Amz-Signature={signature}"));
    let with = |hash| header.clone().header("x-amz-content-sha256", hash);
    assert_eq!(with("UNSIGNED-PAYLOAD").outcome(), "owner");
    assert!(
        with("e3b0c44298fc1c14")
            .outcome()
            .starts_with("InvalidSignatureException: Payload signing is not supported")
    );
    assert_eq!(
        header.outcome(),
        "IncompleteSignatureException: 'x-amz-content-sha256' is named as a SignedHeader, but it does not exist in the HTTP request."
    );

    let moved = |hash: &str| {
        let query = query("AWS4-HMAC-SHA256", SCOPE, "&X-Amz-SignedHeaders=host");
        let query = query.replace(
            "&X-Amz-Cred",
            &format!("&X-Amz-Content-Sha256={hash}&X-Amz-Cred"),
        );
        let signature = hmac(SECRET, SCOPE, NOON, &canonical(&query, "", "host"));
        bare(&format!("{query}&X-Amz-Signature={signature}")).outcome()
    };
    assert_eq!(moved("UNSIGNED-PAYLOAD"), "owner");
    assert!(
        moved("e3b0c44298fc1c14")
            .starts_with("InvalidSignatureException: Payload signing is not supported")
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_broken_rule_has_its_text() {
    let incomplete = |text: &str| format!("IncompleteSignatureException: {text}");
    let invalid = |text: &str| format!("InvalidSignatureException: {text}");
    let must = |name: &str| {
        incomplete(&format!(
            "AWS query-string parameters must include '{name}'. Re-examine the query-string parameters."
        ))
    };
    let expires = |given: &str| {
        incomplete(&format!(
            "X-Amz-Expires must be a number of seconds from 1 to 604800, got '{given}'."
        ))
    };
    let once = |name: &str| {
        incomplete(&format!(
            "'{name}' must be given once in a signed query string."
        ))
    };
    let table: &[(Sent, String)] = &[
        (good().in_query("a=1", "a=2"), MISMATCH.to_owned()),
        (good().in_query("a=1", "a=1&b=1"), MISMATCH.to_owned()),
        (good().in_query("3600", "3601"), MISMATCH.to_owned()),
        (good().authority("pay.test"), MISMATCH.to_owned()),
        (
            good().in_query("Signature=", "Signature=0"),
            MISMATCH.to_owned(),
        ),
        (good().in_query(KEY, "AKIAOTHER"), MISMATCH.to_owned()),
        (
            good().in_query(KEY, "AKIANOBODY"),
            "UnrecognizedClientException: The security token included in the request is invalid."
                .to_owned(),
        ),
        (
            good().in_query("X-Amz-Algorithm", "X-A"),
            must("X-Amz-Algorithm"),
        ),
        (
            good().in_query("X-Amz-Credential", "X-A"),
            must("X-Amz-Credential"),
        ),
        (good().in_query("X-Amz-Date", "X-A"), must("X-Amz-Date")),
        (
            good().in_query("X-Amz-Expires", "X-A"),
            must("X-Amz-Expires"),
        ),
        (
            good().in_query("X-Amz-SignedHeaders", "X-A"),
            must("X-Amz-SignedHeaders"),
        ),
        (
            good().in_query("X-Amz-Signature", "X-A"),
            must("X-Amz-Signature"),
        ),
        (good().in_query("a=1", "x-amz-date=1"), once("X-Amz-Date")),
        (
            good().in_query("a=1", "X-Amz-Signature=00"),
            once("X-Amz-Signature"),
        ),
        (
            good().in_query("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
            incomplete(
                "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1' (only AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256).",
            ),
        ),
        (good().in_query("3600", "604801"), expires("604801")),
        (good().in_query("3600", "0"), expires("0")),
        (good().in_query("3600", "-1"), expires("-1")),
        (good().in_query("3600", "%2B5"), expires("+5")),
        (good().in_query("3600", ""), expires("")),
        (
            good().in_query("3600", "18446744073709551617"),
            expires("18446744073709551617"),
        ),
        (
            good().in_query("us-west-2", "us-east-1"),
            invalid("Credential should be scoped to a valid region, not 'us-east-1'."),
        ),
        (
            good().in_query("vpc-lattice-svcs", "s3"),
            invalid("Credential should be scoped to correct service: 'vpc-lattice-svcs'."),
        ),
        (
            good().in_query("SignedHeaders=host", "SignedHeaders=accept"),
            invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
        ),
        (
            good().header("x-amz-meta-tag", "1"),
            invalid("'x-amz-meta-tag' must be a 'SignedHeader' in the AWS Authorization."),
        ),
        (
            good().in_query("a=1", "X-Amz-Security-Token=x"),
            "UnrecognizedClientException: The security token included in the request is invalid."
                .to_owned(),
        ),
        (
            good().header("authorization", "AWS4-HMAC-SHA256 Credential=a"),
            incomplete("Sign either the 'Authorization' header or the query string, not both."),
        ),
        (
            good_everywhere().in_query("a=1", "a=2"),
            MISMATCH.to_owned(),
        ),
        (
            good_everywhere().in_query("%2A", "us-%2A"),
            MISMATCH.to_owned(),
        ),
        (
            good_everywhere().in_query("%2A", "eu-%2A"),
            invalid("Credential should be scoped to a valid region, not 'eu-*'."),
        ),
        (
            good_everywhere().in_query("X-Amz-Region-Set", "X-A"),
            incomplete("Missing the 'x-amz-region-set' in canonical headers."),
        ),
        // An application's own `Authorization` travels beside a signature in the query.
        (
            good().header("authorization", "Bearer x"),
            "owner".to_owned(),
        ),
        // All cases are compared: without a change, both are right.
        (good(), "owner".to_owned()),
    ];
    for (sent, expected) in table {
        assert_eq!(&sent.outcome(), expected, "{sent:?}");
    }
}

#[test]
fn a_presigned_query_holds_for_the_time_it_states() {
    let noon = at(NOON);
    let seconds = |seconds| Duration::from_secs(seconds);
    let text = |now| {
        good()
            .verify(&verifier(), now)
            .map_err(|error| error.public_text())
    };
    for (now, expected) in [
        (noon + seconds(3600), Ok(OWNER)),
        (noon - seconds(300), Ok(OWNER)),
        (
            noon + seconds(3601),
            Err(
                "InvalidSignatureException: Signature expired: 20261124T120000Z is now earlier than 20261124T120001Z (20261124T130001Z - 60 min.)",
            ),
        ),
        (
            noon - seconds(301),
            Err(
                "InvalidSignatureException: Signature not yet current: 20261124T120000Z is still later than 20261124T115959Z (20261124T115459Z + 5 min.)",
            ),
        ),
    ] {
        assert_eq!(text(now), expected.map_err(str::to_owned));
    }
}

#[test]
fn a_url_of_last_week_does_not_push_out_the_key_of_the_day() {
    let ring = KeyRing::new(
        &"us-west-2".parse().unwrap(),
        [(KEY.into(), Secret::new(SECRET), PrincipalIndex(7))],
    );
    let ring = ring.unwrap();
    let (material, _) = ring.find(KEY.as_bytes()).unwrap();
    let day_key = |date: &str| {
        let date = Timestamp::parse(date.as_bytes()).unwrap();
        material.with_signing_key(&date, ring.region(), std::ptr::from_ref)
    };
    day_key(NOON);
    let kept = day_key(NOON);
    day_key("20261122T120000Z");
    day_key("20261118T120000Z");
    assert_eq!(day_key(NOON), kept);
    day_key("20261126T120000Z");
    assert_ne!(day_key(NOON), kept);
}

#[test]
fn hostile_queries_cost_little() {
    let many = vec!["X-Amz-Signature"; 2_000].join("&");
    assert_eq!(
        bare(&many).outcome(),
        "InvalidSignatureException: A signed request must not have more than 1000 query parameters."
    );
    let long = format!("X-Amz-Signature={}", "%41".repeat(20_000));
    assert!(bare(&long).outcome().len() < 300);
    for odd in [
        "X-Amz-Signature=%",
        "X-Amz-Algorithm=%ff%00",
        "X-Amz-Credential",
        "%58-amz-signature==&&=",
    ] {
        assert!(
            bare(odd)
                .outcome()
                .starts_with("IncompleteSignatureException"),
            "{odd}"
        );
    }
}
