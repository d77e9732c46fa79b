//! `trellis demo`: the shop example, with its targets, in one process.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use trellis_model::{
    config::Config,
    load::{self, Inputs, Source},
};

use super::{
    failure::Failure,
    inputs::Configuration,
    serve::{Log, seed},
};
use crate::{
    echo::{self, EchoError, EchoHandle, EchoOptions},
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
    /// Add this to every port of the example, where something else listens on its own.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=55_000))]
    shift_ports: u16,
    #[command(flatten)]
    log: Log,
}

const AFTER_HELP: &str = "\
Examples:
  trellis demo
  trellis demo --directory /tmp/shop --log-level debug
  trellis demo --shift-ports 10000            8080 becomes 18080, and so on";

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

/// The example's ports; no other number in its document or in the guide looks like one of them.
const PORTS: [u16; 8] = [5300, 8080, 8443, 9101, 9102, 9103, 9104, 9901];

impl Demo {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        self.log.start()?;
        // Targets first: when another demo runs, its files must not be replaced under it.
        let targets = start_targets(&packed(self.shift_ports)?)?;
        unpack(&self.directory, self.shift_ports)?;
        let configuration = Configuration::new(self.directory.join("trellis.yaml"));
        let loaded = configuration.load().map_err(Failure::Configuration)?;
        write_root(&loaded.config, &self.directory)?;
        let folder = self.directory.display().to_string();
        let guide = shift_ports(GUIDE, self.shift_ports).replace("{folder}", &folder);
        let mut printed = Ok(());
        let served = server::serve(&configuration, seed()?, |_| {
            printed = out.write_all(guide.as_bytes()).and_then(|()| out.flush());
        });
        drop(targets);
        served?;
        Ok(printed?)
    }
}

/// Why the demo cannot begin. Its user must act.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(
        "the target `{name}` cannot start; perhaps another demo runs, and `--shift-ports 100` moves this one away"
    )]
    Target { name: String, source: EchoError },
    #[error("cannot write `{}`", path.display())]
    Unpack { path: PathBuf, source: io::Error },
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        Self::Usage(Box::new(error))
    }
}

/// The example as it is packed into the program.
struct Packed;

impl Inputs for Packed {
    fn read(&self, path: &Path) -> Result<String, String> {
        let found = FILES.iter().find(|(name, _)| Path::new(name) == path);
        found
            .map(|(_, text)| (*text).to_owned())
            .ok_or_else(|| "it is not packed".to_owned())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

fn packed(shift: u16) -> Result<Config, Failure> {
    let [(name, text), ..] = FILES;
    let source = Source {
        path: name.into(),
        text: Ok(shift_ports(text, shift)),
    };
    let loaded = load::load(&[source], &Packed).map_err(Failure::Configuration)?;
    Ok(loaded.config)
}

fn unpack(folder: &Path, shift: u16) -> Result<(), DemoError> {
    for (name, text) in FILES {
        let path = folder.join(name);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, shift_ports(text, shift)));
        written.map_err(|source| DemoError::Unpack { path, source })?;
    }
    Ok(())
}

/// The text with `shift` added to each of the example's ports. A number is looked at as a whole, so that nothing is shifted twice.
fn shift_ports(text: &str, shift: u16) -> String {
    let moved = |part: &str| {
        let port = part.parse().ok().filter(|port| PORTS.contains(port))?;
        Some(port.checked_add(shift)?.to_string())
    };
    // Numbers and what stands between them take turns.
    let parts = text
        .as_bytes()
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit());
    parts
        .map(|part| {
            let part = String::from_utf8_lossy(part);
            moved(&part).map_or(part, Into::into)
        })
        .collect()
}

/// Puts the root certificate where the printed lines look for it.
fn write_root(config: &Config, folder: &Path) -> Result<(), Failure> {
    let ca = InternalCa::open(&config.gateway.data_dir, std::time::SystemTime::now())
        .map_err(Failure::runtime)?;
    fs::write(folder.join("ca.pem"), ca.root_pem())?;
    Ok(())
}

/// Starts an echo for every target, named after its group.
fn start_targets(config: &Config) -> Result<Vec<EchoHandle>, Failure> {
    let mut handles = Vec::new();
    for group in &config.target_groups {
        for target in &group.targets {
            let options = EchoOptions::named(group.name.as_str()).listen(target.address);
            let name = || group.name.to_string();
            handles.push(echo::spawn(options).map_err(|source| DemoError::Target {
                name: name(),
                source,
            })?);
        }
    }
    Ok(handles)
}

#[cfg(test)]
mod tests;
