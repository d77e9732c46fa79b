use super::*;

/// Lists of letters: a letter is an allocation.
#[track_caller]
fn check(before: &str, after: &str, from: &[Option<usize>], gone: &[usize]) {
    let letters: BTreeMap<char, Arc<char>> = ('a'..='z').map(|c| (c, Arc::new(c))).collect();
    let list =
        |text: &str| -> Vec<Arc<char>> { text.chars().map(|c| letters[&c].clone()).collect() };
    let (before, after) = (list(before), list(after));
    let carried = Carried::between(&before, &after);
    let found: Vec<_> = (0..after.len())
        .map(|position| carried.from(position))
        .collect();
    assert_eq!(found, from);
    assert_eq!(carried.gone().collect::<Vec<_>>(), gone);
    assert_eq!(
        carried.newcomers().collect::<Vec<_>>(),
        (0..after.len())
            .filter(|position| from[*position].is_none())
            .collect::<Vec<_>>()
    );
    let same =
        before.len() == after.len() && before.iter().zip(&after).all(|(a, b)| Arc::ptr_eq(a, b));
    assert_eq!(carried.is_same(), same);
}

#[test]
fn values_are_found_where_they_were() {
    check("", "", &[], &[]);
    check("abc", "abc", &[Some(0), Some(1), Some(2)], &[]);
    check("", "ab", &[None, None], &[]);
    check("ab", "", &[], &[0, 1]);
    // In the place of another.
    check("abc", "axc", &[Some(0), None, Some(2)], &[1]);
    check("abc", "abx", &[Some(0), Some(1), None], &[2]);
    check("abc", "xbc", &[None, Some(1), Some(2)], &[0]);
    // Between others.
    check("abc", "axbc", &[Some(0), None, Some(1), Some(2)], &[]);
    check(
        "abc",
        "xyabc",
        &[None, None, Some(0), Some(1), Some(2)],
        &[],
    );
    check("abc", "abcx", &[Some(0), Some(1), Some(2), None], &[]);
    // Away.
    check("abcd", "acd", &[Some(0), Some(2), Some(3)], &[1]);
    check("abcd", "d", &[Some(3)], &[0, 1, 2]);
    // Elsewhere.
    check("abcd", "dcba", &[Some(3), Some(2), Some(1), Some(0)], &[]);
    check(
        "abcdef",
        "efxab",
        &[Some(4), Some(5), None, Some(0), Some(1)],
        &[2, 3],
    );
}

#[test]
fn a_value_that_is_there_twice_is_carried_once() {
    check("ab", "aab", &[Some(0), None, Some(1)], &[]);
    check("ab", "baa", &[Some(1), Some(0), None], &[]);
}

#[test]
fn places_are_kept_where_values_are_only_replaced() {
    let letters: Vec<Arc<char>> = ('a'..='e').map(Arc::new).collect();
    let kept = |after: &[Arc<char>]| Carried::between(&letters, after).kept_places();
    let mut after = letters.clone();
    assert!(kept(&after));
    after[2] = Arc::new('x');
    assert!(kept(&after) && !Carried::between(&letters, &after).is_same());
    after.swap(0, 1);
    assert!(!kept(&after));
    assert!(!kept(&letters[1..]) && !kept(&letters[..4]));
    assert!(!Carried::nothing(&letters).kept_places());
}

#[test]
fn equal_values_become_shared_wherever_they_stand() {
    let texts = |list: &[&str]| -> Vec<Arc<String>> {
        list.iter()
            .map(|text| Arc::new((*text).to_owned()))
            .collect()
    };
    let before = texts(&["a1", "b1", "c1"]);
    let mut after = texts(&["b1", "a1", "c2", "d1"]);
    // The first letter is the name.
    share(&mut after, &before, |text| text.get(..1).unwrap());
    let shared: Vec<bool> = after
        .iter()
        .map(|text| before.iter().any(|known| Arc::ptr_eq(known, text)))
        .collect();
    assert_eq!(shared, [true, true, false, false]);
    assert_eq!(after, texts(&["b1", "a1", "c2", "d1"]));
}
