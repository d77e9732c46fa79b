//! Large bodies: whole in both directions, over every protocol.

use bytes::Bytes;
use serde_json::json;
use trellis_tests::{Reply, Request, Setup, Target, Via};

/// Beyond every buffer and window on the way.
const LARGE: usize = 8 * 1024 * 1024;

/// Bytes that show where they come from: no piece can be lost, doubled or exchanged unseen.
fn pattern() -> Bytes {
    let words = (0..LARGE / 8).flat_map(|number| {
        (number as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_le_bytes()
    });
    words.collect::<Vec<u8>>().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_arrive_whole_in_both_directions() {
    let body = pattern();
    for version in ["HTTP1", "HTTP2"] {
        let expected = body.clone();
        let target = Target::answering(move |seen| {
            assert!(seen.complete && seen.body == expected);
            Reply::new(200, seen.body.clone())
        })
        .await;
        let mut gateway = Setup::with_orders([&target])
            .set(
                "targetGroups.orders-targets.config.protocolVersion",
                json!(version),
            )
            .start()
            .await;
        for via in Via::ALL {
            if version == "HTTP2" && via.version() != http::Version::HTTP_2 {
                continue;
            }
            let answer = gateway
                .send(via, Request::post("orders.test", "/", body.clone()))
                .await;
            answer.has_status(200);
            assert!(answer.body == body, "{version} {via:?}");
            let record = gateway.record_of(&answer).await;
            assert!(record.number("bytesReceived") >= LARGE as u64);
            assert!(record.number("bytesSent") >= LARGE as u64);
        }
    }
}

/// Chunked in, chunked out: no length is known beforehand in either direction.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_unknown_length_arrive_whole() {
    let target = Target::answering(|seen| {
        let (reply, pieces) = Reply::new(200, "").streaming();
        let body = seen.body.clone();
        tokio::spawn(async move {
            for piece in body.chunks(10_000) {
                let piece = Bytes::copy_from_slice(piece);
                if pieces
                    .send(Ok(hyper::body::Frame::data(piece)))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
        reply
    })
    .await;
    let gateway = Setup::with_orders([&target]).start().await;
    let body = pattern().slice(..1_000_000);
    for via in Via::ALL {
        let (request, pieces) = Request::new("PUT", "orders.test", "/").streaming();
        let mut connection = gateway.connect(via, "orders.test").await;
        let pending = connection.start(request);
        for piece in body.chunks(33_333) {
            let piece = Bytes::copy_from_slice(piece);
            pieces
                .send(Ok(hyper::body::Frame::data(piece)))
                .await
                .unwrap();
        }
        drop(pieces);
        let answer = pending.answer().await.unwrap();
        assert!(answer.body == body, "{via:?}");
        assert!(target.seen().pop().unwrap().body == body, "{via:?}");
    }
}
