use proptest::prelude::*;

use super::*;

/// The definition, letter by letter, with no thought of speed.
fn naive(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), None) => naive(rest, text),
        (Some(('*', rest)), Some((_, tail))) => naive(rest, text) || naive(pattern, tail),
        (Some(('?', rest)), Some((_, tail))) => naive(rest, tail),
        (Some((c, rest)), Some((d, tail))) => c == d && naive(rest, tail),
        _ => false,
    }
}

proptest! {
    #[test]
    fn agrees_with_the_definition(pattern in "[ab/é*?]{0,8}", text in "[ab/éß]{0,8}") {
        let parts: Vec<char> = pattern.chars().collect();
        let chars: Vec<char> = text.chars().collect();
        prop_assert_eq!(Pattern::parse(&pattern).matches(&text), naive(&parts, &chars));
    }

    #[test]
    fn what_is_known_from_the_beginning_holds_for_every_rest(
        pattern in "[ab/*?]{0,6}", beginning in "[ab/]{0,4}", rest in "[ab/é]{0,4}",
    ) {
        let pattern = Pattern::parse(&pattern);
        let matches = pattern.matches(&format!("{beginning}{rest}"));
        match pattern.reach(&beginning) {
            Reach::Always => prop_assert!(matches),
            Reach::Never => prop_assert!(!matches),
            Reach::Depends => {}
        }
    }
}

#[test]
fn many_stars_over_a_long_text_end_soon() {
    let pattern = Pattern::parse(&"*a".repeat(200));
    assert!(!pattern.matches(&"b".repeat(60_000)));
    assert!(!pattern.matches(&format!("{}b", "a".repeat(60_000))));
}

#[test]
fn a_known_service_decides_most_resources() {
    let arn = "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-01/";
    for (pattern, expected) in [
        ("*", Reach::Always),
        (
            "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-01/*",
            Reach::Always,
        ),
        (
            "arn:aws:vpc-lattice:*:111122223333:service/*",
            Reach::Always,
        ),
        ("*/*", Reach::Always),
        (
            "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-02/*",
            Reach::Never,
        ),
        ("arn:aws:s3:::bucket/*", Reach::Never),
        ("*/rates", Reach::Depends),
        (
            "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-0?/rates",
            Reach::Depends,
        ),
        (
            "arn:aws:vpc-lattice:us-west-2:111122223333:service/svc-01",
            Reach::Never,
        ),
    ] {
        assert_eq!(Pattern::parse(pattern).reach(arn), expected, "{pattern}");
    }
}
