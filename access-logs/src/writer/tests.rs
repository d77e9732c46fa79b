//! The way from recorders to files: nothing lost, nothing torn, nothing waited for.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Barrier, mpsc},
    thread as threads,
    time::UNIX_EPOCH,
};

use proptest::prelude::*;
use tempfile::TempDir;
use trellis_model::{
    arn::Arn,
    config::{Delivery, LoggedResource, Rotation},
    id::{AccessLogSubscriptionId, ServiceId, ServiceNetworkId},
    name::{AccountId, Region},
    problem::Place,
};

use super::{
    outlet::Outlet,
    sink::Sinks,
    thread::{Round, Rounds},
    *,
};

/// Long enough for any machine; only a failing test waits for it.
const LONG: Duration = Duration::from_secs(60);

/// What the writer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Failed(PathBuf),
    Recovered(PathBuf),
    Dropped(u64),
    /// Anything about spools and shippers, as it was said.
    Shipping(String),
}

#[derive(Debug, Default)]
pub(crate) struct Ears(Mutex<Vec<Said>>);

impl Ears {
    fn shipping(&self, said: String) {
        self.0.lock().push(Said::Shipping(said));
    }

    pub(crate) fn take(&self) -> Vec<Said> {
        std::mem::take(&mut *self.0.lock())
    }
}

fn path_of(destination: &LogDestination) -> PathBuf {
    match destination {
        LogDestination::File(path) | LogDestination::RotatingFile(path, _) => path.clone(),
        LogDestination::Stdout => PathBuf::from("-"),
        LogDestination::Store(store) => PathBuf::from(&*store.name),
    }
}

impl Observer for Ears {
    fn destination_failed(&self, destination: &LogDestination, _: &io::Error) {
        self.0.lock().push(Said::Failed(path_of(destination)));
    }

    fn destination_recovered(&self, destination: &LogDestination) {
        self.0.lock().push(Said::Recovered(path_of(destination)));
    }

    fn records_dropped(&self, records: u64) {
        self.0.lock().push(Said::Dropped(records));
    }

    fn shipping_failed(&self, _: &str, _: &LogStore, reason: &str) {
        self.shipping(format!("failed: {reason}"));
    }

    fn shipping_recovered(&self, _: &str, _: &LogStore) {
        self.shipping("recovered".to_owned());
    }

    fn records_refused(&self, _: &str, _: &LogStore, records: u64, reason: &str) {
        self.shipping(format!("refused {records}: {reason}"));
    }

    fn records_damaged(&self, _: &str, records: u64) {
        self.shipping(format!("damaged {records}"));
    }

    fn spool_repaired(&self, _: &str, bytes: u64) {
        self.shipping(format!("repaired {bytes}"));
    }

    fn spool_failed(&self, _: &str, error: &io::Error) {
        self.shipping(format!("spool: {error}"));
    }
}

/// A folder, a writer, and what it said.
struct Bench {
    folder: TempDir,
    ears: Arc<Ears>,
    writer: Writer,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let ears = Arc::new(Ears::default());
        let writer = Writer::start(settings, Arc::clone(&ears) as Arc<dyn Observer>).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            ears,
            writer,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the records of [`network`] go when these files subscribe to it.
    fn to(&self, files: &[&str]) -> Destinations {
        let files: Vec<_> = files.iter().map(|file| self.path(file)).collect();
        let subscriptions: Vec<_> = files
            .iter()
            .map(|file| subscription(LoggedResource::ServiceNetwork(network()), file))
            .collect();
        self.writer
            .subscribe(&subscriptions)
            .destinations(Some(network()), None)
    }

    fn flush(&self) {
        assert!(self.writer.flush(LONG));
    }

    /// Request ids in a file, after a look at every line.
    fn ids(&self, file: &str) -> Vec<String> {
        ids(&self.path(file))
    }
}

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn region() -> Region {
    "eu-west-1".parse().unwrap()
}

fn network() -> ServiceNetworkId {
    ServiceNetworkId::derive(&account(), &region(), &["commerce"])
}

fn service() -> ServiceId {
    ServiceId::derive(&account(), &region(), &["orders"])
}

