//! Spools: what is in them after crashes, damage and full disks.

use std::{collections::VecDeque, fs, os::unix::fs::symlink};

use proptest::prelude::*;
use tempfile::TempDir;
use trellis_model::{
    arn::Arn,
    config::{Delivery, LogDestination, LogShape, LoggedResource, SpoolSettings},
    id::{AccessLogSubscriptionId, ServiceNetworkId},
    problem::Place,
};

use super::{
    frame::{FRAME, HEADER_SIZE},
    reader::{Bounds, Reader},
    root::SpoolError,
    *,
};

const KEEP: Duration = Duration::from_secs(3600);

fn subscription(when_full: WhenFull, spool_bytes: u64) -> AccessLogSubscription {
    let (account, region) = (
        "111122223333".parse().unwrap(),
        "us-west-2".parse().unwrap(),
    );
    AccessLogSubscription {
        id: AccessLogSubscriptionId::derive(&account, &region, &["spooled"]),
        arn: Arn::lattice(
            &account,
            &region,
            format_args!("accesslogsubscription/als-0"),
        ),
        resource: LoggedResource::ServiceNetwork(ServiceNetworkId::derive(
            &account,
            &region,
            &["n"],
        )),
        account,
        destination: LogDestination::Stdout,
        shape: LogShape::default(),
        delivery: Delivery {
            when_full,
            spool_bytes,
            ..Delivery::default()
        },
        place: Place::default(),
    }
}

/// A folder of spools with one subscription in it.
struct Bench {
    folder: TempDir,
    subscription: AccessLogSubscription,
    settings: SpoolSettings,
}

