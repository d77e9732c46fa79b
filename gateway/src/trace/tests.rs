//! What requests say about traces: each format, and what is no such format.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use trellis_model::config::TraceSettings;

use super::{End, Format, Kept, Recording, read, write};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Fields, a line each.
fn headers(text: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value.trim()).unwrap(),
        );
    }
    headers
}

/// `format trace parent sampled`, or nothing.
fn told(text: &str) -> Option<String> {
    let incoming = read(&headers(text))?;
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    Some(format!(
        "{:?} {} {} {}",
        incoming.format,
        or(incoming.trace.map(|id| id.to_string())),
        or(incoming.parent.map(|id| id.to_string())),
        or(incoming.sampled.map(|sampled| sampled.to_string())),
    ))
}

fn check(text: &str, wanted: &str) {
    assert_eq!(told(text).as_deref(), Some(wanted), "{text}");
}

fn check_nothing(texts: &[&str]) {
    for text in texts {
        assert_eq!(told(text), None, "{text}");
    }
}

/// Spec: W3C Trace Context, level 1, §3.2; the refused ones are those of its test suite, `test_traceparent_*`.
#[test]
fn w3c_trace_context() {
    let sampled = &format!("W3c {TRACE} 00f067aa0ba902b7 true");
    let unsampled = &format!("W3c {TRACE} 00f067aa0ba902b7 false");
    for (value, wanted) in [
        (format!("00-{TRACE}-00f067aa0ba902b7-01"), sampled),
        (format!("00-{TRACE}-00f067aa0ba902b7-00"), unsampled),
        // Flags of later levels say nothing about sampling.
        (format!("00-{TRACE}-00f067aa0ba902b7-fe"), unsampled),
        (format!("00-{TRACE}-00f067aa0ba902b7-ff"), sampled),
        (format!("cc-{TRACE}-00f067aa0ba902b7-01"), sampled),
        (
            format!("cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-holds"),
            sampled,
        ),
    ] {
        check(&format!("traceparent: {value}"), wanted);
    }
    for value in [
        "",
        "-",
        "00",
        "00-",
        &format!("00-{TRACE}-00f067aa0ba902b7"),
        &format!("00-{TRACE}-00f067aa0ba902b7-"),
        &format!("00-{TRACE}-00f067aa0ba902b7-0"),
        &format!("00-{TRACE}-00f067aa0ba902b7-011"),
        &format!("00-{TRACE}-00f067aa0ba902b7-01-"),
        &format!("00-{TRACE}-00f067aa0ba902b7-01.what"),
        &format!("cc-{TRACE}-00f067aa0ba902b7-01.what"),
        &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
        &format!("0-{TRACE}-00f067aa0ba902b7-01"),
        &format!("000-{TRACE}-00f067aa0ba902b7-01"),
        &format!(".0-{TRACE}-00f067aa0ba902b7-01"),
        &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
        &format!("00-{TRACE}-0000000000000000-01"),
        &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
        &format!("00-{TRACE}-00F067AA0BA902B7-01"),
        &format!("00-{TRACE}-00f067aa0ba902b7-0x"),
        &format!("00_{TRACE}_00f067aa0ba902b7_01"),
        &format!("00-{TRACE}0-0f067aa0ba902b7-01"),
        "00-.bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        check_nothing(&[&format!("traceparent: {value}")]);
    }
}

#[test]
fn b3_in_one_field() {
    for (value, wanted) in [
        (
            format!("{TRACE}-00f067aa0ba902b7"),
            format!("B3 {TRACE} 00f067aa0ba902b7 -"),
        ),
        (
            format!("{TRACE}-00f067aa0ba902b7-1"),
            format!("B3 {TRACE} 00f067aa0ba902b7 true"),
        ),
        (
            format!("{TRACE}-00f067aa0ba902b7-d"),
            format!("B3 {TRACE} 00f067aa0ba902b7 true"),
        ),
        (
            format!("{TRACE}-00f067aa0ba902b7-0-05e3ac9a4f6e3b90"),
            format!("B3 {TRACE} 00f067aa0ba902b7 false"),
        ),
        (
            "a3ce929d0e0e4736-00f067aa0ba902b7-1".to_owned(),
            "B3 0000000000000000a3ce929d0e0e4736 00f067aa0ba902b7 true".to_owned(),
        ),
        ("0".to_owned(), "B3 - - false".to_owned()),
        ("1".to_owned(), "B3 - - true".to_owned()),
    ] {
        check(&format!("b3: {value}"), &wanted);
    }
    for value in [
        "",
        "2",
        TRACE,
        &format!("{TRACE}-00f067aa0ba902b7-2"),
        &format!("{TRACE}-00f067aa0ba902b7-"),
        &format!("{TRACE}-00f067aa0ba902b7-1-05e3ac9a4f6e3b9"),
        &format!("{TRACE}-00f067aa0ba902b7-1-05e3ac9a4f6e3b90-1"),
        &format!("{}-00f067aa0ba902b7-1", TRACE.to_uppercase()),
        "0000000000000000-00f067aa0ba902b7-1",
        "4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-1",
    ] {
        check_nothing(&[&format!("b3: {value}")]);
    }
}

