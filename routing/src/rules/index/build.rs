//! Building an index: which key each rule gets, and where the lists go.

use std::collections::BTreeMap;

use aho_corasick::AhoCorasick;
use http::HeaderName;
use trellis_model::config::{HeaderMatch, HeaderMatchKind, HttpMatch, PathMatchKind};

use super::{HEADER_LIMIT, HeaderKeys, Index, KEY_LIMIT, Parts, PathKey};
use crate::rules::{
    condition::may_span_lines,
    text::{Span, append},
};

/// What a request must have for a rule to fit. Among keys shared by equally many rules, the first in this order is taken: the one
/// that is likely to leave out more requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// That path.
    Exact(Box<[u8]>),
    /// A line of the header of that rank, with that value.
    Value(usize, Box<[u8]>),
    /// A path that begins so.
    Prefix(Box<[u8]>),
    /// A line of the header of that rank, with that part.
    Part(usize, Box<[u8]>),
    /// The header of that rank.
    Present(usize),
    /// That method.
    Method(Box<[u8]>),
}

impl Index {
    /// Compiles rules; a rule keeps its position.
    pub(in crate::rules) fn new(rules: &[&HttpMatch]) -> Self {
        let names = frequent_headers(rules);
        let keys: Vec<Vec<Key>> = rules.iter().map(|rule| keys_of(rule, &names)).collect();
        let mut shared: BTreeMap<&Key, usize> = BTreeMap::new();
        for key in keys.iter().flatten() {
            *shared.entry(key).or_default() += 1;
        }
        let mut lists = Lists::new(names.len());
        for (position, keys) in (0u32..).zip(&keys) {
            let rarest = keys
                .iter()
                .min_by_key(|key| (shared.get(key).copied(), *key));
            lists.of(rarest).push(position);
        }
        lists.into_index(names)
    }
}

/// The headers that the most rules have conditions on, the most frequent first.
fn frequent_headers(rules: &[&HttpMatch]) -> Vec<HeaderName> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for condition in rules.iter().flat_map(|rule| &rule.headers) {
        *counts.entry(&condition.name).or_default() += 1;
    }
    let mut names: Vec<(&str, usize)> = counts.into_iter().collect();
    names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    names
        .into_iter()
        .filter_map(|(name, _)| HeaderName::from_bytes(name.as_bytes()).ok())
        .take(HEADER_LIMIT)
        .collect()
}

fn keys_of(rule: &HttpMatch, names: &[HeaderName]) -> Vec<Key> {
    let path = rule.path.as_ref().map(|path| match path.kind {
        PathMatchKind::Exact => Key::Exact(fold(&path.value)),
        PathMatchKind::Prefix => Key::Prefix(fold(&path.value)),
    });
    let headers = rule
        .headers
        .iter()
        .filter_map(|condition| header_key(condition, names));
    let method = rule
        .method
        .as_ref()
        .map(|method| Key::Method(method.as_bytes().into()));
    path.into_iter()
        .chain(headers)
        .chain(method)
        .filter(|key| match key {
            Key::Exact(text)
            | Key::Value(_, text)
            | Key::Prefix(text)
            | Key::Part(_, text)
            | Key::Method(text) => text.len() <= KEY_LIMIT,
            Key::Present(_) => true,
        })
        .collect()
}

fn header_key(condition: &HeaderMatch, names: &[HeaderName]) -> Option<Key> {
    let rank = names
        .iter()
        .position(|name| name.as_str() == &*condition.name)?;
    let name = names.get(rank)?;
    // What only joined lines may have is not found by looking at each line.
    if may_span_lines(condition, name) {
        return Some(Key::Present(rank));
    }
    let text = fold(&condition.value);
    Some(match condition.kind {
        HeaderMatchKind::Exact => Key::Value(rank, text),
        HeaderMatchKind::Prefix | HeaderMatchKind::Contains if text.is_empty() => {
            Key::Present(rank)
        }
        HeaderMatchKind::Prefix | HeaderMatchKind::Contains => Key::Part(rank, text),
    })
}

fn fold(text: &str) -> Box<[u8]> {
    text.to_ascii_lowercase().into_bytes().into()
}

/// The lists while they grow.
struct Lists<'a> {
    paths: BTreeMap<&'a [u8], PathLists>,
    methods: BTreeMap<&'a [u8], Vec<u32>>,
    headers: Vec<HeaderLists<'a>>,
    rest: Vec<u32>,
}

