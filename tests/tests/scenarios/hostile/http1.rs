//! Over HTTP/1.1.

use trellis_tests::Target;

use super::{CLOSED, MALFORMED, Row, SILENT, Then, alike, begun, check};

fn lines(count: usize, length: usize) -> String {
    let value = "x".repeat(length);
    (0..count).fold(String::new(), |text, number| {
        text + &format!("x-{number}: {value}\r\n")
    })
}

/// Nothing of an answer has come, or nothing that is one.
fn unanswered() -> impl Iterator<Item = Row> {
    let head = "HTTP/1.1 200 OK\r\n";
    let many = format!("{head}{}Content-Length: 0\r\n\r\n", lines(300, 1));
    let large = format!("{head}{}Content-Length: 0\r\n\r\n", lines(200, 8192));
    let negative = format!("{head}Content-Length: -1\r\n\r\n");
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    let pointless = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(40);
    let stops = || ("stops in its head", b"HTTP/1.1 200 O".to_vec());
    let nothing = || ("says nothing", Vec::new());
    alike(SILENT, Then::Hang, [nothing(), stops()])
        .chain(alike(CLOSED, Then::HalfClose, [nothing(), stops()]))
        .chain(alike(CLOSED, Then::Close, [nothing(), stops()]))
        .chain(alike(CLOSED, Then::Reset, [nothing(), stops()]))
        .chain(alike(
            MALFORMED,
            Then::Hang,
            [
                ("speaks TLS", b"\x15\x03\x03\0\x02\x02\x28\r\n\r\n".to_vec()),
                ("speaks HTTP/2", b"\0\0\x12\x04\0\0\0\0\0\r\n\r\n".to_vec()),
                ("has too many header fields", many.into()),
                ("has too large a head", large.into()),
                ("has a negative length", negative.into()),
                ("switches protocols unasked", switch.into()),
                ("never comes to the point", pointless.into()),
            ],
        ))
}

/// The head has gone to the client, who learns of the rest by the missing end.
fn broken_off() -> impl Iterator<Item = Row> {
    let head = "HTTP/1.1 200 OK\r\n";
    let lies = move || {
        let says = format!("{head}Content-Length: 9\r\n\r\nshort");
        ("announces more than it says", says.into_bytes())
    };
    let chunked = move |rest: &str| {
        let says = format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n{rest}");
        ("stops in its chunks", says.into_bytes())
    };
    let nonsense = ("has a chunk of nonsense", chunked("zz\r\n").1);
    alike(begun(SILENT), Then::Hang, [lies(), chunked("")])
        .chain(alike(begun(CLOSED), Then::HalfClose, [lies(), chunked("")]))
        .chain(alike(begun(CLOSED), Then::Close, [lies(), chunked("")]))
        .chain(alike(begun(CLOSED), Then::Reset, [lies(), chunked("")]))
        .chain(alike(begun(MALFORMED), Then::Hang, [nonsense]))
}

#[tokio::test(flavor = "multi_thread")]
async fn http1_targets_that_misbehave_have_a_status_and_leave_nothing() {
    let mut targets = Vec::new();
    for row in unanswered().chain(broken_off()) {
        let (says, then) = (row.says.clone(), row.then);
        let target = Target::scripted(move |mut raw, _| {
            let says = says.clone();
            async move {
                raw.read_head().await;
                // A gateway that has seen enough may not wait for the rest.
                let _ = raw.try_send(says).await;
                then.play(raw).await;
            }
        })
        .await;
        targets.push((row, target));
    }
    check(targets, "HTTP1").await;
}
