//! A live console: the host brings its end to the service that asked for it, because hosts are not dialled.
//!
//! One call is the whole conversation: its body is what the guest says, its answer what the user says. What the user
//! says comes in frames, so that a silence can be told from a connection that is gone.

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::{HeaderValue, Method};
use nephos_api::{Incoming, Payload, Request};
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

/// What the guest says, piece by piece.
type Said = mpsc::Sender<Result<Option<Bytes>, std::io::Error>>;

/// Brings an opened console, or why it cannot be opened, to whoever waits for it; until one side ends it.
pub(super) async fn bring(
    peers: &Peers,
    session: &str,
    opened: Result<Pipe, DriverError>,
) -> Result<(), PeerError> {
    let target = format!("/host/v1/consoles/{session}");
    let pipe = match opened {
        Ok(pipe) => pipe,
        Err(why) => {
            let body = json!({"error": why.to_string()});
            let call = peers.put(SERVICE, target).as_service().json(&body);
            return call.send().await.map(|_| ());
        }
    };
    let (said, body) = mpsc::channel(PIECES);
    let mut request = Request::new(Method::POST, &target);
    let token = peers.service_token().await?;
    if let Ok(mut token) = HeaderValue::from_str(&token) {
        token.set_sensitive(true);
        request.headers.insert("x-auth-token", token);
    }
    request.body = Incoming::Stream(body);
    let response = peers.hand_on(SERVICE, request).await?;
    let typed = match response.body {
        Payload::Open(typed) if response.status.is_success() => typed,
        _refused => return Ok(()),
    };
    let (reader, writer) = tokio::io::split(pipe);
    tokio::select! {
        () = hear(reader, said) => {}
        () = type_in(typed, writer) => {}
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