#[test]
fn b3_in_several_fields() {
    let ids = format!("x-b3-traceid: {TRACE}\nx-b3-spanid: 00f067aa0ba902b7\n");
    for (more, sampled) in [
        ("", "-"),
        ("x-b3-sampled: 1", "true"),
        ("x-b3-sampled: 0", "false"),
        ("x-b3-sampled: true", "true"),
        ("x-b3-sampled: perhaps", "-"),
        ("x-b3-sampled: 0\nx-b3-flags: 1", "true"),
        ("x-b3-flags: 0", "-"),
        ("x-b3-parentspanid: 05e3ac9a4f6e3b90", "-"),
    ] {
        let wanted = format!("B3Multi {TRACE} 00f067aa0ba902b7 {sampled}");
        check(&format!("{ids}{more}"), &wanted);
    }
    check("x-b3-sampled: 0", "B3Multi - - false");
    check_nothing(&[
        "x-b3-spanid: 00f067aa0ba902b7",
        "x-b3-flags: 0",
        "x-b3-sampled: yes",
        &format!("x-b3-traceid: {TRACE}\nx-b3-sampled: 1"),
        &format!("{ids}x-b3-traceid: {TRACE}"),
        "x-b3-traceid: short\nx-b3-spanid: 00f067aa0ba902b7",
    ]);
}

#[test]
fn trace_ids_of_load_balancers() {
    let root = "1-5759e988-bd862e3fe1be46a994272793";
    let trace = "5759e988bd862e3fe1be46a994272793";
    for (value, wanted) in [
        (format!("Root={root}"), format!("Amazon {trace} - -")),
        (
            format!("Root={root};Parent=53995c3f42cd8ad8;Sampled=1"),
            format!("Amazon {trace} 53995c3f42cd8ad8 true"),
        ),
        (
            format!("Self=1-67891234-12456789abcdef012345678; Sampled=0; Root={root};"),
            format!("Amazon {trace} - false"),
        ),
        (
            format!("Root={root};Sampled=?;Lineage=a87bd80c:0|68fd508a:5"),
            format!("Amazon {trace} - -"),
        ),
    ] {
        check(&format!("x-amzn-trace-id: {value}"), &wanted);
    }
    for value in [
        "",
        root,
        "Sampled=1",
        "Root=2-5759e988-bd862e3fe1be46a994272793",
        "Root=1-5759e988-bd862e3fe1be46a99427279",
        "Root=1-5759e988bd862e3fe1be46a994272793",
        "Root=1-5759E988-bd862e3fe1be46a994272793",
        "Root=1-00000000-000000000000000000000000",
        &format!("Root={root};Root={root}"),
        &format!("Root={root};Parent=1"),
        &format!("Root={root};Parent=0000000000000000"),
        &format!("Root={root};Sampled=2"),
        &format!("Root={root};junk"),
        &format!("Root={root};x={}", "y".repeat(512)),
    ] {
        check_nothing(&[&format!("x-amzn-trace-id: {value}")]);
    }
}

