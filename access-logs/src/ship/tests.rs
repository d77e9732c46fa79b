//! Shippers against servers that do what servers do: fail, refuse, throttle, lie, and come back.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
};

use flate2::read::GzDecoder;
use tempfile::TempDir;
use trellis_model::{
    arn::Arn,
    config::{
        AwsSigner, Compression, Delivery, HttpEndpoint, LogShape, LogStoreKind, Secret, WhenFull,
    },
    id::ServiceId,
    problem::Place,
};

use super::{
    replay::{From, Replayed, replay},
    *,
};
use crate::{
    Record, Recorder, Settings, Writer,
    writer::tests::{Ears, Said},
};

/// Long enough for any machine; only a failing test waits for it.
const LONG: Duration = Duration::from_secs(60);

/// A request as the server saw it.
#[derive(Debug, Clone)]
struct Seen {
    /// Method and target.
    line: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Seen {
    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn unzipped(&self) -> Vec<u8> {
        let mut out = Vec::new();
        GzDecoder::new(&self.body[..])
            .read_to_end(&mut out)
            .unwrap();
        out
    }
}

/// Status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, String);

/// A server that answers as it is told, one request after the other, and tells what it saw.
struct Server {
    address: SocketAddr,
    seen: mpsc::Receiver<Seen>,
}

impl Server {
    fn start(mut answer: impl FnMut(&Seen) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some(request) = read(&mut reader) {
                    let (status, headers, body) = answer(&request);
                    if sender.send(request).is_err() {
                        return;
                    }
                    if write(&stream, status, &headers, &body).is_err() {
                        break;
                    }
                }
            }
        });
        Self { address, seen }
    }

    fn next(&self) -> Seen {
        self.seen.recv_timeout(LONG).unwrap()
    }

    fn endpoint(&self, path: &str) -> HttpEndpoint {
        HttpEndpoint {
            tls: false,
            host: "127.0.0.1".into(),
            port: self.address.port(),
            authority: self.address.to_string().into(),
            path: path.into(),
            authorities: None,
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        let Some((name, value)) = field.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    Some(Seen {
        line,
        headers,
        body,
    })
}

fn write(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(&str, String)],
    body: &str,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        writeln!(head, "{name}: {value}\r").unwrap();
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes())
}

fn ok(body: &str) -> Answer {
    (200, Vec::new(), body.to_owned())
}

fn plain(_: &HttpEndpoint) -> Result<Arc<rustls::ClientConfig>, String> {
    Err("nothing here is encrypted".to_owned())
}

fn signer() -> AwsSigner {
    AwsSigner {
        region: "us-west-2".parse().unwrap(),
        access_key: "AKIAEXAMPLE".into(),
        secret: Secret::new("secret"),
        session_token: None,
    }
}

/// A writer with a subscription to a service, and what it said.
struct Bench {
    folder: TempDir,
    subscription: AccessLogSubscription,
    ears: Arc<Ears>,
    writer: Option<Writer>,
}

impl Bench {
    fn new(server: &Server, path: &str, kind: LogStoreKind) -> Self {
        let (account, region) = (
            "111122223333".parse().unwrap(),
            "us-west-2".parse().unwrap(),
        );
        let subscription = AccessLogSubscription {
            id: AccessLogSubscriptionId::derive(&account, &region, &["shipped"]),
            arn: Arn::lattice(
                &account,
                &region,
                format_args!("accesslogsubscription/als-0"),
            ),
            resource: LoggedResource::Service(ServiceId::derive(&account, &region, &["s"])),
            account,
            destination: LogDestination::Store(Arc::new(LogStore {
                name: "the store".into(),
                endpoint: server.endpoint(path),
                kind,
            })),
            shape: LogShape::default(),
            delivery: Delivery {
                batch: Duration::ZERO,
                when_full: WhenFull::DropNew,
                ..Delivery::default()
            },
            place: Place::default(),
        };
        let mut this = Self {
            folder: tempfile::tempdir().unwrap(),
            subscription,
            ears: Arc::default(),
            writer: None,
        };
        this.start();
        this
    }

