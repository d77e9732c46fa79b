//! Segments of paths that records do not show.

/// The beginning of a path with segments that are not to be seen: `/customers/*/cards/*`.
///
/// Literal segments are compared as a careless reader would compare them, without regard to case and with escapes undone: redacting
/// too much does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern(Box<[Segment]>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Segment {
    /// In lower case.
    Literal(Box<[u8]>),
    Any,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathPatternError {
    /// It does not begin with a slash.
    #[error("a path begins with `/`")]
    NoSlash,
    /// It has an empty or a dot segment, which no path keeps.
    #[error("a segment is empty or consists of dots")]
    Segment,
    /// It has a wildcard beside other characters.
    #[error("`*` stands for a whole segment")]
    Wildcard,
    /// It hides nothing.
    #[error("nothing is redacted without a segment `*`")]
    Nothing,
}

impl std::str::FromStr for PathPattern {
    type Err = PathPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let segments = text.strip_prefix('/').ok_or(PathPatternError::NoSlash)?;
        let segments: Box<[Segment]> = segments
            .split('/')
            .map(|segment| match segment {
                "" | "." | ".." => Err(PathPatternError::Segment),
                "*" => Ok(Segment::Any),
                other if other.contains('*') => Err(PathPatternError::Wildcard),
                other => Ok(Segment::Literal(
                    unescaped(other.as_bytes()).to_ascii_lowercase().into(),
                )),
            })
            .collect::<Result<_, _>>()?;
        if !segments.contains(&Segment::Any) {
            return Err(PathPatternError::Nothing);
        }
        Ok(Self(segments))
    }
}

impl std::fmt::Display for PathPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Any => f.write_str("/*"),
            Segment::Literal(literal) => write!(f, "/{}", String::from_utf8_lossy(literal)),
        })
    }
}

impl PathPattern {
    /// The path with `*` for what the patterns hide; `None` when they hide nothing of it.
    ///
    /// A path that readers may see in different ways (empty or dot segments, escaped slashes and dots, backslashes) is hidden whole:
    /// what it means cannot be told from here.
    pub fn redact(patterns: &[Self], path: &[u8]) -> Option<Vec<u8>> {
        if patterns.is_empty() {
            return None;
        }
        if path == b"*" {
            // `OPTIONS *` is about the server as a whole.
            return None;
        }
        let Some(segments) = path.strip_prefix(b"/") else {
            return Some(b"/*".to_vec());
        };
        let rest: Vec<&[u8]> = segments.split(|byte| *byte == b'/').collect();
        let last = rest.len().saturating_sub(1);
        let ambiguous = |(index, segment): (usize, &&[u8])| is_ambiguous(segment, index == last);
        if rest.iter().enumerate().any(ambiguous) {
            return Some(b"/*".to_vec());
        }
        let mut hidden = vec![false; rest.len()];
        for pattern in patterns {
            pattern.mark(&rest, &mut hidden);
        }
        if !hidden.contains(&true) {
            return None;
        }
        let mut shown = Vec::with_capacity(path.len());
        for (segment, hidden) in rest.iter().zip(hidden) {
            shown.push(b'/');
            shown.extend_from_slice(if hidden { b"*" } else { segment });
        }
        Some(shown)
    }

    fn mark(&self, segments: &[&[u8]], hidden: &mut [bool]) {
        let fits = self.0.iter().zip(segments).all(|(own, segment)| match own {
            Segment::Any => true,
            Segment::Literal(literal) => unescaped(segment).eq_ignore_ascii_case(literal),
        });
        if fits {
            for (own, hidden) in self.0.iter().zip(hidden) {
                *hidden |= *own == Segment::Any;
            }
        }
    }
}

fn is_ambiguous(segment: &[u8], is_last: bool) -> bool {
    let plain = unescaped(segment);
    plain.is_empty() && !is_last
        || plain == b"."
        || plain == b".."
        || plain.iter().any(|byte| matches!(byte, b'/' | b'\\'))
        // A segment that is escaped twice.
        || plain.contains(&b'%')
}

/// With `%xx` undone, once.
fn unescaped(segment: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut plain = Vec::with_capacity(segment.len());
    let mut at = 0;
    while let Some(&byte) = segment.get(at) {
        let escaped = (byte == b'%')
            .then(|| Some(digit(segment.get(at + 1))? * 16 + digit(segment.get(at + 2))?))
            .flatten()
            .and_then(|byte| u8::try_from(byte).ok());
        plain.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    plain
}
