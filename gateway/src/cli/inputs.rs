//! Where a configuration comes from: its files, the files that they name, and the environment.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::Read as _,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use trellis_model::{
    config::{Config, DnsSettings},
    load::{self, Inputs, Loaded, Source},
    problem::{Place, Problem, Problems},
};

/// Largest file read, 64 MiB; the loader sets its own, narrower bounds on documents. This one keeps a mistaken path such as
/// `/dev/zero` from filling the memory.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// File name extensions of documents.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Time to live of DNS answers where only the command line asks for DNS. The same default as in documents.
const DEFAULT_TTL: std::time::Duration = std::time::Duration::from_secs(60);

/// A configuration as the command line names it. It can be loaded again and again.
#[derive(Debug, Clone)]
pub struct Configuration {
    path: PathBuf,
    overrides: Overrides,
}

/// Settings of the command line that win over the `gateway` section of the documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Address of metrics, health and the running configuration.
    pub admin: Option<SocketAddr>,
    /// Addresses that DNS answers on; empty leaves the documents' own.
    pub dns_listen: Vec<SocketAddr>,
    /// Folder for what must survive a restart.
    pub data_dir: Option<PathBuf>,
    /// Number of worker threads.
    pub workers: Option<NonZeroUsize>,
}

impl Overrides {
    /// Changes a configuration accordingly.
    pub fn apply(&self, config: &mut Config) {
        let gateway = &mut config.gateway;
        if let Some(admin) = self.admin {
            gateway.admin = Some(admin);
        }
        if !self.dns_listen.is_empty() {
            let dns = gateway.dns.get_or_insert_with(|| DnsSettings {
                listen: Vec::new(),
                answers: Vec::new(),
                forward: Vec::new(),
                ttl: DEFAULT_TTL,
            });
            dns.listen.clone_from(&self.dns_listen);
        }
        if let Some(data_dir) = &self.data_dir {
            gateway.data_dir.clone_from(data_dir);
        }
        if let Some(workers) = self.workers {
            gateway.workers = Some(workers);
        }
    }
}

impl Configuration {
    /// The configuration in a file, or in a folder of files.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            overrides: Overrides::default(),
        }
    }

    /// The same configuration with settings of the command line.
    #[must_use]
    pub fn overridden(mut self, overrides: Overrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and checks everything. `Err` holds every problem, warnings included.
    pub fn load(&self) -> Result<Loaded, Problems> {
        self.load_watched().0
    }

    /// The same, with the files that were read: those whose change calls for loading again.
    pub fn load_watched(&self) -> (Result<Loaded, Problems>, Vec<PathBuf>) {
        let inputs = SystemInputs::default();
        let sources = match sources(&self.path) {
            Ok(sources) => sources,
            Err(problems) => return (Err(problems), Vec::new()),
        };
        let loaded = load::load(&sources, &inputs).map(|mut loaded| {
            self.overrides.apply(&mut loaded.config);
            loaded
        });
        let mut files: Vec<_> = sources.into_iter().map(|source| source.path).collect();
        files.append(&mut inputs.read.into_inner());
        (loaded, files)
    }
}

/// The documents' view of the machine.
#[derive(Debug, Default)]
struct SystemInputs {
    read: RefCell<Vec<PathBuf>>,
}

impl Inputs for SystemInputs {
    fn read(&self, path: &Path) -> Result<String, String> {
        // Watched also when it cannot be read: it may appear later.
        self.read.borrow_mut().push(path.to_owned());
        read(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// The text of a file; the error says why there is none.
fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(format!("it is larger than {} MiB", LARGEST_FILE >> 20));
    }
    Ok(text)
}

/// The documents that `path` stands for: itself, or, sorted by name, the `.yaml`, `.yml` and `.json` files of a folder.
///
/// Folders within the folder are not entered and hidden files not read: they hold what documents name, and editors' leftovers.
pub fn sources(path: &Path) -> Result<Vec<Source>, Problems> {
    let problem = |path: &Path, message: String| -> Problems {
        let place = Place {
            file: Some(Arc::new(path.to_owned())),
            ..Place::default()
        };
        [Problem::error(place, message)].into_iter().collect()
    };
    if !path.is_dir() {
        let text = read(path).map_err(|error| problem(path, format!("cannot be read: {error}")))?;
        return Ok(vec![Source {
            path: path.to_owned(),
            text,
        }]);
    }
    let mut files = Vec::new();
    for entry in
        fs::read_dir(path).map_err(|error| problem(path, format!("cannot be read: {error}")))?
    {
        let entry = entry.map_err(|error| problem(path, format!("cannot be read: {error}")))?;
        if is_document(&entry.path()) {
            files.push(entry.path());
        }
    }
    if files.is_empty() {
        let message =
            "no configuration: the folder holds no `.yaml`, `.yml` or `.json` file".to_owned();
        return Err(problem(path, message));
    }
    files.sort();
    let mut sources = Vec::new();
    let mut problems = Problems::default();
    for path in files {
        match read(&path) {
            Ok(text) => sources.push(Source { path, text }),
            Err(error) => problems.extend(problem(&path, format!("cannot be read: {error}"))),
        }
    }
    if problems.is_empty() {
        Ok(sources)
    } else {
        Err(problems)
    }
}

fn is_document(path: &Path) -> bool {
    is_document_name(path) && path.is_file()
}

/// Would a file of this name, in a folder that is a configuration, be a document?
pub fn is_document_name(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path.extension().and_then(|extension| extension.to_str());
    !hidden && extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::sources;

    #[test]
    fn a_folder_is_read_in_order_without_what_is_hidden_or_below() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.json", "c.yml", ".hidden.yaml", "notes.txt"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        fs::create_dir(folder.path().join("policies")).unwrap();
        fs::write(folder.path().join("policies/orders.json"), "{}").unwrap();
        let found: Vec<_> = sources(folder.path())
            .unwrap()
            .into_iter()
            .map(|source| source.text)
            .collect();
        assert_eq!(found, ["a.json", "b.yaml", "c.yml"]);
    }

    #[test]
    fn what_cannot_be_read_is_a_problem_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let check = |path: &std::path::Path, text: &str| {
            let problems = sources(path).unwrap_err().to_string();
            assert!(problems.contains(text), "{problems}");
            assert!(problems.contains(&path.display().to_string()), "{problems}");
        };
        check(
            &folder.path().join("missing.yaml"),
            "cannot be read: No such file",
        );
        check(folder.path(), "no configuration: the folder holds no");
        let binary = folder.path().join("binary.yaml");
        fs::write(&binary, [0xFF]).unwrap();
        check(
            &binary,
            "cannot be read: stream did not contain valid UTF-8",
        );
    }
}
