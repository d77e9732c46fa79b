//! A running gateway, and what every scenario checks of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use trellis_gateway::{
    cli::inputs::Configuration,
    server::{Bell, Locator, Overlay, Server},
    telemetry::{Telemetry, names},
};
use trellis_model::{load::Loaded, problem::Problems};

use crate::{
    client::{self, Answer, Broken, Connection, Via},
    message::Request,
    raw::Raw,
    record::Record,
    setup::Setup,
    tls::Trust,
    wait::eventually,
    witness::Witness,
};

/// The metric of TLS handshakes that ended because no service that the caller may meet has the server name.
pub const UNKNOWN_NAME: &str = "gateway_tls_handshakes_total{outcome=\"unknown_name\"}";

/// Metrics that stay zero unless a scenario makes trouble.
const TROUBLE: [&str; 13] = [
    "gateway_config_reloads_total{outcome=\"rejected\"}",
    "gateway_listener_failures_total",
    "gateway_connections_refused_total{reason=\"unknown_vpc\"}",
    "gateway_connections_refused_total{reason=\"too_many\"}",
    "gateway_connections_refused_total{reason=\"accept_failed\"}",
    UNKNOWN_NAME,
    "gateway_tls_handshakes_total{outcome=\"client_certificate\"}",
    "gateway_tls_handshakes_total{outcome=\"refused\"}",
    "gateway_tls_handshakes_total{outcome=\"lost\"}",
    "gateway_tls_handshakes_total{outcome=\"timeout\"}",
    "gateway_certificate_loads_total{outcome=\"failed\"}",
    "gateway_access_records_dropped_total",
    "gateway_access_record_write_errors_total",
];

/// Account and line of a record.
type Position = (usize, usize);

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    server: Option<Server>,
    telemetry: Arc<Telemetry>,
    setups: Vec<Setup>,
    witness: Witness,
    trust: Trust,
    root: String,
    /// Records that the scenario has looked at.
    looked_at: BTreeSet<Position>,
    expected_metrics: BTreeSet<&'static str>,
    unrecorded: usize,
    /// Requests of services that were removed.
    uncounted: u64,
}

impl Gateway {
    pub(crate) async fn start(setups: Vec<Setup>) -> Self {
        let witness = Witness::new();
        let loaded = load(&setups).unwrap_or_else(|problems| panic!("{problems}"));
        let seed = random_seed();
        println!("seed {seed}");
        let starting = witness.clone();
        let documents = Configuration::new(documents(&setups));
        let locator = Locator::new(move |problems| documents.locate(problems));
        let server = tokio::task::spawn_blocking(move || {
            starting
                .hear(|| Server::start(loaded, locator, seed))
                .unwrap_or_else(|error| panic!("{error}"))
        });
        let server = server.await.expect("a gateway that starts");
        let root = std::fs::read_to_string(setups[0].file("data").join("ca/certificate.pem"))
            .expect("the root of the CA");
        Self {
            telemetry: Arc::clone(server.telemetry()),
            server: Some(server),
            setups,
            witness,
            trust: Trust::new(&root),
            root,
            looked_at: BTreeSet::new(),
            expected_metrics: BTreeSet::new(),
            unrecorded: 0,
            uncounted: 0,
        }
    }

    /// A caller in the VPC of the first account.
    pub fn caller(&self) -> Caller {
        self.tenant(0)
    }

    /// A caller in the VPC of an account, by its position.
    pub fn tenant(&self, number: usize) -> Caller {
        let setup = &self.setups[number];
        Caller {
            ip: setup.address.ip().into(),
            http: setup.http,
            https: setup.https,
            from: None,
            trust: self.trust.clone(),
        }
    }

    /// The root certificate of the gateway's own CA, in PEM.
    pub fn root_pem(&self) -> &str {
        &self.root
    }

    /// Sends a request on a connection of its own and waits for the whole answer, which must come.
    pub async fn send(&self, via: Via, request: Request) -> Answer {
        self.caller().send(via, request).await
    }

    /// `GET` over HTTP/1.1.
    pub async fn get(&self, host: &str, path: &str) -> Answer {
        self.send(Via::Http1, Request::get(host, path)).await
    }

