//! Access log subscriptions.

mod shape;
mod storage;

use std::{collections::HashSet, sync::Arc, time::Duration};

use self::storage::Storage;
use super::{Builder, gateway::given};
use crate::{
    arn::Arn,
    config::{
        AccessLogSubscription, Delivery, LogDestination, LogStore, LogStoreKind, LoggedResource,
        Rotation, SpoolSettings, WhenFull,
    },
    document,
    id::AccessLogSubscriptionId,
    load::path::At,
    name::AccountId,
    ranges,
};

/// Bytes of a MiB.
const MEGABYTE: u64 = 1 << 20;
/// A request that waits longer for room in the spool has a client that waits no longer.
const BLOCK_SECONDS: u64 = 5;
/// Records wait this long for others: an object each five minutes is what VPC Lattice makes of S3.
const S3_BATCH_SECONDS: u64 = 300;
/// Records wait this long for others where they are sent in calls rather than in objects.
const BATCH_SECONDS: u64 = 2;

impl Builder<'_> {
    pub(super) fn build_subscriptions(&mut self) -> Vec<Arc<AccessLogSubscription>> {
        let storage = self.log_storage();
        let mut seen = HashSet::new();
        let mut subscriptions = Vec::new();
        for (position, file) in self.files.iter().enumerate() {
            let root = At::file(position);
            let list = root.member("accessLogSubscriptions");
            for (index, written) in file.document.access_log_subscriptions.iter().enumerate() {
                let at = list.index(index);
                let Some(subscription) = self.subscription(&at, position, written, &storage) else {
                    continue;
                };
                if seen.insert((subscription.resource, subscription.destination.clone())) {
                    subscriptions.push(Arc::new(subscription));
                } else {
                    self.error(
                        &at,
                        format!(
                            "records of `{}` go to this destination already",
                            written.resource_identifier
                        ),
                    );
                }
            }
        }
        subscriptions
    }

    fn subscription(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &document::AccessLogSubscription,
        storage: &Storage,
    ) -> Option<AccessLogSubscription> {
        let resource = self.logged_resource(
            &at.member("resourceIdentifier"),
            file,
            &written.resource_identifier,
        );
        let account = self.account(file).clone();
        let destination = self.destination(at, (file, &account), written, storage);
        let delivery = self.delivery(at, written, destination.as_ref().map(|(found, _)| found));
        let shape = self.shape(at, written);
        let (destination, text) = destination?;
        let (resource, delivery, shape) = (resource?, delivery?, shape?);
        let resource_id = match resource {
            LoggedResource::ServiceNetwork(id) => id.to_string(),
            LoggedResource::Service(id) => id.to_string(),
        };
        // The path as written: where the files lie on a machine does not change ids.
        let id = AccessLogSubscriptionId::derive(&account, &self.region, &[&resource_id, &text]);
        let arn = Arn::lattice(
            &account,
            &self.region,
            format_args!("accesslogsubscription/{id}"),
        );
        Some(AccessLogSubscription {
            id,
            arn,
            account,
            resource,
            destination,
            shape,
            delivery,
            place: self.place(at),
        })
    }

    /// Where records go, and the text that tells this destination from others.
    fn destination(
        &mut self,
        at: &At<'_>,
        (file, account): (usize, &AccountId),
        written: &document::AccessLogSubscription,
        storage: &Storage,
    ) -> Option<(LogDestination, String)> {
        match (&written.destination_arn, &written.destination) {
            (Some(text), None) => {
                let at = at.member("destinationArn");
                let store = self.store_of_arn(&at, account, text, storage)?;
                let name = store.name.to_string();
                Some((LogDestination::Store(Arc::new(store)), name))
            }
            (None, Some(destination)) => {
                self.own_destination(&at.member("destination"), file, destination, storage)
            }
            (None, None) => {
                self.error(at, "neither a `destinationArn` nor a `destination`")
                    .hint("such as `destination: {file: ./access.jsonl}`");
                None
            }
            (Some(_), Some(_)) => {
                self.error(at, "a `destinationArn` and a `destination`")
                    .hint("a subscription has one destination");
                None
            }
        }
    }

    fn own_destination(
        &mut self,
        at: &At<'_>,
        file: usize,
        written: &document::LogDestination,
        storage: &Storage,
    ) -> Option<(LogDestination, String)> {
        let store = match written {
            document::LogDestination::Stdout => {
                return Some((LogDestination::Stdout, String::new()));
            }
            document::LogDestination::File(path) => {
                self.written_path(&at.member("file"), path)?;
                let destination = LogDestination::File(self.relative(file, path));
                return Some((destination, path.clone()));
            }
            document::LogDestination::RotatingFile(written) => {
                let at = at.member("rotatingFile");
                let rotation = self.rotation(&at, written);
                self.written_path(&at.member("path"), &written.path)?;
                let path = self.relative(file, &written.path);
                let destination = LogDestination::RotatingFile(path, rotation?);
                return Some((destination, written.path.clone()));
            }
            document::LogDestination::S3(written) => {
                self.s3_store(&at.member("s3"), written, storage)?
            }
            document::LogDestination::Otlp(written) => {
                self.otlp_store(&at.member("otlp"), written)?
            }
            document::LogDestination::Loki(written) => {
                self.loki_store(&at.member("loki"), written)?
            }
        };
        let name = store.name.to_string();
        Some((LogDestination::Store(Arc::new(store)), name))
    }

    fn written_path(&mut self, at: &At<'_>, path: &str) -> Option<()> {
        if path.is_empty() {
            self.error(at, "an empty path")
                .hint("such as `./access.jsonl`");
            return None;
        }
        Some(())
    }

    fn rotation(&mut self, at: &At<'_>, written: &document::RotatingFile) -> Option<Rotation> {
        let megabytes = self.number(
            &at.member("megabytes"),
            written.megabytes,
            &ranges::ROTATION_MEGABYTES,
            100,
        );
        let hours = written
            .hours
            .map(|hours| self.in_range(&at.member("hours"), hours, &ranges::ROTATION_HOURS));
        let keep = self.number(&at.member("keep"), written.keep, &ranges::ROTATION_KEEP, 5);
        Some(Rotation {
            bytes: megabytes.map(|number: u64| number * MEGABYTE)?,
            age: given(hours)?.map(|hours: u64| Duration::from_secs(hours * 3600)),
            keep: keep?,
        })
    }

    /// How records get to log storage; what is said of it for a file or standard output is an error.
    fn delivery(
        &mut self,
        at: &At<'_>,
        written: &document::AccessLogSubscription,
        destination: Option<&LogDestination>,
    ) -> Option<Delivery> {
        let store = match destination {
            Some(LogDestination::Store(store)) => Some(&**store),
            _ => None,
        };
        let s3 = store.is_some_and(|store| matches!(store.kind, LogStoreKind::S3 { .. }));
        for (member, is_there, fits) in [
            ("whenFull", written.when_full.is_some(), store.is_some()),
            (
                "blockSeconds",
                written.block_seconds.is_some(),
                written.when_full == Some(document::WhenFull::Block),
            ),
            (
                "spoolMegabytes",
                written.spool_megabytes.is_some(),
                store.is_some(),
            ),
            (
                "batchSeconds",
                written.batch_seconds.is_some(),
                store.is_some(),
            ),
            ("batchMegabytes", written.batch_megabytes.is_some(), s3),
        ] {
            if is_there && !fits && destination.is_some() {
                self.error(&at.member(member), format!("`{member}` says nothing here"))
                    .hint(match member {
                        "blockSeconds" => "it belongs to `whenFull: BLOCK`",
                        "batchMegabytes" => "it belongs to objects of S3",
                        _ => {
                            "it is for log storage; files and standard output are written directly"
                        }
                    });
            }
        }
        let block = self.seconds(
            &at.member("blockSeconds"),
            written.block_seconds,
            &ranges::LOG_BLOCK,
            BLOCK_SECONDS,
        );
        let spool: Option<u64> = self.number(
            &at.member("spoolMegabytes"),
            written.spool_megabytes,
            &ranges::SPOOL_MEGABYTES,
            1024,
        );
        let batch = self.seconds(
            &at.member("batchSeconds"),
            written.batch_seconds,
            &ranges::LOG_BATCH_SECONDS,
            if s3 { S3_BATCH_SECONDS } else { BATCH_SECONDS },
        );
        let bytes: Option<u64> = self.number(
            &at.member("batchMegabytes"),
            written.batch_megabytes,
            &ranges::LOG_BATCH_MEGABYTES,
            256,
        );
        let block = block?;
        Some(Delivery {
            when_full: match written.when_full.unwrap_or(document::WhenFull::DropOldest) {
                document::WhenFull::DropOldest => WhenFull::DropOldest,
                document::WhenFull::DropNew => WhenFull::DropNew,
                document::WhenFull::Block => WhenFull::Block(block),
                document::WhenFull::Refuse => WhenFull::Refuse,
            },
            spool_bytes: spool? * MEGABYTE,
            batch: batch?,
            batch_bytes: bytes? * MEGABYTE,
        })
    }

    /// `gateway.spool`.
    pub(super) fn spool(
        &mut self,
        at: &At<'_>,
        written: &document::Spool,
    ) -> Option<SpoolSettings> {
        let bytes: Option<u64> = self.number(
            &at.member("megabytes"),
            written.megabytes,
            &ranges::SPOOL_MEGABYTES,
            8192,
        );
        let sync: Option<u64> = self.number(
            &at.member("syncMilliseconds"),
            written.sync_milliseconds,
            &ranges::SPOOL_SYNC,
            1000,
        );
        let keep: Option<u64> = self.number(
            &at.member("keepShippedMinutes"),
            written.keep_shipped_minutes,
            &ranges::SPOOL_KEEP,
            60,
        );
        let dead: Option<u64> = self.number(
            &at.member("deadLetterMegabytes"),
            written.dead_letter_megabytes,
            &ranges::DEAD_LETTER_MEGABYTES,
            64,
        );
        Some(SpoolSettings {
            bytes: bytes? * MEGABYTE,
            sync: Duration::from_millis(sync?),
            keep: Duration::from_secs(keep? * 60),
            dead_letter_bytes: dead? * MEGABYTE,
        })
    }
}

impl LogStore {
    fn new(
        name: impl Into<Box<str>>,
        endpoint: crate::config::HttpEndpoint,
        kind: LogStoreKind,
    ) -> Self {
        Self {
            name: name.into(),
            endpoint,
            kind,
        }
    }
}
