//! How many records can one core spool and ship? And what does a record cost the request that it is about?
//!
//! A bucket on loopback takes objects as fast as they come and answers with their checksum. What is counted is CPU time of the three
//! threads that a record passes, by the kernel's own books (`/proc/self/task/…/schedstat`): the one that records, the writer, the
//! shippers. The bucket's own time is not in it, and neither is waiting, so the figures hold on a busy machine. Run it with
//! `cargo bench -p trellis-benches --bench shipping`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measurement stops where it cannot go on, and its output is its purpose"
)]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use md5::{Digest as _, Md5};
use trellis_access_logs::{Observer, Record, Settings, Spooling, Writer, record::Protocol};
use trellis_model::{
    arn::Arn,
    config::{
        AccessLogSubscription, Compression, Delivery, HttpEndpoint, LogDestination, LogShape,
        LogStore, LogStoreKind, LoggedResource, SpoolSettings, WhenFull,
    },
    id::{AccessLogSubscriptionId, ServiceId},
    problem::Place,
};

/// Records of one run.
const RECORDS: u64 = 1_000_000;
/// Records that are handed over at a time; then the writer is waited for, so that none is dropped.
const BURST: u64 = 4_000;

/// Whatever is said is a reason to throw the figures away.
#[derive(Debug)]
struct Silence;

impl Observer for Silence {
    fn destination_failed(&self, destination: &LogDestination, error: &std::io::Error) {
        panic!("{destination}: {error}");
    }
    fn destination_recovered(&self, _: &LogDestination) {}
    fn records_dropped(&self, records: u64) {
        panic!("{records} records dropped");
    }
    fn shipping_failed(&self, _: &str, _: &LogStore, reason: &str) {
        panic!("{reason}");
    }
    fn shipping_recovered(&self, _: &str, _: &LogStore) {}
    fn records_refused(&self, _: &str, _: &LogStore, _: u64, reason: &str) {
        panic!("{reason}");
    }
    fn records_damaged(&self, _: &str, records: u64) {
        panic!("{records} records damaged");
    }
    fn spool_repaired(&self, _: &str, _: u64) {}
    fn spool_failed(&self, _: &str, error: &std::io::Error) {
        panic!("{error}");
    }
}

/// A bucket that forgets what it is given.
fn bucket() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while let Some((line, body)) = request(&mut reader) {
                let digest = Md5::digest(&body);
                let answer = if line.contains("?uploads") {
                    "<R><UploadId>id</UploadId></R>"
                } else if line.starts_with("POST") {
                    "<R><ETag>\"opaque\"</ETag></R>"
                } else {
                    ""
                };
                let length = answer.len();
                write!(stream, "HTTP/1.1 200 OK\r\netag: \"{digest:x}\"\r\ncontent-length: {length}\r\n\r\n{answer}").unwrap();
            }
        }
    });
    address
}

fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut length = 0;
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        let field = field.trim_end();
        if field.is_empty() {
            break;
        }
        if let Some(value) = field.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((line, body))
}

fn subscription(address: SocketAddr, compression: Compression) -> AccessLogSubscription {
    let (account, region) = (
        "111122223333".parse().unwrap(),
        "us-west-2".parse().unwrap(),
    );
    AccessLogSubscription {
        id: AccessLogSubscriptionId::derive(&account, &region, &["bench"]),
        arn: Arn::lattice(
            &account,
            &region,
            format_args!("accesslogsubscription/als-0"),
        ),
        resource: LoggedResource::Service(ServiceId::derive(&account, &region, &["s"])),
        account,
        destination: LogDestination::Store(Arc::new(LogStore {
            name: "bucket".into(),
            endpoint: HttpEndpoint {
                tls: false,
                host: "127.0.0.1".into(),
                port: address.port(),
                authority: address.to_string().into(),
                path: "".into(),
                authorities: None,
            },
            kind: LogStoreKind::S3 {
                bucket: "logs".into(),
                prefix: "".into(),
                path_style: true,
                compression,
                signer: None,
            },
        })),
        shape: LogShape::default(),
        delivery: Delivery {
            when_full: WhenFull::DropNew,
            spool_bytes: 4 << 30,
            batch: Duration::ZERO,
            batch_bytes: 64 << 20,
        },
        place: Place::default(),
    }
}

