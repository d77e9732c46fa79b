use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::prelude::*;

use super::{
    Change, CommitError, Condition, MAX_KEY_BYTES, MAX_VALUE_BYTES, Revision, Store, StoreError,
    Transaction, WatchError, Write, embedded::Embedded,
};

const NOW: Duration = Duration::ZERO;

fn put(key: &str, value: &str) -> Write {
    Write {
        key: key.to_owned(),
        value: Some(value.as_bytes().to_vec()),
    }
}

fn remove(key: &str) -> Write {
    Write {
        key: key.to_owned(),
        value: None,
    }
}

fn transaction(conditions: &[Condition], writes: &[Write]) -> Transaction {
    Transaction {
        conditions: conditions.to_vec(),
        writes: writes.to_vec(),
    }
}

fn write(store: &dyn Store, writes: &[Write]) -> Revision {
    store.commit(transaction(&[], writes)).unwrap()
}

fn text(store: &dyn Store, key: &str) -> Option<(String, u64)> {
    let entry = store.get(key).unwrap()?;
    Some((String::from_utf8(entry.value).unwrap(), entry.revision.0))
}

#[test]
fn what_was_written_is_read_with_the_revision_that_wrote_it() {
    let store = Embedded::in_memory().unwrap();
    assert_eq!(write(&store, &[put("a", "1"), put("b", "2")]), Revision(1));
    assert_eq!(write(&store, &[put("a", "3")]), Revision(2));
    assert_eq!(text(&store, "a"), Some(("3".to_owned(), 2)));
    assert_eq!(text(&store, "b"), Some(("2".to_owned(), 1)));
    assert_eq!(text(&store, "c"), None);
    write(&store, &[remove("a")]);
    assert_eq!(text(&store, "a"), None);
}

#[test]
fn a_broken_condition_stops_the_whole_transaction() {
    let store = Embedded::in_memory().unwrap();
    write(&store, &[put("there", "1"), put("list/one", "1")]);
    write(&store, &[put("list/two", "2")]);
    let holds = [
        Condition::Absent("nowhere".to_owned()),
        Condition::WrittenAt("there".to_owned(), Revision(1)),
        Condition::NoneSince("list/".to_owned(), Revision(2)),
        Condition::NoneSince("nothing/".to_owned(), Revision(0)),
    ];
    let broken = [
        Condition::Absent("there".to_owned()),
        Condition::WrittenAt("there".to_owned(), Revision(2)),
        Condition::WrittenAt("nowhere".to_owned(), Revision(1)),
        Condition::NoneSince("list/".to_owned(), Revision(1)),
    ];
    for condition in &broken {
        let mut conditions = holds.to_vec();
        conditions.push(condition.clone());
        let refused = store.commit(transaction(&conditions, &[put("new", "x")]));
        assert!(
            matches!(refused, Err(CommitError::Conflict(_))),
            "{condition:?}"
        );
        assert_eq!(text(&store, "new"), None, "{condition:?}");
    }
    let revision = store
        .commit(transaction(&holds, &[put("new", "x")]))
        .unwrap();
    assert_eq!(revision, Revision(3), "what was refused made no revision");
}

#[test]
fn a_transaction_without_writes_checks_its_conditions_and_makes_no_revision() {
    let store = Embedded::in_memory().unwrap();
    write(&store, &[put("a", "1")]);
    let absent = |key: &str| store.commit(transaction(&[Condition::Absent(key.to_owned())], &[]));
    assert_eq!(absent("b").unwrap(), Revision(1));
    assert!(matches!(absent("a"), Err(CommitError::Conflict(key)) if key == "a"));
}

#[test]
fn ranges_come_in_pages_in_the_order_of_keys() {
    let store = Embedded::in_memory().unwrap();
    for key in ["b/2", "a/1", "b/1", "b0", "b/3", "c"] {
        write(&store, &[put(key, key)]);
    }
    let keys = |prefix, after, limit| -> Vec<String> {
        let range = store.range(prefix, after, limit).unwrap();
        assert_eq!(range.revision, Revision(6));
        range.entries.into_iter().map(|entry| entry.key).collect()
    };
    assert_eq!(keys("b/", None, 10), ["b/1", "b/2", "b/3"]);
    assert_eq!(keys("b/", None, 2), ["b/1", "b/2"]);
    assert_eq!(keys("b/", Some("b/2"), 2), ["b/3"]);
    assert_eq!(keys("b/", Some("a"), 1), ["b/1"], "before the range");
    assert_eq!(keys("", None, 10), ["a/1", "b/1", "b/2", "b/3", "b0", "c"]);
    assert_eq!(keys("d", None, 10), [] as [&str; 0]);
}