impl Bench {
    fn new(when_full: WhenFull, spool_bytes: u64) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            subscription: subscription(when_full, spool_bytes),
            settings: SpoolSettings {
                bytes: 1 << 30,
                sync: Duration::ZERO,
                keep: KEEP,
                dead_letter_bytes: 1 << 20,
            },
        }
    }

    fn root(&self) -> Arc<Root> {
        Arc::new(Root::open(self.folder.path().join("spool"), self.settings.clone()).unwrap())
    }

    /// The spool, opened anew, and how many bytes of it were torn.
    fn open(&self) -> (Spool, u64) {
        Spool::open(&self.root(), &self.subscription).unwrap()
    }

    /// The files of its segments, in order.
    fn segments(&self) -> Vec<PathBuf> {
        let folder = self
            .folder
            .path()
            .join("spool")
            .join(self.subscription.id.to_string());
        let numbers = log::segment_numbers(&folder).unwrap();
        numbers
            .into_iter()
            .map(|number| log::path(&folder, number))
            .collect()
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Appends and writes these records, each in a write of its own.
fn put(spool: &Spool, records: &[&str]) -> Spooled {
    let mut done = Spooled::default();
    for record in records {
        let dropped = spool.append(format!("{record}\n").as_bytes(), at(1));
        let one = spool.write(at(1));
        done.records += one.records;
        done.dropped += one.dropped + dropped;
        done.error = done.error.or(one.error);
    }
    done
}

/// Everything that was not acknowledged.
fn rest(spool: &Spool) -> Vec<String> {
    let mut reader = Reader::at(spool.acknowledged());
    let batch = reader.next(spool, &Bounds::bytes(usize::MAX)).unwrap();
    batch
        .items()
        .map(|item| String::from_utf8(item.record.to_vec()).unwrap())
        .collect()
}

/// Acknowledges the first so many records.
fn acknowledge(spool: &Spool, records: usize, now: SystemTime) {
    if records == 0 {
        return;
    }
    let mut reader = Reader::at(spool.acknowledged());
    let bounds = Bounds {
        records,
        ..Bounds::bytes(usize::MAX)
    };
    let batch = reader.next(spool, &bounds).unwrap();
    assert_eq!(batch.len(), records);
    spool.acknowledge(batch.end, now).unwrap();
}

#[test]
fn records_come_out_as_they_went_in_also_after_a_restart() {
    let bench = Bench::new(WhenFull::DropOldest, 64 << 20);
    let (spool, torn) = bench.open();
    assert_eq!(torn, 0);
    put(&spool, &["a", "", "c"]);
    assert_eq!(rest(&spool), ["a", "", "c"]);
    acknowledge(&spool, 1, at(2));
    assert_eq!(rest(&spool), ["", "c"]);
    drop(spool);
    let (spool, torn) = bench.open();
    assert_eq!(
        (torn, rest(&spool)),
        (0, vec![String::new(), "c".to_owned()])
    );
    put(&spool, &["d"]);
    acknowledge(&spool, 3, at(2));
    drop(spool);
    let (spool, _) = bench.open();
    assert!(rest(&spool).is_empty());
    put(&spool, &["e"]);
    assert_eq!(rest(&spool), ["e"]);
}

#[test]
fn a_tail_that_is_torn_anywhere_costs_the_torn_record_and_no_other() {
    let bench = Bench::new(WhenFull::DropOldest, 64 << 20);
    let (spool, _) = bench.open();
    put(&spool, &["first", "second", "third"]);
    drop(spool);
    let file = bench.segments().pop().unwrap();
    let whole = fs::read(&file).unwrap();
    let frame = FRAME + "third".len();
    for cut in 1..=frame {
        fs::write(&file, &whole[..whole.len() - cut]).unwrap();
        let (spool, torn) = bench.open();
        assert_eq!(torn, (frame - cut) as u64, "cut by {cut}");
        assert_eq!(rest(&spool), ["first", "second"]);
        put(&spool, &["fourth"]);
        assert_eq!(rest(&spool), ["first", "second", "fourth"]);
        drop(spool);
        for file in bench.segments() {
            fs::remove_file(file).unwrap();
        }
    }
    // Not cut but overwritten.
    let mut spoiled = whole.clone();
    *spoiled.last_mut().unwrap() ^= 1;
    fs::write(&file, &spoiled).unwrap();
    let (spool, torn) = bench.open();
    assert_eq!((torn, rest(&spool).len()), (frame as u64, 2));
}

#[test]
fn damage_in_the_middle_costs_the_rest_of_its_segment_and_is_counted() {
    let bench = Bench::new(WhenFull::DropOldest, 64 << 20);
    let (spool, _) = bench.open();
    put(&spool, &["first", "second", "third"]);
    drop(spool);
    let (spool, _) = bench.open();
    put(&spool, &["fourth"]);
    let file = &bench.segments()[0];
    let mut bytes = fs::read(file).unwrap();
    let second = HEADER_SIZE + FRAME + "first".len() + FRAME;
    bytes[second] ^= 0x20;
    fs::write(file, bytes).unwrap();
    let mut reader = Reader::at(spool.acknowledged());
    let batch = reader.next(&spool, &Bounds::bytes(usize::MAX)).unwrap();
    let found: Vec<_> = batch
        .items()
        .map(|item| (item.number, item.record))
        .collect();
    assert_eq!(found, [(0, &b"first"[..]), (3, b"fourth")]);
    assert_eq!(reader.take_damaged(), 2);
}

#[test]
fn a_cursor_that_is_lost_or_ahead_loses_nothing_that_is_there() {
    let bench = Bench::new(WhenFull::DropOldest, 64 << 20);
    let cursor = |bench: &Bench| bench.segments()[0].with_file_name("cursor");
    let (spool, _) = bench.open();
    put(&spool, &["a", "b", "c"]);
    acknowledge(&spool, 2, at(2));
    drop(spool);
    fs::remove_file(cursor(&bench)).unwrap();
    let (spool, _) = bench.open();
    assert_eq!(
        rest(&spool),
        ["a", "b", "c"],
        "shipped twice rather than not at all"
    );
    acknowledge(&spool, 2, at(2));
    drop(spool);
    // The write of one place was cut short: the other one counts.
    let mut bytes = fs::read(cursor(&bench)).unwrap();
    for place in [0, 32] {
        let mut spoiled = bytes.clone();
        spoiled[place] ^= 0xff;
        fs::write(cursor(&bench), &spoiled).unwrap();
        let (spool, _) = bench.open();
        assert!(rest(&spool).ends_with(&["c".to_owned()]));
    }
    // Power was lost, and with it records that had been shipped: their numbers do not come again.
    fs::write(cursor(&bench), &bytes).unwrap();
    let file = bench.segments().pop().unwrap();
    bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..HEADER_SIZE]).unwrap();
    let (spool, _) = bench.open();
    assert!(rest(&spool).is_empty());
    assert_eq!(spool.next_number(), 2);
    put(&spool, &["d"]);
    assert_eq!(rest(&spool), ["d"]);
}

#[test]
fn two_gateways_do_not_share_a_spool() {
    let bench = Bench::new(WhenFull::DropOldest, 64 << 20);
    let first = bench.root();
    let folder = bench.folder.path().join("spool");
    let second = Root::open(folder.clone(), bench.settings.clone());
    let Err(error @ SpoolError::InUse { .. }) = second else {
        panic!("{second:?}");
    };
    let wanted = format!(
        "`{}` is in use by another gateway, process {}",
        folder.display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), wanted);
    drop(first);
    Root::open(folder, bench.settings.clone()).unwrap();
}