#[test]
fn the_first_format_that_can_be_read_wins() {
    let w3c = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01");
    let b3 = "b3: a3ce929d0e0e4736-00f067aa0ba902b7-1";
    let multi = "x-b3-traceid: b3ce929d0e0e4736\nx-b3-spanid: 00f067aa0ba902b7";
    let amazon = "x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793";
    for (fields, format) in [
        (format!("{amazon}\n{multi}\n{b3}\n{w3c}"), Format::W3c),
        (format!("{amazon}\n{multi}\n{b3}"), Format::B3),
        (format!("{amazon}\n{multi}"), Format::B3Multi),
        (amazon.to_owned(), Format::Amazon),
        // What cannot be read counts as absent, and so does what is there twice.
        (format!("{amazon}\n{w3c}0"), Format::Amazon),
        (format!("{b3}\n{w3c}\n{w3c}"), Format::B3),
    ] {
        let incoming = read(&headers(&fields)).unwrap();
        assert_eq!(incoming.format, format, "{fields}");
    }
    check_nothing(&["host: a.test\naccept: */*\nx-amzn-requestid: 1", ""]);
}

proptest! {
    /// Whatever is read is an id that can be written, of a trace that exists.
    #[test]
    fn values_of_any_bytes_are_read_or_not(value in "[0-9a-fA-F;=RotParensmpld?-]{0,80}", which in 0..4_usize) {
        let name = ["traceparent", "b3", "x-b3-traceid", "x-amzn-trace-id"][which];
        let mut fields = HeaderMap::new();
        fields.insert(name, HeaderValue::from_str(&value).unwrap());
        fields.insert("x-b3-spanid", HeaderValue::from_static("00f067aa0ba902b7"));
        if let Some(incoming) = read(&fields) {
            for id in [incoming.trace.map(|id| id.to_string()), incoming.parent.map(|id| id.to_string())].into_iter().flatten() {
                prop_assert!(id.bytes().any(|byte| byte != b'0'));
            }
        }
    }
}

fn settings() -> TraceSettings {
    TraceSettings {
        follow_parent: true,
        one_in: 0,
        errors: false,
        slower_than: None,
        propagate: vec![Format::W3c],
    }
}

/// A recording of a request with these fields; ids count from `1` on.
fn recording(fields: &str, settings: &TraceSettings) -> Option<Box<Recording>> {
    let (headers, mut next) = (headers(fields), 0);
    Recording::begin(settings, read(&headers), &headers, || {
        next += 1;
        next
    })
}

/// What a target gets after one attempt, sorted.
fn target_gets(fields: &str, settings: &TraceSettings) -> String {
    let mut headers = headers(fields);
    if let Some(mut recording) = recording(fields, settings) {
        recording.attempt(None, 0xabc);
        recording.tell(&mut headers, settings);
    }
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    lines.join("\n")
}

/// (parent, one in, errors, client's word) → why it is kept: at once, when it failed.
#[test]
fn requests_are_kept_by_parent_chance_and_outcome() {
    let sampled = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01");
    let unsampled = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-00");
    for (follow_parent, one_in, errors, fields, early, late) in [
        (
            true,
            0,
            false,
            &sampled,
            Some(Kept::Parent),
            Some(Kept::Parent),
        ),
        (true, 1, true, &unsampled, None, None),
        (true, 0, true, &String::new(), None, Some(Kept::Error)),
        (
            true,
            1,
            false,
            &String::new(),
            Some(Kept::Sampled),
            Some(Kept::Sampled),
        ),
        (true, 0, false, &String::new(), None, None),
        (false, 0, false, &sampled, None, None),
        (false, 0, true, &sampled, None, Some(Kept::Error)),
        (
            false,
            1,
            false,
            &unsampled,
            Some(Kept::Sampled),
            Some(Kept::Sampled),
        ),
        (
            true,
            0,
            true,
            &"b3: 1".to_owned(),
            Some(Kept::Parent),
            Some(Kept::Parent),
        ),
        (true, 1, true, &"b3: 0".to_owned(), None, None),
    ] {
        let settings = TraceSettings {
            follow_parent,
            one_in,
            errors,
            ..settings()
        };
        let recording = recording(fields, &settings);
        let kept = |failed| recording.as_ref()?.kept(failed && errors, false);
        assert_eq!(
            (kept(false), kept(true)),
            (early, late),
            "{fields} {settings:?}"
        );
    }
}

#[test]
fn one_of_so_many_is_sampled() {
    let settings = TraceSettings {
        one_in: 10,
        ..settings()
    };
    let none = HeaderMap::new();
    let sampled = (0..1000_u64).filter(|roll| {
        let recording = Recording::begin(&settings, None, &none, || *roll);
        recording.is_some()
    });
    assert_eq!(sampled.count(), 100);
}

