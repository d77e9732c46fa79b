//! The requests of an HTTP/2 connection, from their header blocks to whoever answers for them.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::h2::Opened;

/// Requests that wait to be accepted. The engine refuses those beyond its limit of streams, which is far lower; what a client opens
/// beyond this in one breath is refused without a record.
const WAITING: usize = 256;

/// Requests that the engine has not handed out yet, and those that it never will. Each leaves once, with one record.
#[derive(Debug, Default)]
pub(super) struct Openings(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    /// Those that the engine has got, oldest first, and whether it has reset them.
    waiting: VecDeque<(Opened, bool)>,
    refused: Vec<Opened>,
}

impl Openings {
    /// A header block was read.
    pub(super) fn open(&self, opened: Opened) {
        let mut lists = self.0.lock();
        if opened.fault.is_some() {
            lists.refused.push(opened);
        } else if lists.waiting.len() < WAITING {
            lists.waiting.push_back((opened, false));
        }
    }

    /// The engine has reset these streams.
    pub(super) fn reset(&self, streams: impl Iterator<Item = u32>) {
        let mut lists = self.0.lock();
        for stream in streams {
            let waiting = lists.waiting.iter_mut();
            for (_, reset) in waiting.filter(|(opened, _)| opened.stream == stream) {
                *reset = true;
            }
        }
    }

    /// The engine hands out the request with this method and path; without its number, which the engine does not tell. Requests
    /// that look the same are the same here.
    pub(super) fn accept(&self, method: &[u8], path: &[u8]) {
        let mut lists = self.0.lock();
        let fits = |(opened, _): &(Opened, bool)| {
            // CONNECT has no path.
            opened.method.as_deref() == Some(method)
                && opened.path.as_deref().is_none_or(|known| known == path)
        };
        if let Some(place) = lists.waiting.iter().position(fits) {
            lists.waiting.remove(place);
        }
    }

    /// The requests that were refused since the last call. To be asked only when the engine has handed out whatever it will.
    pub(super) fn refused(&self) -> Vec<Opened> {
        let mut lists = self.0.lock();
        let mut refused = std::mem::take(&mut lists.refused);
        lists.waiting.retain_mut(|(opened, reset)| {
            if *reset {
                refused.push(opened.clone());
            }
            !*reset
        });
        refused
    }

    /// Everything that is left when the connection has ended.
    pub(super) fn rest(&self) -> Vec<Opened> {
        let mut lists = self.0.lock();
        let mut rest = std::mem::take(&mut lists.refused);
        rest.extend(lists.waiting.drain(..).map(|(opened, _)| opened));
        rest
    }
}
