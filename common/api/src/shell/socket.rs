//! WebSockets: bytes both ways between a client and whoever answers.

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason, Session};
use bytes::Bytes;
use futures_util::StreamExt;
use http::header;

use crate::http_types::Socket;

/// The largest message a client may send, however it is cut into frames.
const MESSAGE_BYTES: usize = 64 * 1024;
/// The sub-protocol that console clients ask for, if they ask for any.
const PROTOCOL: &str = "binary";

/// Whether a request asks for a WebSocket.
pub(super) fn is_wanted(request: &HttpRequest) -> bool {
    let upgrade = request.headers().get(header::UPGRADE.as_str());
    upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Answers the request, and hands on what is said until one side ends it.
pub(super) fn begin(request: &HttpRequest, payload: web::Payload, ours: Socket) -> HttpResponse {
    let (mut response, session, messages) = match actix_ws::handle(request, payload) {
        Ok(begun) => begun,
        Err(why) => return HttpResponse::from_error(why),
    };
    if asks_for_protocol(request) {
        let name = actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
        let value = actix_web::http::header::HeaderValue::from_static(PROTOCOL);
        response.headers_mut().insert(name, value);
    }
    let messages = messages
        .max_frame_size(MESSAGE_BYTES)
        .aggregate_continuations()
        .max_continuation_size(MESSAGE_BYTES);
    actix_web::rt::spawn(converse(session, messages, ours));
    response
}

fn asks_for_protocol(request: &HttpRequest) -> bool {
    let asked = request
        .headers()
        .get_all(header::SEC_WEBSOCKET_PROTOCOL.as_str());
    asked
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim() == PROTOCOL)
}

/// Both directions go on beside each other, so that a guest that does not listen can still be heard.
async fn converse(session: Session, messages: AggregatedMessageStream, ours: Socket) {
    let Socket { said, mut answers } = ours;
    let mut out = session.clone();
    let speak = async move {
        while let Some(chunk) = answers.next().await {
            match chunk {
                Ok(bytes) => {
                    if out.binary(bytes).await.is_err() {
                        return None;
                    }
                }
                Err(why) => return Some(why.to_string()),
            }
        }
        Some("The other side has ended it.".to_owned())
    };
    let listen = listen(session.clone(), messages, said);
    let why = tokio::select! {
        why = speak => why,
        () = listen => None,
    };
    // A reason has at most 123 bytes.
    let description = why.map(|why| why.chars().take(40).collect());
    let reason = CloseReason {
        code: CloseCode::Normal,
        description,
    };
    let _gone_already = session.close(Some(reason)).await;
}

async fn listen(
    mut session: Session,
    mut messages: AggregatedMessageStream,
    said: tokio::sync::mpsc::Sender<Bytes>,
) {
    while let Some(Ok(message)) = messages.next().await {
        let bytes = match message {
            AggregatedMessage::Binary(bytes) => bytes,
            AggregatedMessage::Text(text) => text.into_bytes(),
            AggregatedMessage::Ping(bytes) => {
                if session.pong(&bytes).await.is_err() {
                    return;
                }
                continue;
            }
            AggregatedMessage::Pong(_) => continue,
            AggregatedMessage::Close(_) => return,
        };
        if said.send(bytes).await.is_err() {
            return;
        }
    }
}
