use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use trellis_control_plane::{Listener, store::StoreError};
use trellis_model::{
    config::Config,
    load::{Inputs, Source, load},
};

use super::{FILE, read};
use crate::control;

struct NoFiles;

impl Inputs for NoFiles {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err("there are no files".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

struct Quiet;

impl Listener for Quiet {
    fn changed(&self) {}
    fn unreadable(&self, what: &str) {
        panic!("{what}");
    }
    fn failed(&self, error: &StoreError) {
        panic!("{error}");
    }
}

fn config(folder: &Path, more: &str) -> Config {
    let text = format!(
        "account: \"111122223333\"\nregion: us-west-2\ngateway: {{dataDir: {:?}}}\n{more}",
        folder.display()
    );
    let source = Source {
        path: "a.yaml".into(),
        text: Ok(text),
    };
    load(&[source], &NoFiles)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config
}

const VPC: &str = "vpcs: [{name: main}]\n";

fn kept(folder: &Path) -> (String, String) {
    let path = folder.join(FILE);
    let made = read(&path, fs::File::open(&path).unwrap()).unwrap();
    (made.key.id, made.key.secret.expose().to_owned())
}

#[test]
fn the_key_is_kept_for_its_owner_and_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), VPC);
    drop(control::open(&config, Arc::new(Quiet)).unwrap());
    let first = kept(folder.path());
    let metadata = fs::metadata(folder.path().join(FILE)).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    drop(control::open(&config, Arc::new(Quiet)).unwrap());
    assert_eq!(kept(folder.path()), first);
    // Whoever has removed the file keeps it elsewhere: it does not come again.
    fs::remove_file(folder.path().join(FILE)).unwrap();
    drop(control::open(&config, Arc::new(Quiet)).unwrap());
    assert!(!folder.path().join(FILE).exists());

    let made = control::reset_administrator(&config, Arc::new(Quiet))
        .unwrap()
        .unwrap();
    assert_ne!(made.key.id, first.0);
    assert_eq!(
        kept(folder.path()),
        (made.key.id.clone(), made.key.secret.expose().to_owned())
    );
    // No draft is left over.
    let names = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["administrator.json", "control.redb"]);
}

#[test]
fn a_start_that_was_cut_goes_on_with_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), VPC);
    drop(control::open(&config, Arc::new(Quiet)).unwrap());
    let first = kept(folder.path());
    // As if the store had not been reached.
    fs::remove_file(folder.path().join("control.redb")).unwrap();
    let plane = control::open(&config, Arc::new(Quiet)).unwrap();
    let files = Arc::new(config);
    let running = plane.configuration(&files, std::time::SystemTime::now());
    assert_eq!(running.users.len(), 1);
    assert_eq!(&*running.users[0].access_keys[0].id, first.0);
    assert_eq!(running.users[0].access_keys[0].secret.expose(), first.1);
}

#[test]
fn a_file_that_is_no_key_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join(FILE),
        "{\"secretAccessKey\": \"very secret\"}",
    )
    .unwrap();
    let error = control::open(&config(folder.path(), VPC), Arc::new(Quiet)).unwrap_err();
    let text = crate::reason::Chain(&error).to_string();
    assert!(text.contains(FILE), "{text}");
    assert!(!text.contains("very secret"), "{text}");
}

#[test]
fn no_administrator_is_made_beside_one_of_a_file_or_without_an_account() {
    let declared = "principals: {users: [{name: administrator}]}\n";
    for more in [format!("{VPC}{declared}"), String::new()] {
        let folder = tempfile::tempdir().unwrap();
        let plane = control::open(&config(folder.path(), &more), Arc::new(Quiet)).unwrap();
        assert!(!plane.has_users(), "{more}");
        assert!(!folder.path().join(FILE).exists(), "{more}");
    }
}

#[test]
fn the_key_of_a_user_of_a_file_is_not_reset() {
    let folder = tempfile::tempdir().unwrap();
    let declared = format!("{VPC}principals: {{users: [{{name: administrator}}]}}\n");
    let config = config(folder.path(), &declared);
    let error = control::reset_administrator(&config, Arc::new(Quiet)).unwrap_err();
    let text = crate::reason::Chain(&error).to_string();
    assert!(text.contains("declared in a file"), "{text}");
    assert!(!folder.path().join(FILE).exists());
}
