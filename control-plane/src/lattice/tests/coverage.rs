//! Is every operation of the model performed, and every documented error produced?
//!
//! The tests of this module are run once more, in a process of their own that writes down each call and its outcome. What succeeded
//! there is then sent as a whole call, by callers and to worlds that refuse it for each of the reasons that all operations share.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::Write as _,
    process::Command,
    sync::{LazyLock, Mutex},
};

use serde_json::{Map, Value, json};

use super::{World, calls};
use crate::lattice::{
    Rate, Throttle,
    error::ApiError,
    schema::{API, Location, Operation},
};

/// Names the file that calls are written to.
const RECORD: &str = "TRELLIS_TEST_CALLS";

static RECORDING: LazyLock<Option<Mutex<File>>> = LazyLock::new(|| {
    let path = std::env::var_os(RECORD)?;
    let file = OpenOptions::new().append(true).open(path).unwrap();
    Some(Mutex::new(file))
});

pub(super) fn is_recording() -> bool {
    RECORDING.is_some()
}

/// Writes a call down, if that is wanted.
pub(super) fn record(operation: &str, input: &Value, answer: &Result<Value, ApiError>) {
    let Some(file) = &*RECORDING else {
        return;
    };
    let error = answer.as_ref().err().map(ApiError::code);
    let line = json!({"operation": operation, "input": input, "error": error});
    writeln!(file.lock().unwrap(), "{line}").unwrap();
}

/// The operation that has nothing to be performed on: there are no associations with endpoints.
const UNPERFORMED: &str = "DeleteResourceEndpointAssociation";

/// What is known of an operation.
#[derive(Default)]
struct Known {
    /// An input that it performed.
    performed: Option<Map<String, Value>>,
    /// An input that it refused.
    refused: Option<Map<String, Value>>,
    errors: BTreeSet<String>,
}

/// Runs the other tests of this module, and tells what they asked for.
fn run_others() -> BTreeMap<String, Known> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["lattice::tests::", "--skip", "lattice::tests::coverage"])
        .env(RECORD, file.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for line in std::fs::read_to_string(file.path()).unwrap().lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let operation = line["operation"].as_str().unwrap().to_owned();
        let known = known.entry(operation).or_default();
        let input = std::mem::take(line["input"].as_object_mut().unwrap());
        match line["error"].as_str() {
            Some(error) => {
                known.refused = Some(input);
                known.errors.insert(error.to_owned());
            }
            None => known.performed = Some(input),
        }
    }
    known
}

/// Errors that the model documents and this program never answers with, and why.
fn never(operation: &Operation, error: &str) -> Option<&'static str> {
    let name = operation.name.as_str();
    let reads = name.starts_with("Get") || name.starts_with("List");
    match (name, error) {
        (_, "InternalServerException") if reads => Some("reads memory"),
        (UNPERFORMED, "InternalServerException") => Some("has nothing to change"),
        (
            "CreateService" | "CreateServiceNetwork" | "ListDomainVerifications",
            "ResourceNotFoundException",
        ) => Some("names nothing"),
        ("BatchUpdateRule", "ConflictException") => Some("told rule by rule"),
        (
            "DeleteListener"
            | "DeleteRule"
            | "DeleteServiceNetworkResourceAssociation"
            | "DeleteServiceNetworkServiceAssociation"
            | "DeleteServiceNetworkVpcAssociation"
            | "DeregisterTargets"
            | "RegisterTargets"
            | "UpdateService"
            | "UpdateServiceNetwork"
            | "UpdateServiceNetworkVpcAssociation"
            | "UpdateTargetGroup",
            "ConflictException",
        ) => Some("has nothing in its way"),
        (
            "UpdateResourceConfiguration" | "UpdateService" | "UpdateTargetGroup",
            "ServiceQuotaExceededException",
        ) => Some("adds nothing"),
        _ => None,
    }
}

