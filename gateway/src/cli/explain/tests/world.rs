//! The little world of the transcripts, unpacked into a folder.

use std::{fs, net::SocketAddr, path::Path};

use tempfile::TempDir;

/// A configuration in a folder that goes when this is dropped.
pub(super) struct World {
    folder: TempDir,
}

/// Where the gateway of a world listens, and its targets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    /// For HTTP.
    pub(super) http: SocketAddr,
    /// For HTTPS, at the same address.
    pub(super) https: SocketAddr,
    /// Port of every target.
    pub(super) target: u16,
}

const FILES: [&str; 5] = [
    "world.yaml",
    "secret",
    "policies/all.json",
    "policies/pay.json",
    "policies/inside.cedar",
];

impl World {
    /// As the transcripts have it.
    pub(super) fn usual() -> Self {
        Self::at(Addresses {
            http: "127.0.0.1:8080".parse().unwrap(),
            https: "127.0.0.1:8443".parse().unwrap(),
            target: 9101,
        })
    }

    /// At these addresses.
    pub(super) fn at(addresses: Addresses) -> Self {
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/explain/world");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        for file in FILES {
            let text = fs::read_to_string(original.join(file))
                .unwrap()
                .replace("@gateway@", &addresses.http.ip().to_string())
                .replace("@http@", &addresses.http.port().to_string())
                .replace("@https@", &addresses.https.port().to_string())
                .replace("@target@", &addresses.target.to_string())
                .replace("./data", &folder.path().join("data").display().to_string());
            fs::write(folder.path().join(file), text).unwrap();
        }
        Self { folder }
    }

    /// Its configuration.
    pub(super) fn file(&self) -> String {
        self.folder.path().join("world.yaml").display().to_string()
    }

    /// The root certificate of its internal CA, once a gateway has run.
    pub(super) fn root_pem(&self) -> String {
        fs::read_to_string(self.folder.path().join("data/ca/certificate.pem")).unwrap()
    }
}