fn subscription(resource: LoggedResource, file: &Path) -> Arc<AccessLogSubscription> {
    Arc::new(AccessLogSubscription {
        id: AccessLogSubscriptionId::derive(&account(), &region(), &[&file.to_string_lossy()]),
        arn: Arn::lattice(
            &account(),
            &region(),
            format_args!("accesslogsubscription/als-0"),
        ),
        account: account(),
        resource,
        destination: LogDestination::File(file.to_owned()),
        shape: trellis_model::config::LogShape::default(),
        delivery: Delivery::default(),
        place: Place::default(),
    })
}

fn source() -> SocketAddr {
    "10.0.0.1:1".parse().unwrap()
}

fn write(recorder: &Recorder, to: &Destinations, id: &str) {
    let record = Record {
        request_id: Some(id.as_bytes()),
        ..Record::new(UNIX_EPOCH, source())
    };
    recorder.record(to, &record);
}

/// Length of the lines that [`write`] makes for ids of this length.
fn line_length(id: usize) -> usize {
    let id = vec![b'x'; id];
    let mut out = Vec::new();
    let record = Record {
        request_id: Some(&id),
        ..Record::new(UNIX_EPOCH, source())
    };
    crate::encode_json(&record, &mut out);
    out.len()
}

fn ids(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "torn at the end: {text:?}"
    );
    text.lines()
        .map(|line| {
            let record: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            record["requestId"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// The writer's work without its thread, so that a test says when a round happens.
fn rounds(settings: Settings) -> (Arc<Shared>, Rounds, Arc<Ears>) {
    let ears = Arc::new(Ears::default());
    let observer: Arc<dyn Observer> = Arc::clone(&ears) as _;
    let shared = Arc::new(Shared::new(settings, &observer));
    let rounds = Rounds::new(Arc::clone(&shared), observer);
    (shared, rounds, ears)
}

fn recorder(shared: &Arc<Shared>) -> Recorder {
    Recorder {
        buffer: shared.add_buffer(),
        shared: Arc::clone(shared),
    }
}

fn destinations(shared: &Shared, files: &[PathBuf]) -> Destinations {
    let subscriptions: Vec<_> = files
        .iter()
        .map(|file| subscription(LoggedResource::ServiceNetwork(network()), file))
        .collect();
    Subscriptions::new(&subscriptions, &shared.sinks).destinations(Some(network()), None)
}

#[test]
fn records_of_many_workers_all_arrive_whole_and_once() {
    const WORKERS: usize = 4;
    const RECORDS: usize = 2_000;
    let bench = Bench::new();
    let to = bench.to(&["a.jsonl"]);
    let barrier = Barrier::new(WORKERS);
    threads::scope(|scope| {
        for worker in 0..WORKERS {
            let (recorder, to, barrier) = (bench.writer.recorder(), &to, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for number in 0..RECORDS {
                    write(&recorder, to, &format!("{worker}-{number}"));
                }
            });
        }
    });
    bench.flush();
    let found = bench.ids("a.jsonl");
    let distinct: HashSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found.len(), WORKERS * RECORDS);
    assert_eq!(distinct.len(), WORKERS * RECORDS);
    for worker in 0..WORKERS {
        let prefix = format!("{worker}-");
        let own = found.iter().filter_map(|id| id.strip_prefix(&prefix));
        let in_order = (0..RECORDS).map(|number| number.to_string());
        assert!(
            own.map(str::to_owned).eq(in_order),
            "records of one worker keep their order"
        );
    }
    let counters = bench.writer.counters();
    assert_eq!(counters.written_records(), (WORKERS * RECORDS) as u64);
    assert_eq!(
        counters.written_bytes(),
        fs::metadata(bench.path("a.jsonl")).unwrap().len()
    );
    assert_eq!(
        (counters.dropped_records(), counters.write_errors()),
        (0, 0)
    );
}

#[test]
fn a_record_wakes_the_sleeping_writer() {
    let bench = Bench::new();
    let pipe = bench.path("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    // The answer of the reader is the event: nobody flushes, nobody sleeps.
    let (sender, lines) = mpsc::channel();
    let reader = threads::spawn(move || {
        for line in BufReader::new(fs::File::open(pipe).unwrap()).lines() {
            sender.send(line.unwrap()).unwrap();
        }
    });
    let to = bench.to(&["pipe"]);
    let recorder = bench.writer.recorder();
    for id in ["one", "two", "three"] {
        write(&recorder, &to, id);
        assert!(lines.recv_timeout(LONG).unwrap().contains(id));
    }
    drop(bench);
    drop((recorder, to));
    reader.join().unwrap();
}

#[test]
fn a_destination_that_subscribes_twice_gets_a_record_once() {
    let bench = Bench::new();
    let (shared, other) = (bench.path("shared.jsonl"), bench.path("other.jsonl"));
    let mut subscriptions = bench.writer.subscribe(&[
        subscription(LoggedResource::ServiceNetwork(network()), &shared),
        subscription(LoggedResource::Service(service()), &shared),
        subscription(LoggedResource::Service(service()), &other),
    ]);
    let recorder = bench.writer.recorder();
    for (network, service, id) in [
        (Some(network()), Some(service()), "both"),
        (Some(network()), None, "network"),
        (None, Some(service()), "service"),
        (None, None, "nobody"),
    ] {
        write(&recorder, &subscriptions.destinations(network, service), id);
    }
    bench.flush();
    assert_eq!(bench.ids("shared.jsonl"), ["both", "network", "service"]);
    assert_eq!(bench.ids("other.jsonl"), ["both", "service"]);
}

#[test]
fn a_full_buffer_drops_the_newest_and_counts_them() {
    let room = 3 * line_length(1) + 200;
    let (shared, mut rounds, ears) = rounds_with_bytes(room);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    let to = destinations(&shared, std::slice::from_ref(&file));
    let recorder = recorder(&shared);
    for id in ["1", "2", "3", "4", "5"] {
        write(&recorder, &to, id);
    }
    assert_eq!(shared.counters.dropped_records(), 2);
    assert_eq!(
        rounds.round(),
        Round {
            records: 3,
            failing: false,
            busy: false
        }
    );
    // The buffer is empty again, and takes records again.
    write(&recorder, &to, "6");
    assert_eq!(
        rounds.round(),
        Round {
            records: 1,
            failing: false,
            busy: false
        }
    );
    assert_eq!(ids(&file), ["1", "2", "3", "6"]);
    assert_eq!(ears.take(), [Said::Dropped(2)]);
}

fn rounds_with_bytes(buffer_bytes: usize) -> (Arc<Shared>, Rounds, Arc<Ears>) {
    rounds(Settings {
        buffer_bytes,
        ..Settings::default()
    })
}

#[test]
fn a_record_longer_than_the_buffer_is_dropped_and_leaves_no_trace() {
    let (shared, mut rounds, _) = rounds_with_bytes(line_length(1) + 200);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    let to = destinations(&shared, std::slice::from_ref(&file));
    let recorder = recorder(&shared);
    write(&recorder, &to, &"x".repeat(400));
    write(&recorder, &to, "1");
    rounds.round();
    assert_eq!(ids(&file), ["1"]);
    assert_eq!(shared.counters.dropped_records(), 1);
}

#[test]
fn a_destination_that_fails_is_reported_once_and_its_records_wait() {
    let bench = Bench::new();
    let path = bench.path("missing/a.jsonl");
    let to = bench.to(&["missing/a.jsonl", "good.jsonl"]);
    let recorder = bench.writer.recorder();
    for id in ["1", "2", "3"] {
        write(&recorder, &to, id);
        bench.flush();
    }
    assert_eq!(bench.ears.take(), [Said::Failed(path.clone())]);
    assert!(bench.writer.counters().write_errors() >= 3);
    assert_eq!(
        bench.ids("good.jsonl"),
        ["1", "2", "3"],
        "others do not suffer"
    );

    fs::create_dir(bench.path("missing")).unwrap();
    bench.flush();
    assert_eq!(bench.ears.take(), [Said::Recovered(path)]);
    assert_eq!(bench.ids("missing/a.jsonl"), ["1", "2", "3"]);
    assert_eq!(bench.writer.counters().dropped_records(), 0);
}

#[test]
fn a_failing_destination_is_tried_again_without_a_new_record() {
    let bench = Bench::with(Settings {
        retry: Duration::from_millis(1),
        ..Settings::default()
    });
    let to = bench.to(&["missing/a.jsonl"]);
    write(&bench.writer.recorder(), &to, "1");
    bench.flush();
    let folder = bench.path("missing");
    fs::create_dir(&folder).unwrap();
    let (sender, found) = mpsc::channel();
    let watcher = threads::spawn(move || {
        let file = folder.join("a.jsonl");
        while !fs::metadata(&file).is_ok_and(|metadata| metadata.len() > 0) {
            threads::yield_now();
        }
        sender.send(()).unwrap();
    });
    found.recv_timeout(LONG).unwrap();
    watcher.join().unwrap();
    assert_eq!(bench.ids("missing/a.jsonl"), ["1"]);
}

#[test]
fn a_full_disk_keeps_what_fits_into_memory_and_counts_the_rest() {
    let room = 2 * line_length(1) + 200;
    let (shared, mut rounds, ears) = rounds_with_bytes(room);
    let to = destinations(&shared, &[PathBuf::from("/dev/full")]);
    let recorder = recorder(&shared);
    for id in ["1", "2", "3"] {
        write(&recorder, &to, id);
        assert_eq!(
            rounds.round(),
            Round {
                records: 1,
                failing: true,
                busy: false
            }
        );
    }
    assert_eq!(shared.counters.dropped_records(), 1);
    assert_eq!(
        ears.take(),
        [Said::Failed("/dev/full".into()), Said::Dropped(1)]
    );
    let [sink] = &shared.sinks.all()[..] else {
        panic!("one sink")
    };
    assert_eq!(sink.give_up(), 2);
}

#[test]
fn rotation_cuts_no_line_and_loses_none() {
    let bench = Bench::new();
    let to = bench.to(&["a.jsonl"]);
    let recorder = bench.writer.recorder();
    write(&recorder, &to, "1");
    bench.flush();
    fs::rename(bench.path("a.jsonl"), bench.path("a.jsonl.1")).unwrap();
    write(&recorder, &to, "2");
    bench.flush();
    bench.writer.reopen();
    write(&recorder, &to, "3");
    bench.flush();
    // The one in between is in either, as the writer found out about the new name or not yet.
    let (old, new) = (bench.ids("a.jsonl.1"), bench.ids("a.jsonl"));
    assert_eq!([old.as_slice(), new.as_slice()].concat(), ["1", "2", "3"]);
    assert_eq!((&*old[0], &*new[new.len() - 1]), ("1", "3"));
    let mode = fs::metadata(bench.path("a.jsonl"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o137, 0, "not for everybody: {mode:o}");
}

#[test]
fn a_file_that_is_renamed_is_made_anew_without_a_word() {
    let bench = Bench::new();
    let to = bench.to(&["a.jsonl"]);
    let recorder = bench.writer.recorder();
    write(&recorder, &to, "1");
    bench.flush();
    fs::rename(bench.path("a.jsonl"), bench.path("a.jsonl.1")).unwrap();
    let deadline = Instant::now() + LONG;
    let mut written = 1;
    while !bench.path("a.jsonl").exists() {
        assert!(Instant::now() < deadline, "nobody noticed");
        written += 1;
        write(&recorder, &to, &written.to_string());
        bench.flush();
    }
    let all = [bench.ids("a.jsonl.1"), bench.ids("a.jsonl")].concat();
    let wanted: Vec<String> = (1..=written).map(|id| id.to_string()).collect();
    assert_eq!(all, wanted);
}

#[test]
fn a_rotating_file_is_begun_anew_by_size_and_keeps_so_many_old_ones() {
    let bench = Bench::new();
    let rotation = Rotation {
        bytes: 1,
        age: None,
        keep: 2,
    };
    let path = bench.path("r.jsonl");
    let subscription = AccessLogSubscription {
        destination: LogDestination::RotatingFile(path, rotation),
        ..(*subscription(LoggedResource::ServiceNetwork(network()), Path::new(""))).clone()
    };
    let mut subscriptions = bench.writer.subscribe(&[Arc::new(subscription)]);
    let to = subscriptions.destinations(Some(network()), None);
    let recorder = bench.writer.recorder();
    for id in ["1", "2", "3", "4"] {
        write(&recorder, &to, id);
        bench.flush();
    }
    for (file, wanted) in [("r.jsonl", "4"), ("r.jsonl.1", "3"), ("r.jsonl.2", "2")] {
        assert_eq!(bench.ids(file), [wanted], "{file}");
    }
    assert!(!bench.path("r.jsonl.3").exists());
}

#[test]
fn a_pipe_that_nobody_reads_holds_up_no_other_destination() {
    // Far more than a pipe takes.
    const RECORDS: usize = 500;
    let bench = Bench::new();
    let pipe = bench.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let both = bench.to(&["pipe", "file"]);
    let recorder = bench.writer.recorder();
    for number in 0..RECORDS {
        write(&recorder, &both, &number.to_string());
    }
    bench.flush();
    assert_eq!(bench.ids("file").len(), RECORDS);
    let reader = threads::spawn(move || {
        let lines = BufReader::new(fs::File::open(pipe).unwrap()).lines();
        lines.take(RECORDS).count()
    });
    assert_eq!(reader.join().unwrap(), RECORDS, "what waited comes");
    assert!(bench.ears.take().is_empty(), "a slow reader is no failure");
}

#[test]
fn a_line_cut_in_two_is_finished_in_its_file_or_written_again_in_the_next() {
    /// `cut` is what a short write left in the file; `after` what the files must hold in the end.
    #[track_caller]
    fn check(reopen: bool, in_old: &str, in_new: Option<&str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let destination = LogDestination::File(path.clone());
        let mut outlet = Outlet::default();
        assert_eq!(outlet.append(b"one\n", 1, 100), 0);
        outlet.write(&destination);
        // As after a short write: two bytes of the next line are out.
        assert_eq!(outlet.append(b"second\n", 1, 100), 0);
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"se")
            .unwrap();
        outlet.pretend_sent(2);
        let old = folder.path().join("old");
        fs::rename(&path, &old).unwrap();
        if reopen {
            outlet.close();
        }
        let written = outlet.write(&destination);
        assert_eq!(written.records, 1);
        assert_eq!(fs::read_to_string(old).unwrap(), in_old);
        assert_eq!(fs::read_to_string(path).ok().as_deref(), in_new);
    }
    check(false, "one\nsecond\n", None);
    check(true, "one\nse", Some("second\n"));
}

#[test]
fn a_torn_last_line_spoils_no_other() {
    let bench = Bench::new();
    fs::write(bench.path("a.jsonl"), "{\"torn").unwrap();
    let to = bench.to(&["a.jsonl"]);
    write(&bench.writer.recorder(), &to, "1");
    bench.flush();
    let text = fs::read_to_string(bench.path("a.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "{\"torn");
    assert!(lines[1].contains("\"requestId\":\"1\""));
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_change_of_subscriptions_loses_no_line_and_closes_what_is_unused() {
    let bench = Bench::new();
    let recorder = bench.writer.recorder();
    let before = bench.to(&["old.jsonl", "kept.jsonl"]);
    write(&recorder, &before, "1");
    // The new snapshot is there, but a request still holds the old one.
    let after = bench.to(&["kept.jsonl", "new.jsonl"]);
    write(&recorder, &before, "2");
    write(&recorder, &after, "3");
    drop(before);
    bench.flush();
    assert_eq!(bench.ids("old.jsonl"), ["1", "2"]);
    assert_eq!(bench.ids("kept.jsonl"), ["1", "2", "3"]);
    assert_eq!(bench.ids("new.jsonl"), ["3"]);
    let mut open: Vec<_> = bench
        .writer
        .shared
        .sinks
        .all()
        .iter()
        .map(|sink| path_of(sink.destination()))
        .collect();
    open.sort();
    assert_eq!(open, [bench.path("kept.jsonl"), bench.path("new.jsonl")]);
}

#[test]
fn a_new_destination_is_tried_before_its_first_record() {
    let bench = Bench::new();
    let _to = bench.to(&["missing/a.jsonl"]);
    bench.flush();
    assert_eq!(
        bench.ears.take(),
        [Said::Failed(bench.path("missing/a.jsonl"))]
    );
}

#[test]
fn a_stop_writes_what_there_is_and_then_takes_no_more() {
    let bench = Bench::new();
    let to = bench.to(&["a.jsonl"]);
    let recorder = bench.writer.recorder();
    for number in 0..100 {
        write(&recorder, &to, &number.to_string());
    }
    assert_eq!(bench.writer.stop(LONG), Ok(()));
    assert_eq!(bench.ids("a.jsonl").len(), 100);
    write(&recorder, &to, "late");
    write(&bench.writer.recorder(), &to, "later");
    assert_eq!(bench.writer.counters().dropped_records(), 2);
    assert_eq!(
        bench.writer.stop(LONG),
        Ok(()),
        "a second stop says the same"
    );
    assert!(
        bench.writer.flush(LONG),
        "nobody waits for a thread that is gone"
    );
}

#[test]
fn a_stop_gives_up_on_a_failing_destination_and_says_so() {
    let bench = Bench::new();
    let to = bench.to(&["missing/a.jsonl"]);
    write(&bench.writer.recorder(), &to, "1");
    assert_eq!(bench.writer.stop(Duration::ZERO), Err(Unfinished));
    assert_eq!(bench.writer.counters().dropped_records(), 1);
    let said = bench.ears.take();
    assert_eq!(
        said,
        [
            Said::Failed(bench.path("missing/a.jsonl")),
            Said::Dropped(1)
        ]
    );
}

#[test]
fn a_writer_that_is_dropped_writes_what_there_is() {
    let bench = Bench::new();
    let to = bench.to(&["a.jsonl"]);
    write(&bench.writer.recorder(), &to, "1");
    let Bench { folder, writer, .. } = bench;
    drop(writer);
    assert_eq!(ids(&folder.path().join("a.jsonl")), ["1"]);
}

#[test]
fn the_buffer_of_a_worker_that_ended_is_emptied_and_forgotten() {
    let (shared, mut rounds, _) = rounds(Settings::default());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    let to = destinations(&shared, std::slice::from_ref(&file));
    let ended = recorder(&shared);
    write(&ended, &to, "1");
    drop(ended);
    assert_eq!(
        rounds.round(),
        Round {
            records: 1,
            failing: false,
            busy: false
        }
    );
    assert_eq!(shared.number_of_buffers(), 0);
    assert_eq!(ids(&file), ["1"]);
}

#[test]
fn a_check_tells_whether_a_destination_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    check(&LogDestination::File(folder.path().join("a.jsonl"))).unwrap();
    check(&LogDestination::File(folder.path().join("missing/a.jsonl"))).unwrap_err();
    check(&LogDestination::File(folder.path().to_owned())).unwrap_err();
}

#[test]
fn sinks_are_shared_by_destination() {
    let sinks = Sinks::new(crate::ship::Shippers::new(None, Arc::<Ears>::default()));
    let number = |destination: LogDestination| {
        let subscription = AccessLogSubscription {
            destination,
            ..(*subscription(LoggedResource::Service(service()), Path::new(""))).clone()
        };
        sinks.sink(&subscription).number()
    };
    let a = LogDestination::File("a".into());
    assert_eq!(number(a.clone()), number(a.clone()));
    assert_ne!(number(a), number(LogDestination::Stdout));
    assert_eq!(sinks.remove_unused().len(), 2);
    assert_eq!(sinks.all().len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The oracle: each file has, in order, the records that were sent to a set it is in.
    #[test]
    fn every_file_gets_its_records_in_order(
        sent in proptest::collection::vec((0_usize..8, any::<bool>()), 0..60),
    ) {
        let (shared, mut rounds, _) = rounds(Settings::default());
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = (0..3).map(|file| folder.path().join(file.to_string())).collect();
        let members = |set: usize| files.iter().enumerate().filter(move |(file, _)| set & (1 << file) != 0);
        let sets: Vec<Destinations> = (0..8)
            .map(|set| destinations(&shared, &members(set).map(|(_, path)| path.clone()).collect::<Vec<_>>()))
            .collect();
        let recorder = recorder(&shared);
        let mut wanted = vec![Vec::new(); files.len()];
        for (number, (set, round)) in sent.iter().enumerate() {
            write(&recorder, &sets[*set], &number.to_string());
            for (file, _) in members(*set) {
                wanted[file].push(number.to_string());
            }
            if *round {
                rounds.round();
            }
        }
        rounds.round();
        for (file, wanted) in files.iter().zip(wanted) {
            prop_assert_eq!(ids(file), wanted);
        }
    }
}
