//! A JSON reader that remembers lines and keeps repeated members, so that policies can be reported on precisely.
//!
//! The usual readers keep the last of two equal members in silence; in a policy that hides a whole condition.

/// Deepest nesting: an IAM policy needs six levels.
const MAX_DEPTH: usize = 16;

/// A value and the line on which it begins, counted from one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: u32,
    pub(crate) value: Value,
}

/// A JSON value as written: numbers are texts, members are in order and may repeat.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) node: Node,
}

impl Value {
    /// What it is, as a noun phrase.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a Boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// A text that is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonError {
    pub(crate) line: u32,
    pub(crate) message: String,
}

/// Reads one value and nothing after it.
pub(crate) fn parse(text: &str) -> Result<Node, JsonError> {
    let mut reader = Reader {
        rest: text.chars().peekable(),
        line: 1,
    };
    let node = reader.value(0)?;
    reader.skip_space();
    match reader.rest.peek() {
        None => Ok(node),
        Some(_) => Err(reader.error("something follows the value")),
    }
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: u32,
}

impl Reader<'_> {
    fn error(&self, message: impl Into<String>) -> JsonError {
        JsonError {
            line: self.line,
            message: message.into(),
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line = self.line.saturating_add(1);
        }
        next
    }

    fn skip_space(&mut self) {
        while self
            .rest
            .peek()
            .is_some_and(|c| matches!(c, ' ' | '\t' | '\r' | '\n'))
        {
            self.next();
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.skip_space();
        let line = self.line;
        let value = match self.rest.peek() {
            None => return Err(self.error("the text ends where a value should be")),
            Some('{') => self.object(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Value::Text(self.text()?),
            Some(c) if *c == '-' || c.is_ascii_digit() => Value::Number(self.number()?),
            Some(c) if c.is_ascii_lowercase() => self.word()?,
            Some(c) => {
                let message = format!("`{c}` where a value should be");
                return Err(self.error(message));
            }
        };
        Ok(Node { line, value })
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.next();
        let mut members = Vec::new();
        self.skip_space();
        if self.rest.peek() == Some(&'}') {
            self.next();
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            if self.rest.peek() != Some(&'"') {
                return Err(self.error("a member's name in double quotes should be here"));
            }
            let line = self.line;
            let name = self.text()?;
            self.skip_space();
            if self.next() != Some(':') {
                return Err(self.error(format!("a colon should follow the name `{name}`")));
            }
            let node = self.value(depth + 1)?;
            members.push(Member { name, line, node });
            self.skip_space();
            match self.next() {
                Some(',') => {}
                Some('}') => return Ok(Value::Object(members)),
                _ => return Err(self.error("a comma or `}` should follow a member")),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.next();
        let mut items = Vec::new();
        self.skip_space();
        if self.rest.peek() == Some(&']') {
            self.next();
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            match self.next() {
                Some(',') => {}
                Some(']') => return Ok(Value::List(items)),
                _ => return Err(self.error("a comma or `]` should follow an item")),
            }
        }
    }

    fn word(&mut self) -> Result<Value, JsonError> {
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(char::is_ascii_alphanumeric) {
            word.push(c);
        }
        match word.as_str() {
            "null" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(self.error(format!("`{word}` is not a JSON value"))),
        }
    }

    /// Spec: RFC 8259 §6.
    fn number(&mut self) -> Result<String, JsonError> {
        let mut text = String::new();
        while let Some(c) = self
            .rest
            .next_if(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'))
        {
            text.push(c);
        }
        if is_number(&text) {
            Ok(text)
        } else {
            Err(self.error(format!("`{text}` is not a JSON number")))
        }
    }

    /// Spec: RFC 8259 §7.
    fn text(&mut self) -> Result<String, JsonError> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.error("the text ends within a string")),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(c) if u32::from(c) < 0x20 => {
                    return Err(self.error("a control character within a string"));
                }
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        match self.next() {
            Some(c @ ('"' | '\\' | '/')) => Ok(c),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => self.unicode(),
            _ => Err(self.error("an unknown escape within a string")),
        }
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.hex()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if self.next() != Some('\\') || self.next() != Some('u') {
                    return Err(self.error("half a surrogate pair within a string"));
                }
                let second = self.hex()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(self.error("half a surrogate pair within a string"));
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.error("half a surrogate pair within a string"))
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|c| c.to_digit(16));
            code = code << 4 | digit.ok_or_else(|| self.error("`\\u` needs four hex digits"))?;
        }
        Ok(code)
    }
}

fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

#[cfg(test)]
mod tests;
