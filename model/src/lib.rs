//! The vocabulary of Trellis: names, ids, ARNs, and the configuration in its two written and validated forms.
//!
//! A *document* ([`document`]) holds strings and numbers as somebody wrote them. A *config* ([`config`]) holds parsed names,
//! checked ranges and resolved references; everything after loading works from it. [`load`] turns the first into the second and
//! reports **all** problems at once ([`problem`]).
//!
//! This crate does no I/O: texts, files and environment variables reach it through [`load::Inputs`].

pub mod arn;
pub mod config;
pub mod document;
#[cfg(test)]
mod golden;
pub mod id;
pub mod load;
pub mod name;
pub mod problem;
mod quotas;
pub mod ranges;
pub mod record;
pub mod schema;
pub mod spiffe;
