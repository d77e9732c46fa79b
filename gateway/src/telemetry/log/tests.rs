//! Which filters are taken at run time.

use super::control::check;

#[test]
fn filters_are_taken_or_refused_with_a_reason() {
    let long = format!("info,{}", "a".repeat(1024));
    for (filter, refused) in [
        ("debug", None),
        ("info,trellis_gateway::proxy=debug", None),
        ("off", None),
        ("verbose", Some("is not a level of the log")),
        ("trellis_gateway=loud", Some("is not understood")),
        (
            "info,[request{id=\"(a+)+$\"}]=trace",
            Some("by span or field"),
        ),
        (&*long, Some("more than 1024 bytes")),
    ] {
        let said = check(filter).err().map(|error| error.to_string());
        match (refused, said) {
            (None, None) => {}
            (Some(part), Some(said)) => assert!(said.contains(part), "{filter}: {said}"),
            (wanted, said) => panic!("{filter}: {said:?} instead of {wanted:?}"),
        }
    }
}
