//! What is told about a request, in the form that scripts get.

use std::{collections::HashMap, fmt::Display, net::IpAddr};

use http::Version;
use serde::Serialize;
use trellis_model::config::{AuthType, Config, ListenerProtocol};
use trellis_policy::{Caller, Explanation, Proof};
use trellis_routing::Trial;

use super::{caller::Place, groups::Forward, live::Live};
use crate::{
    proxy::walk::{End, HeaderChanges, Sender, Supposed, Walk},
    snapshot::{Listener, Rule, Snapshot, TargetGroup},
};

/// Everything that a report is made of.
#[derive(Debug)]
pub(super) struct Findings<'a> {
    pub(super) config: &'a Config,
    pub(super) snapshot: &'a Snapshot,
    pub(super) supposed: &'a Supposed,
    pub(super) place: &'a Place,
    pub(super) walk: &'a Walk,
    pub(super) live: Option<&'a Live>,
    pub(super) url: &'a str,
}

/// The report. Members of a stage that the request does not reach are absent; the service network is that of the VPC.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) request: RequestReport,
    pub(super) from: FromReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_network: Option<Guarded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<Guarded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listener: Option<ListenerReport>,
    /// The rules tried, in order; the last one is the one that applies.
    pub(super) rules: Vec<RuleReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) caller: Option<CallerReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policies: Option<Explanation>,
    /// The same with policies in audit enforced and candidates active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) candidate_policies: Option<Explanation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) forward: Option<Forward>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) headers: Option<Headers>,
    pub(super) outcome: Outcome,
}

/// The request itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestReport {
    pub(super) method: String,
    pub(super) url: String,
    /// `HTTP/1.1`.
    pub(super) version: String,
}

/// Where it comes from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FromReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vpc: Option<VpcReport>,
    pub(super) address: IpAddr,
    /// Was the address made up?
    pub(super) assumed: bool,
    pub(super) to: std::net::SocketAddr,
}

/// A VPC.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VpcReport {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) arn: String,
}

/// A service network or a service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Guarded {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) auth_type: &'static str,
}

/// A listener.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListenerReport {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) protocol: &'static str,
    pub(super) port: u16,
}

/// A rule that was tried.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleReport {
    pub(super) name: String,
    pub(super) id: String,
    /// None for the default rule.
    pub(super) priority: Option<u16>,
    pub(super) matched: bool,
    /// Why it did not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// Who sent it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallerReport {
    /// Its ARN, or `anonymous`.
    pub(super) principal: String,
    /// `supposed`, `signature`, `token`, `certificate`, `network`, or `noSignature`.
    pub(super) known_by: &'static str,
}

/// How a target sees the headers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Headers {
    /// The group whose targets see this.
    pub(super) target_group: String,
    pub(super) set: Vec<Header>,
    pub(super) removed: Vec<String>,
}

/// A header field.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
}

/// How it ends.
#[derive(Debug, Serialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "result"
)]
pub(super) enum Outcome {
    Forwarded {
        /// The part of such requests that is, from 0 to 1: groups of one action may differ.
        share: f64,
    },
    FixedResponse {
        status_code: u16,
    },
    Refused {
        status_code: u16,
        /// What the client reads.
        body: String,
        reason: String,
    },
    Unanswered {
        reason: String,
    },
}

impl Report {
    pub(super) fn new(of: &Findings<'_>) -> Self {
        let Findings {
            snapshot,
            supposed,
            walk,
            ..
        } = of;
        let matched = walk.matched;
        let view = walk.vpc.as_ref().and_then(|vpc| snapshot.view(vpc));
        let network = view.and_then(|view| snapshot.network(view));
        let service = matched.and_then(|matched| snapshot.service(matched.service));
        let listener = matched
            .zip(service)
            .and_then(|(matched, service)| service.listeners.get(matched.listener));
        let rule = matched
            .zip(listener)
            .map(|(matched, listener)| listener.rule(matched.rule));
        let permitted = walk
            .decision
            .as_ref()
            .is_some_and(|decision| decision.allowed);
        let names = listener.map_or_else(HashMap::new, |listener| of.rule_names(listener));
        let forward = rule
            .filter(|_| permitted)
            .and_then(|rule| Forward::new(of, rule));
        Self {
            request: RequestReport {
                method: supposed.method.clone(),
                url: of.url.to_owned(),
                version: version(supposed.version),
            },
            from: of.from(),
            service_network: network.map(|network| {
                guarded(&network.name, &network.id, &network.arn, network.auth_type)
            }),
            service: service.map(|service| {
                guarded(&service.name, &service.id, &service.arn, service.auth_type)
            }),
            listener: listener.map(|listener| of.listener(listener)),
            rules: listener.map_or_else(Vec::new, |listener| rules(listener, &walk.trials, &names)),
            caller: of.caller(),
            policies: walk.decision.clone(),
            candidate_policies: walk.rehearsal.clone(),
            outcome: outcome(&walk.end, forward.as_ref()),
            forward,
            headers: walk.headers.as_ref().map(headers),
        }
    }
}

