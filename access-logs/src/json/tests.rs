//! The encoding: golden records of every outcome, and hostile input.

use std::{
    env, fs,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use proptest::prelude::*;
use serde_json::Value;
use trellis_model::{
    config::RulePriority,
    id::{ListenerId, RuleId},
    record::Kind,
};

use super::*;
use crate::{
    encode_json,
    record::{Additions, CallerCertificate, Phase, Tls},
    shape::{Encoder, Shape},
};

const NETWORK: &str =
    "arn:aws:vpc-lattice:eu-west-1:111122223333:servicenetwork/sn-0123456789abcdef0";
const SERVICE: &str = "arn:aws:vpc-lattice:eu-west-1:111122223333:service/svc-0123456789abcdef0";
const GROUP: &str = "arn:aws:vpc-lattice:eu-west-1:111122223333:targetgroup/tg-0123456789abcdef0";
const SOURCE_VPC: &str = "arn:aws:ec2:eu-west-1:111122223333:vpc/vpc-0123456789abcdef0";
const CALLER: &str = "arn:aws:sts::111122223333:assumed-role/client/i-0abc";
const HOST: &[u8] = b"rates-0123456789abcdef0.7d67968.vpc-lattice-svcs.eu-west-1.on.aws";
const REQUEST_ID: &[u8] = b"6f7f0b8e-4d1c-4c6e-9f59-0d6f1c3a2b11";

/// Facts that outlive the records of a test.
struct World {
    source_vpc: VpcId,
    target_vpc: VpcId,
    tags: Tags,
    rule: RuleId,
    listener: ListenerId,
}

impl World {
    fn new() -> Self {
        Self {
            source_vpc: "vpc-0123456789abcdef0".parse().unwrap(),
            target_vpc: "vpc-0fedcba9876543210".parse().unwrap(),
            tags: Tags::new([("team", "web"), ("note", "says \"hi\"")]).unwrap(),
            rule: "rule-00123456789abcdef".parse().unwrap(),
            listener: "listener-00123456789abcdef".parse().unwrap(),
        }
    }

    /// A signed request that was allowed, forwarded and answered.
    fn allowed(&self) -> Record<'_> {
        let start = UNIX_EPOCH + Duration::from_millis(1_767_266_920_750);
        Record {
            service_network_arn: Some(NETWORK),
            service_arn: Some(SERVICE),
            target_group_arn: Some(GROUP),
            listener_type: Some(ListenerProtocol::Https),
            listener_id: Some(self.listener),
            source_vpc_arn: Some(SOURCE_VPC),
            source_vpc_id: Some(&self.source_vpc),
            destination_vpc_id: Some(&self.target_vpc),
            target: Some(address("172.31.9.2:80")),
            duration: Duration::from_micros(23_900),
            request_to_target: Duration::from_millis(21),
            method: Some(b"GET"),
            path: Some(b"/"),
            protocol: Some(Protocol::Http11),
            host: Some(HOST),
            user_agent: Some(b"curl/8.5.0"),
            request_id: Some(REQUEST_ID),
            response_code: Some(200),
            bytes_received: 135,
            bytes_sent: 1247,
            tls: Some(Tls {
                version: "TLSv1.2",
                cipher: "ECDHE-RSA-AES128-GCM-SHA256",
                server_name: Some(HOST),
                resumed: false,
                group: None,
                alpn: None,
            }),
            resolved_user: ResolvedUser::Arn(CALLER),
            caller_principal: Some(CALLER),
            caller_principal_tags: Some(&self.tags),
            trellis: Additions {
                generation: 7,
                rule: Some((self.rule, RulePriority::new(10))),
                decision: Some(Decision::Allow),
                allowed_by: [Some("`Checkout`"), None, Some("statement 1"), None, None],
                identified_by: Some(IdentifiedBy::Signature),
                phases: phases(),
                choice: Some(("ROUND_ROBIN", "DRAW")),
                attempts: 1,
                bytes_to_target: 512,
                bytes_from_target: 1130,
                ..Additions::default()
            },
            ..Record::new(start, address("10.0.1.7:57086"))
        }
    }

    /// A request in the clear and without a signature that got as far as the policies.
    fn plain(&self) -> Record<'_> {
        Record {
            target_group_arn: None,
            destination_vpc_id: None,
            target: None,
            request_to_target: Duration::ZERO,
            duration: Duration::from_millis(1),
            tls: None,
            listener_type: Some(ListenerProtocol::Http),
            resolved_user: ResolvedUser::Anonymous,
            caller_principal: None,
            caller_principal_tags: None,
            bytes_sent: 412,
            trellis: Additions {
                generation: 7,
                rule: Some((self.rule, RulePriority::new(10))),
                ..Additions::default()
            },
            ..self.allowed()
        }
    }

    /// A request like that which this layer refused.
    fn denied(&self, reason: AuthDeniedReason, decision: Decision) -> Record<'_> {
        let plain = self.plain();
        Record {
            response_code: Some(403),
            failure: Some(FailureReason::ClientAccessDenied),
            auth_denied: Some(reason),
            trellis: Additions {
                decision: Some(decision),
                decided_layer: Some(reason.as_str()),
                ..plain.trellis
            },
            ..plain
        }
    }
}

