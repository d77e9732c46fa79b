//! The conditions of all rules of a table, in a compact form, and what it means that one holds.

use http::HeaderName;
use memchr::memmem::Finder;
use smallvec::SmallVec;
use trellis_model::config::{
    Case, HeaderMatch, HeaderMatchKind, HttpMatch, PathMatch, PathMatchKind,
};

use super::{
    RequestParts,
    text::{Span, append},
};

/// The conditions of the rules of one table.
pub(super) struct Conditions {
    rules: Box<[Rule]>,
    headers: Box<[HeaderTest]>,
    /// Header names, none twice.
    fields: Box<[Field]>,
    /// Prepared searches of `contains` conditions.
    finders: Box<[Finder<'static>]>,
    texts: Box<[u8]>,
}

/// The first condition of a rule that does not hold. Conditions are looked at in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The method.
    Method,
    /// The path.
    Path,
    /// The header condition of that number within the rule, from 0.
    Header(usize),
}

struct Rule {
    method: Option<Span>,
    path: Option<PathTest>,
    headers: Span,
}

struct PathTest {
    value: Span,
    kind: PathMatchKind,
    case: Case,
}

struct HeaderTest {
    field: u32,
    value: Span,
    kind: ValueTest,
    case: Case,
    lines: Lines,
}

enum ValueTest {
    Exact,
    Prefix,
    /// With the search at this position.
    Contains(u32),
}

/// How several lines of one header are looked at.
enum Lines {
    /// One by one; joining them could not add a fit.
    Single,
    /// One by one, and then all of them joined.
    SingleThenJoined,
}

struct Field {
    /// `None`: no header can have that name, so conditions on it never hold.
    name: Option<HeaderName>,
    text: Span,
}

impl Conditions {
    /// Compiles rules; a rule keeps its position.
    pub(super) fn new(rules: &[&HttpMatch]) -> Self {
        let mut builder = Builder::default();
        let rules = rules.iter().map(|rule| builder.rule(rule)).collect();
        Self {
            rules,
            headers: builder.headers.into(),
            fields: builder.fields.into(),
            finders: builder.finders.into(),
            texts: builder.texts.into(),
        }
    }

    /// Number of rules.
    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// Do all conditions of the rule at `position` hold?
    pub(super) fn check(&self, position: usize, request: &RequestParts<'_>) -> Result<(), Failure> {
        // No rule there: no path fits it.
        let rule = self.rules.get(position).ok_or(Failure::Path)?;
        if let Some(method) = rule.method
            && !self.is_text(method, request.method.as_bytes())
        {
            return Err(Failure::Method);
        }
        if let Some(path) = &rule.path
            && !self.path_fits(path, request.path)
        {
            return Err(Failure::Path);
        }
        let headers = rule.headers.of(&self.headers).unwrap_or_default();
        headers
            .iter()
            .position(|test| !self.header_fits(test, request))
            .map_or(Ok(()), |number| Err(Failure::Header(number)))
    }

    /// The condition on the method of the rule at `position`.
    pub(super) fn method(&self, position: usize) -> Option<&[u8]> {
        self.rules.get(position)?.method?.of(&self.texts)
    }

    /// The condition on the path of the rule at `position`.
    pub(super) fn path(&self, position: usize) -> Option<(&[u8], PathMatchKind, Case)> {
        let path = self.rules.get(position)?.path.as_ref()?;
        Some((path.value.of(&self.texts)?, path.kind, path.case))
    }

    /// The header condition of that number of the rule at `position`: name, then value.
    pub(super) fn header(
        &self,
        position: usize,
        number: usize,
    ) -> Option<(&[u8], &[u8], HeaderMatchKind, Case)> {
        let headers = self.rules.get(position)?.headers.of(&self.headers)?;
        let test = headers.get(number)?;
        let name = self.fields.get(test.field as usize)?.text.of(&self.texts)?;
        let kind = match test.kind {
            ValueTest::Exact => HeaderMatchKind::Exact,
            ValueTest::Prefix => HeaderMatchKind::Prefix,
            ValueTest::Contains(_) => HeaderMatchKind::Contains,
        };
        Some((name, test.value.of(&self.texts)?, kind, test.case))
    }

    /// Bytes that a table holds besides itself; header names and prepared searches may hold a few more of their own.
    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.rules)
            + size_of_val(&*self.headers)
            + size_of_val(&*self.fields)
            + size_of_val(&*self.finders)
            + self.texts.len()
    }

    fn is_text(&self, span: Span, actual: &[u8]) -> bool {
        span.of(&self.texts) == Some(actual)
    }

    fn path_fits(&self, test: &PathTest, path: &[u8]) -> bool {
        let Some(wanted) = test.value.of(&self.texts) else {
            return false;
        };
        match test.kind {
            PathMatchKind::Exact => is_same(path, wanted, test.case),
            PathMatchKind::Prefix => begins_with(path, wanted, test.case),
        }
    }

    fn header_fits(&self, test: &HeaderTest, request: &RequestParts<'_>) -> bool {
        let field = self.fields.get(test.field as usize);
        let Some(name) = field.and_then(|field| field.name.as_ref()) else {
            return false;
        };
        let lines = || request.lines(name);
        if lines().any(|line| self.value_fits(test, line)) {
            return true;
        }
        match test.lines {
            Lines::SingleThenJoined if lines().nth(1).is_some() => {
                self.value_fits(test, &join(lines(), separator(name)))
            }
            Lines::Single | Lines::SingleThenJoined => false,
        }
    }

    fn value_fits(&self, test: &HeaderTest, value: &[u8]) -> bool {
        let wanted = || test.value.of(&self.texts);
        match test.kind {
            ValueTest::Exact => wanted().is_some_and(|wanted| is_same(value, wanted, test.case)),
            ValueTest::Prefix => {
                wanted().is_some_and(|wanted| begins_with(value, wanted, test.case))
            }
            ValueTest::Contains(finder) => self
                .finders
                .get(finder as usize)
                .is_some_and(|finder| contains(value, finder, test.case)),
        }
    }
}