impl Findings<'_> {
    fn from(&self) -> FromReport {
        let vpc = self.config.vpcs.iter();
        let vpc = vpc
            .into_iter()
            .find(|vpc| self.walk.vpc.as_ref() == Some(&vpc.id));
        FromReport {
            vpc: vpc.map(|vpc| VpcReport {
                name: vpc.name.to_string(),
                id: vpc.id.to_string(),
                arn: vpc.arn.to_string(),
            }),
            address: self.place.peer,
            assumed: self.place.assumed,
            to: self.supposed.local,
        }
    }

    /// The configuration's listener, which has a name.
    fn configured(&self, listener: &Listener) -> Option<&trellis_model::config::Listener> {
        let mut all = self
            .config
            .services
            .iter()
            .flat_map(|service| &service.listeners);
        all.find(|configured| configured.id == listener.id)
    }

    fn listener(&self, listener: &Listener) -> ListenerReport {
        ListenerReport {
            name: self
                .configured(listener)
                .map_or_else(String::new, |listener| listener.name.to_string()),
            id: listener.id.to_string(),
            protocol: match listener.protocol {
                ListenerProtocol::Http => "HTTP",
                ListenerProtocol::Https => "HTTPS",
            },
            port: listener.port,
        }
    }

    fn rule_names(&self, listener: &Listener) -> HashMap<String, String> {
        let rules = self.configured(listener).map(|listener| &listener.rules);
        rules
            .into_iter()
            .flatten()
            .map(|rule| (rule.id.to_string(), rule.name.to_string()))
            .collect()
    }

    fn caller(&self) -> Option<CallerReport> {
        let caller = self.walk.caller.as_ref()?;
        let principal = match caller {
            Caller::Anonymous => "anonymous".to_owned(),
            caller => self.snapshot.policies.caller(caller)?.arn.to_string(),
        };
        Some(CallerReport {
            principal,
            known_by: match (&self.supposed.sender, self.walk.known_by) {
                (Sender::Supposed(_), _) => "supposed",
                (Sender::Signature, Proof::Signature) => "signature",
                (Sender::Signature, Proof::Token) => "token",
                (Sender::Signature, Proof::Certificate) => "certificate",
                (Sender::Signature, Proof::Network) => "network",
                (Sender::Signature, Proof::None) => "noSignature",
            },
        })
    }
}

fn rules(
    listener: &Listener,
    trials: &[Trial],
    names: &HashMap<String, String>,
) -> Vec<RuleReport> {
    let report = |rule: &Rule, trial: &Trial| {
        let id = rule.id.to_string();
        RuleReport {
            name: match rule.priority {
                None => "default".to_owned(),
                Some(_) => names.get(&id).cloned().unwrap_or_default(),
            },
            id,
            priority: rule.priority.map(trellis_model::config::RulePriority::get),
            matched: *trial == Trial::Matched,
            reason: match trial {
                Trial::Matched => None,
                Trial::Failed(mismatch) => Some(mismatch.to_string()),
            },
        }
    };
    let tried = listener.rules.iter().zip(trials);
    let mut reports: Vec<_> = tried.map(|(rule, trial)| report(rule, trial)).collect();
    if trials.last() != Some(&Trial::Matched) {
        reports.push(report(&listener.default, &Trial::Matched));
    }
    reports
}

fn headers((group, changes): &(std::sync::Arc<TargetGroup>, HeaderChanges)) -> Headers {
    let set = changes.set.iter().map(|(name, value)| Header {
        name: name.clone(),
        value: value.clone(),
    });
    Headers {
        target_group: group.name.to_string(),
        set: set.collect(),
        removed: changes.removed.clone(),
    }
}

pub(super) fn outcome(end: &End, forward: Option<&Forward>) -> Outcome {
    match end {
        End::Forwarded => Outcome::Forwarded {
            share: forward.map_or(1.0, Forward::forwarded_share),
        },
        End::FixedResponse { status } => Outcome::FixedResponse {
            status_code: *status,
        },
        End::Refused {
            status,
            text,
            reason,
        } => Outcome::Refused {
            status_code: *status,
            body: text.clone(),
            reason: reason.clone(),
        },
        End::Unanswered { reason } => Outcome::Unanswered {
            reason: reason.clone(),
        },
    }
}

fn guarded(name: &impl Display, id: &impl Display, arn: &impl Display, auth: AuthType) -> Guarded {
    Guarded {
        name: name.to_string(),
        id: id.to_string(),
        arn: arn.to_string(),
        auth_type: match auth {
            AuthType::None => "NONE",
            AuthType::AwsIam => "AWS_IAM",
        },
    }
}

fn version(version: Version) -> String {
    match version {
        Version::HTTP_2 => "HTTP/2".to_owned(),
        version => format!("{version:?}"),
    }
}
