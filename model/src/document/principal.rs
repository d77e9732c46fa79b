//! Users and roles, and who else may be one of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::object::objects;
use super::{Policy, unique_keys};
use crate::ranges;

/// IAM users and roles of the account that may sign requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    deny_unknown_fields,
    default
)]
pub struct Principals {
    /// Users.
    pub users: Vec<User>,
    /// Roles.
    pub roles: Vec<Role>,
    /// Issuers whose tokens say who is calling.
    pub identity_providers: Vec<IdentityProvider>,
    /// Certificate authorities that may say who is calling.
    pub trust_stores: Vec<TrustStore>,
    /// Rules that give callers who do not sign a principal. The first that fits counts, those of tokens before those of certificates,
    /// those of certificates before those of networks.
    pub mappings: Vec<Mapping>,
}

/// An issuer of JSON Web Tokens. A request from a VPC of the account that has `Authorization: Bearer` must bring a token of one of the
/// account's providers, wherever an auth policy asks who is calling.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityProvider {
    /// Name, unique among the account's providers.
    #[schemars(length(min = *ranges::PRINCIPAL_NAME.start(), max = *ranges::PRINCIPAL_NAME.end()))]
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: IdentityProviderType,
    /// What its tokens have as `iss`, to the letter.
    pub issuer: String,
    /// What its tokens must have at least one of as `aud`.
    pub audiences: Vec<String>,
    /// Where its public keys are, for tokens signed by RS256, RS384, RS512, PS256, ES256, ES384 or `EdDSA`.
    pub jwks: Option<KeySource>,
    /// Instead of `jwks`: the secret, 32 bytes at least, that it shares with the gateway, for tokens signed by HS256.
    pub secret: Option<SecretSource>,
}

/// Certificate authorities whose certificates services of the account may ask clients for, with `clientCertificates`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustStore {
    /// Name, unique among the account's trust stores.
    #[schemars(length(min = *ranges::PRINCIPAL_NAME.start(), max = *ranges::PRINCIPAL_NAME.end()))]
    pub name: String,
    /// Path of their certificates in PEM, 100 at most. The configuration is loaded again when the file changes.
    pub ca_file: String,
}

/// Kind of an identity provider: `OIDC` is an issuer of JSON Web Tokens with an issuer and audiences, as `OpenID` Connect has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum IdentityProviderType {
    #[serde(rename = "OIDC")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Oidc,
}

/// Where a JSON Web Key Set is: `{file: path}` or `{url: https://…}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct KeySource {
    /// Path of a file. The configuration is loaded again when it changes.
    pub file: Option<String>,
    /// Address of a server, read in the background. Only a loopback address may be asked in the clear.
    pub url: Option<String>,
    /// How often the address is read. Besides, it is read at once when a token names a key that was not in the last set, but not more
    /// than once in ten seconds for that reason.
    #[schemars(range(min = *ranges::KEY_REFRESH.start(), max = *ranges::KEY_REFRESH.end()), extend("default" = 300))]
    pub refresh_interval_seconds: Option<i64>,
}

/// A rule that gives callers a principal of the account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Mapping {
    /// Name, unique among the account's mappings; the name of the session, where the principal is a role.
    #[schemars(
        length(min = *ranges::SESSION_NAME.start(), max = *ranges::SESSION_NAME.end()),
        regex(pattern = r"^[A-Za-z0-9_+=,.@-]+$")
    )]
    pub name: String,
    /// What says who is calling.
    pub from: MappingSource,
    /// What it must say; all of it.
    #[serde(rename = "match")]
    pub conditions: MappingMatch,
    /// Who the caller then is: `{user: NAME}` or `{role: NAME}`.
    pub principal: MappedPrincipal,
}

/// What says who is calling: `JWT`, a token of an identity provider; `CERTIFICATE`, the certificate that the client proved to have
/// when its connection was made; `ATTACHMENT`, the VPC that the connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum MappingSource {
    #[serde(rename = "JWT")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Jwt,
    #[serde(rename = "CERTIFICATE")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Certificate,
    #[serde(rename = "ATTACHMENT")]
    #[expect(
        missing_docs,
        reason = "described with the type: the schema shows one list of values"
    )]
    Attachment,
}

/// What a mapping looks at.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct MappingMatch {
    /// Of `JWT`: the name of the identity provider.
    pub identity_provider: Option<String>,
    /// Of `JWT`: claims, one at least, each of which the token must have.
    #[serde(default)]
    pub claims: Vec<ClaimMatch>,
    /// Of `CERTIFICATE`: the name of the trust store that the service asked for certificates of.
    pub trust_store: Option<String>,
    /// Of `CERTIFICATE`: its SPIFFE ID, `spiffe://shop.test/checkout`. A prefix has the whole trust domain, `spiffe://shop.test/`.
    pub spiffe_id: Option<TextMatch>,
    /// Of `CERTIFICATE`: one of the DNS names among its alternative names, in lower case.
    pub dns_name: Option<TextMatch>,
    /// Of `CERTIFICATE`: attributes of its subject, each of which it must have.
    #[serde(default)]
    pub subject: Vec<AttributeMatch>,
    /// Of `ATTACHMENT`: the VPC, one of the account.
    pub vpc_identifier: Option<String>,
    /// Of `ATTACHMENT`: ranges of addresses, `10.0.1.0/24`, of which the client must have one. Absent: any address.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// A claim that must have a value, or one of several where it is a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimMatch {
    /// Its name, one at the top of the token.
    pub name: String,
    /// The value: `{exact: TEXT}` or `{prefix: TEXT}`.
    pub value: TextMatch,
}

