//! Log storage: what a destination's ARN means, where it is, and what requests are signed with.

use crate::{
    config::{AwsSigner, Compression, HttpEndpoint, LogStore, LogStoreKind},
    document,
    load::{
        build::{Builder, functions::amazon_domain, gateway::given},
        path::At,
    },
    name::{AccountId, partition},
    ranges,
};

/// What `gateway.logStorage` says; what is wrong was reported, and is `None`.
pub(super) struct Storage {
    s3: Option<Api>,
    path_style: bool,
    logs: Option<Api>,
    create_groups: bool,
    firehose: Option<Api>,
}

/// A server, and what requests to it are signed with.
struct Api {
    endpoint: HttpEndpoint,
    signer: Option<AwsSigner>,
    /// Is it AWS's own? It takes no request without a signature.
    is_aws: bool,
}

/// What the documents say of a server: the members that all kinds have.
#[derive(Default)]
struct Written<'a> {
    endpoint: Option<&'a str>,
    ca_file: Option<&'a str>,
    region: Option<&'a str>,
    credentials: Option<&'a document::AwsCredentials>,
}

/// The members that all kinds have.
macro_rules! written {
    ($section:expr) => {
        $section
            .as_ref()
            .map_or_else(Written::default, |api| Written {
                endpoint: api.endpoint.as_deref(),
                ca_file: api.ca_file.as_deref(),
                region: api.region.as_deref(),
                credentials: api.credentials.as_ref(),
            })
    };
}

