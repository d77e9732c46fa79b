//! `trellis explain`: the way a request would take, and why.

mod caller;
mod groups;
mod live;
mod report;
mod request;
#[cfg(test)]
mod tests;
mod text;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use clap::{Args, ValueEnum};
use http::Version;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use trellis_model::config::Config;
use trellis_policy::{Caller, Explanation};

use self::{caller::Place, live::Live, report::Report, request::Line};
use super::{
    failure::Failure,
    inputs::Configuration,
    output::{OutputFormat, write_json},
};
use crate::{
    proxy::walk::{self, End, Sender, Supposed, Walk},
    snapshot::{self, Snapshot},
};

/// Tell which way a request would take, and why.
///
/// Prints where the request comes in, service network and service, listener, each rule tried and why it did not match, what each
/// layer of policies says and which statement decides, the target groups with their shares and targets, the headers that a target
/// would see, and how the request ends. Nothing is sent and nothing is started: the code of the gateway is asked.
///
/// Only the headers given here are supposed, and `Host`, which comes from the URL. Target status is what it would be before any
/// check, unless a running gateway is asked for it with --admin.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Explain {
    /// A configuration file, a folder whose .yaml, .yml and .json files are one configuration, or `-` for standard input: JSON
    /// where it begins with `{`, else YAML.
    #[arg(long, value_name = "PATH")]
    config: PathBuf,
    /// The caller's VPC: its name, id or ARN. May be left out when there is only one.
    #[arg(long, value_name = "VPC", conflicts_with = "to")]
    vpc: Option<String>,
    /// The caller's address; by default one that belongs to the VPC.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// The gateway's address that the caller connects to. It and --from decide the VPC, as for a real connection.
    #[arg(long, value_name = "ADDRESS", requires = "from")]
    to: Option<IpAddr>,
    /// Suppose that this principal signed: name of a user or role, ROLE/SESSION, or an ARN. A session need not have a key.
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// A session tag of the principal, a session of a role; may be given more than once.
    #[arg(long = "session-tag", value_name = "KEY=VALUE", value_parser = parse_tag, requires = "principal")]
    session_tags: Vec<(String, String)>,
    /// Suppose that nothing shows who is calling, whatever the headers say. Without this and --principal a signature in headers
    /// or URL and a token are verified, and the certificate and the network are asked.
    #[arg(long, conflicts_with = "principal")]
    anonymous: bool,
    /// The certificate that the client shows where the service asks for one: a file in PEM, the client's own first and then those
    /// of authorities between. It is verified as in a handshake; that the client has its key is supposed.
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,
    /// The method.
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header, may be given more than once. `Host` takes the place of the one from the URL.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The HTTP version; by default 2 for https and for gRPC, else 1.1.
    #[arg(long, value_enum, value_name = "VERSION")]
    http: Option<HttpVersion>,
    /// The time at which the request arrives, for signatures and for policies; by default now.
    #[arg(long, value_name = "RFC 3339", value_parser = parse_time)]
    at: Option<SystemTime>,
    /// Ask the running gateway whose admin pages are here for the status of the targets.
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin: Option<String>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    output: OutputFormat,
    /// The URL. Host, port and TLS are taken from it; no name is looked up.
    url: String,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  the request would be forwarded, or answered by the fixed response of a rule
  1  it would be refused, or not answered at all
  2  the command line or the configuration is wrong, or the running gateway cannot be asked

Examples:
  trellis explain --config trellis.yaml --vpc shop --principal checkout http://orders.shop.test:8080/orders/1
  trellis explain --config trellis.yaml --vpc shop --anonymous -X DELETE http://orders.shop.test:8080/orders/1
  trellis explain --config trellis.yaml --from 10.1.2.3 --to 127.0.0.2 https://catalog.shop.test:8443/
  trellis explain --config trellis.yaml --vpc shop -H 'x-canary: always' --principal checkout \\
    --output json http://orders.shop.test:8080/ | jq '.rules, .outcome'
  trellis explain --config trellis.yaml --vpc shop --admin 127.0.0.1:9901 http://catalog.shop.test:8080/";

