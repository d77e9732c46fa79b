//! Which events of the file system matter.

use std::{collections::HashSet, io::Write as _, path::Path, sync::Arc, time::Duration};

use notify::{
    Event, EventKind, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode, CreateKind, DataChange, ModifyKind, RemoveKind, RenameMode},
};
use parking_lot::Mutex;

use super::{Filter, listen};

const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));

fn check(documents: bool, kind: EventKind, path: &str, wanted: bool) {
    let read = ["trellis.yaml", "orders.json", "secret", "nested"];
    let filter = Filter {
        read: Mutex::new(HashSet::from(read.map(Into::into))),
        documents,
    };
    let event = Event::new(kind).add_path(Path::new("/etc/trellis").join(path));
    assert_eq!(filter.matters(&event), wanted, "{kind:?} of {path}");
}

#[test]
fn only_files_of_the_configuration_matter() {
    for documents in [false, true] {
        for read in ["trellis.yaml", "policies/orders.json", "secret", "..data"] {
            check(documents, WRITTEN, read, true);
        }
        for other in [
            "access.jsonl",
            "access.log",
            "trellis.yaml~",
            "4913",
            "x.yaml.swp",
        ] {
            check(documents, WRITTEN, other, false);
        }
        // Another document is a part of a folder, and none of a single file's configuration.
        for document in ["more.yaml", "more.yml", "more.json"] {
            check(documents, WRITTEN, document, documents);
        }
        check(documents, WRITTEN, ".hidden.yaml", false);
    }
}

#[test]
fn what_comes_goes_or_is_renamed_matters_and_what_is_read_does_not() {
    for kind in [
        EventKind::Create(CreateKind::File),
        EventKind::Remove(RemoveKind::File),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)),
    ] {
        check(false, kind, "trellis.yaml", true);
        check(false, kind, "access.jsonl", false);
    }
    let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
    check(true, opened, "trellis.yaml", false);
}

/// Events come in the order of what happened, so that when the one for the document has come the records had their chance.
#[test]
fn records_written_beside_the_configuration_wake_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("trellis.yaml");
    std::fs::write(&document, "").unwrap();
    let filter = Filter {
        read: Mutex::new(HashSet::from(["trellis.yaml".into()])),
        documents: false,
    };
    let (sender, woken) = std::sync::mpsc::channel();
    let report = move || sender.send(()).unwrap();
    let mut watcher = listen(Arc::new(filter), report).unwrap();
    watcher
        .watch(folder.path(), RecursiveMode::NonRecursive)
        .unwrap();
    let records = folder.path().join("access.jsonl");
    let mut records = std::fs::File::create(records).unwrap();
    for _ in 0..1000 {
        records.write_all(b"{}\n").unwrap();
    }
    std::fs::remove_file(&document).unwrap();
    woken.recv_timeout(Duration::from_secs(10)).unwrap();
    drop(watcher);
    assert_eq!(woken.iter().count(), 0, "woken by records");
}