#[test]
fn every_operation_is_performed_and_every_documented_error_produced() {
    let mut known = run_others();
    let callers = calls::Callers::new();
    let mut faults = Vec::new();
    for operation in &API.operations {
        let known = known.entry(operation.name.clone()).or_default();
        if known.performed.is_none() && operation.name != UNPERFORMED {
            faults.push(format!("{}: never performed", operation.name));
        }
        let Some(input) = known.performed.take().or(known.refused.take()) else {
            continue;
        };
        known.errors.extend(send_whole(&callers, operation, &input));
        for error in &operation.errors {
            match (known.errors.contains(error), never(operation, error)) {
                (false, None) => faults.push(format!("{}: no {error}", operation.name)),
                (true, Some(_)) => faults.push(format!("{}: {error} after all", operation.name)),
                _ => {}
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    compare(&page(&known));
}

/// Sends an operation as whole calls; the errors that came of it.
fn send_whole(
    callers: &calls::Callers,
    operation: &Operation,
    input: &Map<String, Value>,
) -> BTreeSet<String> {
    let mut world = World::new();
    let mut errors = BTreeSet::new();
    let answer = callers.ask(&world, "AKIAADMIN", calls::call(&world, operation, input));
    match answer.error_type {
        None => assert_eq!(answer.status, operation.status, "{}", operation.name),
        Some(error) => {
            let documented = operation.errors.iter().any(|known| known == error);
            assert!(documented, "{}: {error}: {}", operation.name, answer.body);
            errors.insert(error.to_owned());
        }
    }
    let answer = callers.ask(&world, "AKIANOBODY", calls::call(&world, operation, input));
    assert_eq!(
        answer.error_type,
        Some("AccessDeniedException"),
        "{}: {}",
        operation.name,
        answer.body
    );
    errors.insert("AccessDeniedException".to_owned());
    for wrong in wrong_inputs(operation, input) {
        let answer = callers.ask(&world, "AKIAADMIN", calls::call(&world, operation, &wrong));
        assert_eq!(
            answer.error_type,
            Some("ValidationException"),
            "{} {wrong:?}: {}",
            operation.name,
            answer.body
        );
        errors.insert("ValidationException".to_owned());
    }
    world.throttle = Throttle::new(Rate {
        per_second: 1,
        burst: 1,
    });
    let twice = || callers.ask(&world, "AKIAADMIN", calls::call(&world, operation, input));
    twice();
    let answer = twice();
    assert_eq!(answer.error_type, Some("ThrottlingException"));
    assert_eq!(answer.retry_after, Some(1));
    errors.insert("ThrottlingException".to_owned());
    errors
}

/// Inputs that differ from a right one in one member: it is missing though it is required, or it is what it never may be.
fn wrong_inputs(operation: &Operation, input: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let mut wrong = Vec::new();
    for member in API.members(operation.input) {
        if member.required && member.location != Location::Path {
            let mut without = input.clone();
            without.remove(&member.name);
            wrong.push(without);
        }
        let never = match member.location {
            Location::Body => json!(1.5),
            _ if API.is_list(member.shape) => continue,
            _ => json!("\u{7f}"),
        };
        // Every text may be the value of a text without a pattern.
        if member.location != Location::Body && API.takes_any_text(member.shape) {
            continue;
        }
        let mut changed = input.clone();
        changed.insert(member.name.clone(), never);
        wrong.push(changed);
    }
    wrong
}

const COLUMNS: [&str; 7] = [
    "ValidationException",
    "AccessDeniedException",
    "ResourceNotFoundException",
    "ConflictException",
    "ServiceQuotaExceededException",
    "ThrottlingException",
    "InternalServerException",
];

fn page(known: &BTreeMap<String, Known>) -> String {
    let mut page = String::from(
        "# Operations of VPC Lattice's API

What the tests of `control-plane/src/lattice` get from each operation of the API's model. `yes`: a test gets this error; `-`: the model does
not document it; else why it never comes here. Every operation is performed with success, except `DeleteResourceEndpointAssociation`,
because there are no such associations. Written by `UPDATE_GOLDEN=1 cargo test -p trellis-control-plane --lib coverage`, which fails when an
operation or a documented error is missing.

| operation | code |",
    );
    for column in COLUMNS {
        let short = column.trim_end_matches("Exception");
        write!(page, " {short} |").unwrap();
    }
    page.push_str("\n|---|---|---|---|---|---|---|---|---|\n");
    let mut operations: Vec<&Operation> = API.operations.iter().collect();
    operations.sort_unstable_by_key(|operation| &operation.name);
    for operation in operations {
        write!(
            page,
            "| {} | {} |",
            operation.name,
            operation.status.as_u16()
        )
        .unwrap();
        for column in COLUMNS {
            let documented = operation.errors.iter().any(|error| error == column);
            let produced = known[&operation.name].errors.contains(column);
            let cell = match never(operation, column) {
                _ if !documented => "-",
                _ if produced => "yes",
                Some(why) => why,
                None => "missing",
            };
            write!(page, " {cell} |").unwrap();
        }
        page.push('\n');
    }
    page
}

/// Compares the page in `docs` with what belongs there; `UPDATE_GOLDEN=1` writes it.
fn compare(page: &str) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/reference/api-coverage.md"
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, page).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        there == page,
        "docs/reference/api-coverage.md differs (UPDATE_GOLDEN=1 rewrites it):\n{page}"
    );
}