fn phases() -> Phases {
    let mut phases = Phases::default();
    for (phase, micros) in [
        (Phase::Accept, 12),
        (Phase::Tls, 830),
        (Phase::Match, 3),
        (Phase::Authenticate, 40),
        (Phase::Authorize, 9),
        (Phase::Queue, 1),
        (Phase::Connect, 210),
        (Phase::FirstByte, 21_000),
        (Phase::Body, 2_637),
    ] {
        phases.add(phase, Duration::from_micros(micros));
    }
    phases
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn encode(record: &Record<'_>) -> String {
    let mut out = Vec::new();
    encode_json(record, &mut out);
    String::from_utf8(out).expect("records are UTF-8")
}

/// The one line as JSON, after looking at it as a line.
fn parse(line: &str) -> Value {
    let text = line.strip_suffix('\n').expect("a record ends its line");
    assert!(
        !text.contains(|c: char| c.is_control()),
        "control character in {text:?}"
    );
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Compares with `golden/<case>/record.jsonl`; `UPDATE_GOLDEN=1` writes it.
fn check_golden(case: &str, record: &Record<'_>) {
    let line = encode(record);
    parse(&line);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(case)
        .join("record.jsonl");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &line).unwrap();
    }
    let golden =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(line, golden, "{case}");
}

#[test]
fn an_allowed_request() {
    check_golden("allowed", &World::new().allowed());
}

#[test]
fn a_request_denied_by_the_service_policy() {
    let world = World::new();
    check_golden(
        "denied",
        &Record {
            trellis: Additions {
                rule: Some((world.rule, None)),
                decided_by: Some("`DenyWrites`"),
                candidate: Some(CandidateDecision {
                    denied: Some(AuthDeniedReason::Network),
                    decided_by: Some("statement 1"),
                }),
                ..world
                    .denied(AuthDeniedReason::Service, Decision::ExplicitDeny)
                    .trellis
            },
            ..world.denied(AuthDeniedReason::Service, Decision::ExplicitDeny)
        },
    );
}

#[test]
fn a_request_that_the_network_policy_does_not_allow() {
    let world = World::new();
    let record = world.denied(AuthDeniedReason::Network, Decision::ImplicitDeny);
    check_golden("denied-by-network", &record);
}

#[test]
fn a_session_that_its_permissions_boundary_keeps_out() {
    let world = World::new();
    let denied = world.denied(AuthDeniedReason::Identity, Decision::EvaluationFailed);
    check_golden(
        "denied-by-identity",
        &Record {
            resolved_user: ResolvedUser::Arn(CALLER),
            caller_principal: Some(CALLER),
            trellis: Additions {
                decided_layer: Some("PermissionsBoundary"),
                identified_by: Some(IdentifiedBy::Token),
                token_subject: Some("repo:shop/web"),
                ..denied.trellis
            },
            ..denied
        },
    );
}