/// An attribute of a subject that must have a value, or one of several where it is there several times.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct AttributeMatch {
    /// Which attribute.
    pub attribute: SubjectAttribute,
    /// The value: `{exact: TEXT}` or `{prefix: TEXT}`.
    pub value: TextMatch,
}

/// An attribute of a subject, by its short name in RFC 4514: common name, organization, organizational unit, domain component, user
/// id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(
    missing_docs,
    reason = "described with the type: the schema shows one list of values"
)]
pub enum SubjectAttribute {
    Cn,
    O,
    Ou,
    Dc,
    Uid,
}

/// How a text must be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TextMatch {
    /// Just this.
    Exact(String),
    /// Beginning so.
    Prefix(String),
}

/// A user or a role of the account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MappedPrincipal {
    /// Name of a user.
    User(String),
    /// Name of a role: the caller is its session with the mapping's name.
    Role(String),
}

/// An IAM user.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// Name, unique among the account's users, whatever its case.
    #[schemars(
        length(min = *ranges::PRINCIPAL_NAME.start(), max = *ranges::PRINCIPAL_NAME.end()),
        regex(pattern = r"^[A-Za-z0-9_+=,.@-]+$")
    )]
    pub name: String,
    /// Identity-based policies: what the user may do.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// Limit of what the user's policies can allow: what the boundary does not allow, they do not either. Absent: no limit.
    pub permissions_boundary: Option<Policy>,
    /// Keys that the user signs with.
    #[serde(default)]
    pub access_keys: Vec<AccessKey>,
    /// Tags, 50 at most, seen by policies as `aws:PrincipalTag/<key>`.
    #[serde(default, deserialize_with = "unique_keys")]
    pub tags: BTreeMap<String, String>,
}

/// An IAM role.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Role {
    /// Name, unique among the account's roles, whatever its case.
    #[schemars(
        length(min = *ranges::PRINCIPAL_NAME.start(), max = *ranges::PRINCIPAL_NAME.end()),
        regex(pattern = r"^[A-Za-z0-9_+=,.@-]+$")
    )]
    pub name: String,
    /// Who may assume the role, IAM JSON with `Principal` and without `Resource`. Absent: nobody.
    pub trust_policy: Option<Policy>,
    /// Longest life of a session of the role, in seconds.
    #[schemars(range(min = *ranges::SESSION_DURATION.start(), max = *ranges::SESSION_DURATION.end()), extend("default" = 3600))]
    pub max_session_duration_seconds: Option<i64>,
    /// Limit of what the role's policies can allow: what the boundary does not allow, they do not either. Absent: no limit.
    pub permissions_boundary: Option<Policy>,
    /// Identity-based policies: what the role may do.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// Keys whose holders are sessions of this role.
    #[serde(default)]
    pub access_keys: Vec<RoleAccessKey>,
    /// Tags, 50 at most, seen by policies as `aws:PrincipalTag/<key>`.
    #[serde(default, deserialize_with = "unique_keys")]
    pub tags: BTreeMap<String, String>,
}

/// An access key of a user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessKey {
    /// Public part, letters, digits and underscores, unique over all accounts.
    #[schemars(
        length(min = *ranges::ACCESS_KEY_ID.start(), max = *ranges::ACCESS_KEY_ID.end()),
        regex(pattern = r"^[A-Za-z0-9_]+$")
    )]
    pub id: String,
    /// Where the secret part is.
    pub secret: SecretSource,
}

/// An access key of a role.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleAccessKey {
    /// Public part, letters, digits and underscores, unique over all accounts.
    #[schemars(
        length(min = *ranges::ACCESS_KEY_ID.start(), max = *ranges::ACCESS_KEY_ID.end()),
        regex(pattern = r"^[A-Za-z0-9_]+$")
    )]
    pub id: String,
    /// Where the secret part is.
    pub secret: SecretSource,
    /// Name of the session that the holder is. Absent: the key's id.
    #[schemars(
        length(min = *ranges::SESSION_NAME.start(), max = *ranges::SESSION_NAME.end()),
        regex(pattern = r"^[A-Za-z0-9_+=,.@-]+$")
    )]
    pub session_name: Option<String>,
}

/// Where a secret is: `{env: NAME}` or `{file: path}`. Secrets never stand in documents.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SecretSource {
    /// Name of an environment variable.
    Env(String),
    /// Path of a file; a line break at its end is not part of the secret.
    File(String),
}

objects!(
    Principals,
    User,
    Role,
    AccessKey,
    RoleAccessKey,
    IdentityProvider,
    KeySource,
    Mapping,
    MappingMatch,
    TrustStore,
    ClaimMatch,
    AttributeMatch
);
