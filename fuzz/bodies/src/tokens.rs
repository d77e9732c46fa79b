//! Tokens: of sessions, which only we seal; of identity providers; and the keys that those publish.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};
use trellis_model::config::Secret;
use trellis_policy::{
    jwt::{Issuer, JwtVerifier, KeySet, KeySource},
    session::{Bearer, NONCE_BYTES, SealingKey, SealingKeys, Session},
};

use crate::world::{NOW, READER_ROLE, SECRET, now};

static SEALING: LazyLock<SealingKeys> =
    LazyLock::new(|| SealingKeys::new(vec![SealingKey::new("now", &Secret::new(SECRET)).unwrap()]));

fn session_of(name: &str, policy: &str) -> Session {
    Session {
        access_key_id: "ASIAEXAMPLE".into(),
        secret: Secret::new(SECRET),
        bearer: Bearer::Role {
            arn: READER_ROLE.into(),
            session_name: name.into(),
        },
        tags: BTreeMap::from([("team".to_owned(), name.to_owned())]),
        transitive: BTreeSet::from(["team".to_owned()]),
        source_identity: None,
        federated_provider: None,
        policies: vec![policy.into()],
        issued: now(),
        expires: now() + Duration::from_secs(3600),
    }
}

/// A token, and where to change a sealed one: what we did not seal does not open, what we sealed opens to the same, and with a bit
/// turned it does not open.
pub(crate) fn session(data: &[u8]) {
    static KNOWN: LazyLock<String> = LazyLock::new(|| {
        SEALING
            .seal(&session_of("night", "{}"), [9; NONCE_BYTES])
            .unwrap()
    });
    if let Ok(opened) = SEALING.open(data) {
        assert_eq!(data, KNOWN.as_bytes(), "opened what was not sealed");
        assert!(opened == session_of("night", "{}"));
    }
    // Bytes that base64 takes get past the first look.
    let spelled = SEALING.open(URL_SAFE_NO_PAD.encode(data).as_bytes());
    assert!(spelled.is_err(), "opened what was not sealed");
    let text = String::from_utf8_lossy(data);
    let session = session_of(&text, &text);
    let mut nonce = [0; NONCE_BYTES];
    for (byte, from) in nonce.iter_mut().zip(data) {
        *byte = *from;
    }
    let Ok(token) = SEALING.seal(&session, nonce) else {
        return;
    };
    assert!(
        SEALING.open(token.as_bytes()) == Ok(session),
        "a sealed session differs"
    );
    let place = data.iter().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    let place = place % (token.len() * 8);
    let mut forged = token.into_bytes();
    forged[place / 8] ^= 1 << (place % 8);
    assert!(
        SEALING.open(&forged).is_err(),
        "opened with bit {place} turned"
    );
}

const ISSUER: &str = "https://issuer.test";
const AUDIENCE: &str = "orders";

static JWTS: LazyLock<JwtVerifier> = LazyLock::new(|| {
    let keys = KeySet::secret(SECRET.as_bytes()).unwrap();
    let issuer = Issuer {
        issuer: ISSUER.into(),
        audiences: vec![AUDIENCE.into()],
        keys: KeySource::fixed(keys),
    };
    JwtVerifier::new(vec![issuer], Duration::from_secs(60))
});

fn sign_jwt(text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// A token, and the same bytes as the claims of a token that is signed: what is proven is signed, and says what was signed.
pub(crate) fn jwt(data: &[u8]) {
    let verify = |token: &[u8]| JWTS.verify(token, |_| true, now());
    if verify(data).is_ok() {
        let text = String::from_utf8_lossy(data);
        let (signed, signature) = text.rsplit_once('.').unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.decode(signature),
            Ok(sign_jwt(signed)),
            "proven, but not signed"
        );
    }
    let head = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "typ": "JWT"}).to_string());
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(data));
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(sign_jwt(&signed)));
    let Ok(proven) = verify(token.as_bytes()) else {
        return;
    };
    let claims: Value = serde_json::from_slice(data).unwrap();
    assert_eq!(Value::Object(proven.claims.clone()), claims);
    assert_eq!(claims["iss"], ISSUER);
    let audiences = &claims["aud"];
    let named = |value: &Value| value == AUDIENCE;
    assert!(
        named(audiences)
            || audiences
                .as_array()
                .is_some_and(|all| all.iter().any(named))
    );
    let expires = claims["exp"].as_f64().unwrap();
    assert!(
        expires + 60.0 > std::time::Duration::from_secs(NOW).as_secs_f64(),
        "proven after its end"
    );
}

/// A set of keys: read whole or refused, never more than are there, and the same at the second reading.
pub(crate) fn jwks(data: &[u8]) {
    let Ok(keys) = KeySet::parse(data) else {
        return;
    };
    let set: Value = serde_json::from_slice(data).unwrap();
    let published = set["keys"].as_array().unwrap();
    assert!(
        keys.len() <= published.len(),
        "more keys than were published"
    );
    assert_eq!(KeySet::parse(data).map(|again| again.len()), Ok(keys.len()));
}