    fn spooling(&self) -> Spooling {
        Spooling {
            folder: self.folder.path().join("spool"),
            settings: SpoolSettings {
                bytes: 1 << 30,
                sync: Duration::from_millis(5),
                keep: Duration::from_secs(3600),
                dead_letter_bytes: 1 << 20,
            },
            tls: Arc::new(plain),
            seed: 7,
        }
    }

    fn start(&mut self) {
        let settings = Settings {
            spooling: Some(self.spooling()),
            ..Settings::default()
        };
        let ears: Arc<dyn Observer> = Arc::clone(&self.ears) as _;
        self.writer = Some(Writer::start(settings, ears).unwrap());
    }

    fn writer(&self) -> &Writer {
        self.writer.as_ref().unwrap()
    }

    /// Records with these ids, which a shipper finds all at once.
    fn record(&self, ids: impl IntoIterator<Item = String>) {
        let subscriptions = &[Arc::new(self.subscription.clone())][..];
        assert!(self.writer().prepare(subscriptions).is_empty());
        let LoggedResource::Service(service) = self.subscription.resource else {
            panic!();
        };
        let to = self
            .writer()
            .subscribe(subscriptions)
            .destinations(None, Some(service));
        let recorder: Recorder = self.writer().recorder();
        for id in ids {
            let record = Record {
                request_id: Some(id.as_bytes()),
                ..Record::new(SystemTime::now(), "10.0.0.1:1".parse().unwrap())
            };
            recorder.record(&to, &record);
        }
        assert!(self.writer().flush(LONG));
    }

    /// Waits until the spool looks like this.
    fn until(&self, wanted: impl Fn(&SpoolStatus) -> bool) -> SpoolStatus {
        let deadline = Instant::now() + LONG;
        loop {
            let status = self.writer().spools().remove(0);
            if wanted(&status) {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{status:?} {:?}",
                self.ears.take()
            );
            thread::yield_now();
        }
    }

    fn until_shipped(&self, records: u64) -> SpoolStatus {
        self.until(|status| status.shipped == records && status.records == 0)
    }

    fn said(&self) -> Vec<String> {
        let said = self.ears.take().into_iter();
        said.map(|said| match said {
            Said::Shipping(text) => text,
            other => panic!("{other:?}"),
        })
        .collect()
    }
}

fn id_of(line: &str) -> String {
    let record: serde_json::Value = serde_json::from_str(line).unwrap();
    record["requestId"].as_str().unwrap().to_owned()
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("r{number}")).collect()
}

fn loki() -> LogStoreKind {
    LogStoreKind::Loki {
        tenant: Some("shop".into()),
        labels: BTreeMap::from([("env".to_owned(), "test".to_owned())]),
        bearer: Some(Secret::new("token")),
    }
}

/// Ids of the records in a push to Loki.
fn pushed(seen: &Seen) -> Vec<String> {
    let body: serde_json::Value = serde_json::from_slice(&seen.unzipped()).unwrap();
    let values = body["streams"][0]["values"].as_array().unwrap();
    values
        .iter()
        .map(|pair| id_of(pair[1].as_str().unwrap()))
        .collect()
}

