//! A long body on its way to a sibling over HTTP: it may take as long as it flows.
//!
//! The HTTP client's own limit for reading runs from when the request is sent until the answer's headers come, whatever
//! flows to the sibling meanwhile. So a long body goes by a client without that limit, and is watched here piece by piece.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use nephos_runtime::Clock;
use tokio::sync::watch;

use crate::outside;

/// The pieces of a body.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// How long is waited while a body is sent, and for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A side that neither gives nor takes anything for so long has given up.
    pub stall: Duration,
    /// How long a sibling that has all of a body may work on it: what it stores the body in may have to put a long one
    /// together first.
    pub answer: Duration,
}

/// Why there is no answer.
pub(crate) enum Unsent {
    /// Nothing was sent; why, in words.
    Unreached(String),
    /// Some of it may have been.
    BrokeOff(String),
}

impl From<reqwest::Error> for Unsent {
    fn from(why: reqwest::Error) -> Self {
        let words = outside::innermost(&why);
        if why.is_connect() {
            Self::Unreached(words)
        } else {
            Self::BrokeOff(words)
        }
    }
}

/// Sends `pieces` as the body of `request`, until the answer's headers are there. What is sent behind them, nobody watches.
pub(crate) async fn send(
    (clock, limits): (&Clock, Limits),
    request: reqwest::RequestBuilder,
    pieces: Pieces,
) -> Result<reqwest::Response, Unsent> {
    let (taken, mut moved) = watch::channel(());
    let pieces = pieces.inspect(move |_piece| {
        taken.send_replace(());
    });
    let given_up = async {
        while let Some(piece) = clock.timeout(limits.stall, moved.changed()).await {
            // Nobody asks for more of it: all of it is on its way.
            if piece.is_err() {
                clock.sleep(limits.answer).await;
                return format!("no answer within {:?} of all it was sent", limits.answer);
            }
        }
        format!("nothing of what it is sent moved for {:?}", limits.stall)
    };
    let body = reqwest::Body::wrap_stream(pieces);
    tokio::select! {
        biased;
        sent = request.body(body).send() => sent.map_err(Unsent::from),
        why = given_up => Err(Unsent::BrokeOff(why)),
    }
}

/// The same pieces; it breaks off when none comes for `stall`.
pub(crate) fn flowing(clock: Clock, stall: Duration, pieces: Pieces) -> Pieces {
    let next = move |(clock, pieces): (Clock, Option<Pieces>)| async move {
        let mut pieces = pieces?;
        match clock.timeout(stall, pieces.next()).await {
            Some(piece) => Some((piece?, (clock, Some(pieces)))),
            None => {
                let why = format!("nothing came for {stall:?}");
                let why = std::io::Error::new(std::io::ErrorKind::TimedOut, why);
                Some((Err(why), (clock, None)))
            }
        }
    };
    stream::unfold((clock, Some(pieces)), next).boxed()
}

#[cfg(test)]
mod tests;