impl Builder<'_> {
    /// `gateway.logStorage`, or AWS.
    pub(super) fn log_storage(&mut self) -> Storage {
        let defaults = document::LogStorage::default();
        let found = self.files.iter().enumerate().find_map(|(position, file)| {
            let gateway = file.document.gateway.as_ref()?;
            Some((position, gateway.log_storage.as_ref()?))
        });
        let (file, written) = found.unwrap_or((0, &defaults));
        let root = At::file(file);
        let gateway = root.member("gateway");
        let at = gateway.member("logStorage");
        let s3 = written.s3.as_ref();
        let elsewhere = s3.is_some_and(|api| api.endpoint.is_some());
        let logs = written.cloud_watch_logs.as_ref();
        Storage {
            s3: self.log_api(&at.member("s3"), &written!(written.s3), "s3"),
            path_style: s3.and_then(|api| api.path_style).unwrap_or(elsewhere),
            logs: self.log_api(
                &at.member("cloudWatchLogs"),
                &written!(written.cloud_watch_logs),
                "logs",
            ),
            create_groups: logs.is_some_and(|api| api.create_log_groups),
            firehose: self.log_api(
                &at.member("firehose"),
                &written!(written.firehose),
                "firehose",
            ),
        }
    }

    fn log_api(&mut self, at: &At<'_>, written: &Written<'_>, service: &str) -> Option<Api> {
        let authorities = self.authorities(&at.member("caFile"), written.ca_file);
        let signer = self.signer(at, written.region, written.credentials);
        let domain = amazon_domain(partition(&self.region));
        let aws = format!("https://{service}.{}.{domain}", self.region);
        let text = written.endpoint.unwrap_or(&aws);
        let endpoint = self.endpoint(&at.member("endpoint"), text, authorities)?;
        if !matches!(&*endpoint.path, "" | "/") {
            self.error(&at.member("endpoint"), "an API with a path of its own")
                .hint("scheme, host and port only");
            return None;
        }
        Some(Api {
            endpoint: HttpEndpoint {
                path: "".into(),
                ..endpoint
            },
            signer: given(signer)?,
            is_aws: written.endpoint.is_none(),
        })
    }

    /// The storage that an ARN means.
    pub(super) fn store_of_arn(
        &mut self,
        at: &At<'_>,
        account: &AccountId,
        text: &str,
        storage: &Storage,
    ) -> Option<LogStore> {
        if !self.length(at, text, &ranges::DESTINATION_ARN) {
            return None;
        }
        let Some(arn) = DestinationArn::parse(text) else {
            self.error(at, format!("`{text}` is not the ARN of log storage"))
                .hint("such as `arn:aws:s3:::bucket/prefix`, `arn:aws:logs:us-west-2:111122223333:log-group:name` or `arn:aws:firehose:us-west-2:111122223333:deliverystream/name`");
            return None;
        };
        let (partition, region, owner) = arn.place;
        let global = matches!(arn.kind, ArnKind::Bucket { .. });
        // What the gateway signs with may reach more than the subscription's account owns.
        let own = partition == crate::name::partition(&self.region)
            && (global || (region == self.region.as_str() && owner == account.as_str()));
        if !own {
            self.error(at, format!("`{text}` is of another account, region or partition"))
                .hint("log groups and delivery streams are the subscription's own account's, in the gateway's region");
            return None;
        }
        match arn.kind {
            ArnKind::Bucket { bucket, prefix } => {
                self.bucket(at, (bucket, prefix), Compression::Gzip, storage)
            }
            ArnKind::LogGroup(group) => {
                let api = self.usable(at, storage.logs.as_ref(), "cloudWatchLogs")?;
                let kind = LogStoreKind::CloudWatchLogs {
                    group: group.into(),
                    create_group: storage.create_groups,
                    signer: api.signer.clone(),
                };
                let name = text.strip_suffix(":*").unwrap_or(text);
                Some(LogStore::new(name, api.endpoint.clone(), kind))
            }
            ArnKind::Stream(stream) => {
                let api = self.usable(at, storage.firehose.as_ref(), "firehose")?;
                let kind = LogStoreKind::Firehose {
                    stream: stream.into(),
                    signer: api.signer.clone(),
                };
                Some(LogStore::new(text, api.endpoint.clone(), kind))
            }
        }
    }

    /// The API, when requests to it can be made.
    fn usable<'a>(&mut self, at: &At<'_>, api: Option<&'a Api>, section: &str) -> Option<&'a Api> {
        // What is wrong with it was reported there.
        let api = api?;
        if api.is_aws && api.signer.is_none() {
            self.error(at, "no credentials for this log storage")
                .hint(format!("`gateway.logStorage.{section}.credentials`, or an `endpoint` there that wants none"));
            return None;
        }
        Some(api)
    }

    pub(super) fn s3_store(
        &mut self,
        at: &At<'_>,
        written: &document::S3Destination,
        storage: &Storage,
    ) -> Option<LogStore> {
        let prefix = written.prefix.as_deref().unwrap_or_default();
        let compression = match written.compression {
            None | Some(document::Compression::Gzip) => Compression::Gzip,
            Some(document::Compression::Zstd) => Compression::Zstd,
        };
        if !is_bucket(&written.bucket) {
            self.error(
                &at.member("bucket"),
                format!("`{}` is not the name of a bucket", written.bucket),
            )
            .hint("3 to 63 lower-case letters, digits, dots and hyphens");
            return None;
        }
        if !is_prefix(prefix) {
            let at = at.member("prefix");
            self.error(&at, format!("`{prefix}` cannot begin a key"))
                .hint("letters, digits and `!-_.*'()/`, no `..` and no empty part");
            return None;
        }
        self.bucket(at, (&written.bucket, prefix), compression, storage)
    }

    fn bucket(
        &mut self,
        at: &At<'_>,
        (bucket, prefix): (&str, &str),
        compression: Compression,
        storage: &Storage,
    ) -> Option<LogStore> {
        if !self.length(at, prefix, &ranges::S3_PREFIX) {
            return None;
        }
        let api = self.usable(at, storage.s3.as_ref(), "s3")?;
        let prefix = prefix.trim_end_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        let name = format!(
            "arn:{}:s3:::{bucket}{slash}{prefix}",
            partition(&self.region)
        );
        let mut endpoint = api.endpoint.clone();
        if !storage.path_style {
            // Spec: S3 user guide, "Virtual hosting of buckets".
            endpoint.host = format!("{bucket}.{}", endpoint.host).into();
            endpoint.authority = format!("{bucket}.{}", endpoint.authority).into();
        }
        let kind = LogStoreKind::S3 {
            bucket: bucket.into(),
            prefix: format!("{prefix}{slash}").into(),
            path_style: storage.path_style,
            compression,
            signer: api.signer.clone(),
        };
        Some(LogStore::new(name, endpoint, kind))
    }

    pub(super) fn otlp_store(
        &mut self,
        at: &At<'_>,
        written: &document::OtlpDestination,
    ) -> Option<LogStore> {
        let text = (written.endpoint.as_str(), "/v1/logs");
        let endpoint = self.log_endpoint(at, text, written.ca_file.as_deref());
        let bearer = written
            .bearer_token
            .as_ref()
            .map(|source| self.secret(&at.member("bearerToken"), source));
        let endpoint = endpoint?;
        let name = address("otlp", &endpoint);
        let kind = LogStoreKind::Otlp {
            bearer: given(bearer)?,
        };
        Some(LogStore::new(name, endpoint, kind))
    }

    pub(super) fn loki_store(&mut self, at: &At<'_>, written: &document::Loki) -> Option<LogStore> {
        let text = (written.endpoint.as_str(), "/loki/api/v1/push");
        let endpoint = self.log_endpoint(at, text, written.ca_file.as_deref());
        let bearer = written
            .bearer_token
            .as_ref()
            .map(|source| self.secret(&at.member("bearerToken"), source));
        let tenant = written.tenant.as_deref();
        if let Some(tenant) = tenant
            && !(1..=150).contains(&tenant.len()) | !tenant.bytes().all(|b| b.is_ascii_graphic())
        {
            self.error(
                &at.member("tenant"),
                format!("`{tenant}` is not a tenant of Loki"),
            )
            .hint("1 to 150 printable characters");
            return None;
        }
        let wrong = written.labels.keys().find(|name| !is_label(name));
        if let Some(name) = wrong {
            self.error(
                &at.member("labels"),
                format!("`{name}` cannot be a label here"),
            )
            .hint("letters, digits and underscores, none that the gateway gives itself");
            return None;
        }
        let endpoint = endpoint?;
        let mut name = address("loki", &endpoint);
        if let Some(tenant) = tenant {
            name = format!("{name} ({tenant})");
        }
        let kind = LogStoreKind::Loki {
            tenant: tenant.map(Into::into),
            labels: written.labels.clone(),
            bearer: given(bearer)?,
        };
        Some(LogStore::new(name, endpoint, kind))
    }

    /// The address of a server, with this path when it has none.
    fn log_endpoint(
        &mut self,
        at: &At<'_>,
        (text, path): (&str, &str),
        ca_file: Option<&str>,
    ) -> Option<HttpEndpoint> {
        let authorities = self.authorities(&at.member("caFile"), ca_file);
        let mut endpoint = self.endpoint(&at.member("endpoint"), text, authorities)?;
        if matches!(&*endpoint.path, "" | "/") {
            endpoint.path = path.into();
        }
        Some(endpoint)
    }
}

