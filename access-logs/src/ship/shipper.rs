//! The shipper of one subscription: takes records out of its spool and delivers them, in order, until they are acknowledged.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{Semaphore, watch},
    time::{self, Instant},
};
use trellis_model::config::{Delivery, LogStore, LogStoreKind};

use super::{
    Facts, Memory, TlsFor,
    calls::{Calls, Delivered, Failure},
    cloudwatch::CloudWatch,
    firehose::Firehose,
    http::Client,
    json::JsonApi,
    loki::Loki,
    otlp::Otlp,
    s3::S3,
    sign::Service,
};
use crate::{
    spool::{
        Position, Spool, add,
        reader::{Batch, Reader},
    },
    writer::Observer,
};

/// Longest wait between two attempts. The first is up to [`FIRST_WAIT`], each further one up to twice as long.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// See [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// How often an idle shipper looks whether shipped records have been kept long enough.
const TIDY: Duration = Duration::from_secs(30);
/// So many records in a row are put aside without a pause. A server that refuses more of them refuses whatever it is sent.
const REFUSALS: u32 = 16;

/// Where records go and how; may change while a shipper runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) store: Arc<LogStore>,
    pub(super) delivery: Delivery,
}

/// What log storage is spoken to with.
#[derive(Debug)]
pub(super) enum Target {
    S3(S3),
    Calls(Calls),
}

impl Target {
    pub(super) fn new(store: &LogStore, facts: &Facts, tls: &TlsFor) -> Result<Self, String> {
        let client = Client::new(&store.endpoint, tls)?;
        let calls = match &store.kind {
            LogStoreKind::S3 {
                bucket,
                prefix,
                path_style,
                compression,
                signer,
            } => {
                return Ok(Self::S3(S3 {
                    client,
                    signer: signer.clone(),
                    bucket: bucket.clone(),
                    prefix: prefix.clone(),
                    path_style: *path_style,
                    compression: *compression,
                }));
            }
            LogStoreKind::CloudWatchLogs {
                group,
                create_group,
                signer,
            } => Calls::CloudWatch(CloudWatch {
                api: JsonApi {
                    client,
                    service: Service::Logs,
                    target: "Logs_20140328",
                    signer: signer.clone(),
                },
                group: group.clone(),
                stream: format!("{}/{}/{}", facts.resource, facts.id, facts.node),
                create_group: *create_group,
            }),
            LogStoreKind::Firehose { stream, signer } => Calls::Firehose(Firehose {
                api: JsonApi {
                    client,
                    service: Service::Firehose,
                    target: "Firehose_20150804",
                    signer: signer.clone(),
                },
                stream: stream.clone(),
            }),
            LogStoreKind::Otlp { bearer } => Calls::Otlp(Otlp {
                client,
                bearer: bearer.clone(),
                resource: facts.attributes(),
            }),
            LogStoreKind::Loki {
                tenant,
                labels,
                bearer,
            } => Calls::Loki(Loki {
                client,
                tenant: tenant.clone(),
                bearer: bearer.clone(),
                labels: facts.labels(labels),
            }),
        };
        Ok(Self::Calls(calls))
    }
}

/// The shipper.
pub(super) struct Shipper {
    pub(super) spool: Arc<Spool>,
    pub(super) facts: Arc<Facts>,
    pub(super) terms: watch::Receiver<Terms>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) memory: Arc<Memory>,
    pub(super) tls: TlsFor,
    pub(super) dice: Dice,
}

/// What a shipper remembers from one attempt to the next.
struct Course {
    target: Option<Target>,
    /// Most records of a call: fewer after one was refused, to find those that are to blame.
    narrow: usize,
    /// The records of the last call that have to be sent again, and where that call ended.
    again: Option<(HashSet<u64>, Position)>,
    /// Records in a row that were put aside.
    refusals: u32,
    /// Attempts in a row that failed.
    failures: u32,
    /// Since when records have been waiting.
    since: Option<Instant>,
}

