//! What is a SPIFFE ID, and what may begin those of one trust domain.

use super::{SpiffeIdError, check, has_whole_domain};

#[test]
fn identities_have_one_spelling() {
    use SpiffeIdError::{Length, Path, Scheme, TrustDomain};

    for (text, outcome) in [
        ("spiffe://shop.test/checkout", Ok(())),
        ("spiffe://shop.test", Ok(())),
        ("spiffe://shop_1.test-2/ns/Pay_1/sa/a.b", Ok(())),
        ("spiffe://a/..b", Ok(())),
        ("https://shop.test/checkout", Err(Scheme)),
        ("SPIFFE://shop.test/checkout", Err(Scheme)),
        ("spiffe:/shop.test", Err(Scheme)),
        ("", Err(Scheme)),
        ("spiffe://", Err(TrustDomain)),
        ("spiffe:///checkout", Err(TrustDomain)),
        ("spiffe://Shop.test/checkout", Err(TrustDomain)),
        ("spiffe://shop.test:8443/checkout", Err(TrustDomain)),
        ("spiffe://me@shop.test/checkout", Err(TrustDomain)),
        ("spiffe://shop.test?x", Err(TrustDomain)),
        ("spiffe://shop.test/", Err(Path)),
        ("spiffe://shop.test/a/", Err(Path)),
        ("spiffe://shop.test//a", Err(Path)),
        ("spiffe://shop.test/a/../b", Err(Path)),
        ("spiffe://shop.test/./b", Err(Path)),
        ("spiffe://shop.test/a%2fb", Err(Path)),
        ("spiffe://shop.test/a?b", Err(Path)),
        ("spiffe://shop.test/a#b", Err(Path)),
        ("spiffe://shop.test/a\0", Err(Path)),
        ("spiffe://shop.test/é", Err(Path)),
    ] {
        assert_eq!(check(text), outcome, "{text}");
    }
    let domain = "d".repeat(255);
    assert_eq!(check(&format!("spiffe://{domain}")), Ok(()));
    assert_eq!(check(&format!("spiffe://{domain}d")), Err(TrustDomain));
    let longest = format!("spiffe://a/{}", "p".repeat(2037));
    assert_eq!(check(&longest), Ok(()));
    assert_eq!(check(&format!("{longest}p")), Err(Length));
}

#[test]
fn a_beginning_names_one_trust_domain() {
    for (prefix, fits) in [
        ("spiffe://shop.test/", true),
        ("spiffe://shop.test/ns/pay", true),
        ("spiffe://shop.test/ns/pay/", true),
        ("spiffe://shop.test", false),
        ("spiffe://shop", false),
        ("spiffe:///", false),
        ("spiffe://", false),
        ("", false),
        ("spiffe://shop.test//", false),
        ("spiffe://shop.test/../", false),
        ("spiffe://shop.test/a b", false),
        ("spiffe://shop.test/*", false),
    ] {
        assert_eq!(has_whole_domain(prefix), fits, "{prefix}");
    }
}
