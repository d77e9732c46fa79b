//! Cookies that keep clients at their targets.
//!
//! A cookie holds the *label* of a target: 128 bits of a keyed hash of the group and the target. So it tells nobody which targets there
//! are, nor where; nobody without the key can make one; and one that a client has from another client, or from before, names at
//! most a target of a group that the client may use anyway. No state is kept: every node with the same key and targets knows the
//! same labels.

#[cfg(test)]
mod tests;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;
use ring::hmac;
use trellis_model::config::{Secret, Target, TargetGroup};
use trellis_target_groups::TargetKey;

/// Bytes of a hash that make a label.
const LABEL_BYTES: usize = 16;

/// What labels are made with.
pub struct Key(hmac::Key);

/// The label of a target, as it stands in cookies.
type Label = Box<str>;

/// The cookies of a target group.
#[derive(Debug)]
pub struct Cookies {
    name: Box<str>,
    duration: Option<Duration>,
    key: Arc<Key>,
    group: String,
    /// Replaced where targets are found by a name, which changes while a snapshot runs.
    table: ArcSwap<Table>,
}

/// The targets of a group and their labels.
#[derive(Debug, Default)]
struct Table {
    targets: HashMap<Label, TargetKey>,
    labels: HashMap<TargetKey, Label>,
}

impl Key {
    /// A key from a secret of the configuration.
    pub fn of_secret(secret: &Secret) -> Self {
        Self::of_bytes(secret.expose().as_bytes())
    }

    /// A key from something that is secret for another purpose: what is made of this key tells nothing about that.
    pub fn of_bytes(secret: &[u8]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let key = hmac::sign(&secret, b"trellis stickiness cookies 1");
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
    }

    fn label(&self, group: &str, target: &TargetKey) -> Label {
        let mut context = hmac::Context::with_key(&self.0);
        // None of the parts can hold the zero byte between them.
        context.update(group.as_bytes());
        context.update(b"\0");
        context.update(target.id().as_bytes());
        context.update(b"\0");
        context.update(target.address().to_string().as_bytes());
        let tag = context.sign();
        let bytes = tag.as_ref().get(..LABEL_BYTES).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(bytes).into()
    }
}

/// Shows nothing of the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(redacted)")
    }
}

impl Cookies {
    /// The cookies of a group; `None` when it keeps nobody.
    pub fn of(group: &TargetGroup, key: &Arc<Key>) -> Option<Self> {
        let settings = group.balancing.stickiness.as_ref()?;
        let this = Self {
            name: settings.cookie_name.clone(),
            duration: settings.duration,
            key: Arc::clone(key),
            group: group.id.to_string(),
            table: ArcSwap::default(),
        };
        this.know(&group.targets);
        Some(this)
    }

    /// Knows these targets from now on, and no others.
    pub fn know(&self, targets: &[Target]) {
        let keys = targets.iter().map(TargetKey::from);
        let labels: HashMap<TargetKey, Label> = keys
            .map(|target| {
                let label = self.key.label(&self.group, &target);
                (target, label)
            })
            .collect();
        self.table.store(Arc::new(Table {
            targets: labels
                .iter()
                .map(|(target, label)| (label.clone(), target.clone()))
                .collect(),
            labels,
        }));
    }

    /// Name of the cookie.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Is the cookie to be set again with every answer, so that its time begins anew?
    pub fn are_renewed(&self) -> bool {
        self.duration.is_some()
    }

    /// The target that a value of the cookie names, if it is one of ours.
    pub fn target(&self, value: &[u8]) -> Option<TargetKey> {
        let table = self.table.load();
        table.targets.get(std::str::from_utf8(value).ok()?).cloned()
    }

    /// The `Set-Cookie` field that keeps a client at a target; `None` for a target that is no longer configured.
    ///
    /// Spec: RFC 6265 §4.1. Not readable for scripts, and on connections with TLS not sent over others.
    pub fn set(&self, target: &TargetKey, tls: bool) -> Option<HeaderValue> {
        let table = self.table.load();
        let label = table.labels.get(target)?;
        let mut field = format!("{}={label}; Path=/; HttpOnly", self.name);
        if let Some(duration) = self.duration {
            field.push_str("; Max-Age=");
            field.push_str(&duration.as_secs().to_string());
        }
        if tls {
            field.push_str("; Secure");
        }
        HeaderValue::try_from(field).ok()
    }
}
