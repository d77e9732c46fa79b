//! Access records: what is written about every request, how it looks, and how it reaches its destinations.
//!
//! * [`record`]: the fields of a record, typed where a type says more than a text. All of it is borrowed: a record is put
//!   together at the end of a request from what the request already holds, and lives for one call.
//! * [`json`]: its values, with VPC Lattice's `"-"` for what is absent.
//! * [`shape`]: how records look in one subscription, JSON by default: which of them, which fields, what is hidden. Whatever a client
//!   sends, a record is exactly one line of bounded length.
//! * [`destination`]: which destinations want the records of which network and service in which shape, worked out once per snapshot; and
//!   whether requests may count on their records being accepted.
//! * [`writer`]: the way from the request path to the destinations. A [`Recorder`] encodes into a bounded buffer in memory; one
//!   thread, the [`Writer`]'s, empties the buffers into files, standard output and spools. A request never waits for a disk.
//! * `spool`: records on disk, on their way to log storage.
//! * [`ship`]: from the spools to log storage: S3, CloudWatch Logs, Data Firehose, OTLP, Loki.
//!
//! Nothing here knows of the gateway's engine, metrics or logs: what goes wrong is told to an [`Observer`] and counted.

pub mod destination;
pub mod json;
pub mod record;
pub mod shape;
pub mod ship;
mod spool;
pub mod writer;

pub use destination::{Admission, Destinations, Subscriptions};
pub use record::Record;
pub use shape::encode_json;
pub use ship::{ShipError, SpoolStatus, Spooling};
pub use spool::root::SpoolError;
pub use writer::{Counters, Observer, Recorder, Settings, Writer};