/// What stands between the lines of a header when they are joined.
///
/// Spec: RFC 9110 §5.3, a comma; RFC 9113 §8.2.3, a semicolon for the cookies that HTTP/2 sends line by line.
pub(super) fn separator(name: &HeaderName) -> &'static [u8; 2] {
    if name == http::header::COOKIE {
        b"; "
    } else {
        b", "
    }
}

/// All lines of a header as one value.
pub(super) fn join<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    separator: &[u8],
) -> SmallVec<[u8; 256]> {
    let mut joined = SmallVec::new();
    for (number, line) in lines.enumerate() {
        if number > 0 {
            joined.extend_from_slice(separator);
        }
        joined.extend_from_slice(line);
    }
    joined
}

/// Could a value that fits no single line fit the joined lines? Only if it has a part of the separator in it: all of it or, at its
/// ends, the first or second half. A beginning or a whole value always needs the first half.
pub(super) fn may_span_lines(condition: &HeaderMatch, name: &HeaderName) -> bool {
    let [first, second] = separator(name);
    let value = condition.value.as_bytes();
    value.contains(first)
        || (condition.kind == HeaderMatchKind::Contains && value.first() == Some(second))
}

fn is_same(actual: &[u8], wanted: &[u8], case: Case) -> bool {
    match case {
        Case::Sensitive => actual == wanted,
        Case::Insensitive => actual.eq_ignore_ascii_case(wanted),
    }
}

fn begins_with(actual: &[u8], wanted: &[u8], case: Case) -> bool {
    actual
        .get(..wanted.len())
        .is_some_and(|beginning| is_same(beginning, wanted, case))
}

/// Without regard to case, `finder` was built from a lower-case text. Copying the value once keeps the cost linear in its length,
/// where comparing at every place would be that times the length of the text.
fn contains(value: &[u8], finder: &Finder<'_>, case: Case) -> bool {
    match case {
        Case::Sensitive => finder.find(value).is_some(),
        Case::Insensitive => {
            let mut lower: SmallVec<[u8; 1024]> = SmallVec::from_slice(value);
            lower.make_ascii_lowercase();
            finder.find(&lower).is_some()
        }
    }
}

#[derive(Default)]
struct Builder {
    headers: Vec<HeaderTest>,
    fields: Vec<Field>,
    finders: Vec<Finder<'static>>,
    texts: Vec<u8>,
}

impl Builder {
    fn rule(&mut self, rule: &HttpMatch) -> Rule {
        let first_header = self.headers.len();
        for condition in &rule.headers {
            let test = self.header(condition);
            self.headers.push(test);
        }
        Rule {
            method: rule.method.as_ref().map(|method| self.text(method)),
            path: rule.path.as_ref().map(|path| self.path(path)),
            headers: Span::new(first_header, self.headers.len()),
        }
    }

    fn path(&mut self, path: &PathMatch) -> PathTest {
        PathTest {
            value: self.text(&path.value),
            kind: path.kind,
            case: path.case,
        }
    }

    fn header(&mut self, condition: &HeaderMatch) -> HeaderTest {
        let field = self.field(&condition.name);
        let name = self.fields.get(field).and_then(|field| field.name.as_ref());
        let lines = match name {
            Some(name) if may_span_lines(condition, name) => Lines::SingleThenJoined,
            _ => Lines::Single,
        };
        let kind = match condition.kind {
            HeaderMatchKind::Exact => ValueTest::Exact,
            HeaderMatchKind::Prefix => ValueTest::Prefix,
            HeaderMatchKind::Contains => ValueTest::Contains(self.finder(condition)),
        };
        HeaderTest {
            field: small(field),
            value: self.text(&condition.value),
            kind,
            case: condition.case,
            lines,
        }
    }

    fn finder(&mut self, condition: &HeaderMatch) -> u32 {
        let text = match condition.case {
            Case::Sensitive => condition.value.as_bytes().to_vec(),
            Case::Insensitive => condition.value.as_bytes().to_ascii_lowercase(),
        };
        self.finders.push(Finder::new(&text).into_owned());
        small(self.finders.len() - 1)
    }

    fn field(&mut self, name: &str) -> usize {
        let known = self
            .fields
            .iter()
            .position(|field| field.text.of(&self.texts) == Some(name.as_bytes()));
        known.unwrap_or_else(|| {
            let text = self.text(name);
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            self.fields.push(Field { name, text });
            self.fields.len() - 1
        })
    }

    fn text(&mut self, text: &str) -> Span {
        append(&mut self.texts, text.as_bytes())
    }
}

/// A position in an array of a table; one that does not fit points nowhere, so that conditions on it never hold.
fn small(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
