//! The demo is the example, and its ports move together.

use super::{Configuration, FILES, GUIDE, PORTS, packed, shift_ports, unpack};

#[test]
fn what_is_unpacked_loads() {
    let folder = tempfile::tempdir().unwrap();
    unpack(folder.path(), 0).unwrap();
    let loaded = Configuration::new(folder.path().join("trellis.yaml"))
        .load()
        .unwrap();
    assert_eq!(loaded.config.target_groups.len(), 4);
    assert_eq!(packed(0).unwrap().target_groups.len(), 4);
    assert!(trellis_policy::compile(&loaded.config).is_ok());
}

#[test]
fn every_port_is_shifted_and_nothing_else() {
    let (_, document) = FILES[0];
    let shifted = shift_ports(document, 10_000);
    for port in PORTS {
        assert!(document.contains(&port.to_string()), "no {port}");
        assert!(shifted.contains(&(port + 10_000).to_string()), "no {port}");
    }
    assert_eq!(shift_ports(document, 0), document);
    assert_eq!(
        shift_ports("8080 18080 80801 x9901", 1),
        "8081 18080 80801 x9902"
    );
    let folder = tempfile::tempdir().unwrap();
    unpack(folder.path(), 10_000).unwrap();
    let loaded = Configuration::new(folder.path().join("trellis.yaml"))
        .load()
        .unwrap();
    let ports: Vec<u16> = loaded
        .config
        .services
        .iter()
        .flat_map(|service| &service.listeners)
        .map(|listener| listener.port)
        .collect();
    assert_eq!(ports, [18_080, 18_443, 18_080, 18_443, 18_443]);
}

#[test]
fn every_file_of_the_example_is_unpacked() {
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop");
    for folder in ["policies", "secrets"] {
        for entry in std::fs::read_dir(example.join(folder)).unwrap() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
            assert!(
                FILES.iter().any(|(file, _)| *file == name),
                "{name} is not unpacked"
            );
        }
    }
}

#[test]
fn the_guide_fits_the_example() {
    let (_, document) = FILES[0];
    for part in [
        "orders.shop.test",
        "catalog.shop.test",
        "8080",
        "8443",
        "5300",
        "9901",
        "AKIADEMOCHECKOUT",
    ] {
        assert!(GUIDE.contains(part), "the guide lacks {part}");
        assert!(document.contains(part), "the example lacks {part}");
    }
    assert!(GUIDE.contains("demo-only-secret-of-checkout"));
}