/// Fills a spool of 1 MiB with records of 1 KiB.
#[track_caller]
fn overfill(when_full: WhenFull) -> (Bench, Spool, Spooled) {
    let bench = Bench::new(when_full, 1 << 20);
    let (spool, _) = bench.open();
    let record = "x".repeat(1020 - FRAME);
    let records: Vec<String> = (0..1200)
        .map(|number| format!("{number:04}{record}"))
        .collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let done = put(&spool, &records);
    assert!(done.error.is_none());
    let on_disk: u64 = bench
        .segments()
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum();
    assert!(on_disk <= 1 << 20, "{on_disk} bytes");
    (bench, spool, done)
}

#[test]
fn a_full_spool_drops_its_oldest_records_and_counts_them() {
    let (_bench, spool, done) = overfill(WhenFull::DropOldest);
    let left = rest(&spool);
    assert!(left.last().unwrap().starts_with("1199"));
    assert_eq!(done.dropped + left.len() as u64, 1200);
    assert_eq!(
        done.dropped,
        spool.tally.dropped_oldest.load(Ordering::Relaxed)
    );
    let first: u64 = left[0].split('x').next().unwrap().parse().unwrap();
    assert_eq!(first, done.dropped, "the oldest went, without a gap");
}

#[test]
fn a_full_spool_drops_new_records_and_counts_them() {
    for policy in [WhenFull::DropNew, WhenFull::Refuse, WhenFull::Block(KEEP)] {
        let (_bench, spool, done) = overfill(policy);
        let left = rest(&spool);
        assert!(left[0].starts_with("0000"));
        assert_eq!(done.dropped + left.len() as u64, 1200);
        assert_eq!(
            done.dropped,
            spool.tally.dropped_newest.load(Ordering::Relaxed)
        );
        assert!(!spool.accepts());
        // Shipped records make room, and requests are welcome again.
        acknowledge(&spool, left.len(), at(2));
        assert!(spool.accepts());
        assert_eq!(put(&spool, &["new"]).dropped, 0);
    }
}

#[test]
fn requests_are_refused_while_there_is_room_for_those_under_way() {
    let bench = Bench::new(WhenFull::Refuse, 1 << 20);
    let (spool, _) = bench.open();
    let record = "x".repeat(1024);
    let mut records = 0;
    while spool.accepts() {
        assert_eq!(put(&spool, &[&record]).dropped, 0);
        records += 1;
    }
    assert!((900..1000).contains(&records), "{records}");
    let under_way: u64 = (0..40).map(|_| put(&spool, &[&record]).dropped).sum();
    assert_eq!(under_way, 0);
}

#[test]
fn the_budget_of_all_spools_bounds_each() {
    let mut bench = Bench::new(WhenFull::DropNew, 1 << 20);
    bench.settings.bytes = 64 << 10;
    let (spool, _) = bench.open();
    let record = "x".repeat(1000);
    while put(&spool, &[&record]).dropped == 0 {}
    let on_disk: u64 = bench
        .segments()
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum();
    assert!((50 << 10..=64 << 10).contains(&on_disk), "{on_disk}");
    assert!(!spool.accepts());
}

#[test]
fn shipped_records_stay_for_a_while_and_then_go() {
    let bench = Bench::new(WhenFull::DropOldest, 1 << 20);
    let (spool, _) = bench.open();
    let record = "x".repeat(1000);
    for _ in 0..300 {
        put(&spool, &[&record]);
    }
    let before = bench.segments().len();
    assert!(before > 2);
    acknowledge(&spool, 300, at(2));
    assert_eq!(bench.segments().len(), before);
    spool.trim(at(1) + KEEP - Duration::from_secs(1));
    assert_eq!(bench.segments().len(), before);
    spool.trim(at(1) + KEEP);
    assert_eq!(bench.segments().len(), 0);
    put(&spool, &["on"]);
    assert_eq!(rest(&spool), ["on"]);
}

#[test]
fn records_wait_in_memory_for_a_disk_that_is_full() {
    let bench = Bench::new(WhenFull::Refuse, 64 << 20);
    let (spool, _) = bench.open();
    // The segment that is made next is a device without room.
    let folder = bench
        .folder
        .path()
        .join("spool")
        .join(bench.subscription.id.to_string());
    symlink("/dev/full", log::path(&folder, 0)).unwrap();
    let done = put(&spool, &["waits"]);
    assert_eq!(done.error.unwrap().kind(), io::ErrorKind::StorageFull);
    assert_eq!((done.records, done.dropped), (0, 0));
    assert!(spool.is_waiting() && spool.is_failing() && !spool.accepts());
    let done = put(&spool, &["comes"]);
    assert!(done.error.is_none());
    assert!(!spool.is_waiting() && !spool.is_failing() && spool.accepts());
    assert_eq!(rest(&spool), ["waits", "comes"]);
}

