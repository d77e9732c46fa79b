//! Records as lines of text, in the notation of Envoy: `%START_TIME% %REQ(:METHOD)% %RESPONSE_CODE%`.
//!
//! A template is read once. What it cannot mean is refused with its place: an unknown operator, a header whose value is not recorded,
//! two operators with nothing between them. Every value ends before the literal that follows it and has its separator escaped, so that
//! a line can be split back whatever clients send.
//!
//! Source: Envoy, "Access logging", "Command Operators"; App Mesh user guide, "Envoy logs".

mod operators;
#[cfg(test)]
mod tests;

use super::Field;

/// Longest template, in bytes. App Mesh allows 1000 characters.
pub const LONGEST: usize = 4096;

/// Most operators of one template. With the longest text for each, a line stays within the bound of all lines.
pub const MOST_OPERATORS: usize = 64;

/// Most operators that show texts of clients or configurations.
pub const MOST_TEXTS: usize = 18;

/// Envoy's default format: what `format: {text: "default"}` means.
pub const DEFAULT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% \
     %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \
     \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"";

/// A template, read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template {
    text: Box<str>,
    pieces: Box<[Piece]>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// Itself.
    Literal(Box<str>),
    /// The value of an operator.
    Value(Value),
}

/// An operator and how its value is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value {
    /// What it shows.
    pub operator: Operator,
    /// Most bytes of it.
    pub longest: Option<usize>,
    /// A character of the literal after it that the value must not hold.
    pub separator: Option<u8>,
}

/// What an operator shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operator {
    /// A field of the record.
    Field(Field),
    /// When the request began.
    StartTime(Box<[TimePart]>),
    /// The caller's address without its port.
    SourceAddress,
    /// `http` or `https`.
    Scheme,
    /// The status; 0 when there is none.
    Status,
    /// Milliseconds from the start to the first byte of the target's answer.
    UntilAnswer,
    /// Envoy's short words for what went wrong.
    ResponseFlags,
}

/// A part of a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TimePart {
    /// Itself.
    Literal(Box<str>),
    /// `%Y`: the year, four digits.
    Year,
    /// `%m`: the month, two digits.
    Month,
    /// `%d`: the day, two digits.
    Day,
    /// `%H`: the hour, two digits.
    Hour,
    /// `%M`: the minute, two digits.
    Minute,
    /// `%S`: the second, two digits.
    Second,
    /// `%s`: seconds since 1970.
    UnixSeconds,
    /// `%3f`, `%6f`, `%f` or `%9f`: the fraction of the second, so many digits.
    Fraction(u32),
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault} (at character {at})")]
pub struct TemplateError {
    /// What is wrong.
    pub fault: TemplateFault,
    /// Where, in characters from one on.
    pub at: usize,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// It is too long.
    #[error("the format is longer than {LONGEST} bytes")]
    Long,
    /// It shows nothing.
    #[error("the format has no operator")]
    Empty,
    /// It has too many operators.
    #[error(
        "the format has more than {MOST_OPERATORS} operators, or more than {MOST_TEXTS} of texts"
    )]
    Many,
    /// A `%` begins an operator that does not end.
    #[error("`%` begins an operator that has no end; a percent sign is written `%%`")]
    Unfinished,
    /// No such operator.
    #[error("unknown operator `%{0}%`")]
    Unknown(Box<str>),
    /// Records hold no values of this header.
    #[error("the value of header `{0}` is not recorded")]
    Header(Box<str>),
    /// No field of records has this name.
    #[error("records have no field `{0}`")]
    Field(Box<str>),
    /// An operator has parameters that it does not take, or lacks one.
    #[error("operator `%{0}%` takes other parameters")]
    Parameters(Box<str>),
    /// Part of a time that is not known.
    #[error("a time has no part `%{0}`")]
    Time(Box<str>),
    /// Two values that could not be told apart.
    #[error("something that is not a letter, digit or backslash must stand between two operators")]
    Adjacent,
    /// A control character, a line's end among them.
    #[error("a record is one line, so the format has no control characters but a last line feed")]
    Control,
}

impl Template {
    /// Its parts.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reads a template of lines. A line feed at its end, which Envoy's need, is no part of it.
    pub fn line(text: &str) -> Result<Self, TemplateError> {
        Self::read(text.strip_suffix('\n').unwrap_or(text), true)
    }

    /// Reads a template of one value in JSON, which needs no separators.
    pub fn value(text: &str) -> Result<Self, TemplateError> {
        Self::read(text, false)
    }

    fn read(text: &str, is_line: bool) -> Result<Self, TemplateError> {
        let fail = |fault, rest: &str| TemplateError {
            fault,
            at: 1 + text.chars().count() - rest.chars().count(),
        };
        if text.len() > LONGEST {
            return Err(fail(TemplateFault::Long, text));
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let after = rest.get(next.len_utf8()..).unwrap_or_default();
            if next.is_control() {
                return Err(fail(TemplateFault::Control, rest));
            }
            if next != '%' || after.starts_with('%') {
                literal.push(next);
                rest = if next == '%' {
                    after.get(1..).unwrap_or_default()
                } else {
                    after
                };
                continue;
            }
            let (operator, longest, end) =
                operators::read(after).map_err(|fault| fail(fault, rest))?;
            if is_line && !close(&mut pieces, &literal) {
                return Err(fail(TemplateFault::Adjacent, rest));
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
            }
            pieces.push(Piece::Value(Value {
                operator,
                longest,
                separator: None,
            }));
            rest = end;
        }
        if is_line && !literal.is_empty() {
            // The line's end separates where nothing else does.
            close(&mut pieces, &literal);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        let this = Self {
            text: text.into(),
            pieces: pieces.into(),
        };
        this.check(is_line).map_err(|fault| fail(fault, text))?;
        Ok(this)
    }

    fn check(&self, is_line: bool) -> Result<(), TemplateFault> {
        let operators = || self.operators();
        if is_line && operators().next().is_none() {
            return Err(TemplateFault::Empty);
        }
        if operators().count() > MOST_OPERATORS || self.texts() > MOST_TEXTS {
            return Err(TemplateFault::Many);
        }
        Ok(())
    }

    /// Its operators.
    pub fn operators(&self) -> impl Iterator<Item = &Operator> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Value(value) => Some(&value.operator),
        })
    }

    /// How many operators show texts, whose length others choose.
    pub fn texts(&self) -> usize {
        let is_text = |operator: &&Operator| match operator {
            Operator::Field(field) => field.is_redactable(),
            _ => false,
        };
        self.operators().filter(is_text).count()
    }
}

/// Gives the last value its separator, out of the literal after it; `false` when there is none to be had.
fn close(pieces: &mut [Piece], literal: &str) -> bool {
    let Some(Piece::Value(last)) = pieces.last_mut() else {
        return true;
    };
    let usual =
        |byte: &&u8| byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\\-_.:/".contains(byte);
    let possible = |byte: &&u8| byte.is_ascii() && !byte.is_ascii_alphanumeric() && **byte != b'\\';
    let bytes = literal.as_bytes();
    let found = bytes
        .iter()
        .find(usual)
        .or_else(|| bytes.iter().find(possible));
    last.separator = found.copied();
    found.is_some()
}
