//! Every target on its seeds and on mutations of them, without libFuzzer, and the folders as `scripts/fuzz` expects them.

#![expect(clippy::unwrap_used, reason = "a file that is not there is a failure")]

use std::{collections::BTreeSet, fs, path::PathBuf};

use trellis_fuzz_bodies::{TARGETS, Target, mutation::Dice};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(name)
}

/// The names of what is in a folder.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(self::folder(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let folder = format!("seeds/{}", target.name);
    let files = names(&folder).into_iter();
    let files = files.map(|file| fs::read(self::folder(&folder).join(file)).unwrap());
    files.collect()
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = seeds(target);
    for seed in &seeds {
        (target.body)(seed);
    }
    (target.body)(b"");
    let mut dice = Dice::new(20_261_125);
    for number in 0..target.mutations {
        let input = dice.mutate(&seeds);
        let result = std::panic::catch_unwind(|| (target.body)(&input));
        assert!(
            result.is_ok(),
            "mutation {number} of `{name}`: {}",
            input.escape_ascii()
        );
    }
}

macro_rules! replays {
    ($($name:ident)*) => {
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*
    };
}

replays! { iam cedar trust wildcard authorization presigned canonical session jwt jwks certificate sts lattice authority http1 http2 dns function trace }

/// A target that lacks its file, its seeds or its test would be one that nobody runs.
#[test]
fn every_target_has_a_binary_seeds_and_a_replay() {
    let wanted: BTreeSet<String> = TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect();
    let replayed: BTreeSet<String> = REPLAYED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(replayed, wanted);
    assert_eq!(names("seeds"), wanted);
    let manifest = fs::read_to_string(folder("Cargo.toml")).unwrap();
    let mut files = names("fuzz_targets");
    for name in &wanted {
        assert!(files.remove(&format!("{name}.rs")), "no binary for {name}");
        assert!(
            manifest.contains(&format!(
                "name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\""
            )),
            "{name} is not in Cargo.toml"
        );
        let text = fs::read_to_string(folder("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(
            text.contains(&format!("trellis_fuzz_bodies::run(\"{name}\", data)")),
            "{text}"
        );
        assert!(
            !names(&format!("seeds/{name}")).is_empty(),
            "no seeds for {name}"
        );
    }
    assert!(files.is_empty(), "{files:?} belong to no target");
}
