//! Fields of a request that are for one hop only.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora_error::{Error, ErrorType, Result};
use smallvec::SmallVec;

/// Most fields that `Connection` may name. Each is looked for among all fields.
const NAMED: usize = 9;

/// Fields that are for one hop, whether `Connection` names them or not. Spec: RFC 9110 §7.6.1.
const HOP_BY_HOP: [HeaderName; 10] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Removes what is for this hop, and what `Connection` names.
///
/// A `Connection` that names fields which targets rely on, or something that is no name, is refused: whoever sends that wants the
/// gateway to remove what it should not, or to be read in two ways.
pub(super) fn strip(headers: &mut HeaderMap) -> Result<()> {
    let named = named(headers)?;
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
    Ok(())
}

fn named(headers: &HeaderMap) -> Result<SmallVec<[HeaderName; 2]>> {
    let options = headers
        .get_all(header::CONNECTION)
        .iter()
        .map(HeaderValue::as_bytes)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|option| !option.is_empty());
    let mut names = SmallVec::new();
    for option in options {
        if names.len() == NAMED {
            return refuse("connection names too many fields");
        }
        let Ok(name) = HeaderName::from_bytes(option) else {
            return refuse("connection names what is no field");
        };
        if is_protected(&name) {
            return refuse("connection names a field that is not the client's to remove");
        }
        names.push(name);
    }
    Ok(names)
}

/// Fields that the gateway sets itself need no protection: they are added after this.
fn is_protected(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host" | "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto"
    )
}

fn refuse<T>(why: &'static str) -> Result<T> {
    Err(Error::explain(ErrorType::InvalidHTTPHeader, why).into_down())
}