#[test]
fn records_reach_loki_in_order_with_their_labels() {
    let server = Server::start(|_| (204, Vec::new(), String::new()));
    let bench = Bench::new(&server, "/loki/api/v1/push", loki());
    bench.record(ids(0..3));
    let mut found = Vec::new();
    while found.len() < 3 {
        let seen = server.next();
        assert_eq!(seen.line, "POST /loki/api/v1/push");
        assert_eq!(seen.headers["x-scope-orgid"], "shop");
        assert_eq!(seen.headers["authorization"], "Bearer token");
        let body: serde_json::Value = serde_json::from_slice(&seen.unzipped()).unwrap();
        let labels = &body["streams"][0]["stream"];
        assert_eq!(
            (&labels["job"], &labels["env"]),
            (&"trellis".into(), &"test".into())
        );
        let times: Vec<u64> = body["streams"][0]["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| pair[0].as_str().unwrap().parse().unwrap())
            .collect();
        assert!(times.is_sorted_by(|one, other| one < other), "{times:?}");
        found.extend(pushed(&seen));
    }
    assert_eq!(found, ids(0..3));
    bench.until_shipped(3);
    assert!(bench.said().is_empty());
}

#[test]
fn storage_that_fails_gets_the_same_records_again_and_it_is_said_once() {
    let statuses = [503, 403, 429, 500, 204];
    let mut answers = statuses.into_iter();
    let server =
        Server::start(move |_| (answers.next().unwrap_or(204), Vec::new(), "no".to_owned()));
    let bench = Bench::new(&server, "/push", loki());
    bench.record(ids(0..2));
    let first = pushed(&server.next());
    for _ in 1..statuses.len() {
        let again = pushed(&server.next());
        assert!(again.starts_with(&first), "{again:?}");
    }
    let status = bench.until_shipped(2);
    assert_eq!((status.retries, status.dead), (4, 0));
    assert_eq!(bench.said(), ["failed: answer 503: no", "recovered"]);
}

#[test]
fn storage_that_is_down_gets_everything_when_it_is_back() {
    // A port that nobody listens on.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let server = Server::start(|_| (204, Vec::new(), String::new()));
    let mut bench = Bench::new(&server, "/push", loki());
    let LogDestination::Store(back) = bench.subscription.destination.clone() else {
        panic!();
    };
    let mut down = (*back).clone();
    down.endpoint.port = address.port();
    bench.subscription.destination = LogDestination::Store(Arc::new(down));
    bench.record(ids(0..5));
    bench.until(|status| status.retries >= 1 && status.records == 5);
    // The same subscription with another address: at once, without a restart.
    bench.subscription.destination = LogDestination::Store(back);
    bench.record(ids(5..6));
    let mut found = Vec::new();
    while found.len() < 6 {
        found.extend(pushed(&server.next()));
    }
    assert_eq!(found, ids(0..6));
    bench.until_shipped(6);
}

#[test]
fn a_record_that_is_refused_for_good_is_a_dead_letter_and_holds_up_no_other() {
    let poisoned = |seen: &Seen| pushed(seen).iter().any(|id| id == "r5");
    let server = Server::start(move |seen| {
        if poisoned(seen) {
            (400, Vec::new(), "bad entry".to_owned())
        } else {
            (204, Vec::new(), String::new())
        }
    });
    let bench = Bench::new(&server, "/push", loki());
    bench.record(ids(0..10));
    let status = bench.until_shipped(10);
    assert_eq!(
        (status.dead, status.dead_dropped, status.retries),
        (1, 0, 0)
    );
    let said = bench.said();
    assert_eq!(said, ["refused 1: answer 400: bad entry"]);
    let mut taken = Vec::new();
    while let Ok(seen) = server.seen.try_recv() {
        if !poisoned(&seen) {
            taken.extend(pushed(&seen));
        }
    }
    let wanted: Vec<String> = ids(0..10).into_iter().filter(|id| id != "r5").collect();
    assert_eq!(taken, wanted, "each once, in order");

    // By hand, once the storage takes it.
    let server = Server::start(|_| (204, Vec::new(), String::new()));
    let mut subscription = bench.subscription.clone();
    let LogDestination::Store(store) = &mut subscription.destination else {
        panic!();
    };
    Arc::make_mut(store).endpoint = server.endpoint("/push");
    let tls: TlsFor = Arc::new(plain);
    let folder = bench.spooling().folder;
    let done = replay(&folder, &subscription, From::DeadLetters, &tls, &mut |_| {}).unwrap();
    assert_eq!(
        done,
        Replayed {
            records: 1,
            refused: 0,
            damaged: 0
        }
    );
    assert_eq!(pushed(&server.next()), ["r5"]);
    // And what was shipped, from the beginning, or from a time that has not come.
    let done = replay(&folder, &subscription, From::Segment(0), &tls, &mut |_| {}).unwrap();
    assert_eq!(done.records, 10);
    let later = From::Time(SystemTime::now() + LONG);
    let done = replay(&folder, &subscription, later, &tls, &mut |_| {}).unwrap();
    assert_eq!(done.records, 0);
}

#[test]
fn a_restart_goes_on_where_the_last_acknowledgement_was() {
    let server = Server::start(|_| (204, Vec::new(), String::new()));
    let mut bench = Bench::new(&server, "/push", loki());
    bench.record(ids(0..3));
    bench.until_shipped(3);
    bench.writer().stop(LONG).unwrap();
    bench.start();
    bench.record(ids(3..5));
    let mut found = Vec::new();
    while found.len() < 5 {
        found.extend(pushed(&server.next()));
    }
    assert_eq!(found, ids(0..5), "each once");
    bench.until_shipped(2);
}

#[test]
fn a_stop_ships_what_there_is_without_waiting_for_more() {
    let server = Server::start(|_| (204, Vec::new(), String::new()));
    let mut bench = Bench::new(&server, "/push", loki());
    bench.subscription.delivery.batch = LONG * 60;
    bench.record(ids(0..3));
    bench.writer().stop(LONG).unwrap();
    assert_eq!(pushed(&server.next()), ids(0..3));
    // A stop does not wait for storage that is down beyond its grace.
    let server = Server::start(|_| (503, Vec::new(), String::new()));
    let mut bench = Bench::new(&server, "/push", loki());
    bench.subscription.delivery.batch = LONG * 60;
    bench.record(ids(0..3));
    bench.writer().stop(LONG).unwrap();
    bench.start();
    bench.record([]);
    bench.until(|status| status.records == 3);
}

#[test]
fn a_second_gateway_on_the_same_folder_is_refused() {
    let server = Server::start(|_| (204, Vec::new(), String::new()));
    let bench = Bench::new(&server, "/push", loki());
    bench.record([]);
    let settings = Settings {
        spooling: Some(bench.spooling()),
        ..Settings::default()
    };
    let second = Writer::start(settings, Arc::<Ears>::default()).unwrap();
    let subscriptions = [Arc::new(bench.subscription.clone())];
    let failed = second.prepare(&subscriptions);
    let text = failed[0].1.to_string();
    assert!(
        text.contains("is in use by another gateway, process "),
        "{text}"
    );
}

#[test]
fn failed_records_of_a_firehose_batch_are_sent_again_and_no_others() {
    let mut first = true;
    let server = Server::start(move |seen| {
        let records = seen.json()["Records"].as_array().unwrap().len();
        let fails = std::mem::replace(&mut first, false);
        let responses: Vec<_> = (0..records)
            .map(|index| {
                if fails && index % 2 == 1 {
                    serde_json::json!({"ErrorCode": "ServiceUnavailableException"})
                } else {
                    serde_json::json!({"RecordId": "x"})
                }
            })
            .collect();
        let failed = if fails { records / 2 } else { 0 };
        ok(
            &serde_json::json!({"FailedPutCount": failed, "RequestResponses": responses})
                .to_string(),
        )
    });
    let kind = LogStoreKind::Firehose {
        stream: "records".into(),
        signer: Some(signer()),
    };
    let mut bench = Bench::new(&server, "", kind);
    bench.subscription.delivery.batch = Duration::from_millis(50);
    bench.record(ids(0..6));
    let ids_of = |seen: &Seen| {
        assert_eq!(
            seen.headers["x-amz-target"],
            "Firehose_20150804.PutRecordBatch"
        );
        assert!(seen.headers["authorization"].contains("/us-west-2/firehose/aws4_request"));
        let body = seen.json();
        let records = body["Records"].as_array().unwrap().iter();
        records
            .map(|record| {
                use base64::Engine as _;
                let data = record["Data"].as_str().unwrap();
                let line = base64::engine::general_purpose::STANDARD
                    .decode(data)
                    .unwrap();
                id_of(
                    std::str::from_utf8(&line)
                        .unwrap()
                        .strip_suffix('\n')
                        .unwrap(),
                )
            })
            .collect::<Vec<_>>()
    };
    let first = ids_of(&server.next());
    let odd: Vec<String> = first.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(ids_of(&server.next()), odd);
    let status = bench.until_shipped(6);
    assert_eq!((status.retries, status.dead), (1, 0));
}

#[test]
fn cloudwatch_streams_are_created_and_rejected_events_are_dead_letters() {
    let mut streams = 0;
    let server = Server::start(move |seen| {
        let operation = seen.headers["x-amz-target"].clone();
        match operation.as_str() {
            "Logs_20140328.CreateLogStream" if streams == 0 => {
                streams = 1;
                (400, Vec::new(), r#"{"__type":"ResourceNotFoundException"}"#.to_owned())
            }
            "Logs_20140328.CreateLogStream" => {
                streams = 2;
                ok("")
            }
            "Logs_20140328.CreateLogGroup" => ok(""),
            _ if streams < 2 => (
                400,
                Vec::new(),
                r#"{"__type":"com.amazonaws.logs#ResourceNotFoundException","message":"no stream"}"#.to_owned(),
            ),
            _ => ok(r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1}}"#),
        }
    });
    let kind = LogStoreKind::CloudWatchLogs {
        group: "/lattice/orders".into(),
        create_group: true,
        signer: Some(signer()),
    };
    let mut bench = Bench::new(&server, "", kind);
    bench.subscription.delivery.batch = Duration::from_millis(50);
    bench.record(ids(0..3));
    bench.until(|status| status.shipped == 3);
    let operations: Vec<String> = (0..5)
        .map(|_| {
            server.next().headers["x-amz-target"]
                .trim_start_matches("Logs_20140328.")
                .to_owned()
        })
        .collect();
    let wanted = [
        "PutLogEvents",
        "CreateLogStream",
        "CreateLogGroup",
        "CreateLogStream",
        "PutLogEvents",
    ];
    assert_eq!(operations, wanted);
    let status = bench.until_shipped(3);
    assert!(status.dead >= 1 && status.retries == 0, "{status:?}");
    assert!(bench.said()[0].starts_with("refused 1: too old or too new"));
}

#[test]
fn a_collector_that_rejects_a_part_leaves_dead_letters() {
    // partial_success { rejected_log_records: 1, error_message: "no" }
    let body = "\u{a}\u{6}\u{8}\u{1}\u{12}\u{2}no";
    let server = Server::start(move |_| ok(body));
    let bench = Bench::new(&server, "/v1/logs", LogStoreKind::Otlp { bearer: None });
    bench.record(ids(0..1));
    let seen = server.next();
    assert_eq!(seen.line, "POST /v1/logs");
    assert_eq!(seen.headers["content-type"], "application/x-protobuf");
    let status = bench.until_shipped(1);
    assert_eq!((status.dead, status.retries), (1, 0));
    assert_eq!(bench.said(), ["refused 1: 1 of 1 rejected: no"]);
}

fn s3(compression: Compression) -> LogStoreKind {
    LogStoreKind::S3 {
        bucket: "logs".into(),
        prefix: "a/".into(),
        path_style: true,
        compression,
        signer: Some(signer()),
    }
}

fn etag(body: &[u8]) -> String {
    use md5::{Digest as _, Md5};
    format!("\"{:x}\"", Md5::digest(body))
}

#[test]
fn a_bucket_that_lies_about_what_it_stored_gets_the_object_again_under_the_same_key() {
    let mut lies = true;
    let server = Server::start(move |seen| {
        let lie = std::mem::replace(&mut lies, false);
        let stored = if lie {
            etag(b"something else")
        } else {
            etag(&seen.body)
        };
        (200, vec![("etag", stored)], String::new())
    });
    let mut bench = Bench::new(&server, "", s3(Compression::Gzip));
    bench.subscription.delivery.batch = Duration::from_millis(50);
    bench.record(ids(0..4));
    let (first, second) = (server.next(), server.next());
    assert!(
        first
            .line
            .starts_with("PUT /logs/a/AWSLogs/111122223333/VpcLattice/AccessLogs/us-west-2/")
    );
    assert_eq!(first.line, second.line);
    assert!(second.headers.contains_key("content-md5"));
    assert!(second.headers["authorization"].contains("/us-west-2/s3/aws4_request"));
    let text = String::from_utf8(second.unzipped()).unwrap();
    assert_eq!(text.lines().map(id_of).collect::<Vec<_>>(), ids(0..4));
    bench.until_shipped(4);
    let said = bench.said();
    assert!(said[0].starts_with("failed: stored `"), "{said:?}");
}

#[test]
fn an_etag_that_is_no_checksum_is_followed_by_a_look_at_the_size() {
    let mut size = 0;
    let mut looks = 0;
    let server = Server::start(move |seen| {
        if seen.line.starts_with("HEAD") {
            looks += 1;
            // At the first look something is missing.
            let found = if looks == 1 { size - 1 } else { size };
            return (200, vec![("x-size", found.to_string())], "h".repeat(found));
        }
        size = seen.body.len();
        (200, vec![("etag", "\"opaque\"".to_owned())], String::new())
    });
    let mut bench = Bench::new(&server, "", s3(Compression::Zstd));
    bench.subscription.delivery.batch = Duration::from_millis(50);
    bench.record(ids(0..1));
    // The server above answers HEAD with a body, which is wrong, so the connection does not survive it; what counts is that the first
    // look is not believed.
    bench.until(|status| status.retries >= 1);
    let line = server.next().line;
    assert!(line.ends_with(".json.zst"), "{line}");
}

#[test]
fn large_objects_are_uploaded_in_parts() {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let (whole, done) = mpsc::channel();
    let server = Server::start(move |seen| {
        let line = seen.line.as_str();
        if line.contains("?uploads=") {
            return ok("<R><UploadId>id/+=</UploadId></R>");
        }
        if line.contains("partNumber=") {
            assert!(line.contains(&format!(
                "partNumber={}&uploadId=id%2F%2B%3D",
                parts.len() + 1
            )));
            parts.push(seen.body.clone());
            return (200, vec![("etag", etag(&seen.body))], String::new());
        }
        if line.starts_with("POST") {
            whole.send(parts.concat()).unwrap();
            return ok("<R><ETag>\"opaque\"</ETag></R>");
        }
        panic!("{line}");
    });
    let mut bench = Bench::new(&server, "", s3(Compression::Gzip));
    bench.subscription.delivery.batch = Duration::from_secs(1);
    // What compresses badly: 6 MB of it are more than one part.
    let mut state = 1_u64;
    let noise: Vec<String> = (0..20_000)
        .map(|number| {
            let mut id = format!("r{number}-");
            while id.len() < 500 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                id.push(char::from(
                    33 + u8::try_from(state >> 40 & 0xff).unwrap() % 90,
                ));
            }
            id.replace(['"', '\\'], "x")
        })
        .collect();
    // In two halves: the buffer of a worker takes 8 MiB.
    for half in noise.chunks(10_000) {
        bench.record(half.to_vec());
    }
    let object = done.recv_timeout(LONG).unwrap();
    let mut text = String::new();
    GzDecoder::new(&object[..])
        .read_to_string(&mut text)
        .unwrap();
    let found: Vec<String> = text.lines().map(id_of).collect();
    assert_eq!(found.len(), noise.len());
    assert!(found == noise);
    bench.until_shipped(20_000);
}
