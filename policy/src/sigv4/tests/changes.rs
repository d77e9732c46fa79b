//! A signature holds for one request, one key, one region and five minutes.

use super::*;

#[test]
fn a_signed_request_in_which_any_bit_is_changed_is_refused() {
    let good = good();
    assert_eq!(good.outcome(), "owner");
    let mut changed = 0;
    let mut refuse = |change: &dyn Fn(&mut Sent, u8) -> bool| {
        for bit in 0..8 {
            let mut sent = good.clone();
            if change(&mut sent, 1 << bit) {
                assert_ne!(sent.outcome(), "owner", "{sent:?}");
                changed += 1;
            }
        }
    };
    for at in 0..good.path.len() {
        refuse(&|sent, bit| {
            sent.path[at] ^= bit;
            true
        });
    }
    for at in 0..good.query.as_ref().unwrap().len() {
        refuse(&|sent, bit| {
            sent.query.as_mut().unwrap()[at] ^= bit;
            true
        });
    }
    for at in 0..good.authority.len() {
        refuse(&|sent, bit| {
            sent.authority[at] ^= bit;
            true
        });
    }
    for name in good.headers.keys() {
        for at in 0..good.headers[name].len() {
            refuse(&|sent, bit| {
                let mut value = sent.headers[name].as_bytes().to_vec();
                value[at] ^= bit;
                // What HTTP cannot carry cannot arrive. A comma and a blank between the parameters are only punctuation.
                let Ok(value) = HeaderValue::from_bytes(&value) else {
                    return false;
                };
                sent.headers.insert(name, value);
                true
            });
        }
    }
    for method in ["get", "GEU", "HEAD", "GE", "GETT", ""] {
        let sent = Sent {
            method: method.to_owned(),
            ..good.clone()
        };
        assert_eq!(sent.outcome(), MISMATCH, "{method}");
    }
    assert!(changed > 1_500, "{changed}");
}

#[test]
fn another_secret_region_service_or_day_in_the_key_does_not_sign_for_this_gateway() {
    let text = plain("GET", "/", "");
    let header = |key, secret, scope, date| authorization(key, secret, scope, date, SIGNED, &text);
    let table = [
        (header(KEY, SECRET, SCOPE, NOON), "owner"),
        (header(KEY, "the secret of the tesu", SCOPE, NOON), MISMATCH),
        (header("AKIAOTHER", SECRET, SCOPE, NOON), MISMATCH),
        // Made for another region, day or service, and relabelled.
        (
            header(
                KEY,
                SECRET,
                "20261124/us-east-1/vpc-lattice-svcs/aws4_request",
                NOON,
            )
            .replace("us-east-1", "us-west-2"),
            MISMATCH,
        ),
        (
            header(
                KEY,
                SECRET,
                "20261124/us-west-2/vpc-lattice/aws4_request",
                NOON,
            )
            .replace("vpc-lattice/", "vpc-lattice-svcs/"),
            MISMATCH,
        ),
        (header(KEY, SECRET, SCOPE, "20261123T120000Z"), MISMATCH),
    ];
    for (header, expected) in table {
        let sent = Sent::new("GET /").set("authorization", &header);
        assert_eq!(sent.outcome(), expected, "{header}");
    }
}

#[test]
fn a_signature_holds_for_five_minutes_either_way() {
    let noon = at(NOON);
    let seconds = |seconds| Duration::from_secs(seconds);
    let good = good();
    let text = |now| {
        good.verify(&verifier(), now)
            .map_err(|error| error.public_text())
    };
    for (now, expected) in [
        (noon, Ok(OWNER)),
        (noon + seconds(300), Ok(OWNER)),
        (noon - seconds(300), Ok(OWNER)),
        (
            noon + seconds(301),
            Err(
                "InvalidSignatureException: Signature expired: 20261124T120000Z is now earlier than 20261124T120001Z (20261124T120501Z - 5 min.)",
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
    assert!(text(SystemTime::UNIX_EPOCH).is_err());
    assert!(text(SystemTime::UNIX_EPOCH - seconds(10)).is_err());
    assert!(text(noon + seconds(86_400 * 365 * 200)).is_err());
}

#[test]
fn neither_text_of_an_error_shows_a_secret_or_the_right_signature() {
    let right = good().headers["authorization"].to_str().unwrap().to_owned();
    let signature = right.rsplit('=').next().unwrap();
    let wrong = good().replace("Signature=", "Signature=0");
    let wrong = wrong.verify(&verifier(), at(NOON)).unwrap_err();
    let changed = Sent {
        path: b"/other".to_vec(),
        ..good()
    };
    let changed = changed.verify(&verifier(), at(NOON)).unwrap_err();
    for text in [
        wrong.public_text(),
        wrong.to_string(),
        changed.public_text(),
        changed.to_string(),
        format!("{changed:?}"),
        format!("{:?}", verifier()),
    ] {
        assert!(
            !text.contains(SECRET) && !text.contains(signature),
            "{text}"
        );
    }
}

#[test]
fn signing_keys_of_both_days_around_midnight_are_remembered_and_stay_apart() {
    let verifier = verifier();
    let sign = |date: &str| {
        let (day, _) = date.split_once('T').unwrap();
        let scope = format!("{day}/us-west-2/vpc-lattice-svcs/aws4_request");
        let text = plain("GET", "/", "").replace(NOON, date);
        let header = authorization(KEY, SECRET, &scope, date, SIGNED, &text);
        Sent::new("GET /")
            .set("x-amz-date", date)
            .set("authorization", &header)
    };
    let (before, after) = ("20261124T235959Z", "20261125T000001Z");
    for _ in 0..2 {
        for date in [before, after] {
            assert_eq!(sign(date).verify(&verifier, at(after)).unwrap(), OWNER);
        }
    }
    // Two days later the same slot holds another day's key.
    let later = "20261126T235959Z";
    assert_eq!(sign(later).verify(&verifier, at(later)).unwrap(), OWNER);
    assert_eq!(sign(before).verify(&verifier, at(before)).unwrap(), OWNER);
}