#[test]
fn a_request_that_was_answered_at_the_third_attempt() {
    let world = World::new();
    let allowed = world.allowed();
    let attempt = |failure, status, micros| FailedAttempt {
        target: Some(address("172.31.9.3:80")),
        failure,
        status,
        time: Duration::from_micros(micros),
    };
    let mut phases = phases();
    phases.add(Phase::BackOff, Duration::from_millis(3));
    check_golden(
        "retried",
        &Record {
            trellis: Additions {
                attempts: 3,
                failed_attempts: &[
                    attempt(Some(FailureReason::TargetConnectionError), None, 180),
                    attempt(None, Some(503), 2_100),
                ],
                choice: Some(("MAGLEV", "HASH")),
                phases,
                ..allowed.trellis
            },
            ..allowed
        },
    );
}

/// The reasons that no other case has.
#[test]
fn every_reason_for_a_failure() {
    let world = World::new();
    for (case, failure, code) in [
        (
            "target-spoke-no-http",
            FailureReason::TargetProtocolError,
            Some(502),
        ),
        ("target-silent", FailureReason::TargetDataTimeout, Some(504)),
        (
            "connection-too-old",
            FailureReason::ConnectionDurationExceeded,
            None,
        ),
        ("gateway-at-fault", FailureReason::InternalError, Some(500)),
    ] {
        let record = Record {
            response_code: code,
            failure: Some(failure),
            ..world.allowed()
        };
        check_golden(case, &record);
    }
}

#[test]
fn a_request_with_a_wrong_signature() {
    let world = World::new();
    check_golden(
        "bad-signature",
        &Record {
            response_code: Some(403),
            failure: Some(FailureReason::ClientAccessDenied),
            resolved_user: ResolvedUser::Unknown,
            trellis: Additions {
                authentication_failure: Some(
                    "signature by access key `AKIAEXAMPLE` does not match the request",
                ),
                ..world.plain().trellis
            },
            ..world.plain()
        },
    );
}

#[test]
fn a_request_for_a_host_that_is_no_service() {
    let world = World::new();
    check_golden(
        "not-found",
        &Record {
            service_arn: None,
            listener_type: None,
            listener_id: None,
            host: Some(b"nobody.shop.test:8080"),
            response_code: Some(404),
            resolved_user: ResolvedUser::AuthOff,
            trellis: Additions {
                rule: None,
                ..world.plain().trellis
            },
            ..world.plain()
        },
    );
}

#[test]
fn a_request_for_a_group_without_targets() {
    let world = World::new();
    check_golden(
        "no-target",
        &Record {
            target_group_arn: Some(GROUP),
            destination_vpc_id: Some(&world.target_vpc),
            response_code: Some(503),
            failure: Some(FailureReason::TargetConnectionError),
            ..world.plain()
        },
    );
}

#[test]
fn a_target_that_died_in_the_middle_of_its_answer() {
    let world = World::new();
    check_golden(
        "target-died",
        &Record {
            response_from_target: Duration::from_millis(310),
            duration: Duration::from_millis(331),
            bytes_sent: 70_300,
            failure: Some(FailureReason::TargetConnectionClosed),
            trellis: Additions {
                fault: None,
                ..world.allowed().trellis
            },
            ..world.allowed()
        },
    );
}

#[test]
fn a_client_that_left_before_there_was_an_answer() {
    let world = World::new();
    check_golden(
        "client-gone",
        &Record {
            response_code: None,
            bytes_sent: 0,
            failure: Some(FailureReason::ClientConnectionClosed),
            ..world.allowed()
        },
    );
}