#[derive(Default)]
struct PathLists {
    exact: Vec<u32>,
    prefix: Vec<u32>,
}

#[derive(Default)]
struct HeaderLists<'a> {
    present: Vec<u32>,
    values: BTreeMap<&'a [u8], Vec<u32>>,
    parts: BTreeMap<&'a [u8], Vec<u32>>,
}

impl HeaderLists<'_> {
    fn is_wanted(&self) -> bool {
        !self.present.is_empty() || !self.values.is_empty() || !self.parts.is_empty()
    }
}

impl<'a> Lists<'a> {
    fn new(headers: usize) -> Self {
        Self {
            paths: BTreeMap::new(),
            methods: BTreeMap::new(),
            headers: (0..headers).map(|_| HeaderLists::default()).collect(),
            rest: Vec::new(),
        }
    }

    fn of(&mut self, key: Option<&'a Key>) -> &mut Vec<u32> {
        match key {
            Some(Key::Exact(text)) => &mut self.paths.entry(text).or_default().exact,
            Some(Key::Prefix(text)) => &mut self.paths.entry(text).or_default().prefix,
            Some(Key::Method(text)) => self.methods.entry(text).or_default(),
            Some(Key::Value(rank, text)) => match self.headers.get_mut(*rank) {
                Some(header) => header.values.entry(text).or_default(),
                None => &mut self.rest,
            },
            Some(Key::Part(rank, text)) => match self.headers.get_mut(*rank) {
                Some(header) => header.parts.entry(text).or_default(),
                None => &mut self.rest,
            },
            Some(Key::Present(rank)) => match self.headers.get_mut(*rank) {
                Some(header) => &mut header.present,
                None => &mut self.rest,
            },
            None => &mut self.rest,
        }
    }

    fn into_index(self, names: Vec<HeaderName>) -> Index {
        let mut arrays = Arrays::default();
        let headers = names
            .into_iter()
            .zip(self.headers)
            .filter(|(_, lists)| lists.is_wanted())
            .map(|(name, lists)| arrays.header(name, &lists))
            .collect();
        let paths = self
            .paths
            .iter()
            .zip(parents(self.paths.keys().copied()))
            .map(|((text, lists), parent)| PathKey {
                text: arrays.text(text),
                parent,
                exact: arrays.list(&lists.exact),
                prefix: arrays.list(&lists.prefix),
            })
            .collect();
        Index {
            paths,
            methods: arrays.keyed(&self.methods),
            headers,
            rest: arrays.list(&self.rest),
            positions: arrays.positions.into(),
            texts: arrays.texts.into(),
        }
    }
}

/// What the spans of an index point into.
#[derive(Default)]
struct Arrays {
    positions: Vec<u32>,
    texts: Vec<u8>,
}

impl Arrays {
    fn list(&mut self, list: &[u32]) -> Span {
        append(&mut self.positions, list)
    }

    fn text(&mut self, text: &[u8]) -> Span {
        append(&mut self.texts, text)
    }

    fn header(&mut self, name: HeaderName, lists: &HeaderLists<'_>) -> HeaderKeys {
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(lists.parts.keys())
            .ok()
            .filter(|_| !lists.parts.is_empty());
        let mut present = lists.present.clone();
        if search.is_none() {
            // Only a want of memory prevents a search. The header itself is the key then.
            present.extend(lists.parts.values().flatten());
            present.sort_unstable();
        }
        let parts = search.map(|search| {
            let lists = lists.parts.values().map(|list| self.list(list)).collect();
            Box::new(Parts { search, lists })
        });
        HeaderKeys {
            name,
            present: self.list(&present),
            values: self.keyed(&lists.values),
            parts,
        }
    }

    fn keyed(&mut self, lists: &BTreeMap<&[u8], Vec<u32>>) -> Box<[(Span, Span)]> {
        lists
            .iter()
            .map(|(text, list)| (self.text(text), self.list(list)))
            .collect()
    }
}

/// For each of the ascending texts, the position of the longest other one that it begins with.
fn parents<'a>(texts: impl Iterator<Item = &'a [u8]>) -> Vec<Option<u32>> {
    let mut open: Vec<(u32, &[u8])> = Vec::new();
    (0u32..)
        .zip(texts)
        .map(|(position, text)| {
            while open.last().is_some_and(|(_, last)| !text.starts_with(last)) {
                open.pop();
            }
            let parent = open.last().map(|(position, _)| *position);
            open.push((position, text));
            parent
        })
        .collect()
}
