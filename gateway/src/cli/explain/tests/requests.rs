//! The requests that are explained and sent.

use std::{fmt::Write as _, time::SystemTime};

use http::Version;
use ring::{digest, hmac};

use super::world::Addresses;
use crate::proxy::{
    Dice,
    walk::{Sender, Supposed},
};

/// Requests made by chance, besides those that differ from the usual one in one way.
const DRAWN: usize = 400;

/// In what requests differ; the variations of a line exclude each other. See [`vary`] for the words.
const VARIATIONS: [&[&str]; 8] = [
    &["version 1.0", "version 2"],
    &[
        "host pay.test",
        "host streams.test",
        "host rpc.test",
        "host vacant.test",
        "host mixed.test",
        "host nobody.test",
        "host OPEN.test.:9",
        "host op_n..test",
    ],
    &[
        "tls its-host",
        "tls pay.test",
        "tls nobody.test",
        "tls-to-http open.test",
        "plain-to-https",
        "port 1",
    ],
    &[
        "target /exact",
        "target /aNy/x?y=z",
        "target /asleep",
        "target /secret/1",
        "target /a{b}|c",
        "target /<",
    ],
    &["method PUT", "method POST", "method put"],
    &[
        "fields x-tier:gold x-kind:a",
        "fields x-tier:banned",
        "fields content-type:application/grpc",
        "fields x-forwarded-for:192.0.2.1 x-forwarded-proto:https x-amz-security-token:secret",
        "fields x-amzn-lattice-identity:root x_amzn_source_vpc:vpc-1",
        "fields x-amzn-requestid:mine",
    ],
    &["from 127.2.0.1", "from 127.3.0.1", "from 127.9.0.1"],
    // Last, because a signature covers what came before.
    &[
        "sign AKIAALICE00000000000",
        "sign AKIAMALLORY000000000",
        "sign AKIAREADERNIGHT00000",
        "forge AKIAALICE00000000000",
    ],
];

/// The usual request, each variation of it, and some at random.
pub(super) fn requests(addresses: &Addresses, seed: u64) -> Vec<Supposed> {
    let mut all = vec![usual(addresses)];
    for variation in VARIATIONS.into_iter().flatten() {
        let mut supposed = usual(addresses);
        vary(&mut supposed, variation, addresses);
        all.push(supposed);
    }
    let dice = Dice::new(seed, 0);
    let draw = |sides: usize| usize::try_from(dice.roll() % sides as u64).unwrap();
    for _ in 0..DRAWN {
        let mut supposed = usual(addresses);
        for line in VARIATIONS {
            // Two lines of three leave the request alone: with everything varied nothing gets far.
            if let Some(variation) = line.get(draw(3 * line.len())) {
                vary(&mut supposed, variation, addresses);
            }
        }
        all.push(supposed);
    }
    all
}

/// A request that is forwarded.
fn usual(addresses: &Addresses) -> Supposed {
    Supposed {
        peer: [127, 1, 0, 1].into(),
        local: addresses.http,
        tls: None,
        certificates: Vec::new(),
        version: Version::HTTP_11,
        method: "GET".to_owned(),
        target: "/".to_owned(),
        authority: "open.test".to_owned(),
        fields: Vec::new(),
        sender: Sender::Signature,
        at: SystemTime::now(),
    }
}

fn vary(supposed: &mut Supposed, variation: &str, addresses: &Addresses) {
    let (what, value) = variation.split_once(' ').unwrap_or((variation, ""));
    match what {
        "version" => {
            supposed.version = match value {
                "1.0" => Version::HTTP_10,
                _ => Version::HTTP_2,
            }
        }
        "host" => value.clone_into(&mut supposed.authority),
        "tls" => {
            let host = supposed.authority.to_ascii_lowercase();
            let name = if value == "its-host" { &host } else { value };
            supposed.tls = Some(Some(name.into()));
            supposed.local = addresses.https;
        }
        "tls-to-http" => supposed.tls = Some(Some(value.into())),
        "plain-to-https" => supposed.local = addresses.https,
        "port" => supposed.local.set_port(value.parse().unwrap()),
        "target" => value.clone_into(&mut supposed.target),
        "method" => value.clone_into(&mut supposed.method),
        "fields" => {
            let fields = value.split(' ').map(|field| field.split_once(':').unwrap());
            add(supposed, &fields.collect::<Vec<_>>());
        }
        "from" => supposed.peer = value.parse().unwrap(),
        "sign" => sign(supposed, value),
        "forge" => {
            sign(supposed, value);
            supposed.target.push_str("other");
        }
        _ => panic!("`{variation}`"),
    }
}

fn add(supposed: &mut Supposed, fields: &[(&str, &str)]) {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    supposed.fields.extend(fields.iter().map(owned));
}

/// Signs with header fields, payload not included. Spec: "Create a signed AWS API request".
fn sign(supposed: &mut Supposed, key: &str) {
    let secret = include_str!("../../../../testdata/explain/world/secret");
    let stamp = time::OffsetDateTime::from(supposed.at);
    let day = format!(
        "{:04}{:02}{:02}",
        stamp.year(),
        stamp.month() as u8,
        stamp.day()
    );
    let (hour, minute, second) = stamp.to_hms();
    let time = format!("{day}T{hour:02}{minute:02}{second:02}Z");
    let scope = format!("{day}/us-west-2/vpc-lattice-svcs/aws4_request");
    let (path, query) = supposed
        .target
        .split_once('?')
        .unwrap_or((&supposed.target, ""));
    let path = path
        .replace('{', "%7B")
        .replace('}', "%7D")
        .replace('|', "%7C")
        .replace('<', "%3C");
    let signed = "host;x-amz-content-sha256;x-amz-date";
    let canonical = format!(
        "{}\n{path}\n{query}\nhost:{}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{time}\n\n{signed}\nUNSIGNED-PAYLOAD",
        supposed.method, supposed.authority
    );
    let digest = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
    let derived = scope
        .split('/')
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| {
            mac(&key, part)
        });
    let signature = hex(&mac(&derived, &text));
    add(
        supposed,
        &[
            ("x-amz-date", &time),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            (
                "authorization",
                &format!(
                    "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={signed}, Signature={signature}"
                ),
            ),
        ],
    );
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
