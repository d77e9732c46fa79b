//! How long does it take until a change of one resource among ten thousand services takes effect?
//!
//! ```text
//! cargo bench -p trellis-benches --bench change
//! ```
//!
//! A gateway runs with ten thousand services in one network, each with an auth policy of two statements, a rule, a target group, and a
//! user of its own with a policy and an access key. One resource is changed at a time, as the control API does it: a new
//! configuration that shares everything else. Measured is the time until the snapshot is swapped, median and 99th percentile; beside it
//! what everything takes, which is also the time from the configuration to a listening gateway. At the end ten thousand changes
//! more, for the memory that they leave behind.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a bench that cannot be set up must stop, and it reports to its user"
)]

use std::{
    fmt::Write as _,
    net::TcpListener,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use trellis_gateway::server::{Locator, Overlay, Server};
use trellis_model::{
    config::{Action, Config, PolicyText, Service, Target},
    load::{Inputs, Loaded, Source, load},
    problem::{Place, Problems},
};

const SERVICES: usize = 10_000;
const CHANGES: usize = 300;
const MANY: usize = 10_000;

struct Secrets;

impl Inputs for Secrets {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        Some("0123456789012345678901234567890123456789".to_owned())
    }
}

fn statements(number: usize, other: usize) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"111122223333"}},"Action":"vpc-lattice-svcs:Invoke","Resource":"*/{number}/{other}/*","Condition":{{"StringEquals":{{"vpc-lattice-svcs:RequestMethod":"GET"}}}}}},{{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*/private/{number}/*"}}]}}"#
    )
}

fn document(folder: &Path, port: u16) -> String {
    let mut text = format!(
        "account: \"111122223333\"\nregion: us-west-2\ngateway: {{workers: 1, dataDir: {}}}\nvpcs: [{{name: shop, cidrs: [10.0.0.0/8], attachments: [{{listen: [127.0.0.1]}}]}}]\n",
        folder.join("data").display()
    );
    text.push_str("serviceNetworks:\n  - name: commerce\n    vpcAssociations: [{vpcIdentifier: shop}]\n    serviceAssociations:\n");
    let all = || 0..SERVICES;
    for number in all() {
        writeln!(text, "      - {{serviceIdentifier: service-{number}}}").unwrap();
    }
    text.push_str("services:\n");
    for number in all() {
        let policy = statements(number, 0);
        writeln!(
            text,
            "  - {{name: service-{number}, customDomainName: service-{number}.bench.test, authType: AWS_IAM, authPolicy: {policy}, listeners: [{{name: http, protocol: HTTP, port: {port}, defaultAction: {{forward: {{targetGroups: [{{targetGroupIdentifier: group-{number}}}]}}}}, rules: [{{name: one, priority: 10, match: {{httpMatch: {{method: GET, pathMatch: {{match: {{exact: /healthz}}}}}}}}, action: {{fixedResponse: {{statusCode: 404}}}}}}]}}]}}"
        )
        .unwrap();
    }
    text.push_str("targetGroups:\n");
    for number in all() {
        let (high, low) = (number / 250, number % 250 + 1);
        writeln!(
            text,
            "  - {{name: group-{number}, type: IP, config: {{protocol: HTTP, port: 80, vpcIdentifier: shop, healthCheck: {{enabled: false}}}}, targets: [{{id: 10.1.{high}.{low}}}]}}"
        )
        .unwrap();
    }
    text.push_str("principals:\n  users:\n");
    for number in all() {
        writeln!(
            text,
            r#"    - {{name: user-{number}, policies: [{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"*","Resource":"*/{number}/*"}}]}}], accessKeys: [{{id: AKIAUSER{number:012}, secret: {{env: SECRET}}}}]}}"#
        )
        .unwrap();
    }
    text
}

/// Says what a bench wants to run.
#[derive(Debug)]
struct Wanted(Mutex<Arc<Config>>);

impl Overlay for Wanted {
    fn over(&self, _: &Arc<Config>) -> Result<Arc<Config>, Problems> {
        Ok(Arc::clone(&self.0.lock()))
    }
}

/// Makes a change; the number says which.
type Making<'a> = dyn Fn(&mut Config, usize) + 'a;

/// Makes a change, which is the `number`th, and gives the time until it runs.
fn apply(server: &mut Server, wanted: &Wanted, number: usize, change: &Making<'_>) -> Duration {
    let mut config = Config::clone(&wanted.0.lock());
    change(&mut config, number);
    let config = Arc::new(config);
    let began = Instant::now();
    *wanted.0.lock() = config;
    if let Err(problems) = server.follow() {
        panic!("{problems}");
    }
    began.elapsed()
}

fn policy(text: &str) -> PolicyText {
    PolicyText {
        language: trellis_model::config::PolicyLanguage::Iam,
        text: text.into(),
        place: Place::default(),
    }
}

fn of_policy(config: &mut Config, number: usize) {
    let at = number * 7919 % SERVICES;
    let service = Arc::make_mut(&mut config.services[at]);
    service.auth_policy = Some(policy(&statements(at, number + 1)));
}

fn of_rule(config: &mut Config, number: usize) {
    let service = Arc::make_mut(&mut config.services[number * 7919 % SERVICES]);
    let rule = &mut service.listeners[0].rules[0];
    rule.action = match rule.action {
        Action::FixedResponse(404) => Action::FixedResponse(500),
        _ => Action::FixedResponse(404),
    };
}

fn of_target(config: &mut Config, number: usize) {
    let group = Arc::make_mut(&mut config.target_groups[number * 7919 % SERVICES]);
    if group.targets.len() > 1 {
        group.targets.pop();
    } else {
        let address = std::net::Ipv4Addr::from([10, 2, 0, 1]);
        group
            .targets
            .push(Target::new("10.2.0.1", (address, 80).into()));
    }
}

/// A service goes and comes back, in the middle of the list.
fn of_service(config: &mut Config, number: usize, gone: &Mutex<Option<Arc<Service>>>) {
    let mut gone = gone.lock();
    let network = Arc::make_mut(&mut config.service_networks[0]);
    match gone.take() {
        Some(service) => {
            let place = config.services.len() / 2;
            config.services.insert(place, service);
        }
        None => *gone = Some(config.services.remove(number * 7919 % SERVICES)),
    }
    network.tags.insert("number".to_owned(), number.to_string());
}

fn of_user(config: &mut Config, number: usize) {
    let user = Arc::make_mut(&mut config.users[number * 7919 % SERVICES]);
    user.tags.insert("number".to_owned(), number.to_string());
}

fn report(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (median, late) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    let most = times[times.len() - 1];
    println!(
        "{name}: median {median:?}, p99 {late:?}, most {most:?} of {}",
        times.len()
    );
}

/// Resident memory in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn main() {
    let folder = std::env::temp_dir().join(format!("trellis-change-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let source = Source {
        path: folder.join("bench.yaml"),
        text: Ok(document(&folder, port)),
    };
    let began = Instant::now();
    let loaded: Loaded = match load(std::slice::from_ref(&source), &Secrets) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{problems}"),
    };
    let read = began.elapsed();
    let began = Instant::now();
    let mut server = Server::start(loaded, Locator::new(|problems| problems), 7).unwrap();
    let started = began.elapsed();
    println!("{SERVICES} services: read in {read:?}, from there to listening {started:?}");
    // The files read again, with nothing changed in them.
    let began = Instant::now();
    let again = load(&[source], &Secrets);
    let read = began.elapsed();
    let began = Instant::now();
    server.reload(again).unwrap();
    println!(
        "files read again: {read:?}, compared and applied {:?}",
        began.elapsed()
    );

    let wanted = Arc::new(Wanted(Mutex::new(server.state().config())));
    server.attach(Arc::clone(&wanted) as _).unwrap();
    let gone = Mutex::new(None);
    let service = |config: &mut Config, number: usize| of_service(config, number, &gone);
    let kinds: [(&str, &Making<'_>); 5] = [
        ("the policy of a service", &of_policy),
        ("a rule", &of_rule),
        ("a target", &of_target),
        ("a service that comes or goes", &service),
        ("a user", &of_user),
    ];
    for (name, change) in kinds {
        let times = (0..CHANGES).map(|number| apply(&mut server, &wanted, number, change));
        report(name, times.collect());
    }
    let before = resident();
    for number in 0..MANY {
        let kinds: [&Making<'_>; 3] = [&of_policy, &of_rule, &of_target];
        apply(&mut server, &wanted, number, kinds[number % 3]);
    }
    let after = resident();
    println!("resident: {before} KiB, after {MANY} changes {after} KiB");
    server.stop();
    std::fs::remove_dir_all(&folder).unwrap();
}
