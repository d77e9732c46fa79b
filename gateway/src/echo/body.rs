//! The bodies of an echo's answers.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{sync::mpsc, time::Sleep};

/// Largest piece of a body handed over at once.
const PIECE: usize = 16 * 1024;

/// Wait before a death, in which what was written so far leaves the process; the server would drop it otherwise.
const LAST_PAUSE: Duration = Duration::from_millis(10);

/// What bodies of any length are made of: lines of 64 bytes, so that they are pleasant to look at.
static FILLER: [u8; PIECE] = filler();

const fn filler() -> [u8; PIECE] {
    let line = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
    let mut filler = [0; PIECE];
    let mut at = 0;
    while at < PIECE {
        #[expect(
            clippy::indexing_slicing,
            reason = "evaluated at compile time, where an index out of range does not compile"
        )]
        {
            filler[at] = line[at % line.len()];
        }
        at += 1;
    }
    filler
}

/// The answer ends here, as asked for by `close`.
#[derive(Debug)]
pub(super) struct Died;

impl fmt::Display for Died {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller asked for an answer that dies")
    }
}

impl std::error::Error for Died {}

/// Body of an answer.
pub(super) enum Answer {
    /// Nothing, and no length either: the head alone ends the stream.
    Empty,
    /// Written piece by piece.
    Pieces(Pieces),
    /// Whatever a task sends.
    Frames(mpsc::Receiver<Frame<Bytes>>),
}

/// Does the head announce the length?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Framing {
    /// `Content-Length`.
    #[default]
    Sized,
    /// Chunked, or the end of the HTTP/2 stream.
    Streamed,
}

/// A body of known content, written as slowly and ended as badly as asked for.
pub(super) struct Pieces {
    content: Content,
    framing: Framing,
    pace: Option<Duration>,
    pause: Option<Pin<Box<Sleep>>>,
    dies_after: Option<u64>,
    sent: u64,
    trailers: Option<HeaderMap>,
}

/// What a body consists of.
pub(super) enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// So many bytes of [`FILLER`].
    Filler(u64),
}

impl Content {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Filler(length) => *length,
        }
    }

    /// Takes at most `most` bytes off the front.
    fn take(&mut self, most: usize) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.split_to(most.min(bytes.len())),
            Self::Filler(length) => {
                let size = usize::try_from(*length).map_or(most, |length| length.min(most));
                *length -= size as u64;
                Bytes::from_static(FILLER.get(..size).unwrap_or(&FILLER))
            }
        }
    }
}

impl Pieces {
    pub(super) fn new(content: Content) -> Self {
        Self {
            content,
            framing: Framing::Sized,
            pace: None,
            pause: None,
            dies_after: None,
            sent: 0,
            trailers: None,
        }
    }

    pub(super) fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Waits so long before each piece but the first.
    pub(super) fn pace(mut self, pace: Option<Duration>) -> Self {
        self.pace = pace;
        self
    }

    /// Dies when half of the content is written.
    pub(super) fn dies(mut self) -> Self {
        self.dies_after = Some(self.content.length() / 2);
        self
    }

    pub(super) fn trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// Largest next piece: at least four pieces per body where they are paced, never past the point of death.
    fn most(&self) -> usize {
        let quarter =
            usize::try_from((self.sent + self.content.length()).div_ceil(4)).unwrap_or(PIECE);
        let most = if self.pace.is_some() {
            quarter.clamp(1, PIECE)
        } else {
            PIECE
        };
        match self.dies_after {
            None => most,
            Some(end) => usize::try_from(end - self.sent).map_or(most, |left| left.min(most)),
        }
    }
}

impl Pieces {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Died>>> {
        if let Some(pause) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        if self.dies_after.is_some_and(|end| self.sent >= end) {
            return Poll::Ready(Some(Err(Died)));
        }
        let piece = self.content.take(self.most());
        if piece.is_empty() {
            return Poll::Ready(
                self.trailers
                    .take()
                    .map(|trailers| Ok(Frame::trailers(trailers))),
            );
        }
        self.sent += piece.len() as u64;
        let dying = self.dies_after.is_some_and(|end| self.sent >= end);
        let pause = if dying {
            self.pace.max(Some(LAST_PAUSE))
        } else {
            self.pace
        };
        self.pause = pause.map(|pause| Box::pin(tokio::time::sleep(pause)));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Died;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Died>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Pieces(pieces) => pieces.poll(context),
            Self::Frames(frames) => frames.poll_recv(context).map(|frame| frame.map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Pieces(pieces) => {
                pieces.content.length() == 0
                    && pieces.trailers.is_none()
                    && pieces.dies_after.is_none()
            }
            Self::Frames(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Pieces(pieces) if pieces.framing == Framing::Sized => {
                SizeHint::with_exact(pieces.content.length())
            }
            _ => SizeHint::default(),
        }
    }
}
