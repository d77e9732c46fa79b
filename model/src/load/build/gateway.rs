//! The settings of the gateway process.

use std::{collections::HashSet, net::IpAddr, path::PathBuf, time::Duration};

use super::Builder;
use crate::{
    config::{DnsSettings, GatewaySettings, Limits, Quotas, Secret, SessionKey, Upgrades},
    document,
    load::path::At,
    ranges,
};

/// Folder for what must survive a restart, when no document names one.
const DATA_DIR: &str = "trellis-data";

impl Builder<'_> {
    /// The settings, from the one file that has them; the defaults, when they are wrong.
    pub(super) fn gateway(&mut self) -> GatewaySettings {
        let defaults = document::Gateway::default();
        let mut found: Option<(usize, &document::Gateway)> = None;
        for (position, file) in self.files.iter().enumerate() {
            let Some(gateway) = &file.document.gateway else {
                continue;
            };
            if let Some((first, _)) = found {
                let file = self.file_name(first);
                self.error(
                    &At::file(position).member("gateway"),
                    format!("{file} has a `gateway` already"),
                )
                .hint("the settings of the gateway stand in one file");
            } else {
                found = Some((position, gateway));
            }
        }
        let (position, gateway) = found.unwrap_or((0, &defaults));
        let root = At::file(position);
        let at = root.member("gateway");
        match self.settings(&at, position, gateway) {
            Some(settings) => settings,
            None => self.default_settings(&at, position),
        }
    }

    #[expect(
        clippy::expect_used,
        reason = "defaults are constants of this file, within the ranges that they are checked against"
    )]
    fn default_settings(&mut self, at: &At<'_>, file: usize) -> GatewaySettings {
        self.settings(at, file, &document::Gateway::default())
            .expect("defaults that are in their ranges")
    }

    fn settings(
        &mut self,
        at: &At<'_>,
        file: usize,
        gateway: &document::Gateway,
    ) -> Option<GatewaySettings> {
        let admin = gateway
            .admin
            .as_ref()
            .map(|text| self.socket(&at.member("admin"), text));
        let control = gateway
            .control
            .as_ref()
            .map(|text| self.socket(&at.member("control"), text));
        let session_keys = self.session_keys(&at.member("sessionKeys"), &gateway.session_keys);
        let dns = gateway
            .dns
            .as_ref()
            .map(|dns| self.dns(&at.member("dns"), dns));
        let discovery = self.discovery_settings(
            &at.member("discovery"),
            &gateway.discovery.clone().unwrap_or_default(),
        );
        let workers: Option<usize> =
            self.number(&at.member("workers"), gateway.workers, &ranges::WORKERS, 0);
        let limits = self.limits(
            &at.member("limits"),
            &gateway.limits.clone().unwrap_or_default(),
        );
        let zone = gateway.zone.as_deref();
        let zone = zone.map(|zone| self.zone(&at.member("zone"), zone));
        let stickiness_key = gateway
            .stickiness_key
            .as_ref()
            .map(|source| self.stickiness_key(&at.member("stickinessKey"), source));
        let explain = gateway.explain.as_ref();
        let quotas = self.quotas(&at.member("quotas"), gateway.quotas.as_ref());
        let explain_to = explain.map(|explain| self.explain_to(&at.member("explain"), explain));
        let telemetry = gateway.telemetry.as_ref();
        let telemetry =
            telemetry.map(|telemetry| self.telemetry(&at.member("telemetry"), telemetry));
        let spool = gateway.spool.clone().unwrap_or_default();
        let spool = self.spool(&at.member("spool"), &spool);
        let data_dir: PathBuf =
            self.relative(file, gateway.data_dir.as_deref().unwrap_or(DATA_DIR));
        Some(GatewaySettings {
            admin: given(admin)?,
            control: given(control)?,
            session_keys: session_keys?,
            dns: given(dns)?,
            discovery: discovery?,
            data_dir,
            workers: std::num::NonZeroUsize::new(workers?),
            limits: limits?,
            zone: given(zone)?,
            stickiness_key: given(stickiness_key)?,
            quotas: quotas?,
            // Found out with the functions themselves.
            functions: None,
            explain_to: given(explain_to)?.unwrap_or_default(),
            telemetry: given(telemetry)?.unwrap_or_default(),
            spool: spool?,
        })
    }

    /// Principals that decisions are explained to.
    fn quotas(&mut self, at: &At<'_>, written: Option<&document::WrittenQuotas>) -> Option<Quotas> {
        let absent = document::WrittenQuotas::default();
        Quotas::read(written.unwrap_or(&absent), |member, written, default| {
            self.number(&at.member(member), written, &ranges::QUOTA, default)
        })
    }

    fn explain_to(&mut self, at: &At<'_>, explain: &document::Explain) -> Option<Vec<Box<str>>> {
        let at = at.member("principals");
        if explain.principals.is_empty() {
            self.error(&at, "nobody is told anything")
                .hint("ARNs of users, roles or role sessions; leave out `explain` to tell nobody");
        }
        self.each(&at, &explain.principals, |this, at, text| {
            let right = is_principal(text);
            if !right {
                this.error(
                    at,
                    format!("`{text}` is not the ARN of a user, role or role session"),
                )
                .hint("such as `arn:aws:iam::111122223333:role/admin`");
            }
            right.then(|| text.into())
        })
    }

    fn session_keys(
        &mut self,
        at: &At<'_>,
        written: &[document::SessionKey],
    ) -> Option<Vec<SessionKey>> {
        let mut taken = HashSet::new();
        let keys: Vec<Option<SessionKey>> = written
            .iter()
            .enumerate()
            .map(|(index, key)| self.session_key(&at.index(index), key, &mut taken))
            .collect();
        keys.into_iter().collect()
    }

    fn session_key<'k>(
        &mut self,
        at: &At<'_>,
        written: &'k document::SessionKey,
        taken: &mut HashSet<&'k str>,
    ) -> Option<SessionKey> {
        let (in_id, id) = (at.member("id"), written.id.as_str());
        let mut right = self.length(&in_id, id, &ranges::SESSION_KEY_ID);
        if right
            && !id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        {
            self.error(&in_id, format!("`{id}` is not the name of a key"))
                .hint("letters, digits, `_` and `-`");
            right = false;
        }
        if right && !taken.insert(id) {
            self.error(&in_id, format!("key `{id}` appears twice"))
                .hint(
                    "a new secret needs a new name, or nodes cannot tell which one sealed a token",
                );
            right = false;
        }
        let in_secret = at.member("secret");
        let secret = self.secret(&in_secret, &written.secret)?;
        let characters = secret.expose().chars().count();
        if characters < ranges::SESSION_KEY_SECRET {
            self.error(
                &in_secret,
                format!("the secret of key `{id}` has {characters} characters"),
            )
            .hint(format!(
                "{} random ones are the fewest: `openssl rand -base64 32`",
                ranges::SESSION_KEY_SECRET
            ));
            right = false;
        }
        right.then(|| SessionKey {
            id: id.into(),
            secret,
        })
    }

    fn stickiness_key(&mut self, at: &At<'_>, source: &document::SecretSource) -> Option<Secret> {
        let secret = self.secret(at, source)?;
        let characters = secret.expose().chars().count();
        if characters < ranges::STICKINESS_SECRET {
            self.error(at, format!("the secret has {characters} characters"))
                .hint(format!(
                    "{} random ones are the fewest: `openssl rand -base64 32`",
                    ranges::STICKINESS_SECRET
                ));
            return None;
        }
        Some(secret)
    }

    /// The name of a zone.
    pub(super) fn zone(&mut self, at: &At<'_>, text: &str) -> Option<Box<str>> {
        self.length(at, text, &ranges::ZONE).then(|| text.into())
    }

    fn dns(&mut self, at: &At<'_>, dns: &document::Dns) -> Option<DnsSettings> {
        if dns.listen.is_empty() {
            self.error(&at.member("listen"), "no address to answer on")
                .hint("such as `[\"127.0.0.1:5353\"]`");
        }
        let listen = self.each(&at.member("listen"), &dns.listen, Self::socket);
        let answers: Option<Vec<IpAddr>> = self.each(&at.member("answers"), &dns.answers, Self::ip);
        let forward = self.each(&at.member("forward"), &dns.forward, Self::resolver);
        let ttl = self.seconds(&at.member("ttlSeconds"), dns.ttl_seconds, &ranges::TTL, 60);
        Some(DnsSettings {
            listen: listen?,
            answers: answers?,
            forward: forward?,
            ttl: ttl?,
        })
    }

    fn limits(&mut self, at: &At<'_>, limits: &document::GatewayLimits) -> Option<Limits> {
        let mut count = |member: &str, written, range, default| -> Option<usize> {
            self.number(&at.member(member), written, range, default)
        };
        let header_bytes = limits.header_bytes;
        let header_bytes = count("headerBytes", header_bytes, &ranges::HEADER_BYTES, 61_440);
        let headers = count("headers", limits.headers, &ranges::HEADERS, 100);
        let connections = limits.connections;
        let connections = count("connections", connections, &ranges::CONNECTIONS, 100_000);
        let range = &ranges::CONNECTIONS_OR_NONE;
        let per_vpc = count("connectionsPerVpc", limits.connections_per_vpc, range, 0);
        let per_client = limits.connections_per_client;
        let per_client = count("connectionsPerClient", per_client, range, 0);
        let idle = (
            limits.idle_target_connections,
            &ranges::IDLE_TARGET_CONNECTIONS,
        );
        let idle_targets = count("idleTargetConnections", idle.0, idle.1, 16_384);
        let policy = (limits.auth_policy_bytes, &ranges::AUTH_POLICY_BYTES);
        let auth_policy_bytes = count("authPolicyBytes", policy.0, policy.1, 10_240);

        let mut seconds = |member: &str, written, range, default| {
            self.seconds(&at.member(member), written, range, default)
        };
        let lifetime = limits.connection_lifetime_seconds;
        let lifetime = seconds(
            "connectionLifetimeSeconds",
            lifetime,
            &ranges::TIME_OR_NONE,
            600,
        );
        let wind_down = limits.wind_down_seconds;
        let wind_down = seconds("windDownSeconds", wind_down, &ranges::TIME_OR_NONE, 60);
        let header = limits.header_timeout_seconds;
        let header = seconds("headerTimeoutSeconds", header, &ranges::DEADLINE, 10);
        let connect = limits.connect_timeout_seconds;
        let connect = seconds("connectTimeoutSeconds", connect, &ranges::DEADLINE, 5);
        let grace = limits.stop_grace_seconds;
        let stop_grace = seconds("stopGraceSeconds", grace, &ranges::STOP_GRACE, 30);
        let skew = limits.clock_skew_seconds;
        let clock_skew = seconds("clockSkewSeconds", skew, &ranges::CLOCK_SKEW, 300);
        let upgrades = match limits.upgrades {
            None | Some(document::Upgrades::Pass) => Upgrades::Pass,
            Some(document::Upgrades::Drop) => Upgrades::Drop,
        };
        Some(Limits {
            header_bytes: header_bytes?,
            headers: headers?,
            connection_lifetime: unless_zero(lifetime?),
            wind_down: unless_zero(wind_down?),
            header_timeout: header?,
            connect_timeout: connect?,
            connections: connections?,
            connections_per_vpc: Some(per_vpc?).filter(|limit| *limit > 0),
            connections_per_client: Some(per_client?).filter(|limit| *limit > 0),
            idle_target_connections: idle_targets?,
            stop_grace: stop_grace?,
            upgrades,
            clock_skew: clock_skew?,
            auth_policy_bytes: auth_policy_bytes?,
        })
    }

    /// Every item of a list of texts; `None` when one is wrong, after looking at all.
    pub(super) fn each<T>(
        &mut self,
        at: &At<'_>,
        texts: &[String],
        mut parse: impl FnMut(&mut Self, &At<'_>, &str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let parsed: Vec<Option<T>> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| parse(self, &at.index(index), text))
            .collect();
        parsed.into_iter().collect()
    }
}

/// Tells an absent value (`Some(None)`) from a wrong one (`None`).
#[expect(
    clippy::option_option,
    reason = "the outer layer is consumed at once by `?`"
)]
pub(super) fn given<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
    }
}

/// Zero seconds mean no limit.
pub(super) fn unless_zero(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}

/// Is it the ARN of a user, a role or a session of a role?
fn is_principal(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let &["arn", _, service, "", account, resource] = parts.as_slice() else {
        return false;
    };
    let kinds: &[&str] = match service {
        "iam" => &["user", "role"],
        "sts" => &["assumed-role"],
        _ => return false,
    };
    account.parse::<crate::name::AccountId>().is_ok()
        && resource
            .split_once('/')
            .is_some_and(|(kind, name)| kinds.contains(&kind) && !name.is_empty())
}