impl Shipper {
    /// Ships until it is stopped; then once more what there is, if that can be done at once.
    pub(super) async fn run(mut self) {
        let mut course = Course {
            target: None,
            narrow: usize::MAX,
            again: None,
            refusals: 0,
            failures: 0,
            since: None,
        };
        while self.due(&mut course).await {
            let attempt = self.attempt(&mut course).await;
            self.tell(attempt.as_ref().err(), &mut course);
            if attempt.is_err() {
                if *self.stop.borrow() {
                    return;
                }
                self.back_off(course.failures).await;
            }
        }
    }

    /// Waits until records are to be shipped; `false` when there are none and will be none.
    async fn due(&mut self, course: &mut Course) -> bool {
        loop {
            let stopping = *self.stop.borrow();
            let (records, bytes) = self.spool.waiting();
            if records == 0 {
                course.since = None;
                if stopping {
                    return false;
                }
                tokio::select! {
                    () = self.spool.ready.notified() => {}
                    _ = self.stop.changed() => {}
                    () = time::sleep(TIDY) => self.spool.trim(SystemTime::now()),
                }
                continue;
            }
            let (delay, enough) = self.pace(course);
            let since = *course.since.get_or_insert_with(Instant::now);
            let waited = since.elapsed() >= delay;
            if stopping || waited || records >= enough.0 || bytes >= enough.1 {
                return true;
            }
            tokio::select! {
                () = self.spool.ready.notified() => {}
                _ = self.stop.changed() => {}
                _ = self.terms.changed() => course.target = None,
                () = time::sleep_until(since + delay) => {}
            }
        }
    }

    /// How long records wait, and how many of them, or how many bytes, do not.
    fn pace(&self, course: &Course) -> (Duration, (u64, u64)) {
        let terms = self.terms.borrow();
        let enough = match &course.target {
            Some(Target::Calls(calls)) => {
                let bounds = calls.bounds();
                (bounds.records as u64, bounds.bytes as u64)
            }
            _ => (u64::MAX, terms.delivery.batch_bytes),
        };
        (terms.delivery.batch, enough)
    }

    /// Delivers one batch or one object.
    async fn attempt(&mut self, course: &mut Course) -> Result<(), String> {
        let terms = self.terms.borrow_and_update().clone();
        let target = match &mut course.target {
            Some(target) => target,
            none => none.insert(Target::new(&terms.store, &self.facts, &self.tls)?),
        };
        let mut reader = Reader::at(self.spool.acknowledged());
        let done = match target {
            Target::S3(s3) => {
                let _held = hold(&self.memory.uploads, S3::MEMORY).await;
                let bytes = usize::try_from(terms.delivery.batch_bytes).unwrap_or(usize::MAX);
                let bounds = (bytes, self.spool.next_number());
                match s3
                    .upload(&*self.spool, &mut reader, &self.facts, bounds)
                    .await
                {
                    Ok(position) => Some(position),
                    Err(Failure::Again(text) | Failure::Refused(text)) => {
                        course.target = None;
                        return Err(text);
                    }
                }
            }
            Target::Calls(calls) => {
                let mut bounds = calls.bounds();
                bounds.records = bounds.records.min(course.narrow);
                // The records, the call that is made of them, and what lies between.
                let _held = hold(&self.memory.calls, bounds.bytes * 3).await;
                if let Some((_, end)) = &course.again {
                    bounds.before = end.number;
                }
                let read = reader.next(&*self.spool, &bounds);
                let mut batch =
                    read.map_err(|error| format!("the spool cannot be read: {error}"))?;
                if let Some((numbers, _)) = &course.again {
                    batch.retain(|item| numbers.contains(&item.number));
                }
                if batch.is_empty() {
                    course.again = None;
                    Some(batch.end)
                } else {
                    let sent = calls.send(&batch).await;
                    self.settle(course, &batch, sent)?
                }
            }
        };
        if let Some(position) = done {
            self.acknowledge(position, &mut reader);
            course.since = None;
        }
        Ok(())
    }

