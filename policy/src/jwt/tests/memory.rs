//! What is remembered of tokens, and of whom they are.

use super::*;

#[test]
fn a_token_is_remembered_as_long_as_it_holds_and_its_keys_do() {
    let (old, new) = (Signer::p256(), Signer::p256());
    let keys = source(set(&[old.published("old")]));
    let verifier = JwtVerifier::new(vec![issuer(ISSUER, keys.clone())], SKEW);
    let token = old.token(
        &json!({"alg": "ES256", "kid": "old"}),
        &claims().to_string(),
    );
    let verify = |unix| verifier.verify(token.as_bytes(), |_| true, at(unix));
    let first = verify(NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &verify(NOW + 1).unwrap()));
    // To the second of its end it is remembered; then the clock's leeway is asked for each time; then it is over.
    assert!(Arc::ptr_eq(&first, &verify(NOW + 599).unwrap()));
    assert!(!Arc::ptr_eq(&first, &verify(NOW + 600).unwrap()));
    assert!(verify(NOW + 659).is_ok());
    assert!(matches!(verify(NOW + 660), Err(JwtError::Expired { .. })));
    // The same key in a new set: verified again, and good. The key gone: refused, although it was remembered.
    keys.store(set(&[old.published("old"), new.published("new")]));
    let second = verify(NOW).unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(Arc::ptr_eq(&second, &verify(NOW).unwrap()));
    keys.store(set(&[new.published("new")]));
    assert!(matches!(verify(NOW), Err(JwtError::UnknownKey { .. })));
    let unread = JwtVerifier::new(vec![issuer(ISSUER, KeySource::default())], SKEW);
    let outcome = unread.verify(token.as_bytes(), |_| true, at(NOW));
    assert!(matches!(outcome, Err(JwtError::NoKeys { .. })));
}

#[test]
fn issuers_do_not_speak_for_each_other() {
    let (one, other) = (Signer::p256(), Signer::p256());
    let issuers = vec![
        issuer(ISSUER, source(set(&[one.published("k")]))),
        issuer(OTHER_ISSUER, source(set(&[other.published("k")]))),
    ];
    let verifier = JwtVerifier::new(issuers, SKEW);
    let header = json!({"alg": "ES256", "kid": "k"});
    let token = |signer: &Signer, from: &str| signer.token(&header, &with(&json!({"iss": from})));
    let verify = |text: &str, allowed: usize| {
        let result = verifier.verify(text.as_bytes(), |index| index.0 == allowed, at(NOW));
        result.map(|verified| verified.issuer.0)
    };
    assert_eq!(verify(&token(&one, ISSUER), 0), Ok(0));
    assert_eq!(verify(&token(&other, OTHER_ISSUER), 1), Ok(1));
    assert_eq!(
        verify(&token(&one, OTHER_ISSUER), 1),
        Err(JwtError::Signature)
    );
    assert_eq!(verify(&token(&other, ISSUER), 0), Err(JwtError::Signature));
    // A genuine token of an issuer that the caller may not use, remembered or not.
    let genuine = token(&one, ISSUER);
    assert_eq!(verify(&genuine, 0), Ok(0));
    assert!(matches!(
        verify(&genuine, 1),
        Err(JwtError::UnknownIssuer { .. })
    ));
    assert!(JwtVerifier::new(Vec::new(), SKEW).is_empty());
}
