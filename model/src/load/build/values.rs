//! Values that appear in many places: names, numbers, addresses, tags, policies, secrets.

use std::{
    collections::BTreeMap,
    fmt::Display,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use super::Builder;
use crate::{
    config::{AuthPolicyMode, PolicyLanguage, PolicyText, Secret},
    document::{Policy, SecretSource},
    load::path::At,
    name::{Name, NameError},
    problem::{Code, Place},
    ranges::{self, Lengths, Range},
};

/// Largest policy file.
const POLICY_FILE_BYTES: usize = 1 << 20;

/// A value of a type with a grammar, from a text that is known to fit it.
#[expect(
    clippy::expect_used,
    reason = "the two texts are literals in this crate, and every load runs them"
)]
pub(super) fn placeholder<T: FromStr<Err = NameError>>(text: &'static str) -> T {
    text.parse().expect("a literal that fits its grammar")
}

impl<'a> Builder<'a> {
    /// A value of a type with a grammar of its own.
    pub(super) fn parsed<T: FromStr<Err: Display>>(
        &mut self,
        at: &At<'_>,
        text: &str,
    ) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(at, error.to_string());
                None
            }
        }
    }

    /// The name of a resource: the common grammar, the length of its type, and no beginning that only ids of the type have.
    pub(super) fn name(
        &mut self,
        at: &At<'_>,
        text: &str,
        lengths: &Lengths,
        reserved: &str,
    ) -> Option<Name> {
        let name = match self.alike.names.get(text) {
            Some(known) => known.clone(),
            None => self.parsed(at, text)?,
        };
        if !self.length(at, text, lengths) {
            return None;
        }
        if !reserved.is_empty() && text.starts_with(reserved) {
            self.error(
                at,
                format!("`{text}` begins with `{reserved}`, which only ids do"),
            );
            return None;
        }
        self.alike.names.insert(name.clone());
        Some(name)
    }

    /// Is the length of this text in range? Reported when not.
    pub(super) fn length(&mut self, at: &At<'_>, text: &str, lengths: &Lengths) -> bool {
        // Counting stops early on texts that are far too long.
        let length = text.chars().take(lengths.end() + 1).count();
        if lengths.contains(&length) {
            return true;
        }
        let shown: String = text.chars().take(80).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        let (least, most) = (lengths.start(), lengths.end());
        self.error(
            at,
            format!("`{shown}{more}` is not {least} to {most} characters long"),
        );
        false
    }

    /// A number within a range; `default` when absent.
    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        at: &At<'_>,
        written: Option<i64>,
        range: &Range,
        default: T,
    ) -> Option<T> {
        match written {
            None => Some(default),
            Some(number) => self.in_range(at, number, range),
        }
    }

    /// A number within a range.
    pub(super) fn in_range<T: TryFrom<i64>>(
        &mut self,
        at: &At<'_>,
        number: i64,
        range: &Range,
    ) -> Option<T> {
        let value = range
            .contains(&number)
            .then(|| T::try_from(number).ok())
            .flatten();
        if value.is_none() {
            self.error(
                at,
                format!(
                    "{number} is not in the range {} to {}",
                    range.start(),
                    range.end()
                ),
            );
        }
        value
    }

    /// A time in seconds within a range.
    pub(super) fn seconds(
        &mut self,
        at: &At<'_>,
        written: Option<i64>,
        range: &Range,
        default: u64,
    ) -> Option<Duration> {
        self.number(at, written, range, default)
            .map(Duration::from_secs)
    }

    /// An IP address.
    pub(super) fn ip(&mut self, at: &At<'_>, text: &str) -> Option<IpAddr> {
        let Ok(address) = text.parse() else {
            let hint = match text.parse::<SocketAddr>() {
                Ok(socket) => format!("`{}`, without a port", socket.ip()),
                Err(_) => "such as `10.0.0.7` or `fd00::7`".to_owned(),
            };
            self.error(at, format!("`{text}` is not an IP address"))
                .hint(hint);
            return None;
        };
        // Such an address would be IPv6 to every check here and IPv4 to the kernel.
        if let IpAddr::V6(v6) = address
            && let Some(v4) = v6.to_ipv4_mapped()
        {
            self.error(at, format!("`{text}` is an IPv4 address written as IPv6"))
                .hint(format!("`{v4}`"));
            return None;
        }
        Some(address)
    }

    /// An IP address and port.
    pub(super) fn socket(&mut self, at: &At<'_>, text: &str) -> Option<SocketAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            self.error(at, format!("`{text}` is not an IP address and port"))
                .hint("such as `127.0.0.1:9901` or `[::1]:9901`");
        }
        address
    }

    /// Tags: how many, how long, which characters.
    ///
    /// Source: VPC Lattice user guide, "Tag your resources"; lengths from the API model.
    pub(super) fn tags(
        &mut self,
        at: &At<'_>,
        tags: &'a BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let allowed = |c: char| {
            c.is_alphanumeric() || matches!(c, ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
        };
        if tags.len() > ranges::TAGS {
            self.error(
                at,
                format!("{} tags are more than {}", tags.len(), ranges::TAGS),
            );
        }
        for (key, value) in tags {
            let at = at.key(key);
            self.length(&at, key, &ranges::TAG_KEY);
            self.length(&at, value, &ranges::TAG_VALUE);
            if key.starts_with("aws:") {
                self.error(
                    &at,
                    format!("`{key}` begins with `aws:`, which is reserved"),
                );
            }
            for text in [key, value] {
                if !text.chars().all(allowed) {
                    self.error(
                        &at,
                        format!("`{text}` has characters that tags may not have"),
                    )
                    .hint("letters, digits, spaces and `_ . : / = + - @`");
                }
            }
        }
        tags.clone()
    }

    /// A policy as text.
    pub(super) fn policy(&mut self, at: &At<'_>, policy: &Policy) -> Option<PolicyText> {
        let here = |text: Arc<str>, language, place| {
            Some(PolicyText {
                language,
                text,
                place,
            })
        };
        match policy {
            Policy::Object(object) => match serde_json::to_string(object) {
                Ok(text) => here(text.into(), PolicyLanguage::Iam, self.place(at)),
                Err(error) => {
                    self.error(at, format!("not a policy: {error}"));
                    None
                }
            },
            Policy::Text(text) => here(text.as_str().into(), PolicyLanguage::Iam, self.place(at)),
            Policy::Cedar(text) => here(
                text.as_str().into(),
                PolicyLanguage::Cedar,
                self.place(&at.member("cedar")),
            ),
            Policy::File(written) => {
                let path = self.relative(at.steps().0, written);
                let language = match path.extension() {
                    Some(extension) if extension == "cedar" => PolicyLanguage::Cedar,
                    _ => PolicyLanguage::Iam,
                };
                let text = self.policy_file(&at.member("file"), &path)?;
                here(
                    text,
                    language,
                    Place {
                        file: Some(Arc::new(path)),
                        ..Place::default()
                    },
                )
            }
        }
    }

    /// The text of a policy file, read once however many policies name it, and reported once if it cannot be.
    pub(super) fn policy_file(&mut self, at: &At<'_>, path: &PathBuf) -> Option<Arc<str>> {
        if let Some(known) = self.policy_files.get(path) {
            return known.clone();
        }
        let text: Option<Arc<str>> = match self.inputs.read(path) {
            Ok(text) if text.len() > POLICY_FILE_BYTES => {
                self.error(
                    at,
                    format!("`{}` is larger than a policy may be", path.display()),
                )
                .hint("1 MiB at most");
                None
            }
            Ok(text) => Some(text.into()),
            Err(reason) => {
                self.error(at, format!("cannot read `{}`: {reason}", path.display()));
                None
            }
        };
        self.policy_files.insert(path.clone(), text.clone());
        text
    }

    /// The auth policy of a service network or service, with its size limit and the traps around the switch beside it.
    pub(super) fn auth_policy(
        &mut self,
        at: &At<'_>,
        auth_type: crate::document::AuthType,
        policy: Option<&Policy>,
    ) -> Option<PolicyText> {
        use crate::document::AuthType;

        match (auth_type, policy) {
            (AuthType::AwsIam, None) => self
                .warning(
                    at,
                    "`authType: AWS_IAM` without `authPolicy` denies every request",
                )
                .code(Code::DeniesAll)
                .hint("add an `authPolicy`, or use `authType: NONE`"),
            (AuthType::None, Some(_)) => self
                .warning(
                    &at.member("authPolicy"),
                    "has no effect while `authType` is `NONE`",
                )
                .code(Code::NotCounted)
                .hint("add `authType: AWS_IAM`"),
            _ => {}
        }
        self.sized_policy(&at.member("authPolicy"), policy)
    }

    /// Is the auth policy enforced?
    pub(super) fn auth_policy_mode(
        &mut self,
        at: &At<'_>,
        auth_type: crate::document::AuthType,
        written: Option<crate::document::AuthPolicyMode>,
    ) -> AuthPolicyMode {
        use crate::document;

        if written.is_some() && auth_type == document::AuthType::None {
            self.warning(
                &at.member("authPolicyMode"),
                "has no effect while `authType` is `NONE`",
            )
            .code(Code::NotCounted)
            .hint("add `authType: AWS_IAM`");
        }
        match written.unwrap_or_default() {
            document::AuthPolicyMode::Enforce => AuthPolicyMode::Enforce,
            document::AuthPolicyMode::Audit => AuthPolicyMode::Audit,
        }
    }

    /// A policy of a service network or service, with its size limit.
    pub(super) fn sized_policy(
        &mut self,
        at: &At<'_>,
        policy: Option<&Policy>,
    ) -> Option<PolicyText> {
        let text = self.policy(at, policy?)?;
        let size = size_of_json(&text.text);
        let most = self.auth_policy_bytes;
        if text.language == PolicyLanguage::Iam && size > most {
            let most_of_all = *ranges::AUTH_POLICY_BYTES.end();
            self.error(
                at,
                format!("a policy of {size} bytes is larger than {most}"),
            )
            .hint(format!(
                "white space outside texts is not counted; `gateway.limits.authPolicyBytes` may be up to {most_of_all}"
            ));
        }
        Some(text)
    }

    /// A secret from the environment or a file. No message ever holds any of it.
    pub(super) fn secret(&mut self, at: &At<'_>, source: &SecretSource) -> Option<Secret> {
        let (at, found, what) = match source {
            SecretSource::Env(name) => {
                let found = self
                    .inputs
                    .variable(name)
                    .ok_or_else(|| format!("environment variable `{name}` is not set"));
                (
                    at.member("env"),
                    found,
                    format!("environment variable `{name}`"),
                )
            }
            SecretSource::File(written) => {
                let path = self.relative(at.steps().0, written);
                let found = self
                    .inputs
                    .read(&path)
                    .map_err(|reason| format!("cannot read `{}`: {reason}", path.display()));
                (at.member("file"), found, format!("`{}`", path.display()))
            }
        };
        let text = match found {
            Ok(text) => text,
            Err(message) => {
                self.error(&at, message);
                return None;
            }
        };
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.trim().is_empty() {
            self.error(&at, format!("the secret in {what} is empty"));
            return None;
        }
        Some(Secret::new(text))
    }
}

/// Size of a JSON text in bytes without the white space between its tokens.
fn size_of_json(text: &str) -> usize {
    let (mut size, mut quoted, mut escaped) = (0, false, false);
    for byte in text.bytes() {
        if quoted || !byte.is_ascii_whitespace() {
            size += 1;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    size
}
