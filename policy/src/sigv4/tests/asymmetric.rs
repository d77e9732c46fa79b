//! Signature Version 4A: one signature for a set of regions.

use super::*;

/// A request signed for a set of regions, as it was sent; `regions` in the header.
fn signed_for(regions: &str) -> Sent {
    let signed = "host;x-amz-content-sha256;x-amz-date;x-amz-region-set";
    let canonical = format!(
        "GET\n/pay/1\na=1\nhost:orders.test\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{NOON}\nx-amz-region-set:{}\n\n{signed}\nUNSIGNED-PAYLOAD",
        regions.trim()
    );
    let signature = ecdsa(KEY, SECRET, NOON, &canonical);
    Sent::new("GET /pay/1?a=1")
        .header("x-amz-region-set", regions)
        .set(
            "authorization",
            &format!(
                "AWS4-ECDSA-P256-SHA256 Credential={KEY}/{ECDSA_SCOPE}, SignedHeaders={signed}, Signature={signature}"
            ),
        )
}

#[test]
fn a_signature_holds_in_the_regions_of_its_set() {
    let elsewhere = |set: &str| {
        format!(
            "InvalidSignatureException: Credential should be scoped to a valid region, not '{set}'."
        )
    };
    for regions in [
        "*",
        "us-west-2",
        "us-*",
        "*-2",
        "us-*-2",
        "eu-west-1,us-west-2",
        "eu-west-1, us-west-2",
        "eu-west-1,us-w*",
        "us-west-2*",
    ] {
        assert_eq!(signed_for(regions).outcome(), "owner", "{regions}");
    }
    for regions in [
        "us-east-1",
        "us-west",
        "us-west-22",
        "eu-*",
        "us-east-*,eu-west-2",
        "US-WEST-2",
        "",
        ",",
    ] {
        let outcome = signed_for(regions).outcome();
        assert_eq!(outcome, elsewhere(regions), "{regions}");
    }
    // A question mark is no wildcard here.
    assert_eq!(signed_for("us-west-?").outcome(), elsewhere("us-west-?"));
}

#[test]
fn each_changed_part_is_refused() {
    let good = || signed_for("us-*");
    assert_eq!(good().outcome(), "owner");
    let invalid = |text: &str| format!("InvalidSignatureException: {text}");
    let incomplete = |text: &str| format!("IncompleteSignatureException: {text}");
    let table: [(Sent, String); 14] = [
        (good().set("x-amz-region-set", "*"), MISMATCH.to_owned()),
        (
            good()
                .without("x-amz-region-set")
                .replace(";x-amz-region-set", ""),
            incomplete("Missing the 'x-amz-region-set' in canonical headers."),
        ),
        (
            good().replace(";x-amz-region-set", ""),
            invalid("'x-amz-region-set' must be a 'SignedHeader' in the AWS Authorization."),
        ),
        (
            good().header("x-amz-region-set", "us-*"),
            incomplete("The 'x-amz-region-set' header must be given once."),
        ),
        (good().query("a=2"), MISMATCH.to_owned()),
        (good().authority("pay.test"), MISMATCH.to_owned()),
        (
            good().replace("/vpc-lattice-svcs/", "/us-west-2/vpc-lattice-svcs/"),
            incomplete(
                "Credential must have exactly 4 slash-delimited elements, e.g. keyid/date/service/term, got 'AKIATEST/20261124/us-west-2/vpc-lattice-svcs/aws4_request'.",
            ),
        ),
        (
            good().replace("vpc-lattice-svcs", "s3"),
            invalid("Credential should be scoped to correct service: 'vpc-lattice-svcs'."),
        ),
        (
            good().replace("20261124/", "20261123/"),
            invalid(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261123' != '20261124', from '20261124T120000Z'.",
            ),
        ),
        (good().replace(KEY, "AKIAOTHER"), MISMATCH.to_owned()),
        (
            good().replace(KEY, "AKIANOBODY"),
            "UnrecognizedClientException: The security token included in the request is invalid."
                .to_owned(),
        ),
        (
            good().replace("Signature=30", "Signature=31"),
            MISMATCH.to_owned(),
        ),
        (
            good().replace("Signature=30", "Signature=3A"),
            MISMATCH.to_owned(),
        ),
        // The right signature of the right text, but for the other algorithm.
        (
            good().replace("AWS4-ECDSA-P256-SHA256", "AWS4-HMAC-SHA256"),
            incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIATEST/20261124/vpc-lattice-svcs/aws4_request'.",
            ),
        ),
    ];
    for (sent, expected) in table {
        assert_eq!(sent.outcome(), expected, "{sent:?}");
    }
}

#[test]
fn a_signature_that_is_no_pair_of_numbers_is_refused() {
    let right = signed_for("*").headers["authorization"]
        .to_str()
        .unwrap()
        .to_owned();
    let (before, digits) = right.rsplit_once("Signature=").unwrap();
    let long = format!("{digits}00");
    let zeros = "3006020100020100";
    for digits in [
        "",
        "3",
        "30",
        "3000",
        zeros,
        digits.get(2..).unwrap(),
        &long,
        &"0".repeat(64),
        &"0".repeat(146),
    ] {
        let header = format!("{before}Signature={digits}");
        let sent = signed_for("*").set("authorization", &header);
        assert_eq!(sent.outcome(), MISMATCH, "{digits}");
    }
}

#[test]
fn it_holds_for_five_minutes_either_way() {
    let noon = at(NOON);
    let verify = |now| signed_for("*").verify(&verifier(), now);
    for seconds in [0, 300] {
        let duration = Duration::from_secs(seconds);
        assert_eq!(verify(noon + duration), Ok(OWNER));
        assert_eq!(verify(noon - duration), Ok(OWNER));
    }
    let late = Duration::from_secs(301);
    assert!(matches!(
        verify(noon + late),
        Err(SignatureError::Expired { .. })
    ));
    assert!(matches!(
        verify(noon - late),
        Err(SignatureError::NotYetCurrent { .. })
    ));
}
