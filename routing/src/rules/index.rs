//! Which rules are worth trying for a request.
//!
//! Every rule has one *key*: a condition that a request must meet for the rule to fit. The index lists the rules of each key; a
//! request meets few keys, and only their rules are tried, in order. As key serves the condition that the fewest other rules share,
//! so that a thousand rules below one path, told apart by a header, are found by the header.
//!
//! Keys are compared without regard to case even where the condition regards it. That costs a vain trial now and then, and saves
//! keeping everything twice. For the same reason the index never has to be exact, only to leave out no rule that fits.

mod build;
#[cfg(test)]
mod tests;

use aho_corasick::AhoCorasick;
use http::HeaderName;
use smallvec::SmallVec;

use super::{RequestParts, text::Span};

/// The rules of one table by key. Positions in every list ascend; each rule is in one list.
#[derive(Debug)]
pub(super) struct Index {
    /// Paths and beginnings of paths, ascending.
    paths: Box<[PathKey]>,
    /// Methods, ascending, with the rules that have them as key.
    methods: Box<[(Span, Span)]>,
    headers: Box<[HeaderKeys]>,
    /// The rules without a key: each fits, or has conditions that no list is kept for.
    rest: Span,
    /// All lists, end to end.
    positions: Box<[u32]>,
    /// The texts of all keys, in lower case but for methods.
    texts: Box<[u8]>,
}

/// A path, and the rules that ask for it or for what begins with it.
#[derive(Debug)]
struct PathKey {
    text: Span,
    /// The longest other key that this one begins with. Following these visits every key that a path begins with, starting from
    /// the last one that sorts no higher than the path: whatever sorts between a text and its beginning shares that beginning.
    parent: Option<u32>,
    exact: Span,
    prefix: Span,
}

/// Keys that concern one header.
#[derive(Debug)]
struct HeaderKeys {
    name: HeaderName,
    /// Rules that need the header, with whatever value.
    present: Span,
    /// Values, ascending, with the rules that need a line of that value.
    values: Box<[(Span, Span)]>,
    parts: Option<Box<Parts>>,
}

/// Parts of a header's value: what `prefix` and `contains` conditions ask for.
#[derive(Debug)]
struct Parts {
    /// Finds all of them in one pass over a line, without regard to case.
    search: AhoCorasick,
    /// For each part, the rules that need a line with it.
    lists: Box<[Span]>,
}

/// Longest text of a key; conditions on longer ones are not used as keys. The API allows 200 characters.
const KEY_LIMIT: usize = 255;

/// Most headers whose conditions are used as keys, the most frequent first. A request looks up each of them.
const HEADER_LIMIT: usize = 16;

/// Most finds in one line, for each part that is looked for. Parts of parts, such as `a` and `aa`, are found again and again; a line
/// that is made for that is not searched to its end, and all rules are tried that need a part.
const FINDS_PER_PART: usize = 4;

/// The first bytes of a text in lower case: one more than any key has, so that no key is mistaken for a longer text.
type Folded = SmallVec<[u8; KEY_LIMIT + 1]>;

impl Index {
    /// Positions of the rules whose key the request meets, ascending.
    pub(super) fn candidates(&self, request: &RequestParts<'_>) -> Candidates<'_> {
        let mut candidates = Candidates::default();
        candidates.add(self.list(self.rest));
        self.add_paths(request.path, &mut candidates);
        if let Some(list) = self.lookup(&self.methods, request.method.as_bytes()) {
            candidates.add(list);
        }
        for keys in &self.headers {
            self.add_header(keys, request, &mut candidates);
        }
        candidates
    }

    fn add_paths<'a>(&'a self, path: &[u8], candidates: &mut Candidates<'a>) {
        if self.paths.is_empty() {
            return;
        }
        let folded = fold(path);
        let after = self
            .paths
            .partition_point(|key| self.text(key.text) <= &*folded);
        let mut next = after.checked_sub(1);
        while let Some(key) = next.and_then(|position| self.paths.get(position)) {
            if folded.starts_with(self.text(key.text)) {
                candidates.add(self.list(key.prefix));
                if key.text.len() == path.len() {
                    candidates.add(self.list(key.exact));
                }
            }
            next = key.parent.map(|parent| parent as usize);
        }
    }