#[test]
fn changes_come_in_their_order_until_they_are_forgotten() {
    let store = Embedded::in_memory().unwrap();
    let first = [put("a", "1"), put("b", "1")];
    let second = [remove("a")];
    write(&store, &first);
    write(&store, &second);
    let change = |revision, writes: &[Write]| Change {
        revision: Revision(revision),
        writes: writes.to_vec(),
    };
    let changes = |after| store.changes(Revision(after), NOW);
    assert_eq!(changes(0).unwrap(), [change(1, &first), change(2, &second)]);
    assert_eq!(changes(1).unwrap(), [change(2, &second)]);
    assert_eq!(changes(2).unwrap(), []);
    store.compact(Revision(1)).unwrap();
    assert!(matches!(
        changes(0),
        Err(WatchError::Compacted(Revision(1)))
    ));
    assert_eq!(changes(1).unwrap(), [change(2, &second)]);
    assert_eq!(
        text(&store, "b"),
        Some(("1".to_owned(), 1)),
        "what is there stays"
    );
}

#[test]
fn whoever_waits_for_a_change_gets_it_at_once() {
    let store = Arc::new(Embedded::in_memory().unwrap());
    let waiting = Arc::clone(&store);
    let waiter = std::thread::spawn(move || {
        waiting
            .changes(Revision(0), Duration::from_secs(60))
            .unwrap()
    });
    write(&*store, &[put("a", "1")]);
    assert_eq!(waiter.join().unwrap().len(), 1);
}

#[test]
fn a_store_is_the_same_after_it_was_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let store = Embedded::open(&path).unwrap();
    write(&store, &[put("a", "1")]);
    write(&store, &[put("b", "2"), remove("a")]);
    drop(store);
    let store = Embedded::open(&path).unwrap();
    assert_eq!(text(&store, "a"), None);
    assert_eq!(text(&store, "b"), Some(("2".to_owned(), 2)));
    assert_eq!(store.changes(Revision(0), NOW).unwrap().len(), 2);
    assert_eq!(write(&store, &[put("c", "3")]), Revision(3));
}

#[test]
fn a_store_is_opened_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let _first = Embedded::open(&path).unwrap();
    let second = Embedded::open(&path).unwrap_err();
    assert!(
        matches!(
            second,
            StoreError::Unavailable {
                doing: "opened",
                ..
            }
        ),
        "{second}"
    );
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let garbage = vec![b'x'; 10_000];
    std::fs::write(&path, &garbage).unwrap();
    Embedded::open(&path).unwrap_err();
    assert_eq!(std::fs::read(&path).unwrap(), garbage);
}

#[test]
fn what_is_too_large_is_refused() {
    let store = Embedded::in_memory().unwrap();
    let key = "k".repeat(MAX_KEY_BYTES + 1);
    let value = "v".repeat(MAX_VALUE_BYTES + 1);
    for large in [put(&key, "v"), put("k", &value)] {
        let refused = store.commit(transaction(&[], &[large]));
        let refused = refused.unwrap_err();
        assert!(
            matches!(refused, CommitError::Store(StoreError::TooLarge { .. })),
            "{refused}"
        );
    }
    let (key, value) = ("k".repeat(MAX_KEY_BYTES), "v".repeat(MAX_VALUE_BYTES));
    write(&store, &[put(&key, &value)]);
}

