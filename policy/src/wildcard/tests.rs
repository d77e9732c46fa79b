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
        let pattern = Pattern::parse(&pattern);
        prop_assert_eq!(pattern.matches(&text), naive(&parts, &chars));
    }

    /// Together, however long the text is: each alone is right, by the test above.
    #[test]
    fn patterns_tried_together_fit_as_each_alone(
        patterns in prop::collection::vec("[ab/é*?]{0,12}", 0..40),
        long in "[ab?é]{60,140}", text in "[ab/éß]{0,12}", unit in "[ab/éß]{1,3}", times in 0_usize..90,
    ) {
        let long = format!("*{long}*");
        let patterns: Vec<Pattern> = patterns.iter().chain([&long]).map(|one| Pattern::parse(one)).collect();
        let all: Vec<&Pattern> = patterns.iter().collect();
        for text in [text.clone(), unit.repeat(times), format!("{text}{}{text}", unit.repeat(times))] {
            let alone: Vec<bool> = patterns.iter().map(|one| one.matches(&text)).collect();
            prop_assert_eq!(crowd::fitting(&all, text.as_bytes()), alone);
        }
    }

    #[test]
    fn many_patterns_on_a_long_text_fit_as_each_alone(
        patterns in prop::collection::vec("[ab*?]{0,6}", 40..60), unit in "[abé]{1,5}", long in "[ab*?]{60,90}",
    ) {
        let patterns = [patterns, vec![long, format!("*{}*", unit.repeat(30))]].concat();
        let text = unit.repeat(2_000);
        let patterns: Vec<Pattern> = patterns.iter().map(|one| Pattern::parse(one)).collect();
        prop_assert!(!are_few(patterns.len(), &text));
        let alone: Vec<bool> = patterns.iter().map(|one| one.matches(&text)).collect();
        prop_assert_eq!(any_fits(&patterns, &text), alone.contains(&true));
        prop_assert_eq!(fitting(patterns.iter(), &text), alone);
    }

    #[test]
    fn what_is_rare_in_a_segment_does_not_change_where_it_is_found(
        unit in "[a/x0]{1,4}", times in 0_usize..60, end in "[a/x0]{0,4}", needle in "[a/x0]{1,9}",
    ) {
        let text = format!("{}{end}", unit.repeat(times));
        prop_assert_eq!(Pattern::parse(&format!("*{needle}*")).matches(&text), text.contains(&needle));
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

/// One long segment with `?`, where the search needs several words.
fn long_segment() -> impl Strategy<Value = String> {
    ("[ab?é]{0,3}", 20_usize..60, "[ab?]{0,3}")
        .prop_map(|(unit, times, end)| format!("*{}{end}*", unit.repeat(times)))
}

proptest! {
    #[test]
    fn long_segments_agree_with_the_table_of_all_prefixes(
        pattern in long_segment(), unit in "[abé]{1,3}", times in 0_usize..120, around in "[abé]{0,3}",
    ) {
        let text = format!("{around}{}{around}", unit.repeat(times));
        prop_assert_eq!(Pattern::parse(&pattern).matches(&text), table(&pattern, &text));
    }

    #[test]
    fn the_steps_of_a_pattern_make_the_same_pattern(pattern in "[aé*?]{0,8}") {
        let pattern = Pattern::parse(&pattern);
        prop_assert_eq!(Pattern::new(pattern.parts()), pattern);
    }
}

/// Does a text fit a pattern? By the table of all prefixes, which takes the product of both lengths, whatever they are.
fn table(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for step in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        next[0] = step == '*' && fits[0];
        for at in 0..text.len() {
            next[at + 1] = match step {
                '*' => fits[at + 1] || next[at],
                '?' => fits[at],
                c => text[at] == c && fits[at],
            };
        }
        fits = next;
    }
    fits[text.len()]
}

/// The largest policy against the largest path, a thousand times each: a search that goes back would take days.
#[test]
fn hostile_pairs_end_soon() {
    let text = "a".repeat(60_000);
    for (pattern, expected) in [
        ("*a".repeat(5_000), true),
        (format!("{}b", "*a".repeat(5_000)), false),
        (format!("*{}b*", "a".repeat(10_000)), false),
        (
            format!("*{}b{}*", "a".repeat(5_000), "a".repeat(5_000)),
            false,
        ),
        (format!("*{}b*", "*a?".repeat(3_000)), false),
        (format!("{}b", "?*".repeat(5_000)), false),
        (format!("*?{}b*", "a".repeat(60)), false),
    ] {
        let pattern = Pattern::parse(&pattern);
        for _ in 0..1_000 / 50 {
            assert_eq!(pattern.matches(&text), expected);
        }
    }
    // Two thousand characters with `?` are one segment of 32 words.
    let long = Pattern::parse(&format!("*{}b*", "a?".repeat(1_000)));
    assert!(!long.matches(&text));
    assert!(long.matches(&format!("{text}b{text}")));
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