#[test]
fn targets_are_told_as_clients_did_and_as_the_configuration_says() {
    let own = "traceparent: 00-00000000000000020000000000000003-0000000000000abc-01";
    let all = TraceSettings {
        one_in: 1,
        propagate: vec![Format::W3c, Format::B3, Format::B3Multi, Format::Amazon],
        ..settings()
    };
    assert_eq!(
        target_gets("", &all),
        format!(
            "b3: 00000000000000020000000000000003-0000000000000abc-1-0000000000000004\n{own}\n\
             x-amzn-trace-id: Root=1-00000000-000000020000000000000003;Parent=0000000000000abc;Sampled=1\n\
             x-b3-parentspanid: 0000000000000004\nx-b3-sampled: 1\nx-b3-spanid: 0000000000000abc\n\
             x-b3-traceid: 00000000000000020000000000000003"
        )
    );
    let w3c = TraceSettings {
        one_in: 1,
        ..settings()
    };
    for (fields, wanted) in [
        ("", own.to_owned()),
        // Who told in B3 is told on in B3 as well.
        (
            &*format!("b3: {TRACE}-00f067aa0ba902b7-1"),
            format!(
                "b3: {TRACE}-0000000000000abc-1-0000000000000001\ntraceparent: 00-{TRACE}-0000000000000abc-01"
            ),
        ),
        (
            &*format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\ntracestate: a=1,b@c=2"),
            format!("traceparent: 00-{TRACE}-0000000000000abc-01\ntracestate: a=1,b@c=2"),
        ),
        // Spec: W3C Trace Context §3.3: a state without a trace, or a malformed one, goes no further.
        ("tracestate: a=1", own.to_owned()),
        (
            &*format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\ntracestate: a=1,=2"),
            format!("traceparent: 00-{TRACE}-0000000000000abc-01"),
        ),
    ] {
        assert_eq!(target_gets(fields, &w3c), wanted, "{fields}");
    }
}

/// VPC Lattice touches none of these fields.
#[test]
fn fields_of_a_request_that_is_not_traced_go_on_as_they_came() {
    let fields = format!(
        "b3: broken\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-00\ntracestate: =\nx-amzn-trace-id: Root=what"
    );
    for settings in [
        settings(),
        TraceSettings {
            one_in: 1,
            errors: true,
            ..settings()
        },
    ] {
        assert_eq!(target_gets(&fields, &settings), fields, "{settings:?}");
    }
    // It may be kept should it fail, which its target need not know.
    let perhaps = TraceSettings {
        errors: true,
        ..settings()
    };
    assert_eq!(target_gets("host: a", &perhaps), "host: a");
}

#[test]
fn attempts_are_noted_up_to_a_bound() {
    let settings = TraceSettings {
        one_in: 1,
        ..settings()
    };
    let mut recording = recording("", &settings).unwrap();
    let positions: Vec<usize> = (0..20).map(|roll| recording.attempt(None, roll)).collect();
    assert_eq!(positions[..3], [0, 1, 2]);
    assert_eq!((positions[15], positions[19]), (15, 15));
    assert_eq!(recording.attempts.len(), 16);
    // The first thing that became of an attempt counts.
    let now = std::time::Instant::now();
    recording.end(1, End::Answered(now, 503));
    recording.end(1, End::Failed(now, "TargetDataTimeout"));
    recording.end(99, End::Failed(now, "TargetDataTimeout"));
    assert_eq!(recording.attempts[1].end, End::Answered(now, 503));
}

/// Spec: W3C Trace Context §3.3.1.
#[test]
fn trace_states_are_passed_on_whole_or_not_at_all() {
    let long = format!("a={},c={}", "b".repeat(252), "d".repeat(255));
    let many = |count: usize| {
        (0..count)
            .map(|n| format!("k{n}=v"))
            .collect::<Vec<_>>()
            .join(",")
    };
    for (value, passes) in [
        ("a=1", true),
        ("a=1, b=2,", true),
        ("fw529a3039@dt=FfAAAA; x", true),
        (&*many(32), true),
        (&*many(33), false),
        (&*long, true),
        (&*format!("{long}b"), false),
        ("", false),
        ("a", false),
        ("=1", false),
        ("a=", false),
        ("A=1", false),
        ("a=1=2", false),
    ] {
        let headers = headers(&format!("tracestate: {value}"));
        assert_eq!(write::state(&headers).is_some(), passes, "{value}");
    }
}
