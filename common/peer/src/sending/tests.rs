//! Long bodies over sockets, with limits that are short.

use std::sync::Arc;

use http::Method;
use nephos_api::{Incoming, Payload, Request};
use nephos_types::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::{Account, Directory, Peers, Replicas, Transport};

const LIMITS: Limits = Limits {
    // More than a busy machine lets a test wait for its turn.
    stall: Duration::from_secs(1),
    answer: Duration::from_secs(1),
};
/// Of a body that flows for longer than the limits allow a stall.
const PIECES: usize = 30;
const PIECE: &[u8] = &[7; 1000];

/// What a sibling does with a body of which it has the headers.
#[derive(Clone, Copy, PartialEq)]
enum Sibling {
    /// Takes all of it and answers.
    Answers,
    /// Takes all of it and falls silent.
    Keeps,
    /// Takes nothing.
    Rests,
    /// Answers and falls silent before its answer is over.
    BreaksOff,
}

/// A sibling over HTTP, and how many bytes of a body it has taken.
async fn sibling(does: Sibling) -> (Peers, tokio::sync::oneshot::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = tokio::sync::oneshot::channel();
    nephos_runtime::spawn("sibling", async move {
        let (mut socket, _from) = listener.accept().await.unwrap();
        let head = read_until(&mut socket, b"\r\n\r\n").await;
        if does != Sibling::Rests {
            let chunked = String::from_utf8_lossy(&head).contains("chunked");
            let taken = match chunked {
                true => read_until(&mut socket, b"\r\n0\r\n\r\n").await,
                false => {
                    let mut all = vec![0; PIECES * PIECE.len()];
                    socket.read_exact(&mut all).await.unwrap();
                    all
                }
            };
            let _nobody_asks = tell.send(taken.iter().filter(|byte| **byte == 7).count());
        }
        let answer: &[u8] = match does {
            Sibling::Answers => b"HTTP/1.1 204 No Content\r\n\r\n",
            Sibling::BreaksOff => b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
            Sibling::Keeps | Sibling::Rests => b"",
        };
        socket.write_all(answer).await.unwrap();
        // Until the other side goes.
        while socket
            .read(&mut [0; 1])
            .await
            .is_ok_and(|read| read > 0 && does != Sibling::Rests)
        {}
        std::future::pending::<()>().await;
    });
    let directory = Directory::default();
    directory.set("echo", Transport::Http(Arc::new(Replicas::new(vec![url]))));
    let known = (directory, Account::Nobody);
    let peers = Peers::within(LIMITS, known, Clock::system(), String::new()).unwrap();
    (peers, told)
}

async fn read_until(socket: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while !all.ends_with(end) {
        all.push(socket.read_u8().await.unwrap());
    }
    all
}

/// A body that never rests for long, and takes longer than a stall.
fn slow() -> Pieces {
    let next = |number| async move {
        Clock::system().sleep(LIMITS.stall / 15).await;
        (number < PIECES).then(|| (Ok(Bytes::from_static(PIECE)), number + 1))
    };
    stream::unfold(0, next).boxed()
}

/// Never ends, and never rests.
fn endless() -> Pieces {
    stream::repeat_with(|| Ok(Bytes::from_static(&[7; 100_000]))).boxed()
}

/// The same as somebody else's request brings it.
fn request(mut pieces: Pieces) -> Request {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    nephos_runtime::spawn("client", async move {
        while let Some(piece) = pieces.next().await {
            if sender.send(piece.map(Some)).await.is_err() {
                return;
            }
        }
        let _nobody_wants_more = sender.send(Ok(None)).await;
    });
    let mut request = Request::new(Method::PUT, "/x");
    request.body = Incoming::Stream(receiver);
    request
}

const LENGTH: u64 = (PIECES * PIECE.len()) as u64;

#[tokio::test]
async fn a_body_that_flows_may_take_longer_than_a_stall() {
    let (peers, taken) = sibling(Sibling::Answers).await;
    peers
        .put("echo", "/x")
        .upload(LENGTH, slow())
        .await
        .unwrap();
    assert_eq!(taken.await.unwrap(), PIECES * PIECE.len());
    let (peers, taken) = sibling(Sibling::Answers).await;
    let answer = peers.hand_on("echo", request(slow())).await.unwrap();
    assert_eq!(answer.status, http::StatusCode::NO_CONTENT);
    assert_eq!(taken.await.unwrap(), PIECES * PIECE.len());
}

#[tokio::test]
async fn a_sibling_that_takes_nothing_any_more_is_given_up() {
    let (peers, _) = sibling(Sibling::Rests).await;
    let why = peers.put("echo", "/x").upload(1 << 40, endless()).await;
    let why = why.unwrap_err();
    assert!(
        why.is_transient() && why.message.contains("moved for"),
        "{why}"
    );
    let (peers, _) = sibling(Sibling::Rests).await;
    let why = peers.hand_on("echo", request(endless())).await.unwrap_err();
    assert!(
        why.is_transient() && why.message.contains("moved for"),
        "{why}"
    );
}

#[tokio::test]
async fn a_sibling_that_does_not_answer_a_whole_body_is_given_up() {
    let (peers, _) = sibling(Sibling::Keeps).await;
    let why = peers.put("echo", "/x").upload(LENGTH, slow()).await;
    let why = why.unwrap_err();
    assert!(
        why.is_transient() && why.message.contains("no answer"),
        "{why}"
    );
    let (peers, _) = sibling(Sibling::BreaksOff).await;
    let why = peers.put("echo", "/x").upload(LENGTH, slow()).await;
    assert!(why.unwrap_err().is_transient());
}

#[tokio::test]
async fn an_answer_to_a_long_body_breaks_off_when_it_does_not_flow() {
    let (peers, _) = sibling(Sibling::BreaksOff).await;
    let answer = peers.hand_on("echo", request(slow())).await.unwrap();
    let Payload::Stream { chunks, .. } = answer.body else {
        panic!("an answer with a length comes with it");
    };
    let came: Vec<_> = chunks
        .map(|piece| piece.map_err(|why| why.kind()))
        .collect()
        .await;
    let half = Bytes::from_static(b"half");
    assert_eq!(came, [Ok(half), Err(std::io::ErrorKind::TimedOut)]);
}

#[tokio::test]
async fn pieces_that_do_not_come_break_off_on_the_clock() {
    let clock = Clock::virtual_at(Timestamp(0));
    let some = stream::iter([Ok(Bytes::from_static(PIECE))]);
    let mut pieces = flowing(
        clock.clone(),
        LIMITS.stall,
        some.chain(stream::pending()).boxed(),
    );
    pieces.next().await.unwrap().unwrap();
    let (why, ()) = tokio::join!(pieces.next(), async { clock.advance(LIMITS.stall) });
    assert_eq!(
        why.unwrap().unwrap_err().kind(),
        std::io::ErrorKind::TimedOut
    );
    assert!(pieces.next().await.is_none());
}
