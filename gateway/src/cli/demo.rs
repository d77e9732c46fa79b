//! `trellis demo`: the shop example, with its targets, in one process.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use trellis_model::config::Config;

use super::{
    failure::Failure,
    inputs::Configuration,
    serve::{Log, seed},
};
use crate::{
    echo::{self, EchoHandle, EchoOptions},
    server,
    tls::ca::InternalCa,
};

/// Run the shop example: gateway, targets, and curl lines to paste.
///
/// Two VPCs, a service network with policies, two versions of one service, a gRPC service, DNS and metrics, all on loopback. The
/// example's files are unpacked into a folder; change them and watch the gateway take the change.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Demo {
    /// Where the example is unpacked; files of a demo that ran there before are replaced.
    #[arg(long, value_name = "FOLDER", default_value = "trellis-demo")]
    directory: PathBuf,
    #[command(flatten)]
    log: Log,
}

const AFTER_HELP: &str = "\
Examples:
  trellis demo
  trellis demo --directory /tmp/shop --log-level debug";

/// The example's files, as they stand in `examples/shop`.
const FILES: [(&str, &str); 7] = [
    (
        "trellis.yaml",
        include_str!("../../../examples/shop/trellis.yaml"),
    ),
    (
        "policies/commerce.json",
        include_str!("../../../examples/shop/policies/commerce.json"),
    ),
    (
        "policies/orders.json",
        include_str!("../../../examples/shop/policies/orders.json"),
    ),
    (
        "policies/checkout.json",
        include_str!("../../../examples/shop/policies/checkout.json"),
    ),
    (
        "policies/auditor.json",
        include_str!("../../../examples/shop/policies/auditor.json"),
    ),
    (
        "secrets/checkout",
        include_str!("../../../examples/shop/secrets/checkout"),
    ),
    (
        "secrets/auditor",
        include_str!("../../../examples/shop/secrets/auditor"),
    ),
];

/// What is printed once everything runs; `{folder}` stands for the example's folder.
const GUIDE: &str = include_str!("demo/guide.txt");

impl Demo {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        self.log.start()?;
        unpack(&self.directory)?;
        let configuration = Configuration::new(self.directory.join("trellis.yaml"));
        let loaded = configuration.load().map_err(Failure::Configuration)?;
        write_root(&loaded.config, &self.directory)?;
        let targets = start_targets(&loaded.config)?;
        let folder = self.directory.display().to_string();
        let mut printed = Ok(());
        let served = server::serve(&configuration, seed()?, |_| {
            printed =
                write!(out, "{}", GUIDE.replace("{folder}", &folder)).and_then(|()| out.flush());
        });
        drop(targets);
        served?;
        Ok(printed?)
    }
}

fn unpack(folder: &Path) -> io::Result<()> {
    for (name, text) in FILES {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

/// Puts the root certificate where the printed lines look for it.
fn write_root(config: &Config, folder: &Path) -> Result<(), Failure> {
    let ca = InternalCa::open(&config.gateway.data_dir, std::time::SystemTime::now())
        .map_err(Failure::runtime)?;
    fs::write(folder.join("ca.pem"), ca.root_pem())?;
    Ok(())
}

/// Starts an echo for every target, named after its group. A taken port is a matter of the configuration.
fn start_targets(config: &Config) -> Result<Vec<EchoHandle>, Failure> {
    let mut handles = Vec::new();
    for group in &config.target_groups {
        for target in &group.targets {
            let options = EchoOptions::named(group.name.as_str()).listen(target.address);
            handles.push(echo::spawn(options).map_err(|error| Failure::Usage(Box::new(error)))?);
        }
    }
    Ok(handles)
}

#[cfg(test)]
mod tests {
    use super::{Configuration, FILES, GUIDE, unpack};

    #[test]
    fn what_is_unpacked_loads() {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path()).unwrap();
        let loaded = Configuration::new(folder.path().join("trellis.yaml"))
            .load()
            .unwrap();
        assert_eq!(loaded.config.target_groups.len(), 4);
        assert!(trellis_policy::compile(&loaded.config).is_ok());
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
}