#[test]
fn a_grpc_call() {
    let world = World::new();
    check_golden(
        "grpc",
        &Record {
            method: Some(b"POST"),
            path: Some(b"/shop.Prices/Quote"),
            protocol: Some(Protocol::Http2),
            user_agent: Some(b"grpc-python/1.66.0 grpc-c/43.0.0 (linux; chttp2)"),
            grpc: Some(GrpcCode::Code(5)),
            tls: Some(Tls {
                version: "TLSv1.3",
                cipher: "TLS_AES_256_GCM_SHA384",
                server_name: Some(HOST),
                resumed: true,
                group: Some("X25519"),
                alpn: Some("h2"),
            }),
            ..world.allowed()
        },
    );
}

#[test]
fn a_request_that_was_not_http() {
    let start = UNIX_EPOCH + Duration::from_secs(1_767_266_920);
    check_golden(
        "malformed",
        &Record {
            service_network_arn: Some(NETWORK),
            response_code: Some(400),
            failure: Some(FailureReason::ClientProtocolError),
            bytes_received: 17,
            bytes_sent: 120,
            trellis: Additions {
                generation: 7,
                ..Additions::default()
            },
            ..Record::new(start, address("[2001:db8::7]:57086"))
        },
    );
}

#[test]
fn a_client_that_injects_and_floods() {
    let world = World::new();
    let mut agent =
        b"evil\r\n{\"serviceArn\":\"forged\"}\n\x1b[31m\x7f \xC2\x85 \xE2\x80\xAE \xff\xfe"
            .to_vec();
    agent.resize(60_000, b'A');
    check_golden(
        "hostile",
        &Record {
            user_agent: Some(&agent),
            path: Some(b"/\"};\\u0000\x00"),
            host: Some("b\u{fc}cher.test".as_bytes()),
            request_id: Some(&[b'"'; 600]),
            response_code: Some(404),
            ..world.plain()
        },
    );
}

#[test]
fn keys_stand_in_the_order_of_real_entries() {
    let world = World::new();
    let line = encode(&Record {
        grpc: Some(GrpcCode::Missing),
        ..world.allowed()
    });
    let Value::Object(object) = parse(&line) else {
        panic!("not an object")
    };
    let keys: Vec<&str> = object.keys().map(String::as_str).collect();
    assert_eq!(
        keys.join(" "),
        "serviceNetworkArn resolvedUser listenerType authDeniedReason targetGroupArn sourceVpcArn destinationVpcId \
         sourceIpPort listenerId targetIpPort failureReason serviceArn sourceVpcId startTime requestMethod requestPath \
         protocol responseCode grpcResponseCode bytesReceived bytesSent duration userAgent hostHeader \
         serverNameIndication requestToTargetDuration responseFromTargetDuration sslCipher tlsVersion callerPrincipal \
         callerPrincipalTags callerPrincipalOrgID callerX509IssuerOU callerX509SubjectCN callerX509SANDNS \
         callerX509SANURI callerX509SANNameCN requestId trellis"
    );
    // A gRPC answer without a status is a dash; any other answer has no such field at all.
    assert_eq!(object.get("grpcResponseCode"), Some(&Value::from("-")));
    assert!(
        parse(&encode(&world.allowed()))
            .get("grpcResponseCode")
            .is_none()
    );
}

/// The words of the types are those of the table of fields, from which schema and documentation are made.
#[test]
fn words_are_those_of_the_table() {
    #[track_caller]
    fn check<'w>(field: Field, words: impl IntoIterator<Item = &'w str>) {
        let Kind::Word(known) = field.description().kind else {
            panic!("{field:?} has no words")
        };
        let words: Vec<&str> = words.into_iter().collect();
        assert_eq!(words, known, "{field:?}");
    }
    check(
        Field::FailureReason,
        FailureReason::ALL.map(FailureReason::as_str),
    );
    check(
        Field::AuthDeniedReason,
        AuthDeniedReason::ALL.map(AuthDeniedReason::as_str),
    );
    check(
        Field::CandidateDeniedReason,
        AuthDeniedReason::ALL.map(AuthDeniedReason::as_str),
    );
    check(
        Field::IdentifiedBy,
        IdentifiedBy::ALL.map(IdentifiedBy::as_str),
    );
    check(Field::Decision, Decision::ALL.map(Decision::as_str));
    check(Field::DecidedLayer, LAYERS);
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/access-records.md");
    let page = fs::read_to_string(page).unwrap();
    for reason in FailureReason::ALL {
        let name = format!("`{}`", reason.as_str());
        assert!(page.contains(&name), "nothing of {reason:?}");
    }
}

