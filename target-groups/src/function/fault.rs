//! What can be wrong with what a function, or the API in front of it, gives back.

/// Why a function's result is no answer to a request. Texts are for operators and hold nothing of what the function said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The function failed, or ran out of its own time or memory.
    FunctionError,
    /// The API runs as many of these as it may.
    Throttled,
    /// The API, or the server that events are posted to, answered with this status.
    Refused(u16),
    /// The result is larger than it may be.
    TooLarge,
    /// The result is not JSON.
    NotJson,
    /// The result is JSON, but no object.
    NotAnObject,
    /// A member of the result is of the wrong type, or is there twice, or `statusCode` is missing.
    Shape,
    /// `statusCode` is none that ends a request.
    StatusCode,
    /// A header has a name or a value that no header has.
    Header,
    /// There are more headers than a client can be expected to take.
    TooManyHeaders,
    /// The body is said to be base64 and is not.
    Base64,
}

impl Fault {
    /// The status that the client is answered with.
    ///
    /// Source: `docs/conformance.md`: 503 for throttling, 502 for everything else.
    pub fn status(self) -> u16 {
        match self {
            Self::Throttled => 503,
            Self::FunctionError
            | Self::Refused(_)
            | Self::TooLarge
            | Self::NotJson
            | Self::NotAnObject
            | Self::Shape
            | Self::StatusCode
            | Self::Header
            | Self::TooManyHeaders
            | Self::Base64 => 502,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::FunctionError => "the function failed",
            Self::Throttled => "the function is throttled",
            Self::Refused(status) => return write!(f, "the function's endpoint answered {status}"),
            Self::TooLarge => "the function's result is larger than 6 MiB",
            Self::NotJson => "the function's result is not JSON",
            Self::NotAnObject => "the function's result is no object",
            Self::Shape => {
                "the function's result has no `statusCode`, or a member of a wrong type, or one twice"
            }
            Self::StatusCode => "the function's `statusCode` is not in the range 200 to 599",
            Self::Header => "the function's result has a malformed header",
            Self::TooManyHeaders => "the function's result has too many headers",
            Self::Base64 => "the function's body is not base64",
        })
    }
}

impl std::error::Error for Fault {}
