//! Where a supposed request comes from, and who sends it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::SystemTime,
};

use ipnet::IpNet;
use trellis_model::{
    arn::Arn,
    config::{Config, Role, Vpc},
};
use trellis_policy::{Caller, Policies, Principal, PrincipalIndex};

use crate::snapshot::Snapshot;

/// Why there is no such caller. The author of the command line must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallerError {
    /// Which VPC?
    #[error("which VPC? --vpc takes one of: {known}")]
    WhichVpc {
        /// Those that there are.
        known: String,
    },
    /// No such VPC.
    #[error("no VPC has the name, id or ARN `{text}`; there are: {known}")]
    UnknownVpc {
        /// As given.
        text: String,
        /// Those that there are.
        known: String,
    },
    /// More than one.
    #[error("`{text}` is the name of several VPCs; their ARNs are: {arns}")]
    AmbiguousVpc {
        /// As given.
        text: String,
        /// Theirs.
        arns: String,
    },
    /// Nobody can come from there.
    #[error("the VPC `{vpc}` has no attachment: nobody can come from it")]
    Unattached {
        /// Its name.
        vpc: String,
    },
    /// The address and the VPC contradict each other.
    #[error("clients from `{peer}` are not in the VPC `{vpc}`: at `{local}` they are in {found}")]
    Elsewhere {
        /// Its name.
        vpc: String,
        /// The client's address.
        peer: IpAddr,
        /// An address of the VPC's attachments.
        local: IpAddr,
        /// The VPC that they are in.
        found: String,
    },
    /// No such principal.
    #[error("no user, and no session of a role, is called `{text}`; there are: {known}")]
    UnknownPrincipal {
        /// As given.
        text: String,
        /// Those that there are.
        known: String,
    },
    /// Tags of a session that is none.
    #[error("`{text}` has no session tags: it is no session of a role, ROLE/SESSION")]
    NoSession {
        /// As given.
        text: String,
    },
    /// More than one.
    #[error("`{text}` may be any of: {arns}")]
    AmbiguousPrincipal {
        /// As given.
        text: String,
        /// Theirs.
        arns: String,
    },
}

/// Names given in an error; there may be thousands.
const LISTED: usize = 10;

/// From where to where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The client's address.
    pub(super) peer: IpAddr,
    /// Was it made up?
    pub(super) assumed: bool,
    /// The gateway's address.
    pub(super) local: IpAddr,
}

impl Place {
    /// As the command line says.
    pub(super) fn given(local: IpAddr, peer: IpAddr) -> Self {
        Self {
            peer,
            assumed: false,
            local,
        }
    }

    /// An attachment of a VPC, and an address from which it is reached.
    pub(super) fn of_vpc(
        config: &Config,
        snapshot: &Snapshot,
        name: Option<&str>,
        peer: Option<IpAddr>,
    ) -> Result<Self, CallerError> {
        let vpc = find_vpc(config, name)?;
        let mut elsewhere = None;
        for attachment in &vpc.attachments {
            for local in attachment.listen.iter().map(|listen| reachable(*listen)) {
                let likely = attachment.sources.iter().chain(&vpc.cidrs).map(some_host);
                let candidates: Vec<IpAddr> = match peer {
                    Some(peer) => vec![peer],
                    // A VPC without ranges takes anybody; then a caller on this machine is as good as any.
                    None => likely.chain([local]).collect(),
                };
                for candidate in candidates {
                    let found = snapshot.attach(local, candidate).map(|view| &view.vpc);
                    if found == Some(&vpc.id) {
                        return Ok(Self {
                            peer: candidate,
                            assumed: peer.is_none(),
                            local,
                        });
                    }
                    elsewhere.get_or_insert((local, candidate, found));
                }
            }
        }
        let vpc_name = vpc.name.to_string();
        let Some((local, peer, found)) = elsewhere else {
            return Err(CallerError::Unattached { vpc: vpc_name });
        };
        let found = config.vpcs.iter().find(|vpc| Some(&vpc.id) == found);
        Err(CallerError::Elsewhere {
            vpc: vpc_name,
            peer,
            local,
            found: found.map_or_else(|| "none".to_owned(), |vpc| format!("`{}`", vpc.name)),
        })
    }
}