    /// Draws conclusions from a call; the position up to which everything is settled, if there is something.
    fn settle(
        &self,
        course: &mut Course,
        batch: &Batch,
        sent: Result<Delivered, Failure>,
    ) -> Result<Option<Position>, String> {
        match sent {
            Ok(delivered) => {
                course.refusals = 0;
                course.narrow = course.narrow.saturating_mul(2);
                let refused: HashSet<u64> = delivered.refused.into_iter().collect();
                let reason = delivered.reason.unwrap_or_default();
                if !refused.is_empty() {
                    self.bury(batch, &refused, &reason);
                }
                if delivered.again.is_empty() {
                    course.again = None;
                    return Ok(Some(batch.end));
                }
                let text = format!(
                    "{} of {} records failed: {reason}",
                    delivered.again.len(),
                    batch.len()
                );
                course.again = Some((delivered.again.into_iter().collect(), batch.end));
                Err(text)
            }
            Err(Failure::Again(text)) => {
                // Whatever is wrong with it: the next attempt begins with a new connection.
                course.target = None;
                Err(text)
            }
            Err(Failure::Refused(_)) if batch.len() > 1 => {
                course.narrow = batch.len() / 2;
                Ok(None)
            }
            Err(Failure::Refused(text)) => {
                let numbers = batch.items().map(|item| item.number).collect();
                self.bury(batch, &numbers, &text);
                self.acknowledge(batch.end, &mut Reader::at(batch.end));
                course.refusals += 1;
                if course.refusals > REFUSALS {
                    return Err(text);
                }
                Ok(None)
            }
        }
    }

    fn acknowledge(&self, position: Position, reader: &mut Reader) {
        let damaged = reader.take_damaged();
        if damaged > 0 {
            add(&self.spool.tally.damaged, damaged);
            self.observer.records_damaged(&self.facts.id, damaged);
        }
        if let Err(error) = self.spool.acknowledge(position, SystemTime::now()) {
            // Records may be shipped twice after a start; that is all that comes of it.
            self.observer.spool_failed(&self.facts.id, &error);
        }
    }

    fn bury(&self, batch: &Batch, numbers: &HashSet<u64>, reason: &str) {
        self.spool
            .bury(batch, |number| numbers.contains(&number), SystemTime::now());
        let records = numbers.len() as u64;
        self.observer
            .records_refused(&self.facts.id, &self.terms.borrow().store, records, reason);
    }

    /// Tells of the first failure and of the first success after it.
    fn tell(&self, error: Option<&String>, course: &mut Course) {
        let store = &self.terms.borrow().store;
        match error {
            Some(error) => {
                add(&self.spool.tally.retries, 1);
                course.failures = course.failures.saturating_add(1);
                if course.failures == 1 {
                    self.observer.shipping_failed(&self.facts.id, store, error);
                }
            }
            None if course.failures > 0 => {
                course.failures = 0;
                self.observer.shipping_recovered(&self.facts.id, store);
            }
            None => {}
        }
    }

    /// Waits before the next attempt: exponential, with full jitter, so that gateways that failed together do not come back together.
    async fn back_off(&mut self, failures: u32) {
        let longest = FIRST_WAIT
            .saturating_mul(1 << failures.saturating_sub(1).min(16))
            .min(LONGEST_WAIT);
        let wait = longest.mul_f64(self.dice.roll());
        tokio::select! {
            () = time::sleep(wait) => {}
            _ = self.stop.changed() => {}
            // Whoever changes the terms wants to see at once what comes of it.
            _ = self.terms.changed() => {}
        }
    }
}

/// Waits for memory; without a permit only when nobody gives any more, at the end of everything.
async fn hold(memory: &Semaphore, bytes: usize) -> Option<tokio::sync::SemaphorePermit<'_>> {
    let permits = u32::try_from(bytes.div_ceil(Memory::UNIT)).unwrap_or(u32::MAX);
    memory.acquire_many(permits).await.ok()
}

/// Random numbers for waits: `SplitMix64`, as in the gateway. Nothing depends on their being unpredictable.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to 1.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of a wait needs no 64 bits"
    )]
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
