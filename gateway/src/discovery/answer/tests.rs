//! What answers say, honest and hostile ones.

use hickory_proto::{
    op::{Message, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME, NS, SOA},
    },
};

use super::{ALIASES, DiscoveryError, Reading, read};

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// `a NAME TTL ADDRESS`, `aaaa …`, `cname NAME TTL NAME`; `soa TTL MINIMUM` and `ns` are of the authority section; `nxdomain`, `servfail`,
/// `refused` and `truncated` of the header.
fn message(text: &str) -> Message {
    let mut message = Message::response(7, OpCode::Query);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let record = |data| {
            let ttl = words[2].parse().unwrap();
            Record::from_rdata(name(words[1]), ttl, data)
        };
        let root = Name::root();
        match words[0] {
            "a" => message.add_answer(record(RData::A(A(words[3].parse().unwrap())))),
            "aaaa" => message.add_answer(record(RData::AAAA(AAAA(words[3].parse().unwrap())))),
            "cname" => message.add_answer(record(RData::CNAME(CNAME(name(words[3]))))),
            "soa" => {
                let minimum = words[2].parse().unwrap();
                let soa = SOA::new(root.clone(), root.clone(), 1, 1, 1, 1, minimum);
                let ttl = words[1].parse().unwrap();
                message.add_authority(Record::from_rdata(root, ttl, RData::SOA(soa)))
            }
            "ns" => {
                let data = RData::NS(NS(name("elsewhere.test.")));
                message.add_authority(Record::from_rdata(root, 60, data))
            }
            code => {
                match code {
                    "nxdomain" => message.metadata.response_code = ResponseCode::NXDomain,
                    "servfail" => message.metadata.response_code = ResponseCode::ServFail,
                    "refused" => message.metadata.response_code = ResponseCode::Refused,
                    "odd" => message.metadata.response_code = ResponseCode::from(0, 14),
                    "truncated" => message.metadata.truncation = true,
                    other => panic!("{other}"),
                }
                &mut message
            }
        };
    }
    message
}

/// The reading in one line.
fn said(reading: Result<Reading, DiscoveryError>) -> String {
    match reading {
        Ok(Reading::Addresses { addresses, ttl }) => {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            format!("{} for {ttl}", addresses.join(" "))
        }
        Ok(Reading::Alias { name, ttl }) => format!("alias {name} for {ttl}"),
        Ok(Reading::NoName { ttl }) => format!("no name for {ttl:?}"),
        Ok(Reading::NoAddress { ttl }) => format!("no address for {ttl:?}"),
        Err(error) => format!("{}: {error}", error.label()),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let bytes = message(text).to_vec().unwrap();
    let reading = read(&bytes, &name("orders.test."), RecordType::A);
    assert_eq!(said(reading), expected, "{text}");
}

#[test]
fn addresses_count_for_the_shortest_time_on_the_way_to_them() {
    check("a orders.test. 30 10.0.0.1", "10.0.0.1 for 30");
    check(
        "a ORDERS.test. 30 10.0.0.2\na orders.test. 20 10.0.0.1",
        "10.0.0.2 10.0.0.1 for 20",
    );
    check(
        "cname orders.test. 300 a.test.\ncname a.test. 5 b.test.\na b.test. 60 10.0.0.1",
        "10.0.0.1 for 5",
    );
    // In whatever order a server puts them.
    check(
        "a b.test. 60 10.0.0.1\ncname a.test. 5 b.test.\ncname orders.test. 300 a.test.",
        "10.0.0.1 for 5",
    );
    check("a orders.test. 0 10.0.0.1", "10.0.0.1 for 0");
}

#[test]
fn what_was_not_asked_for_is_not_taken() {
    check(
        "a orders.test. 30 10.0.0.1\na evil.test. 1 10.6.6.6\naaaa orders.test. 1 fd00::1",
        "10.0.0.1 for 30",
    );
    check("a evil.test. 30 10.6.6.6", "no address for None");
    check(
        "cname orders.test. 30 a.test.\na orders.test. 30 10.0.0.1",
        "alias a.test. for 30",
    );
}

#[test]
fn nothing_is_told_from_a_failure() {
    check("nxdomain", "no name for None");
    check("nxdomain\nsoa 300 60", "no name for Some(60)");
    check("soa 30 60", "no address for Some(30)");
    check("", "no address for None");
    check("aaaa orders.test. 30 fd00::1", "no address for None");
    check(
        "cname orders.test. 9 a.test.\nnxdomain\nsoa 5 5",
        "no name for Some(5)",
    );
    check("cname orders.test. 9 a.test.", "alias a.test. for 9");
    check(
        "ns",
        "malformed: the DNS server gave a referral to other servers: this one does not ask them itself",
    );
    check("ns\nsoa 30 60", "no address for Some(30)");
    check(
        "servfail\na orders.test. 30 10.0.0.1",
        "server_failure: the DNS server answers Server Failure",
    );
    check(
        "refused",
        "server_failure: the DNS server answers Query Refused",
    );
    check(
        "truncated\na orders.test. 30 10.0.0.1",
        "malformed: the DNS server gave half an answer",
    );
}

#[test]
fn aliases_end() {
    let looped =
        "malformed: the DNS server gave an alias that leads back to itself, or too many in a row";
    check("cname orders.test. 9 orders.test.", looped);
    check(
        "cname orders.test. 9 a.test.\ncname a.test. 9 ORDERS.test.",
        looped,
    );
    let chain = |length: usize| {
        let link = |number: usize| {
            let from = if number == 0 {
                "orders".to_owned()
            } else {
                format!("a{number}")
            };
            format!("cname {from}.test. 9 a{}.test.\n", number + 1)
        };
        let links: String = (0..length).map(link).collect();
        format!("{links}a a{length}.test. 9 10.0.0.1")
    };
    check(&chain(ALIASES), "10.0.0.1 for 9");
    check(&chain(ALIASES + 1), looped);
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let whole = message("cname orders.test. 9 a.test.\na a.test. 9 10.0.0.1\nsoa 1 1");
    let whole = whole.to_vec().unwrap();
    let asked = name("orders.test.");
    for position in 0..whole.len() {
        let cut = &whole[..position];
        let unreadable = read(cut, &asked, RecordType::A);
        assert!(
            matches!(unreadable, Err(DiscoveryError::Malformed(_))),
            "{position}"
        );
        for bit in 0..8 {
            let mut bent = whole.clone();
            bent[position] ^= 1 << bit;
            // Whatever it says, of all addresses only those in the message.
            if let Ok(Reading::Addresses { addresses, .. }) = read(&bent, &asked, RecordType::A) {
                assert!(addresses.len() <= 1, "{position} {bit}");
            }
        }
    }
}