    /// Sends a request on a connection of its own and waits for the whole answer, or for its failure.
    pub async fn try_send(&self, via: Via, request: Request) -> Result<Answer, Broken> {
        let mut connection = self.connect(via, &request.host).await;
        connection.try_send(request).await
    }

    /// A connection; the host matters for TLS only.
    pub async fn connect(&self, via: Via, host: &str) -> Connection {
        self.caller().connect(via, host).await
    }

    /// A TCP connection to the HTTP port, for bytes of the scenario's own.
    pub async fn raw(&self) -> Raw {
        self.caller().raw().await
    }

    /// The first account's setup as it stands.
    pub fn setup(&self) -> &Setup {
        &self.setups[0]
    }

    /// The first account's setup, for ports and files.
    pub fn setup_mut(&mut self) -> &mut Setup {
        &mut self.setups[0]
    }

    /// Lets go of the series of resources that are gone, as the main loop does every few seconds.
    pub fn settle_metrics(&self) {
        self.server
            .as_ref()
            .expect("a running gateway")
            .settle_metrics();
    }

    /// Runs with a changed document, which must be accepted.
    pub fn reload(&mut self, change: impl FnOnce(Setup) -> Setup) -> u64 {
        self.try_reload(change)
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Runs with a changed document, or refuses it; a refused change is taken back.
    pub fn try_reload(&mut self, change: impl FnOnce(Setup) -> Setup) -> Result<u64, Problems> {
        let setup = self.setups.remove(0);
        let (document, adjustments) = (setup.document.clone(), setup.adjustments.clone());
        self.setups.insert(0, change(setup));
        let server = self.server.as_mut().expect("a running gateway");
        let loaded = load(&self.setups);
        let outcome = self.witness.hear(|| server.reload(loaded));
        if outcome.is_err() {
            self.setups[0].document = document;
            self.setups[0].adjustments = adjustments;
        }
        outcome
    }

    /// Keeps these resources beside those of the documents.
    pub fn attach(&mut self, overlay: Arc<dyn Overlay>) -> Result<u64, Problems> {
        let server = self.server.as_mut().expect("a running gateway");
        self.witness.hear(|| server.attach(overlay))
    }

    /// Takes over what is kept beside the documents, as the main thread does when somebody rings.
    pub fn follow(&mut self) -> Result<u64, Problems> {
        let server = self.server.as_mut().expect("a running gateway");
        self.witness.hear(|| server.follow())
    }

    /// How those who keep something beside the documents tell of a change.
    pub fn bell(&self) -> Bell {
        let server = self.server.as_ref().expect("a running gateway");
        server.bell().clone()
    }

    /// Looks at the certificate files, as the gateway does every few seconds.
    pub fn refresh_certificates(&self) {
        let server = self.server.as_ref().expect("a running gateway");
        self.witness.hear(|| server.refresh_certificates());
    }

    /// Stops in order, as on SIGTERM, and waits for it. The clients of the scenario go on meanwhile.
    pub async fn stop(&mut self) {
        let stopping = self.begin_stop();
        stopping.await.expect("a gateway that stops");
    }

    /// Stops in order on the thread of the caller, which may belong to a runtime.
    pub fn stop_here(&mut self) {
        let server = self.server.take().expect("a running gateway");
        self.witness.hear(|| server.stop());
    }

    /// Begins to stop; the handle waits for the end.
    pub fn begin_stop(&mut self) -> tokio::task::JoinHandle<()> {
        let server = self.server.take().expect("a running gateway");
        let witness = self.witness.clone();
        tokio::task::spawn_blocking(move || witness.hear(|| server.stop()))
    }

    /// A page of the admin listener.
    pub async fn admin(&self, path: &str) -> Answer {
        self.page(self.admin_address(), path).await
    }

    /// Where the admin listener of the running gateway is.
    pub fn admin_address(&self) -> SocketAddr {
        let server = self.server.as_ref().expect("a running gateway");
        server.admin_address().expect("an admin listener")
    }

    /// A call of the control address.
    pub async fn control(&self, request: Request) -> Answer {
        let address = self.setups[0].document["gateway"]["control"].as_str();
        let address = address.expect("a control address").parse();
        self.ask(address.expect("an address"), request).await
    }

    /// A page of the admin listener at this address, also of a gateway that is stopping.
    pub async fn page(&self, address: SocketAddr, path: &str) -> Answer {
        self.ask(address, Request::get("admin", path)).await
    }

    async fn ask(&self, address: SocketAddr, request: Request) -> Answer {
        let stream = client::dial(address, None).await;
        let stream = stream.expect("somebody listens there");
        let mut connection = Connection::over(stream, Via::Http1, &request.host, &self.trust)
            .await
            .expect("a connection");
        connection.send(request).await
    }

    /// The sum of a metric's samples: all of its series, or those whose line begins with `name{labels`.
    pub fn metric(&self, name: &str) -> u64 {
        sum(&self.telemetry.render(), name)
    }

    /// All access records so far.
    pub fn records(&self) -> Vec<Record> {
        self.positioned().map(|(_, record)| record).collect()
    }

    fn positioned(&self) -> impl Iterator<Item = (Position, Record)> {
        (0..self.setups.len()).flat_map(|tenant| {
            let records = self.records_of(tenant).into_iter().enumerate();
            records.map(move |(line, record)| ((tenant, line), record))
        })
    }

    /// The access records of an account so far, by its position.
    pub fn records_of(&self, tenant: usize) -> Vec<Record> {
        records_in(self.setups[tenant].file("access.jsonl"))
    }

    /// The record of the request with this answer.
    pub async fn record_of(&mut self, answer: &Answer) -> Record {
        let id = answer.header("x-amzn-requestid");
        self.record_where(&format!("request {id}"), |record| {
            record.text("requestId") == id
        })
        .await
    }

    /// The record of the request for this path.
    pub async fn record_for(&mut self, path: &str) -> Record {
        self.record_where(&format!("a request for {path}"), |record| {
            record.text("requestPath") == path
        })
        .await
    }

    /// The record that fits, among those not looked at before.
    pub async fn record_where(&mut self, what: &str, fits: impl Fn(&Record) -> bool) -> Record {
        let (position, record) = eventually(&format!("the record of {what}"), async || {
            let mut unseen = self
                .positioned()
                .filter(|(position, _)| !self.looked_at.contains(position));
            unseen.find(|(_, record)| fits(record))
        })
        .await;
        self.looked_at.insert(position);
        record
    }

    /// Waits for a line of the log at `warn` or `error`, which is then expected.
    pub async fn expect_log(&self, text: &str) -> String {
        eventually(&format!("the log line `{text}`"), async || {
            self.witness.take(text)
        })
        .await
    }

    /// Waits until a metric has this value; if it is one of trouble, that is then expected.
    pub async fn expect_metric(&mut self, name: &str, value: u64) {
        eventually(&format!("{name} to be {value}"), async || {
            (self.metric(name) == value).then_some(())
        })
        .await;
        self.expected_metrics
            .extend(TROUBLE.iter().filter(|trouble| **trouble == name));
    }

    /// So many requests have no record, because nobody has subscribed to any.
    pub fn expect_unrecorded(&mut self, requests: usize) {
        self.unrecorded += requests;
    }

    /// So many requests are no longer counted, because their service was removed.
    pub fn expect_uncounted(&mut self, requests: u64) {
        self.uncounted += requests;
    }

    /// What every scenario checks at its end.
    fn check(&mut self) {
        let problems = self.witness.rest();
        assert!(problems.is_empty(), "unexpected in the log: {problems:#?}");
        let page = self.telemetry.render();
        for name in TROUBLE {
            let expected = self.expected_metrics.contains(name);
            assert!(
                expected || sum(&page, name) == 0,
                "unexpected: {name} is {}",
                sum(&page, name)
            );
        }
        for gauge in [names::REQUESTS_IN_FLIGHT.name, names::CONNECTIONS.name] {
            assert!(
                sum(&page, gauge) == 0,
                "left behind: {gauge} is {}",
                sum(&page, gauge)
            );
        }
        let records = self.records();
        let unseen: Vec<_> = self
            .positioned()
            .filter(|(position, record)| record.is_failure() && !self.looked_at.contains(position))
            .collect();
        assert!(
            unseen.is_empty(),
            "failures that nobody expected: {unseen:#?}"
        );
        let counted = sum(&page, names::REQUESTS.name) + self.uncounted;
        let recorded = (records.len() + self.unrecorded) as u64;
        assert_eq!(
            counted, recorded,
            "requests counted and recorded: {records:#?}"
        );
        let mut times = BTreeMap::new();
        for record in &records {
            record.check();
            *times
                .entry(record.text("requestId").to_owned())
                .or_insert(0) += 1;
        }
        times.retain(|_, count| *count > 1);
        assert!(times.is_empty(), "recorded more than once: {times:?}");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let witness = self.witness.clone();
            // Away from the runtime of the scenario, whose threads must not wait.
            let stopped = std::thread::spawn(move || witness.hear(|| server.stop())).join();
            assert!(stopped.is_ok() || std::thread::panicking());
        }
        if !std::thread::panicking() {
            self.check();
        }
    }
}

