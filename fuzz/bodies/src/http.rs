//! What comes in over the network before anybody is known: authorities, HTTP/1 and HTTP/2 framing, DNS messages.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use trellis_gateway::{
    dns::{Core, Directory, Lookup, Observer, Settings, Step, Transport},
    h1::{Body, Head, HeadEnd, HeadLimits, Version, check, find_end},
    h2::{Guard, Opened, Passed},
    telemetry::events::DnsOutcome,
};
use trellis_routing::Authority;

use crate::world::utf8;

/// An authority: what is taken is a host that can be a name or an address, and is taken again as it was understood.
pub(crate) fn authority(data: &[u8]) {
    let Ok(authority) = Authority::parse(data) else {
        return;
    };
    let host = authority.host();
    assert!(!host.is_empty() && host.len() <= Authority::HOST_LIMIT);
    let text = utf8(host).unwrap();
    if let Some(address) = text.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap();
        assert!(address.parse::<std::net::Ipv6Addr>().is_ok(), "{address}");
    } else {
        let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        assert!(host.iter().all(|byte| name(*byte)), "{text}");
        assert!(text.split('.').all(|label| !label.is_empty()), "{text}");
    }
    let again = match authority.port() {
        Some(port) => format!("{text}:{port}"),
        None => text.to_owned(),
    };
    assert_eq!(Authority::parse(again.as_bytes()), Ok(authority));
    assert!(
        data.to_ascii_lowercase()
            .starts_with(&host.to_ascii_lowercase())
    );
}

const LIMITS: HeadLimits = HeadLimits {
    bytes: 64 * 1024,
    fields: 100,
};

/// A stream of HTTP/1 messages: what is taken, a reader that nobody here wrote takes too and understands alike, and bodies end at
/// the same byte however the stream is cut.
pub(crate) fn http1(data: &[u8]) {
    let whole = find_end(data, 0);
    let mut from = 0;
    let mut stepwise = Ok(HeadEnd::Beyond(0));
    for end in (0..data.len()).step_by(7).chain([data.len()]) {
        stepwise = find_end(&data[..end], from);
        match stepwise {
            Ok(HeadEnd::Beyond(at)) => from = at,
            _ => break,
        }
    }
    assert_eq!(stepwise, whole);
    let Ok(HeadEnd::At(end)) = whole else {
        return;
    };
    let (head, rest) = data.split_at(end);
    let Ok(checked) = check(head, LIMITS) else {
        return;
    };
    compare_head(head, &checked);
    compare_body(&checked.body, rest);
}

fn compare_head(head: &[u8], checked: &Head) {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut fields);
    let status = request.parse(head);
    assert_eq!(
        status,
        Ok(httparse::Status::Complete(head.len())),
        "{head:?}"
    );
    let version = match checked.version {
        Version::Http10 => Some(0),
        Version::Http11 => Some(1),
    };
    assert_eq!(request.version, version);
    assert_ne!(request.method, Some("CONNECT"));
    let values = |name: &str| -> Vec<&[u8]> {
        let fields = request.headers.iter();
        let same = fields.filter(|field| field.name.eq_ignore_ascii_case(name));
        same.map(|field| field.value).collect()
    };
    assert!(values("host").len() <= 1);
    assert!(version == Some(0) || values("host").len() == 1);
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    let body = match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Body::None,
        ([length], []) => Body::Length(utf8(length).unwrap().parse().unwrap()),
        ([], [coding]) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked") && version == Some(1));
            Body::chunked()
        }
        both => panic!("ambiguous framing was taken: {both:?}"),
    };
    let nothing = |body: &Body| matches!(body, Body::None | Body::Length(0));
    assert!(checked.body == body || nothing(&checked.body) && nothing(&body));
}

/// The naive length of a chunked body; nothing when it is not whole, or malformed.
fn chunked_length(body: &[u8]) -> Option<usize> {
    let line_end = |at: usize| {
        let rest = body.get(at..)?;
        Some(at + rest.windows(2).position(|two| two == b"\r\n")?)
    };
    let mut at = 0;
    loop {
        let end = line_end(at)?;
        let digits = body[at..end].split(|byte| *byte == b';').next()?;
        let digits = utf8(digits).filter(|digits| !digits.starts_with('+'))?;
        let size = usize::from_str_radix(digits, 16).ok()?;
        at = end + 2;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size)?;
        at = end.checked_add(2)?;
        if body.get(end..at)? != b"\r\n" {
            return None;
        }
    }
    loop {
        let end = line_end(at)?;
        let empty = end == at;
        at = end + 2;
        if empty {
            return Some(at);
        }
    }
}

fn compare_body(body: &Body, rest: &[u8]) {
    let mut once = body.clone();
    let taken = once.take(rest);
    for size in [1, 3, 64] {
        let mut piecewise = body.clone();
        let mut sum = Ok(0);
        for piece in rest.chunks(size) {
            match (piecewise.take(piece), &mut sum) {
                (Ok(more), Ok(sum)) => *sum += more,
                (Err(error), _) => sum = Err(error),
                _ => {}
            }
            if sum.is_err() || piecewise.is_done() {
                break;
            }
        }
        assert_eq!(
            (sum, piecewise.is_done()),
            (taken, once.is_done()),
            "in pieces of {size}"
        );
    }
    if matches!(body, Body::Chunked(_)) && once.is_done() {
        assert_eq!(chunked_length(rest), taken.ok());
    }
}