#[test]
fn tags_are_json_inside_a_text() {
    let world = World::new();
    let record = parse(&encode(&world.allowed()));
    let inner: Value =
        serde_json::from_str(record["callerPrincipalTags"].as_str().unwrap()).unwrap();
    assert_eq!(
        inner,
        serde_json::json!({"team": "web", "note": "says \"hi\""})
    );
    assert_eq!(Tags::new([]), None);
}

#[test]
fn tags_over_the_cap_are_named_as_cut() {
    let world = World::new();
    let value = "v".repeat(MAX_TAGS);
    let tags = Tags::new([("long", value.as_str())]).unwrap();
    let record = parse(&encode(&Record {
        caller_principal_tags: Some(&tags),
        ..world.allowed()
    }));
    assert_eq!(record["callerPrincipalTags"], "-");
    assert_eq!(
        record["trellis"]["truncated"],
        serde_json::json!(["callerPrincipalTags"])
    );
}

#[test]
fn long_texts_are_cut_between_characters() {
    #[track_caller]
    fn check(path: &[u8], kept: usize) {
        let record = Record {
            path: Some(path),
            ..Record::new(UNIX_EPOCH, address("10.0.0.1:1"))
        };
        let record = parse(&encode(&record));
        assert_eq!(record["requestPath"].as_str().unwrap().len(), kept);
        let truncated = record["trellis"].get("truncated");
        assert_eq!(truncated.is_some(), path.len() > MAX_TEXT, "{truncated:?}");
    }
    check(&[b'a'; MAX_TEXT], MAX_TEXT);
    check(&[b'a'; MAX_TEXT + 1], MAX_TEXT);
    // Two bytes, two characters: the cut falls inside one, so one byte less is kept.
    check("a".repeat(MAX_TEXT - 1).as_bytes(), MAX_TEXT - 1);
    check(
        format!("{}é", "a".repeat(MAX_TEXT - 1)).as_bytes(),
        MAX_TEXT - 1,
    );
    check(
        format!("{}é!", "a".repeat(MAX_TEXT - 2)).as_bytes(),
        MAX_TEXT,
    );
    check(
        format!("{}🦀", "a".repeat(MAX_TEXT - 3)).as_bytes(),
        MAX_TEXT - 3,
    );
    // Not UTF-8 at all: every byte at the end of the kept part becomes one replacement character.
    check(&[0x80; MAX_TEXT + 1], MAX_TEXT * 3);
}

#[test]
fn addresses_are_written_as_users_write_them() {
    #[track_caller]
    fn check(source: &str, written: &str) {
        let record = parse(&encode(&Record::new(UNIX_EPOCH, address(source))));
        assert_eq!(record["sourceIpPort"], written);
        assert_eq!(record["targetIpPort"], "-");
    }
    check("10.0.1.7:57086", "10.0.1.7:57086");
    check("[2001:db8::7]:80", "[2001:db8::7]:80");
    check("[::ffff:10.0.1.7]:80", "10.0.1.7:80");
}