/// Somebody in a VPC who calls the gateway.
#[derive(Debug, Clone)]
pub struct Caller {
    ip: IpAddr,
    http: u16,
    https: u16,
    from: Option<IpAddr>,
    trust: Trust,
}

impl Caller {
    /// The same from this address.
    #[must_use]
    pub fn from(mut self, address: &str) -> Self {
        self.from = Some(address.parse().expect("an address"));
        self
    }

    /// The same on this port, in the clear and over TLS.
    #[must_use]
    pub fn on_port(mut self, port: u16) -> Self {
        (self.http, self.https) = (port, port);
        self
    }

    /// The same, trusting others than the gateway's own CA.
    #[must_use]
    pub fn trusting(mut self, trust: &Trust) -> Self {
        self.trust = trust.clone();
        self
    }

    /// See [`Gateway::send`].
    pub async fn send(&self, via: Via, request: Request) -> Answer {
        let mut connection = self.connect(via, &request.host).await;
        connection.send(request).await
    }

    /// See [`Gateway::get`].
    pub async fn get(&self, host: &str, path: &str) -> Answer {
        self.send(Via::Http1, Request::get(host, path)).await
    }

    /// See [`Gateway::connect`].
    pub async fn connect(&self, via: Via, host: &str) -> Connection {
        self.try_connect(via, host).await.expect("a connection")
    }

