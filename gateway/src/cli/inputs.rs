//! Where a configuration comes from: its files, the files that they name, and the environment.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, Read as _},
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

use trellis_model::{
    config::{Config, DnsSettings, LogDestination},
    load::{self, Examined, Inputs, Loaded, Source},
    problem::{Place, Problem, Problems, Severity},
};

use crate::{check, reason::reason};

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
    origin: Origin,
    overrides: Overrides,
}

/// Where the documents of a configuration are.
#[derive(Debug, Clone)]
enum Origin {
    /// In a file, or in a folder of files.
    Path(PathBuf),
    /// In a text that was read once.
    Text(Source),
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
            origin: Origin::Path(path),
            overrides: Overrides::default(),
        }
    }

    /// The same for a command that has no use for later changes: `-` stands for what `input` gives, standard input. A text that
    /// begins with `{` is JSON, any other YAML; files that it names are relative to the folder that the command runs in.
    pub fn or_input(path: &Path, input: &mut dyn io::Read) -> Self {
        if path != Path::new("-") {
            return Self::new(path.to_owned());
        }
        let text = read_text(input);
        let json = text.as_ref().is_ok_and(|text| {
            let text = text.trim_start_matches('\u{feff}').trim_start();
            text.starts_with('{')
        });
        let name = if json { "stdin.json" } else { "stdin.yaml" };
        Self {
            origin: Origin::Text(Source {
                path: name.into(),
                text,
            }),
            overrides: Overrides::default(),
        }
    }

    /// The same configuration with settings of the command line.
    #[must_use]
    pub fn overridden(mut self, overrides: Overrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// The file or folder; the name of a text.
    pub fn path(&self) -> &Path {
        match &self.origin {
            Origin::Path(path) => path,
            Origin::Text(source) => &source.path,
        }
    }

    fn sources(&self) -> Result<Vec<Source>, Problems> {
        match &self.origin {
            Origin::Path(path) => sources(path),
            Origin::Text(source) => Ok(vec![source.clone()]),
        }
    }

    /// Reads and checks the documents. `Err` holds every problem, warnings included, and those of policies and certificates too.
    pub fn load(&self) -> Result<Loaded, Problems> {
        self.load_watched().0
    }

    /// The same, with the files that were read: those whose change calls for loading again.
    pub fn load_watched(&self) -> (Result<Loaded, Problems>, Vec<PathBuf>) {
        let inputs = SystemInputs::default();
        let sources = match self.sources() {
            Ok(sources) => sources,
            Err(problems) => return (Err(problems), Vec::new()),
        };
        let Examined {
            mut config,
            mut problems,
        } = load::examine(&sources, &inputs);
        let read = inputs.read.into_inner();
        problems.extend(self.written_and_read(&config, &read));
        let loaded = if problems.has_errors() {
            problems.extend(check::check(&config));
            Err(load::locate(problems, &sources, &SystemInputs::default()))
        } else {
            self.overrides.apply(&mut config);
            Ok(Loaded {
                config,
                warnings: problems,
            })
        };
        let mut files: Vec<_> = sources.into_iter().map(|source| source.path).collect();
        files.extend(read);
        (loaded, files)
    }

    /// Destinations of access records that are a part of the configuration: records would be read as configuration, and make it be
    /// loaded again with every request.
    fn written_and_read(&self, config: &Config, read: &[PathBuf]) -> Problems {
        let folder = |path: &Path| {
            let folder = path.parent().unwrap_or(Path::new(""));
            fs::canonicalize(Path::new(".").join(folder)).ok()
        };
        let same = |one: &Path, other: &Path| {
            one.file_name() == other.file_name() && folder(one) == folder(other)
        };
        let root = self.path();
        let is_read = |path: &Path| {
            let document = if root.is_dir() {
                is_document_name(path) && folder(path) == fs::canonicalize(root).ok()
            } else {
                same(path, root)
            };
            document || read.iter().any(|other| same(path, other))
        };
        let wrong = config.access_log_subscriptions.iter().filter_map(|subscription| {
            let (LogDestination::File(path) | LogDestination::RotatingFile(path, _)) =
                &subscription.destination
            else {
                return None;
            };
            let message = format!("`{}` is a part of the configuration", path.display());
            let problem = Problem::error(subscription.place.below(".destination"), message)
                .hint("a file that the configuration does not name; in its folder, one whose name does not end in `.yaml`, `.yml` or `.json`");
            is_read(path).then_some(problem)
        });
        wrong.collect()
    }

    /// Everything that can be found out without starting anything. No configuration: it cannot be used.
    pub fn check(&self) -> (Option<Config>, Problems) {
        match self.load() {
            Err(problems) => (None, problems),
            Ok(Loaded {
                config,
                mut warnings,
            }) => {
                warnings.extend(check::check(&config));
                let problems = self.locate(warnings);
                let usable = !problems.has_errors();
                (usable.then_some(config), problems)
            }
        }
    }

    /// Gives problems that were found after loading their lines. Reads the files once more.
    pub fn locate(&self, problems: Problems) -> Problems {
        match self.sources() {
            Ok(sources) => load::locate(problems, &sources, &SystemInputs::default()),
            Err(_) => problems,
        }
    }

    /// The data folder, from documents that need not be right otherwise: whoever asks for it may lack the secrets that they name.
    pub fn data_dir(&self) -> Result<PathBuf, Problems> {
        let inputs = SystemInputs::default();
        let sources = self.sources()?;
        let Examined { config, problems } = load::examine(&sources, &inputs);
        // A file that could not be read at all may be the one that names the folder.
        let about_it = |problem: &Problem| {
            problem.severity == Severity::Error
                && (problem.place.path.is_empty() || problem.place.path.starts_with("gateway"))
        };
        if problems.iter().any(about_it) {
            return Err(problems);
        }
        Ok(config.gateway.data_dir)
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
    let mut file = File::open(path).map_err(|error| reason(&error))?;
    read_text(&mut file)
}

fn read_text(input: &mut dyn io::Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    input
        .take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| reason(&error))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(format!("it is larger than {} MiB", LARGEST_FILE >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        let (before, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let line = before.split(|byte| *byte == b'\n').count();
        format!("line {line} is not UTF-8 text")
    })
}

/// The documents that `path` stands for: itself, or, sorted by name, the `.yaml`, `.yml` and `.json` files of a folder.
///
/// Folders within the folder are not entered and hidden files not read: they hold what documents name, and editors' leftovers. A
/// document that cannot be read is among the sources; `Err` says that there is none at all.
pub fn sources(path: &Path) -> Result<Vec<Source>, Problems> {
    let problem = |path: &Path, message: String| -> Problems {
        let place = Place {
            file: Some(Arc::new(path.to_owned())),
            ..Place::default()
        };
        [Problem::error(place, message)].into_iter().collect()
    };
    if path == Path::new("-") {
        let message = "standard input can be read once only, not watched".to_owned();
        return Err(problem(path, message));
    }
    let files = documents(path)
        .map_err(|error| problem(path, format!("cannot be read: {}", reason(&error))))?;
    if files.is_empty() {
        let message =
            "no configuration: the folder holds no `.yaml`, `.yml` or `.json` file".to_owned();
        return Err(problem(path, message));
    }
    let sources = files.into_iter().map(|path| Source {
        text: read(&path),
        path,
    });
    Ok(sources.collect())
}

/// The documents that `path` stands for, as [`sources`] reads them.
pub fn documents(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    let mut files: Vec<_> = entries
        .into_iter()
        .filter(|path| is_document(path))
        .collect();
    files.sort();
    Ok(files)
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
mod tests;
