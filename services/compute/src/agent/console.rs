//! A live console: the host brings its end to the service that asked for it, because hosts are not dialled.
//!
//! One call is the whole conversation: its body is what the guest says, its answer what the user says. What the user
//! says comes in frames, so that a silence can be told from a connection that is gone.

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::{HeaderValue, Method, StatusCode};
use nephos_api::{Incoming, Payload, Request, Response};
use nephos_peer::{PeerError, Peers};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use crate::driver::{DriverError, Pipe};
use crate::model::console::{FRAME_BYTES, frame_length};

/// The service that asks.
const SERVICE: &str = "compute";
/// Pieces under way to the user: the bound is the back-pressure.
const PIECES: usize = 8;
/// The largest piece of what a guest says.
const PIECE_BYTES: usize = 16 * 1024;

/// The service may have copies behind one address, and somebody waits in one of them: each try may reach another.
const TRIES: usize = 16;

/// What the guest says, piece by piece.
type Piece = Result<Option<Bytes>, std::io::Error>;
type Said = mpsc::Sender<Piece>;

/// Brings an opened console, or why it cannot be opened, to whoever waits for it; until one side ends it.
pub(super) async fn bring(
    peers: &Peers,
    session: &str,
    opened: Result<Pipe, DriverError>,
) -> Result<(), PeerError> {
    let target = format!("/host/v1/consoles/{session}");
    let pipe = match opened {
        Ok(pipe) => pipe,
        Err(why) => return refuse(peers, &target, &why).await,
    };
    for _copy in 0..TRIES {
        let (said, body) = mpsc::channel(PIECES);
        let response = join(peers, &target, body).await?;
        if response.status == StatusCode::NOT_FOUND {
            continue;
        }
        if let Payload::Open(typed) = response.body
            && response.status.is_success()
        {
            let (reader, writer) = tokio::io::split(pipe);
            tokio::select! {
                () = hear(reader, said) => {}
                () = type_in(typed, writer) => {}
            }
        }
        break;
    }
    Ok(())
}

async fn join(
    peers: &Peers,
    target: &str,
    body: mpsc::Receiver<Piece>,
) -> Result<Response, PeerError> {
    let mut request = Request::new(Method::POST, target);
    let token = peers.service_token().await?;
    if let Ok(mut token) = HeaderValue::from_str(&token) {
        token.set_sensitive(true);
        request.headers.insert("x-auth-token", token);
    }
    request.body = Incoming::Stream(body);
    peers.hand_on(SERVICE, request).await
}

async fn refuse(peers: &Peers, target: &str, why: &DriverError) -> Result<(), PeerError> {
    let body = json!({"error": why.to_string()});
    for _copy in 0..TRIES {
        match peers
            .put(SERVICE, target)
            .as_service()
            .json(&body)
            .send()
            .await
        {
            Err(why) if why.is_not_found() => {}
            done => return done.map(|_| ()),
        }
    }
    Ok(())
}

async fn hear(mut guest: ReadHalf<Pipe>, said: Said) {
    loop {
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        let end = match guest.read_buf(&mut piece).await {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(piece.freeze())),
            Err(why) => Err(why),
        };
        let over = !matches!(end, Ok(Some(_)));
        if said.send(end).await.is_err() || over {
            return;
        }
    }
}

async fn type_in(
    mut typed: BoxStream<'static, Result<Bytes, std::io::Error>>,
    mut guest: WriteHalf<Pipe>,
) {
    let mut waiting = BytesMut::new();
    while let Some(Ok(chunk)) = typed.next().await {
        waiting.extend_from_slice(&chunk);
        while let Some(length) = frame_length(&waiting) {
            if length > FRAME_BYTES {
                return;
            }
            if waiting.len() < 4 + length {
                break;
            }
            waiting.advance(4);
            let bytes = waiting.split_to(length);
            if guest.write_all(&bytes).await.is_err() || guest.flush().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