    /// A connection, or why there is none.
    pub async fn try_connect(&self, via: Via, host: &str) -> std::io::Result<Connection> {
        let stream = client::dial(self.socket(via.is_tls()), self.from).await?;
        Connection::over(stream, via, host, &self.trust).await
    }

    /// See [`Gateway::raw`].
    pub async fn raw(&self) -> Raw {
        let stream = client::dial(self.socket(false), self.from).await;
        Raw::new(stream.expect("a connection"))
    }

    /// A TLS connection that offers these protocols, for bytes of the scenario's own.
    pub async fn tls(&self, host: &str, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = client::dial(self.socket(true), self.from).await?;
        client::handshake(stream, host, alpn, &self.trust).await
    }

    /// Where this caller reaches the gateway.
    pub fn socket(&self, tls: bool) -> SocketAddr {
        (self.ip, if tls { self.https } else { self.http }).into()
    }
}

/// The folder of the documents, one for each account.
fn documents(setups: &[Setup]) -> PathBuf {
    setups[0].file("documents")
}

/// Writes the documents and loads them as `trellis serve` does.
fn load(setups: &[Setup]) -> Result<Loaded, Problems> {
    let folder = documents(setups);
    std::fs::create_dir_all(&folder).expect("a writable folder");
    for (number, setup) in setups.iter().enumerate() {
        // JSON is YAML; the name makes the loader read it as that.
        let text = format!("{:#}", setup.document);
        std::fs::write(folder.join(format!("{number}.yaml")), text).expect("a writable folder");
    }
    let mut loaded = Configuration::new(folder).load()?;
    for adjust in setups.iter().flat_map(|setup| &setup.adjustments) {
        adjust(&mut loaded.config);
    }
    Ok(loaded)
}

fn records_in(path: PathBuf) -> Vec<Record> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last line may still be in the writing.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| Record(serde_json::from_str(line).expect("a record is JSON")))
        .collect()
}

/// The sum of the samples (whole numbers all) whose line begins with `name`, the whole name or a name with labels.
fn sum(page: &str, name: &str) -> u64 {
    let of_name = |line: &&str| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
    };
    let value = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
    page.lines().filter(of_name).filter_map(value).sum()
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one("seed")
}
