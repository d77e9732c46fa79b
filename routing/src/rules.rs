//! From a request to the first rule of a listener that it fits.
//!
//! The rules of a table are kept in one compact form (`condition`) that decides everything: for the request path and for
//! `trellis explain` alike. Listeners have ten rules by default and these are simply tried in order. From [`SCAN_LIMIT`] on, an
//! `index` says which rules are worth trying; it only leaves out rules that cannot fit, so it never changes an answer.
//!
//! Spec: VPC Lattice user guide, "Listener rules". Where the guide is silent: a prefix is one of characters, not of path segments;
//! the path is compared as sent, neither decoded nor normalized, without the query; several lines of one header fit when one of
//! them does, or all of them joined.

mod condition;
mod index;
#[cfg(test)]
mod tests;
mod text;
mod trials;

use std::fmt;

use http::{HeaderName, HeaderValue, header};
use trellis_model::config::HttpMatch;

pub use self::trials::{Mismatch, Trial};
use self::{condition::Conditions, index::Index};

/// What rules look at.
#[derive(Debug, Clone, Copy)]
pub struct RequestParts<'a> {
    /// The method as sent; methods are case-sensitive.
    pub method: &'a str,
    /// The raw path, without `?` and what follows.
    pub path: &'a [u8],
    /// `:authority` or `Host` as sent: what conditions on `host` look at in every version of HTTP. Empty: there is none.
    pub authority: &'a [u8],
    /// The header fields as received.
    pub headers: &'a http::HeaderMap,
}

impl<'a> RequestParts<'a> {
    /// The lines of the header of this name.
    fn lines(&self, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (authority, fields) = if *name == header::HOST {
            (Some(self.authority), None)
        } else {
            (None, Some(self.headers.get_all(name)))
        };
        let fields = fields.into_iter().flatten().map(HeaderValue::as_bytes);
        authority
            .filter(|authority| !authority.is_empty())
            .into_iter()
            .chain(fields)
    }
}

/// The rules of one listener.
pub struct RuleTable {
    conditions: Conditions,
    index: Option<Box<Index>>,
}

/// Up to this many rules are tried one by one: below, that is faster than asking the index, and ten thousand small tables cost
/// less memory without one.
const SCAN_LIMIT: usize = 12;

impl RuleTable {
    /// Compiles rules given in ascending order of priority.
    pub fn compile<'a>(rules: impl IntoIterator<Item = &'a HttpMatch>) -> Self {
        let rules: Vec<&HttpMatch> = rules.into_iter().collect();
        Self {
            conditions: Conditions::new(&rules),
            index: (rules.len() > SCAN_LIMIT).then(|| Box::new(Index::new(&rules))),
        }
    }

    /// Position of the first rule all of whose conditions hold.
    ///
    /// Allocates only to join several lines of one header, and to compare a value of more than a kilobyte without regard to case.
    pub fn first_match(&self, request: &RequestParts<'_>) -> Option<usize> {
        let fits = |position: &usize| self.conditions.check(*position, request).is_ok();
        match &self.index {
            None => (0..self.len()).find(fits),
            Some(index) => index.candidates(request).find(fits),
        }
    }

    /// Number of rules.
    pub fn len(&self) -> usize {
        self.conditions.len()
    }

    /// Are there no rules, so that the default action always applies?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for RuleTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleTable")
            .field("rules", &self.len())
            .field("indexed", &self.index.is_some())
            .finish_non_exhaustive()
    }
}
