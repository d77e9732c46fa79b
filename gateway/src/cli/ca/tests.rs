//! The root that is printed.

use super::{Ca, OutputFormat};

#[test]
fn the_root_stays_the_same_and_its_key_stays_inside() {
    let folder = tempfile::tempdir().unwrap();
    let print = || {
        let mut out = Vec::new();
        let command = Ca {
            config: None,
            data_dir: Some(folder.path().to_owned()),
            output: OutputFormat::Text,
        };
        command.run(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let first = print();
    assert!(first.starts_with("-----BEGIN CERTIFICATE-----"), "{first}");
    assert!(!first.contains("PRIVATE"), "{first}");
    assert_eq!(print(), first);
}
