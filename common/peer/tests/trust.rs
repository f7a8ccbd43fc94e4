//! A process that follows identity's keys.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use nephos_api::{Dispatch, Payload, Request, Response};
use nephos_auth::{Caller, Issuer, Scope, TokenError, TrustBundle, Verifier, keys};
use nephos_peer::trust::{Trust, TrustParts};
use nephos_peer::{Directory, Transport};
use nephos_runtime::{Clock, Shutdown};
use nephos_types::Timestamp;

/// Identity, as far as trust goes.
#[derive(Clone, Default)]
struct Keeper {
    bundle: Arc<Mutex<TrustBundle>>,
    away: Arc<Mutex<bool>>,
    asked: Arc<AtomicUsize>,
}

impl Dispatch for Keeper {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let keeper = self.clone();
        Box::pin(async move {
            assert_eq!(request.path, "/trust/v1/bundle");
            keeper.asked.fetch_add(1, Ordering::SeqCst);
            let waits = !request.query.ends_with("wait=0");
            let known = keeper.bundle.lock().unwrap().epoch;
            let clock = Clock::system();
            while waits && keeper.bundle.lock().unwrap().epoch == known {
                clock.sleep(Duration::from_millis(10)).await;
            }
            let away = *keeper.away.lock().unwrap();
            let bundle = serde_json::to_vec(&*keeper.bundle.lock().unwrap()).unwrap();
            Response {
                status: if away {
                    StatusCode::SERVICE_UNAVAILABLE
                } else {
                    StatusCode::OK
                },
                headers: HeaderMap::new(),
                body: Payload::Bytes(bundle.into()),
            }
        })
    }
}

impl Keeper {
    fn publish(&self, epoch: u64, issuers: &[&Issuer]) {
        *self.bundle.lock().unwrap() = TrustBundle {
            epoch,
            keys: issuers.iter().map(|one| one.public().clone()).collect(),
            revocations: Vec::new(),
        };
    }

    async fn trust(&self, file: &std::path::Path) -> (Trust, Verifier) {
        let directory = Directory::default();
        directory.set("identity", Transport::Local(Arc::new(self.clone())));
        let verifier = Verifier::new(Clock::system());
        let trust = Trust::new(TrustParts {
            peers: crate::peers(&directory).await,
            verifier: verifier.clone(),
            clock: Clock::system(),
            file: file.to_owned(),
        });
        (trust, verifier)
    }
}

fn issuer() -> Issuer {
    Issuer::new(&keys::generate().unwrap()).unwrap()
}

fn token(issuer: &Issuer) -> String {
    let mut caller = Caller::new("alice", Scope::project("p"), &["member"]);
    caller.expires_at = Timestamp(i64::MAX);
    issuer.sign(&caller).unwrap()
}

#[tokio::test]
async fn news_come_at_once_and_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trust.json");
    let (keeper, first, second) = (Keeper::default(), issuer(), issuer());
    keeper.publish(2, &[&first]);
    let (trust, verifier) = keeper.trust(&file).await;
    assert_eq!(trust.stale_secs(), Some(u64::MAX));
    let shutdown = Shutdown::new();
    let task = trust.follow(&shutdown);
    trust.ready().await;
    verifier.verify(&token(&first)).unwrap();
    keeper.publish(3, &[&first, &second]);
    let clock = Clock::system();
    while verifier.epoch() < 3 {
        assert!(
            clock.monotonic() < Duration::from_secs(5),
            "the news do not come"
        );
        clock.sleep(Duration::from_millis(5)).await;
    }
    verifier.verify(&token(&second)).unwrap();
    assert_eq!(trust.stale_secs(), None);
    task.abort();
    // Identity is away when the process starts again.
    *keeper.away.lock().unwrap() = true;
    let (trust, verifier) = keeper.trust(&file).await;
    trust.ready().await;
    verifier.verify(&token(&second)).unwrap();
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_and_a_flood_of_them_asks_once() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::default();
    let (known, new) = (issuer(), issuer());
    keeper.publish(2, &[&known]);
    let (_trust, verifier) = keeper.trust(&folder.path().join("trust.json")).await;
    keeper.publish(3, &[&known, &new]);
    verifier.verify_or_ask(&token(&new)).await.unwrap();
    let asked = keeper.asked.load(Ordering::SeqCst);
    for _forged in 0..50 {
        let judged = verifier.verify_or_ask(&token(&issuer())).await;
        assert_eq!(judged.unwrap_err(), TokenError::UnknownKey);
    }
    assert_eq!(keeper.asked.load(Ordering::SeqCst), asked);
}
