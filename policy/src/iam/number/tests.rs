use super::*;

#[test]
fn numbers_are_ordered_by_value() {
    let ascending = [
        "-12",
        "-9.5",
        "-9.05",
        "-0.1",
        "0",
        "0.09",
        "0.1",
        "1",
        "9",
        "10",
        "10.001",
        "12345678901234567890",
        "99999999999999999999999999999999999999999999999999999999999999999999999999999999",
    ];
    for (i, a) in ascending.iter().enumerate() {
        for (j, b) in ascending.iter().enumerate() {
            let order = Number::parse(a).unwrap().cmp(&Number::parse(b).unwrap());
            assert_eq!(order, i.cmp(&j), "{a} {b}");
        }
    }
}

#[test]
fn different_spellings_of_a_number_are_equal() {
    for (a, b) in [
        ("007", "7"),
        ("+7", "7"),
        ("7.50", "7.5"),
        ("-0", "0"),
        ("0.0", "0"),
    ] {
        assert_eq!(Number::parse(a), Number::parse(b), "{a} {b}");
    }
}

#[test]
fn what_is_not_a_number_is_none() {
    for text in ["", "-", ".", "1.", ".5", "1e3", "0x1", " 1", "١"] {
        assert_eq!(Number::parse(text), None, "{text}");
    }
}
