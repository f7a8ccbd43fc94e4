//! A host that brings a console to a service that has copies.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use nephos_api::Dispatch;
use nephos_peer::{Account, Directory, Transport};
use nephos_runtime::Clock;
use nephos_types::Timestamp;

use super::*;
use crate::model::console::frame;

/// Copies of the service behind one address: somebody waits in the one that is asked after `elsewhere` others.
#[derive(Clone, Default)]
struct Copies {
    elsewhere: usize,
    asked: Arc<AtomicUsize>,
    heard: Arc<Mutex<Option<mpsc::Receiver<Piece>>>>,
    told: Arc<Mutex<Vec<u8>>>,
}

impl Dispatch for Copies {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let here = self.asked.fetch_add(1, Ordering::Relaxed) >= self.elsewhere;
        let (status, body) = match request.body {
            _ if !here => (StatusCode::NOT_FOUND, Payload::Empty),
            Incoming::Stream(said) => {
                *self.heard.lock().unwrap() = Some(said);
                let typed = futures_util::stream::iter([Ok(Bytes::from(frame(b"dana")))]);
                // The user stays.
                let typed = typed.chain(futures_util::stream::pending());
                (StatusCode::OK, Payload::Open(typed.boxed()))
            }
            Incoming::Bytes(bytes) => {
                *self.told.lock().unwrap() = bytes.to_vec();
                (StatusCode::NO_CONTENT, Payload::Empty)
            }
        };
        let headers = HeaderMap::new();
        std::future::ready(Response {
            status,
            headers,
            body,
        })
        .boxed()
    }
}

async fn peers(copies: &Copies) -> Peers {
    let clock = Clock::virtual_at(Timestamp(1_000_000_000_000_000));
    let directory = Directory::default();
    directory.set(SERVICE, Transport::Local(Arc::new(copies.clone())));
    let peers = Peers::new(directory, Account::Nobody, clock.clone(), String::new()).unwrap();
    let ends = clock.now().plus_secs(1_000_000);
    peers.keep_token("token".to_owned(), ends).await;
    peers
}

#[tokio::test]
async fn the_copy_in_which_somebody_waits_is_found() {
    let copies = Copies {
        elsewhere: 3,
        ..Copies::default()
    };
    let peers = peers(&copies).await;
    let (mut guest, pipe) = tokio::io::duplex(64);
    let user = async {
        guest.write_all(b"login: ").await.unwrap();
        let mut typed = [0; 4];
        guest.read_exact(&mut typed).await.unwrap();
        assert_eq!(&typed, b"dana");
        drop(guest);
    };
    let (brought, ()) = tokio::join!(bring(&peers, "session", Ok(Box::new(pipe))), user);
    brought.unwrap();
    let mut heard = copies.heard.lock().unwrap().take().unwrap();
    assert_eq!(heard.try_recv().unwrap().unwrap().unwrap(), "login: ");
    assert_eq!(copies.asked.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_refusal_finds_it_too_and_nobody_is_looked_for_without_end() {
    let why = || Err(DriverError::Refused("it does not run".to_owned()));
    let copies = Copies {
        elsewhere: 3,
        ..Copies::default()
    };
    bring(&peers(&copies).await, "session", why())
        .await
        .unwrap();
    let told = String::from_utf8(copies.told.lock().unwrap().clone()).unwrap();
    assert!(told.contains("it does not run"), "{told}");

    let nowhere = Copies {
        elsewhere: usize::MAX,
        ..Copies::default()
    };
    let peers = peers(&nowhere).await;
    bring(&peers, "session", why()).await.unwrap();
    let (_guest, pipe) = tokio::io::duplex(64);
    bring(&peers, "session", Ok(Box::new(pipe))).await.unwrap();
    assert_eq!(nowhere.asked.load(Ordering::Relaxed), 2 * TRIES);
}