const LIST_BYTES: usize = 16 * 1024;

/// What a guard passes to the engine, which streams it opens, and whether it refuses.
fn guarded(bytes: &[u8], size: usize, now: Instant) -> (Vec<u8>, Vec<Opened>, bool) {
    let mut guard = Guard::new(LIST_BYTES, now);
    let (mut passed, mut waiting) = (Vec::new(), Vec::new());
    let (mut opened, mut refused) = (Vec::new(), false);
    for piece in bytes.chunks(size.max(1)) {
        let taken = guard.take(piece, now);
        opened.extend(guard.opened());
        match taken {
            Ok(Passed::First(count)) => {
                waiting.clear();
                waiting.extend_from_slice(&piece[count..]);
                passed.extend_from_slice(&piece[..count]);
            }
            Ok(Passed::Instead(bytes)) => passed.extend_from_slice(&bytes),
            Err(_) => {
                refused = true;
                break;
            }
        }
    }
    (passed, opened, refused)
}

/// What a client sends after the preface and its settings: judged alike however it is cut, and what is passed on would be passed on
/// again, with the same requests.
pub(crate) fn http2(data: &[u8]) {
    static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);
    let bytes = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        data,
    ]
    .concat();
    let (passed, opened, refused) = guarded(&bytes, bytes.len(), *NOW);
    for size in [1, 7, 100] {
        let (pieces_passed, pieces_opened, pieces_refused) = guarded(&bytes, size, *NOW);
        assert_eq!(pieces_refused, refused, "in pieces of {size}");
        if !refused {
            assert_eq!(
                (&pieces_passed, &pieces_opened),
                (&passed, &opened),
                "in pieces of {size}"
            );
        }
    }
    if refused {
        return;
    }
    let (again, opened_again, refused) = guarded(&passed, passed.len(), *NOW);
    assert!(!refused, "passed on, but not a second time");
    assert_eq!(again, passed);
    let sound = |opened: &[Opened]| -> Vec<Opened> {
        let sound = opened.iter().filter(|one| one.fault.is_none());
        sound.cloned().collect()
    };
    assert_eq!(sound(&opened_again), sound(&opened));
}

struct Zone;

impl Directory for Zone {
    fn lookup(&self, _: SocketAddr, _: IpAddr, name: &str) -> Lookup {
        assert!(
            !name.bytes().any(|byte| byte.is_ascii_uppercase()),
            "{name}"
        );
        match name {
            "orders.test" => Lookup::Service {
                zone: "orders.test".parse().unwrap(),
                v4: vec![[127, 0, 0, 1].into(); 60],
                v6: vec![std::net::Ipv6Addr::LOCALHOST; 60],
            },
            "missing.test" => Lookup::Missing {
                zone: "missing.test".parse().unwrap(),
            },
            "empty.test" => Lookup::Empty {
                zone: "empty.test".parse().unwrap(),
            },
            "outsider.test" => Lookup::Outsider,
            _ => Lookup::Foreign,
        }
    }
}

struct Nobody;

impl Observer for Nobody {
    fn query(&self, _: IpAddr, _: Option<&str>, _: DnsOutcome) {}

    fn failed(&self, address: SocketAddr, error: &(dyn Error + 'static)) {
        panic!("{address}: {error}");
    }
}

/// A DNS message: what is answered gets one answer with its own id, which fits where it goes; an answer is never answered.
pub(crate) fn dns(data: &[u8]) {
    static CORE: LazyLock<Core> = LazyLock::new(|| {
        let settings = Settings {
            forward: Vec::new(),
            ttl: Duration::from_secs(60),
        };
        Core::new(settings, Arc::new(Zone), Arc::new(Nobody))
    });
    let client = SocketAddr::from(([127, 0, 0, 1], 53));
    for (transport, most) in [(Transport::Udp, 1232), (Transport::Tcp, 65_535)] {
        let answer = match CORE.handle(data, transport, client, client.ip()) {
            Step::Silence => continue,
            Step::Forward(_) => panic!("there is nobody to forward to"),
            Step::Send(answer) => answer,
        };
        assert!(answer.len() <= most, "{} bytes", answer.len());
        assert_eq!(answer[..2], data[..2], "another id");
        assert_eq!(
            (data[2] >> 7, answer[2] >> 7),
            (0, 1),
            "not an answer to a question"
        );
        let count = |at: usize| u16::from_be_bytes([answer[at], answer[at + 1]]);
        let found = answer[3] % 16 == 0 && count(6) > 0;
        // The top of a zone has its SOA record.
        let known: [&[u8]; 2] = [b"orders", b"\x05empty"];
        let named = data
            .windows(6)
            .any(|part| known.iter().any(|name| part.eq_ignore_ascii_case(name)));
        assert!(!found || named, "found what is not there");
    }
}