fn address(kind: &str, endpoint: &HttpEndpoint) -> String {
    let scheme = if endpoint.tls { "https" } else { "http" };
    format!("{kind}:{scheme}://{}{}", endpoint.authority, endpoint.path)
}

/// The ARN of log storage.
struct DestinationArn<'a> {
    /// Partition, region and account; the last two are empty for buckets.
    place: (&'a str, &'a str, &'a str),
    kind: ArnKind<'a>,
}

enum ArnKind<'a> {
    Bucket { bucket: &'a str, prefix: &'a str },
    LogGroup(&'a str),
    Stream(&'a str),
}

impl<'a> DestinationArn<'a> {
    /// Source: Service authorization reference, resource types of S3, CloudWatch Logs and Data Firehose.
    fn parse(text: &'a str) -> Option<Self> {
        let mut steps = text.splitn(6, ':');
        let mut step = || steps.next();
        let (arn, partition, service, region, account, resource) =
            (step()?, step()?, step()?, step()?, step()?, step()?);
        if arn != "arn" {
            return None;
        }
        let kind = match service {
            "s3" if region.is_empty() && account.is_empty() => {
                let (bucket, prefix) = resource.split_once('/').unwrap_or((resource, ""));
                (is_bucket(bucket) && is_prefix(prefix))
                    .then_some(ArnKind::Bucket { bucket, prefix })?
            }
            "logs" => {
                let group = resource.strip_prefix("log-group:")?;
                let group = group.strip_suffix(":*").unwrap_or(group);
                // Source: CloudWatch Logs API reference, `logGroupName`.
                let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-/.#".contains(&b);
                let right = (1..=512).contains(&group.len()) && group.bytes().all(fits);
                right.then_some(ArnKind::LogGroup(group))?
            }
            "firehose" => {
                let stream = resource.strip_prefix("deliverystream/")?;
                // Source: Data Firehose API reference, `DeliveryStreamName`.
                let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
                let right = (1..=64).contains(&stream.len()) && stream.bytes().all(fits);
                right.then_some(ArnKind::Stream(stream))?
            }
            _ => return None,
        };
        Some(Self {
            place: (partition, region, account),
            kind,
        })
    }
}

/// Source: S3 user guide, "General purpose bucket naming rules".
fn is_bucket(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    (3..=63).contains(&text.len())
        && text.bytes().all(fits)
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.'])
        && !text.contains("..")
}

/// What S3 calls safe characters, so that no key needs an escape. Source: S3 user guide, "Naming Amazon S3 objects".
fn is_prefix(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"!-_.*'()/".contains(&b);
    let steps = text.strip_suffix('/').unwrap_or(text);
    text.is_empty()
        || (text.bytes().all(fits)
            && steps
                .split('/')
                .all(|step| !matches!(step, "" | "." | "..")))
}

/// Source: Loki documentation, "Understand labels".
fn is_label(text: &str) -> bool {
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    begins
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !matches!(text, "job" | "resource" | "subscription")
}
