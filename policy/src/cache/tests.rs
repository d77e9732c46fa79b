use super::*;

#[test]
fn a_decision_is_found_by_its_whole_key() {
    let cache = Cache::new(1);
    cache.put(1, b"a", "first");
    cache.put(2, b"a", "second");
    cache.put(1, b"ab", "third");
    assert_eq!(cache.get(1, b"a"), Some("first"));
    assert_eq!(cache.get(2, b"a"), Some("second"));
    assert_eq!(cache.get(1, b"ab"), Some("third"));
    assert_eq!(cache.get(2, b"ab"), None);
    assert_eq!(cache.get(1, b""), None);
}

#[test]
fn lookups_are_counted_over_all_sets() {
    let cache = Cache::new(4);
    for number in 0_u32..20 {
        assert_eq!(cache.get(1, &number.to_be_bytes()), None);
        cache.put(1, &number.to_be_bytes(), number);
        assert_eq!(cache.get(1, &number.to_be_bytes()), Some(number));
    }
    let lookups = Lookups {
        hits: 20,
        misses: 20,
    };
    assert_eq!(cache.lookups(), lookups);
}

#[test]
fn a_collision_of_hashes_is_not_a_hit() {
    let cache = Cache::new(1);
    cache.put(1, b"a", "first");
    let (hash, _) = cache.find(1, b"b");
    cache.sets[0].lock().entries[0].hash = hash;
    assert_eq!(cache.get(1, b"b"), None);
}

#[test]
fn the_number_of_entries_and_their_size_are_bounded() {
    let cache = Cache::new(4);
    for number in 0_u32..10_000 {
        cache.put(1, &number.to_be_bytes(), number);
    }
    let entries: usize = cache.sets.iter().map(|set| set.lock().entries.len()).sum();
    assert_eq!(entries, 4 * WAYS);
    let long = vec![0; MAX_KEY + 1];
    cache.put(1, &long, 0);
    assert_eq!(cache.get(1, &long), None);
}