/// An HTTP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum HttpVersion {
    /// HTTP/1.0.
    #[value(name = "1.0")]
    Http10,
    /// HTTP/1.1.
    #[value(name = "1.1")]
    Http11,
    /// HTTP/2, agreed on in the handshake or, without TLS, known before.
    #[value(name = "2")]
    Http2,
}

impl From<HttpVersion> for Version {
    fn from(version: HttpVersion) -> Self {
        match version {
            HttpVersion::Http10 => Self::HTTP_10,
            HttpVersion::Http11 => Self::HTTP_11,
            HttpVersion::Http2 => Self::HTTP_2,
        }
    }
}

fn parse_tag(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').ok_or("it takes KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(super) fn parse_time(text: &str) -> Result<SystemTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(SystemTime::from)
        .map_err(|_| "not a time like `2026-01-31T12:00:00Z`".to_owned())
}

/// The certificates in a file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, DescriptionError> {
    let shown = path.display();
    let pem = std::fs::read(path)
        .map_err(|error| format!("cannot read `{shown}`: {}", crate::reason::reason(&error)))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("`{shown}` is not PEM: {error}"))?;
    if found.is_empty() {
        return Err(format!("`{shown}` holds no certificate").into());
    }
    Ok(found)
}

/// A request as a command line or a test describes it.
#[derive(Debug, Clone, Default)]
pub(super) struct Description {
    /// The caller's VPC.
    pub(super) vpc: Option<String>,
    /// The caller's address.
    pub(super) from: Option<IpAddr>,
    /// The gateway's address.
    pub(super) to: Option<IpAddr>,
    /// Who signed it.
    pub(super) sender: SenderText,
    /// The file of the certificate that its sender shows.
    pub(super) client_certificate: Option<PathBuf>,
    /// The method.
    pub(super) method: String,
    /// The URL.
    pub(super) url: String,
    /// Headers, `name: value`.
    pub(super) headers: Vec<String>,
    /// The HTTP version, unless it is the usual one.
    pub(super) http: Option<HttpVersion>,
    /// When it arrives, unless now.
    pub(super) at: Option<SystemTime>,
}

/// Who signed a described request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum SenderText {
    /// Whoever the signature in its headers or URL says; nobody without one.
    #[default]
    Signature,
    /// Nobody, whatever the headers say.
    Anonymous,
    /// The principal of this name; a session of a role with these session tags.
    Principal {
        /// Name or ARN.
        name: String,
        /// Session tags.
        tags: BTreeMap<String, String>,
    },
}

/// Why a description describes no request. Its author must act.
type DescriptionError = Box<dyn std::error::Error + Send + Sync>;

/// The way of a request, and the report of it.
#[derive(Debug)]
pub(super) struct Explained {
    walk: Walk,
    report: Report,
}

impl Description {
    /// The request that is described.
    fn suppose(
        &self,
        config: &Config,
        snapshot: &Snapshot,
        now: SystemTime,
    ) -> Result<(Place, Supposed), DescriptionError> {
        let line = Line::read(&self.method, &self.url, &self.headers)?;
        let at = self.at.unwrap_or(now);
        let place = match (self.to, self.from) {
            (Some(local), Some(peer)) => Place::given(local, peer),
            _ => Place::of_vpc(config, snapshot, self.vpc.as_deref(), self.from)?,
        };
        let sender = match &self.sender {
            SenderText::Signature => Sender::Signature,
            SenderText::Anonymous => Sender::Supposed(Caller::Anonymous),
            SenderText::Principal { name, tags } => {
                let caller = caller::caller(config, &snapshot.policies, name, tags, at)?;
                Sender::Supposed(caller)
            }
        };
        let version = self
            .http
            .map_or_else(|| line.usual_version(), Version::from);
        let certificates = match &self.client_certificate {
            Some(path) => certificates(path)?,
            None => Vec::new(),
        };
        let supposed = line.supposed(&place, version, (sender, certificates), at);
        Ok((place, supposed))
    }