#[test]
fn memory_for_a_failing_disk_is_bounded() {
    let bench = Bench::new(WhenFull::DropNew, 64 << 20);
    let (spool, _) = bench.open();
    let folder = bench
        .folder
        .path()
        .join("spool")
        .join(bench.subscription.id.to_string());
    fs::remove_dir_all(&folder).unwrap();
    let record = "x".repeat(100 << 10);
    let dropped: u64 = (0..200).map(|_| put(&spool, &[&record]).dropped).sum();
    assert!(dropped > 100, "{dropped}");
    fs::create_dir(&folder).unwrap();
    put(&spool, &["after"]);
    assert_eq!(rest(&spool).len() as u64, 201 - dropped);
}

#[test]
fn dead_letters_are_kept_bounded_and_counted() {
    let bench = Bench::new(WhenFull::DropOldest, 64 << 20);
    let (spool, _) = bench.open();
    let record = "x".repeat(1000);
    let mut reader = Reader::at(spool.acknowledged());
    for number in 0..2000_u64 {
        put(&spool, &[&record]);
        let batch = reader.next(&spool, &Bounds::bytes(usize::MAX)).unwrap();
        spool.bury(&batch, |it| it == number, at(1));
    }
    let dead = bench
        .folder
        .path()
        .join("spool")
        .join(bench.subscription.id.to_string())
        .join("dead");
    let bytes: u64 = fs::read_dir(dead)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!((800 << 10..=1 << 20).contains(&bytes), "{bytes}");
    assert_eq!(spool.tally.dead.load(Ordering::Relaxed), 2000);
    let kept = 2000 - spool.tally.dead_dropped.load(Ordering::Relaxed);
    assert!((800..1100).contains(&kept), "{kept}");
}

#[test]
fn a_segment_that_somebody_deletes_is_counted_and_stepped_over() {
    let bench = Bench::new(WhenFull::DropOldest, 64 << 20);
    let (spool, _) = bench.open();
    put(&spool, &["a", "b"]);
    drop(spool);
    let (spool, _) = bench.open();
    put(&spool, &["c"]);
    fs::remove_file(&bench.segments()[0]).unwrap();
    let mut reader = Reader::at(spool.acknowledged());
    let batch = reader.next(&spool, &Bounds::bytes(usize::MAX)).unwrap();
    assert_eq!(
        batch.items().map(|item| item.record).collect::<Vec<_>>(),
        [b"c"]
    );
    assert_eq!(reader.take_damaged(), 2);
}

#[test]
fn what_is_no_segment_is_set_aside() {
    let bench = Bench::new(WhenFull::DropOldest, 64 << 20);
    let (spool, _) = bench.open();
    put(&spool, &["a"]);
    drop(spool);
    let folder = bench.segments()[0].parent().unwrap().to_owned();
    fs::write(log::path(&folder, 7), "TRL").unwrap();
    let (spool, _) = bench.open();
    assert_eq!(rest(&spool), ["a"]);
    assert!(log::path(&folder, 7).with_extension("damaged").exists());
}

/// What may happen to a spool.
#[derive(Debug, Clone)]
enum Step {
    Put(usize),
    Acknowledge(usize),
    Reopen,
    Tear(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..300_usize).prop_map(Step::Put),
        (0..20_usize).prop_map(Step::Acknowledge),
        Just(Step::Reopen),
        (1..40_usize).prop_map(Step::Tear),
    ]
}

proptest! {
    /// Against a queue: whatever happens, the spool holds what the queue holds, but for a record that was torn.
    #[test]
    fn a_spool_is_a_queue(steps in prop::collection::vec(step(), 1..60)) {
        let bench = Bench::new(WhenFull::DropOldest, 8 << 20);
        let (mut spool, _) = bench.open();
        let mut queue: VecDeque<String> = VecDeque::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Put(length) => {
                    let record = format!("{number}{}", "y".repeat(length));
                    put(&spool, &[&record]);
                    queue.push_back(record);
                }
                Step::Acknowledge(records) => {
                    let records = records.min(queue.len());
                    acknowledge(&spool, records, at(2));
                    queue.drain(..records);
                }
                Step::Reopen => {
                    drop(spool);
                    spool = bench.open().0;
                }
                Step::Tear(bytes) => {
                    drop(spool);
                    // Never more than the last record, and only one that was not shipped.
                    if let (Some(last), Some(file)) = (queue.back(), bench.segments().last()) {
                        let whole = fs::metadata(file).unwrap().len();
                        if whole > HEADER {
                            let cut = bytes.min(FRAME + last.len()) as u64;
                            let handle = fs::OpenOptions::new().write(true).open(file).unwrap();
                            handle.set_len(whole - cut).unwrap();
                            queue.pop_back();
                        }
                    }
                    spool = bench.open().0;
                }
            }
            prop_assert_eq!(rest(&spool), Vec::from(queue.clone()));
            prop_assert_eq!(spool.waiting().0, queue.len() as u64);
        }
    }
}