    fn add_header<'a>(
        &'a self,
        keys: &HeaderKeys,
        request: &RequestParts<'_>,
        candidates: &mut Candidates<'a>,
    ) {
        let mut lines = request.lines(&keys.name).peekable();
        if lines.peek().is_none() {
            return;
        }
        candidates.add(self.list(keys.present));
        for line in lines {
            if !keys.values.is_empty()
                && let Some(list) = self.lookup(&keys.values, &fold(line))
            {
                candidates.add(list);
            }
            if let Some(parts) = &keys.parts {
                self.add_parts(parts, line, candidates);
            }
        }
    }

    fn add_parts(&self, parts: &Parts, line: &[u8], candidates: &mut Candidates<'_>) {
        let most = parts.lists.len() * FINDS_PER_PART;
        for (number, found) in parts.search.find_overlapping_iter(line).enumerate() {
            if number == most {
                let all = parts.lists.iter();
                return all.for_each(|list| candidates.mix(self.list(*list)));
            }
            if let Some(list) = parts.lists.get(found.pattern().as_usize()) {
                candidates.mix(self.list(*list));
            }
        }
    }

    fn lookup(&self, keys: &[(Span, Span)], text: &[u8]) -> Option<&[u32]> {
        let position = keys
            .binary_search_by(|(key, _)| self.text(*key).cmp(text))
            .ok()?;
        keys.get(position).map(|(_, list)| self.list(*list))
    }

    fn text(&self, span: Span) -> &[u8] {
        span.of(&self.texts).unwrap_or_default()
    }

    fn list(&self, span: Span) -> &[u32] {
        span.of(&self.positions).unwrap_or_default()
    }
}

fn fold(text: &[u8]) -> Folded {
    let mut folded = Folded::from_slice(text.get(..=KEY_LIMIT).unwrap_or(text));
    folded.make_ascii_lowercase();
    folded
}

/// Several ascending lists, walked as one.
#[derive(Debug, Default)]
pub(super) struct Candidates<'a> {
    /// Few: one for each key that the request meets.
    lists: SmallVec<[&'a [u32]; 8]>,
    /// The positions of lists that may be very many, in any order, some more than once. Once walked, descending.
    mixed: SmallVec<[u32; 16]>,
    walked: bool,
}

impl<'a> Candidates<'a> {
    /// The same list may come twice, when a header repeats a value. It must not be walked twice: a hundred such lines would make
    /// a hundred trials of each rule.
    fn add(&mut self, list: &'a [u32]) {
        let Some(first) = list.first() else { return };
        if !self.lists.iter().any(|known| known.first() == Some(first)) {
            self.lists.push(list);
        }
    }
}

impl Candidates<'_> {
    /// Adds a list of which there may be one for each part that a header has.
    fn mix(&mut self, list: &[u32]) {
        self.mixed.extend_from_slice(list);
    }

    /// The next position of the few lists, unless `limit` comes before it.
    fn next_listed(&mut self, limit: Option<u32>) -> Option<u32> {
        let lists = self.lists.iter_mut();
        let list = lists.min_by_key(|list| list.first().copied().unwrap_or(u32::MAX))?;
        let (next, others) = list.split_first()?;
        if limit.is_some_and(|limit| limit < *next) {
            return None;
        }
        *list = others;
        Some(*next)
    }
}

impl Iterator for Candidates<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if !self.walked {
            self.walked = true;
            self.mixed.sort_unstable_by(|one, other| other.cmp(one));
            self.mixed.dedup();
        }
        let next = self.next_listed(self.mixed.last().copied());
        Some(next.or_else(|| self.mixed.pop())? as usize)
    }
}