/// An address at which a listener on this one can be reached.
fn reachable(listen: IpAddr) -> IpAddr {
    match listen {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

/// The first address of a range that a machine could have.
fn some_host(range: &IpNet) -> IpAddr {
    range.hosts().next().unwrap_or(range.addr())
}

fn find_vpc<'a>(config: &'a Config, text: Option<&str>) -> Result<&'a Vpc, CallerError> {
    let known = || listed(config.vpcs.iter().map(|vpc| vpc.name.as_str()));
    let Some(text) = text else {
        return match config.vpcs.as_slice() {
            [only] => Ok(only),
            _ => Err(CallerError::WhichVpc { known: known() }),
        };
    };
    let named = |vpc: &&Arc<Vpc>| {
        vpc.name.as_str() == text || vpc.id.as_str() == text || vpc.arn.as_str() == text
    };
    let found: Vec<&Arc<Vpc>> = config.vpcs.iter().filter(named).collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(CallerError::UnknownVpc {
            text: text.to_owned(),
            known: known(),
        }),
        several => Err(CallerError::AmbiguousVpc {
            text: text.to_owned(),
            arns: listed(several.iter().map(|vpc| vpc.arn.as_str())),
        }),
    }
}

/// The caller with this name or ARN. A session of a role needs no key of its own: whoever assumes the role has one. Session tags are
/// those of the session.
pub(super) fn caller(
    config: &Config,
    policies: &Policies,
    text: &str,
    tags: &BTreeMap<String, String>,
    now: SystemTime,
) -> Result<Caller, CallerError> {
    let known = principal(policies, text);
    let session = session_of(config, text)
        .filter(|_| !tags.is_empty() || known.is_err())
        .and_then(|(role, name)| policies.suppose_session(role.arn.as_str(), name, tags, now));
    match session {
        Some(session) => Ok(session),
        None if tags.is_empty() => known.map(Caller::Principal),
        None => Err(CallerError::NoSession {
            text: text.to_owned(),
        }),
    }
}

/// The role and the name of the session that `ROLE/SESSION` or the ARN of a session means.
fn session_of<'a>(config: &'a Config, text: &'a str) -> Option<(&'a Role, &'a str)> {
    let (role, session) = text.rsplit_once('/')?;
    let named = |of: &&Arc<Role>| {
        let beginning = Arn::assumed_role(&of.account, &config.region, &of.name, "");
        *of.name == *role || beginning.as_str().strip_suffix('/') == Some(role)
    };
    let mut roles = config.roles.iter().filter(named);
    let only = roles.next().filter(|_| roles.next().is_none())?;
    (!session.is_empty()).then_some((only, session))
}

/// The principal with this name or ARN.
fn principal(policies: &Policies, text: &str) -> Result<PrincipalIndex, CallerError> {
    if let Some(index) = policies.principal_by_arn(text) {
        return Ok(index);
    }
    let all: Vec<(PrincipalIndex, &Principal)> = (0..)
        .map(PrincipalIndex)
        .map_while(|index| Some((index, policies.principal(index)?)))
        .collect();
    let called = |principal: &Principal| {
        let session = principal.session_name.as_deref().unwrap_or_default();
        &*principal.name == text
            || &*principal.principal_arn == text
            || text.split_once('/') == Some((&*principal.name, session))
    };
    let found: Vec<_> = all
        .iter()
        .filter(|(_, principal)| called(principal))
        .collect();
    match found.as_slice() {
        [(index, _)] => Ok(*index),
        [] => Err(CallerError::UnknownPrincipal {
            text: text.to_owned(),
            known: listed(all.iter().map(|(_, principal)| &*principal.name)),
        }),
        several => Err(CallerError::AmbiguousPrincipal {
            text: text.to_owned(),
            arns: listed(several.iter().map(|(_, principal)| &*principal.arn)),
        }),
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.dedup();
    if names.is_empty() {
        return "none".to_owned();
    }
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    let text = names.join(", ");
    if more > 0 {
        format!("{text} and {more} more")
    } else {
        text
    }
}