    /// Walks the way of the request. Target status is that of the running gateway if there is one, else as before any check.
    pub(super) fn explain(
        &self,
        config: &Config,
        snapshot: &Arc<Snapshot>,
        now: SystemTime,
        admin: Option<&str>,
    ) -> Result<Explained, DescriptionError> {
        let (place, supposed) = self.suppose(config, snapshot, now)?;
        let live = admin.map(|admin| Live::ask(admin, config)).transpose()?;
        let walk = walk::walk(snapshot, &supposed);
        let report = Report::new(&report::Findings {
            config,
            snapshot,
            supposed: &supposed,
            place: &place,
            walk: &walk,
            live: live.as_ref(),
            url: &self.url,
        });
        Ok(Explained { walk, report })
    }
}

impl Explained {
    /// How the request ends.
    pub(super) fn end(&self) -> &End {
        &self.walk.end
    }

    /// What the policies say, if it comes to them.
    pub(super) fn decision(&self) -> Option<&Explanation> {
        self.walk.decision.as_ref()
    }

    /// What they would say if policies in audit were enforced and candidates active, where there are any.
    pub(super) fn rehearsal(&self) -> Option<&Explanation> {
        self.walk.rehearsal.as_ref()
    }

    /// The name of the service that it is for.
    pub(super) fn service(&self) -> Option<&str> {
        Some(&self.report.service.as_ref()?.name)
    }

    /// The name of the rule that applies, `default` for the default rule.
    pub(super) fn rule(&self) -> Option<&str> {
        let last = self.report.rules.last()?;
        last.matched.then_some(&*last.name)
    }

    /// The names of the target groups that it may be forwarded to.
    pub(super) fn target_groups(&self) -> Vec<&str> {
        let groups = self.report.forward.iter();
        let groups = groups.flat_map(|forward| &forward.target_groups);
        groups
            .filter(|group| group.weight > 0)
            .map(|group| &*group.name)
            .collect()
    }

    /// The report for scripts.
    pub(super) fn report(&self) -> &impl serde::Serialize {
        &self.report
    }

    /// The report for people.
    pub(super) fn text(&self) -> impl std::fmt::Display + '_ {
        text::Text(&self.report)
    }
}

impl Explain {
    pub(super) fn run(self, out: &mut dyn Write) -> Result<(), Failure> {
        let config = Configuration::or_input(&self.config, &mut io::stdin().lock())
            .load()
            .map_err(Failure::Configuration)?
            .config;
        let now = SystemTime::now();
        let snapshot = Arc::new(snapshot::preview(&config, now).map_err(Failure::Configuration)?);
        let (admin, output) = (self.admin.clone(), self.output);
        let explained = self
            .description()
            .explain(&config, &snapshot, now, admin.as_deref())
            .map_err(Failure::Usage)?;
        match output {
            OutputFormat::Json => write_json(out, explained.report())?,
            OutputFormat::Text => write!(out, "{}", explained.text())?,
        }
        match explained.end() {
            End::Forwarded | End::FixedResponse { .. } => Ok(()),
            End::Refused { .. } | End::Unanswered { .. } => Err(Failure::Refused),
        }
    }

    /// The request that the command line describes.
    fn description(self) -> Description {
        Description {
            vpc: self.vpc,
            from: self.from,
            to: self.to,
            sender: match self.principal {
                Some(name) => SenderText::Principal {
                    name,
                    tags: self.session_tags.into_iter().collect(),
                },
                None if self.anonymous => SenderText::Anonymous,
                None => SenderText::Signature,
            },
            client_certificate: self.client_certificate,
            method: self.method,
            url: self.url,
            headers: self.headers,
            http: self.http,
            at: self.at,
        }
    }
}