#[test]
fn timestamps_are_whole_seconds_in_utc() {
    #[track_caller]
    fn check(encoder: &mut Encoder, start: SystemTime, written: &str) {
        let mut out = Vec::new();
        let record = Record::new(start, address("10.0.0.1:1"));
        encoder.encode(&record, &Shape::default(), &mut out);
        let record = parse(std::str::from_utf8(&out).unwrap());
        assert_eq!(record["startTime"], written);
    }
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    // One encoder for all: what it remembers must not show.
    let mut encoder = Encoder::default();
    check(&mut encoder, at(0), "1970-01-01T00:00:00Z");
    check(&mut encoder, at(1_767_266_920), "2026-01-01T11:28:40Z");
    check(
        &mut encoder,
        at(1_767_266_920) + Duration::from_millis(999),
        "2026-01-01T11:28:40Z",
    );
    check(&mut encoder, at(1_767_266_921), "2026-01-01T11:28:41Z");
    check(&mut encoder, at(951_782_399), "2000-02-28T23:59:59Z");
    check(&mut encoder, at(951_868_799), "2000-02-29T23:59:59Z");
    check(
        &mut encoder,
        UNIX_EPOCH - Duration::from_secs(1),
        "1970-01-01T00:00:00Z",
    );
    check(&mut encoder, at(253_402_300_799), "9999-12-31T23:59:59Z");
    check(&mut encoder, at(253_402_300_800), "1970-01-01T00:00:00Z");
}

#[test]
fn the_longest_line_is_bounded() {
    let world = World::new();
    let worst = vec![0_u8; 100_000];
    let text = "\u{1}".repeat(100_000);
    let attempt = FailedAttempt {
        target: Some(address("[2001:db8:1111:2222:3333:4444:5555:6666]:65535")),
        failure: Some(FailureReason::ConnectionDurationExceeded),
        status: Some(599),
        time: Duration::MAX,
    };
    let names = CallerCertificate {
        issuer_ou: Some(&worst),
        subject_cn: Some(&worst),
        san_dns: Some(&worst),
        san_uri: Some(&worst),
        san_name_cn: Some(&worst),
    };
    let line = encode(&Record {
        service_network_arn: Some(&text),
        service_arn: Some(&text),
        target_group_arn: Some(&text),
        source_vpc_arn: Some(&text),
        method: Some(&worst),
        path: Some(&worst),
        host: Some(&worst),
        user_agent: Some(&worst),
        request_id: Some(&worst),
        resolved_user: ResolvedUser::Arn(&text),
        caller_principal: Some(&text),
        caller_organization: Some(&text),
        caller_certificate: Some(names),
        tls: Some(Tls {
            version: "TLSv1.3",
            cipher: "TLS_AES_256_GCM_SHA384",
            server_name: Some(&worst),
            resumed: true,
            group: Some("X25519"),
            alpn: Some("http/1.1"),
        }),
        trellis: Additions {
            authentication_failure: Some(&text),
            decided_by: Some(&text),
            allowed_by: [Some(&text); 5],
            candidate: Some(CandidateDecision {
                denied: Some(AuthDeniedReason::Service),
                decided_by: Some(&text),
            }),
            token_subject: Some(&text),
            fault: Some(&text),
            failed_attempts: &[attempt; 100],
            ..world.allowed().trellis
        },
        ..world.allowed()
    });
    let told = parse(&line);
    assert_eq!(
        told["trellis"]["failedAttempts"].as_array().unwrap().len(),
        MAX_ATTEMPTS
    );
    assert!(line.len() <= MAX_LINE, "{} bytes", line.len());
}

proptest! {
    #[test]
    fn whatever_clients_send_is_one_line_that_says_the_same(
        path in proptest::collection::vec(any::<u8>(), 0..300),
        agent in ".{0,300}",
    ) {
        let record = Record {
            path: Some(&path),
            user_agent: Some(agent.as_bytes()),
            ..Record::new(UNIX_EPOCH, address("10.0.0.1:1"))
        };
        let record = parse(&encode(&record));
        // The oracle: the standard library's reading of the bytes, and serde_json's reading of our line.
        let lossy: String = path
            .utf8_chunks()
            .flat_map(|chunk| {
                let end = if chunk.invalid().is_empty() { "" } else { "\u{FFFD}" };
                [chunk.valid(), end]
            })
            .collect();
        prop_assert_eq!(record["requestPath"].as_str(), Some(lossy.as_str()));
        prop_assert_eq!(record["userAgent"].as_str(), Some(agent.as_str()));
    }
}
