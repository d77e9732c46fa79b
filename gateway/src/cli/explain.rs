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
    io::{self, Write},
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::SystemTime,
};

use clap::{Args, ValueEnum};
use http::Version;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use trellis_model::config::Config;
use trellis_policy::Caller;

use self::{caller::Place, live::Live, report::Report, request::Line};
use super::{
    failure::Failure,
    inputs::Configuration,
    output::{OutputFormat, write_json},
};
use crate::{
    proxy::walk::{self, End, Sender, Supposed},
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
    /// Suppose that this principal signed: name of a user or role, ROLE/SESSION, or an ARN.
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// Suppose that nobody signed, whatever the headers say. Without this and --principal a signature in headers or URL is
    /// verified, and a request without one is anonymous.
    #[arg(long, conflicts_with = "principal")]
    anonymous: bool,
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
enum HttpVersion {
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

fn parse_time(text: &str) -> Result<SystemTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(SystemTime::from)
        .map_err(|_| "not a time like `2026-01-31T12:00:00Z`".to_owned())
}

impl Explain {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let config = Configuration::or_input(&self.config, &mut io::stdin().lock())
            .load()
            .map_err(Failure::Configuration)?
            .config;
        let now = SystemTime::now();
        let snapshot = Arc::new(snapshot::preview(&config, now).map_err(Failure::Configuration)?);
        let (place, supposed) = self.suppose(&config, &snapshot, now)?;
        let live = match &self.admin {
            Some(admin) => Some(Live::ask(admin, &config).map_err(usage)?),
            None => None,
        };
        let walk = walk::walk(&snapshot, &supposed);
        let report = Report::new(&report::Findings {
            config: &config,
            snapshot: &snapshot,
            supposed: &supposed,
            place: &place,
            walk: &walk,
            live: live.as_ref(),
            url: &self.url,
        });
        match self.output {
            OutputFormat::Json => write_json(out, &report)?,
            OutputFormat::Text => write!(out, "{}", text::Text(&report))?,
        }
        match walk.end {
            End::Forwarded | End::FixedResponse { .. } => Ok(()),
            End::Refused { .. } | End::Unanswered { .. } => Err(Failure::Refused),
        }
    }

    /// The request that the command line describes.
    fn suppose(
        &self,
        config: &Config,
        snapshot: &Snapshot,
        now: SystemTime,
    ) -> Result<(Place, Supposed), Failure> {
        let line = Line::read(&self.method, &self.url, &self.headers).map_err(usage)?;
        let place = match (self.to, self.from) {
            (Some(local), Some(peer)) => Place::given(local, peer),
            _ => Place::of_vpc(config, snapshot, self.vpc.as_deref(), self.from).map_err(usage)?,
        };
        let sender = match &self.principal {
            Some(text) => caller::principal(&snapshot.policies, text)
                .map_err(usage)?
                .into(),
            None if self.anonymous => Sender::Supposed(Caller::Anonymous),
            None => Sender::Signature,
        };
        let version = self
            .http
            .map_or_else(|| line.usual_version(), Version::from);
        let supposed = line.supposed(&place, version, sender, self.at.unwrap_or(now));
        Ok((place, supposed))
    }
}

fn usage(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::Usage(Box::new(error))
}
