//! Access records: what is written about every request, how it looks, and how it reaches its destinations.
//!
//! * [`record`]: the fields of a record, typed where a type says more than a text. All of it is borrowed: a record is put
//!   together at the end of a request from what the request already holds, and lives for one call.
//! * [`json`]: its values, with VPC Lattice's `"-"` for what is absent.
//! * [`shape`]: how records look in one subscription, JSON by default: which of them, which fields, what is hidden. Whatever a client
//!   sends, a record is exactly one line of bounded length.
//! * [`destination`]: which destinations want the records of which network and service in which shape, worked out once per snapshot.
//! * [`writer`]: the way from the request path to the destinations. A [`Recorder`] encodes into a bounded buffer in memory; one
//!   thread, the [`Writer`]'s, empties the buffers into files and standard output. A request never waits for a disk.
//!
//! Nothing here knows of HTTP engines, metrics or logs: what goes wrong is told to an [`Observer`] and counted in [`Counters`].

pub mod destination;
pub mod json;
pub mod record;
pub mod shape;
pub mod writer;

pub use destination::{Destinations, Subscriptions};
pub use record::Record;
pub use shape::encode_json;
pub use writer::{Counters, Observer, Recorder, Settings, Writer};
