//! The page of the configuration: everything that documents can say, and no secret.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use trellis_model::{
    config::{Config, ProviderKeys},
    load::{Inputs, Source, load},
};

use super::{REDACTED, redacted};

/// The loader's case in which every member of every object is written once.
fn case() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/src/load/cases/valid-everything")
}

/// Gives a secret of the test's own wherever a document asks for one, and remembers it.
#[derive(Default)]
struct Secrets {
    given: RefCell<Vec<String>>,
}

impl Secrets {
    fn make(&self) -> String {
        let mut given = self.given.borrow_mut();
        let secret = format!("sentinel{:032}", given.len());
        given.push(secret.clone());
        secret
    }
}

impl Inputs for Secrets {
    fn read(&self, path: &Path) -> Result<String, String> {
        if path.components().any(|part| part.as_os_str() == "keys") {
            return Ok(self.make());
        }
        fs::read_to_string(path).map_err(|error| error.to_string())
    }

    fn variable(&self, _: &str) -> Option<String> {
        Some(self.make())
    }
}

fn everything(secrets: &Secrets) -> Config {
    let path = case().join("all.yaml");
    let text = Ok(fs::read_to_string(&path).unwrap());
    match load(&[Source { path, text }], secrets) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}"),
    }
}

#[test]
fn no_secret_is_shown_wherever_it_comes_from() {
    let secrets = Secrets::default();
    let config = everything(&secrets);
    let page = redacted(&config).to_string();
    // What is logged by mistake is as bad as what is shown.
    let debug = format!("{config:?}");
    let given = secrets.given.borrow();
    assert!(
        given.len() >= 2,
        "secrets from a file and from the environment"
    );
    for secret in &*given {
        assert!(!page.contains(secret), "the page shows {secret}");
        assert!(!debug.contains(secret), "the configuration shows {secret}");
    }
    assert!(page.contains(REDACTED));
}

/// Members in which a secret, or a place where one is found, could be shown.
fn suspicious(value: &Value, place: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let place = format!("{place}.{name}");
                let lower = name.to_lowercase();
                if ["secret", "password", "token"]
                    .iter()
                    .any(|word| lower.contains(word))
                {
                    found.push(format!("{place} = {member}"));
                }
                suspicious(member, &place, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                suspicious(item, place, found);
            }
        }
        Value::String(text) if text.contains("PRIVATE KEY") => found.push(place.to_owned()),
        _ => {}
    }
}

#[test]
fn a_member_for_a_secret_holds_the_word_for_redacted_only() {
    let config = everything(&Secrets::default());
    let mut found = Vec::new();
    suspicious(&redacted(&config), "", &mut found);
    let users = config.users.iter().map(|user| user.access_keys.len());
    let roles = config.roles.iter().map(|role| role.access_keys.len());
    let shared = config
        .identity_providers
        .iter()
        .filter(|provider| matches!(provider.keys, ProviderKeys::Secret(_)))
        .count();
    let keys = users.chain(roles).sum::<usize>() + config.gateway.session_keys.len();
    assert_eq!(found.len(), keys + shared, "{found:?}");
    for member in found {
        assert!(member.ends_with(&format!(" = \"{REDACTED}\"")), "{member}");
    }
}

#[test]
fn the_page_of_everything_is_as_reviewed() {
    let page = format!("{:#}\n", redacted(&everything(&Secrets::default())));
    // Paths are those of the machine.
    let here = case().display().to_string();
    let page = page.replace(&here, "(folder)");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/admin/config.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(golden.parent().unwrap()).unwrap();
        fs::write(&golden, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&golden).unwrap_or_default() == page,
        "testdata/admin/config.json differs (UPDATE_GOLDEN=1 rewrites it):\n{page}"
    );
}