/// CPU time of this process' threads by name.
fn cpu() -> BTreeMap<String, Duration> {
    let mut times = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let name = fs::read_to_string(path.join("comm")).unwrap();
        let stat = fs::read_to_string(path.join("schedstat")).unwrap();
        let nanoseconds = stat.split(' ').next().unwrap().parse().unwrap();
        *times.entry(name.trim().to_owned()).or_default() += Duration::from_nanos(nanoseconds);
    }
    times
}

/// The most memory that the process had so far, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

fn run(compression: Compression) {
    let folder = tempfile::tempdir().unwrap();
    let spooling = Spooling {
        folder: folder.path().join("spool"),
        settings: SpoolSettings {
            bytes: 8 << 30,
            sync: Duration::from_secs(1),
            keep: Duration::ZERO,
            dead_letter_bytes: 64 << 20,
        },
        tls: Arc::new(|_| Err("nothing here is encrypted".to_owned())),
        seed: 7,
    };
    let settings = Settings {
        spooling: Some(spooling),
        ..Settings::default()
    };
    let writer = Writer::start(settings, Arc::new(Silence)).unwrap();
    let subscriptions = [Arc::new(subscription(bucket(), compression))];
    assert!(writer.prepare(&subscriptions).is_empty());
    let LoggedResource::Service(service) = subscriptions[0].resource else {
        unreachable!();
    };
    let to = writer
        .subscribe(&subscriptions)
        .destinations(None, Some(service));
    let (before, began) = (cpu(), Instant::now());
    let recording = thread::scope(|scope| {
        let recorder = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn_scoped(scope, || {
                let recorder = writer.recorder();
                let mut spent = Duration::ZERO;
                for burst in 0..RECORDS / BURST {
                    let start = cpu()["recorder"];
                    for number in 0..BURST {
                        let id = format!("{:032x}", burst * BURST + number);
                        recorder.record(&to, &record(id.as_bytes()));
                    }
                    spent += cpu()["recorder"].saturating_sub(start);
                    assert!(writer.flush(Duration::from_secs(60)));
                }
                spent
            });
        recorder.unwrap().join().unwrap()
    });
    while writer.spools()[0].records > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let (after, wall) = (cpu(), began.elapsed());
    assert_eq!(writer.spools()[0].shipped, RECORDS);
    let spent =
        |name: &str| after[name].saturating_sub(before.get(name).copied().unwrap_or_default());
    let (writing, shipping) = (spent("access-records"), spent("record-shippers"));
    let each = |time: Duration| time.as_secs_f64() * 1e6 / RECORDS as f64;
    let all = each(recording) + each(writing) + each(shipping);
    println!(
        "{compression:?}: recording {:.2} µs, writing {:.2} µs, shipping {:.2} µs; {:.0} records/s on one core; {:.1} s; peak {} MiB",
        each(recording),
        each(writing),
        each(shipping),
        1e6 / all,
        wall.as_secs_f64(),
        peak()
    );
}

/// A record as most are, some 1.3 KB of JSON.
fn record(id: &[u8]) -> Record<'_> {
    let mut record = Record::new(SystemTime::now(), "10.0.1.7:57086".parse().unwrap());
    record.request_id = Some(id);
    record.method = Some(b"GET");
    record.path = Some(b"/orders/2026/11/items");
    record.host = Some(b"orders.shop.example.com");
    record.protocol = Some(Protocol::Http11);
    record.response_code = Some(200);
    record
}

fn main() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        run(compression);
    }
}
