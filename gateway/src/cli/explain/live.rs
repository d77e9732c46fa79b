//! What a running gateway knows: the status of its targets.

use std::{collections::HashMap, error::Error, net::SocketAddr, time::Duration};

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpStream;
use trellis_model::config::Config;

use crate::admin;

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Largest answer: ten thousand services with their targets take a few megabytes.
const LARGEST: usize = 256 * 1024 * 1024;

/// Why a running gateway could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum LiveError {
    /// Not an address.
    #[error("`{text}` is not the address of admin pages: it takes ADDRESS:PORT")]
    Address {
        /// As given.
        text: String,
    },
    /// It did not answer.
    #[error("cannot ask the gateway at `{admin}` for `{page}`")]
    Unreachable {
        /// Its address.
        admin: String,
        /// What was asked for.
        page: &'static str,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// It is none of ours.
    #[error("what answers at `{admin}` is not the admin listener of a gateway: `{page}` {what}")]
    Foreign {
        /// Its address.
        admin: String,
        /// What was asked for.
        page: &'static str,
        /// What is odd about it.
        what: String,
    },
}

/// A target group and its targets, as `/targets` has them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupStatus {
    /// Its id.
    id: String,
    /// Does everybody get requests, because nobody is healthy?
    pub(super) failing_open: bool,
    /// Its targets.
    pub(super) targets: Vec<TargetStatus>,
}

/// A target, as `/targets` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TargetStatus {
    /// As registered.
    pub(super) id: String,
    /// Where requests go; a function has no address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<SocketAddr>,
    /// Its status.
    pub(super) status: String,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason_code: Option<String>,
    /// Do new requests go there?
    pub(super) receives_requests: bool,
}

/// The page `/targets`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetsPage {
    generation: Option<u64>,
    target_groups: Vec<GroupStatus>,
}

/// The page `/config`.
#[derive(Debug, Deserialize)]
struct ConfigPage {
    config: Value,
}

/// What a running gateway knows.
#[derive(Debug)]
pub(super) struct Live {
    /// Its address.
    pub(super) admin: String,
    /// Generation of its configuration.
    pub(super) generation: Option<u64>,
    /// Does it run the configuration that is explained?
    pub(super) same_configuration: bool,
    groups: HashMap<String, GroupStatus>,
}

impl Live {
    /// Asks the gateway at this address.
    pub(super) fn ask(text: &str, config: &Config) -> Result<Self, LiveError> {
        let admin = address(text)?;
        let targets: TargetsPage = ask(&admin, "/targets")?;
        let running: ConfigPage = ask(&admin, "/config")?;
        Ok(Self {
            generation: targets.generation,
            same_configuration: resources(running.config) == resources(admin::redacted(config)),
            groups: by_id(targets.target_groups),
            admin,
        })
    }

    /// The group with this id; none if the gateway does not have it.
    pub(super) fn group(&self, id: &str) -> Option<&GroupStatus> {
        self.groups.get(id)
    }
}

/// A configuration without the gateway's own settings: they do not change the way of a request, and flags of `trellis serve` win
/// over those in files.
fn resources(mut config: Value) -> Value {
    if let Some(members) = config.as_object_mut() {
        members.remove("gateway");
    }
    config
}

/// The groups by their ids.
pub(super) fn by_id(groups: Vec<GroupStatus>) -> HashMap<String, GroupStatus> {
    let keyed = groups.into_iter().map(|group| (group.id.clone(), group));
    keyed.collect()
}

/// `host:port`, also from a URL.
fn address(text: &str) -> Result<String, LiveError> {
    let plain = text.strip_prefix("http://").unwrap_or(text);
    let plain = plain.strip_suffix('/').unwrap_or(plain);
    let port = plain
        .rsplit_once(':')
        .and_then(|(host, port)| port.parse::<u16>().ok().filter(|_| !host.is_empty()));
    match port {
        Some(_) if !plain.contains('/') => Ok(plain.to_owned()),
        _ => Err(LiveError::Address {
            text: text.to_owned(),
        }),
    }
}

/// Asks for a page and reads it.
fn ask<T: serde::de::DeserializeOwned>(admin: &str, page: &'static str) -> Result<T, LiveError> {
    let unreachable = |source: Box<dyn Error + Send + Sync>| LiveError::Unreachable {
        admin: admin.to_owned(),
        page,
        source,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unreachable(error.into()))?;
    let answer = runtime.block_on(async {
        tokio::time::timeout(DEADLINE, fetch(admin, page))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", DEADLINE.as_secs()).into()))
    });
    let (status, body) = answer.map_err(unreachable)?;
    let foreign = |what: String| LiveError::Foreign {
        admin: admin.to_owned(),
        page,
        what,
    };
    if status != StatusCode::OK {
        return Err(foreign(format!("answers {status}")));
    }
    serde_json::from_slice(&body).map_err(|error| foreign(format!("cannot be read: {error}")))
}

async fn fetch(
    admin: &str,
    page: &str,
) -> Result<(StatusCode, Bytes), Box<dyn Error + Send + Sync>> {
    let stream = TcpStream::connect(admin).await?;
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let request = Request::get(page)
            .header(header::HOST, admin)
            .body(Empty::<Bytes>::new())?;
        let answer = client.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST).collect().await?;
        Ok((status, body.to_bytes()))
    };
    tokio::pin!(exchange);
    tokio::select! {
        // The answer first: a connection that ends together with it has done its work.
        biased;
        answer = &mut exchange => answer,
        ended = connection => {
            ended?;
            exchange.await
        }
    }
}