#[test]
fn writers_together_lose_nothing_and_count_every_change_once() {
    let store = Arc::new(Embedded::in_memory().unwrap());
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                for number in 0..50 {
                    write(&*store, &[put(&format!("{writer}/{number}"), "x")]);
                    increment(&*store);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    assert_eq!(text(&*store, "count").unwrap().0, "400");
    assert_eq!(store.range("", None, 1000).unwrap().entries.len(), 401);
}

/// Adds one to a number that others add to.
fn increment(store: &dyn Store) {
    loop {
        let found = text(store, "count");
        let condition = match &found {
            None => Condition::Absent("count".to_owned()),
            Some((_, revision)) => Condition::WrittenAt("count".to_owned(), Revision(*revision)),
        };
        let next: u32 = found.map_or(0, |(number, _)| number.parse().unwrap()) + 1;
        let written = put("count", &next.to_string());
        match store.commit(transaction(&[condition], &[written])) {
            Ok(_) => return,
            Err(CommitError::Conflict(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// The plainest store there is.
#[derive(Debug, Default)]
struct Naive {
    entries: BTreeMap<String, (u64, Vec<u8>)>,
    revision: u64,
}

impl Naive {
    fn commit(&mut self, transaction: &Transaction) -> Option<u64> {
        let holds = transaction
            .conditions
            .iter()
            .all(|condition| match condition {
                Condition::Absent(key) => !self.entries.contains_key(key),
                Condition::WrittenAt(key, revision) => self
                    .entries
                    .get(key)
                    .is_some_and(|(at, _)| *at == revision.0),
                Condition::NoneSince(prefix, revision) => self
                    .entries
                    .iter()
                    .all(|(key, (at, _))| !key.starts_with(prefix.as_str()) || *at <= revision.0),
            });
        if !holds {
            return None;
        }
        if !transaction.writes.is_empty() {
            self.revision += 1;
        }
        for write in &transaction.writes {
            match &write.value {
                Some(value) => {
                    let entry = (self.revision, value.clone());
                    self.entries.insert(write.key.clone(), entry);
                }
                None => {
                    self.entries.remove(&write.key);
                }
            }
        }
        Some(self.revision)
    }
}

fn keys() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "a/b", "a/c", "b", "b/é", "b/\u{10ffff}", ""])
        .prop_map(str::to_owned)
}

fn conditions() -> impl Strategy<Value = Condition> {
    let revision = (0_u64..12).prop_map(Revision);
    prop_oneof![
        keys().prop_map(Condition::Absent),
        (keys(), revision.clone()).prop_map(|(key, at)| Condition::WrittenAt(key, at)),
        (keys(), revision).prop_map(|(prefix, at)| Condition::NoneSince(prefix, at)),
    ]
}

fn transactions() -> impl Strategy<Value = Transaction> {
    let writes = prop::collection::btree_map(keys(), any::<Option<[u8; 2]>>(), 0..4);
    (prop::collection::vec(conditions(), 0..2), writes).prop_map(|(conditions, writes)| {
        Transaction {
            conditions,
            writes: writes
                .into_iter()
                .map(|(key, value)| Write {
                    key,
                    value: value.map(Vec::from),
                })
                .collect(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_store_does_what_the_plainest_one_does(
        transactions in prop::collection::vec(transactions(), 1..12),
        prefix in keys(),
    ) {
        let store = Embedded::in_memory().unwrap();
        let mut naive = Naive::default();
        for transaction in transactions {
            let expected = naive.commit(&transaction);
            match store.commit(transaction) {
                Ok(revision) => prop_assert_eq!(Some(revision.0), expected),
                Err(CommitError::Conflict(_)) => prop_assert_eq!(None, expected),
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
        let range = store.range(&prefix, None, 100).unwrap();
        let found: Vec<_> = range
            .entries
            .into_iter()
            .map(|entry| (entry.key, (entry.revision.0, entry.value)))
            .collect();
        let expected: Vec<_> = naive
            .entries
            .into_iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .collect();
        prop_assert_eq!(found, expected);
        // Whoever replays all changes has everything, too.
        let mut replayed = BTreeMap::new();
        for change in store.changes(Revision(0), NOW).unwrap() {
            for write in change.writes {
                match write.value {
                    Some(value) => replayed.insert(write.key, value),
                    None => replayed.remove(&write.key),
                };
            }
        }
        let all = store.range("", None, 100).unwrap().entries;
        let all: BTreeMap<_, _> = all.into_iter().map(|entry| (entry.key, entry.value)).collect();
        prop_assert_eq!(replayed, all);
    }
}
