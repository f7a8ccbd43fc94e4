use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nephos_types::Timestamp;

use super::*;
use crate::caller::Scope;
use crate::keys;
use crate::token::Issuer;

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

struct World {
    clock: Clock,
    issuer: Issuer,
    verifier: Verifier,
}

fn world() -> World {
    let clock = Clock::virtual_at(NOW);
    let issuer = Issuer::new(&keys::generate().unwrap()).unwrap();
    let verifier = Verifier::new(clock.clone());
    verifier.update(&bundle(&issuer, 1, &[])).unwrap();
    World {
        clock,
        issuer,
        verifier,
    }
}

fn bundle(issuer: &Issuer, epoch: u64, revocations: &[Revocation]) -> TrustBundle {
    TrustBundle {
        epoch,
        keys: vec![issuer.public().clone()],
        revocations: revocations.to_vec(),
    }
}

fn caller() -> Caller {
    let mut caller = Caller::new("alice", Scope::project("p"), &["member", "reader"]);
    caller.issued_at = NOW;
    caller.expires_at = NOW.plus_secs(3600);
    caller.audit_ids = vec!["audit".to_owned()];
    caller
}

#[test]
fn a_good_token_says_who_it_is_again_and_again() {
    let w = world();
    let token = w.issuer.sign(&caller()).unwrap();
    assert_eq!(*w.verifier.verify(&token).unwrap(), caller());
    assert_eq!(*w.verifier.verify(&token).unwrap(), caller());
}

#[test]
fn expiry_is_by_our_clock_even_when_cached_and_grace_is_explicit() {
    let w = world();
    let token = w.issuer.sign(&caller()).unwrap();
    w.verifier.verify(&token).unwrap();
    w.clock.advance(Duration::from_secs(3600));
    assert_eq!(w.verifier.verify(&token), Err(TokenError::Expired));
    w.verifier
        .verify_late(&token, Duration::from_secs(10))
        .unwrap();
    w.clock.advance(Duration::from_secs(10));
    let late = w.verifier.verify_late(&token, Duration::from_secs(10));
    assert_eq!(late, Err(TokenError::Expired));
}

#[test]
fn forged_tokens_are_refused() {
    let w = world();
    let token = w.issuer.sign(&caller()).unwrap();
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let admin = serde_json::to_string(&Caller::new("eve", Scope::System, &["admin"])).unwrap();
    let admin = URL_SAFE_NO_PAD.encode(admin);
    let kid = &w.issuer.public().kid;
    let with_header = |json: String| URL_SAFE_NO_PAD.encode(json);
    let none = with_header(format!(r#"{{"alg":"none","typ":"JWT","kid":"{kid}"}}"#));
    let hs256 = with_header(format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}"}}"#));
    let no_kid = with_header(r#"{"alg":"ES256","typ":"JWT"}"#.to_owned());
    for forged in [
        format!("{header}.{admin}.{signature}"),
        format!("{header}.{claims}."),
        format!(
            "{header}.{claims}.{}",
            signature.replace(char::is_alphanumeric, "A")
        ),
        format!("{none}.{admin}."),
        format!("{none}.{admin}.{signature}"),
        format!("{hs256}.{admin}.{signature}"),
        format!("{no_kid}.{claims}.{signature}"),
        format!("{header}.{claims}"),
        String::new(),
        "gAAAAABfernet".to_owned(),
        "x".repeat(MAX_LENGTH + 1),
    ] {
        assert_eq!(
            w.verifier.verify(&forged),
            Err(TokenError::Invalid),
            "{forged}"
        );
    }
}

#[test]
fn an_hmac_made_with_the_public_key_is_refused() {
    let w = world();
    let mut header = jsonwebtoken::Header::new(Algorithm::HS256);
    header.kid = Some(w.issuer.public().kid.clone());
    let key = jsonwebtoken::EncodingKey::from_secret(&w.issuer.public().point().unwrap());
    let forged = jsonwebtoken::encode(&header, &caller(), &key).unwrap();
    assert_eq!(w.verifier.verify(&forged), Err(TokenError::Invalid));
}

#[test]
fn a_key_of_another_cloud_is_unknown_and_its_id_does_not_help() {
    let (ours, theirs) = (world(), world());
    let token = theirs.issuer.sign(&caller()).unwrap();
    assert_eq!(ours.verifier.verify(&token), Err(TokenError::UnknownKey));
    let header = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, ours.issuer.public().kid);
    let (_, rest) = token.split_once('.').unwrap();
    let relabelled = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header));
    assert_eq!(ours.verifier.verify(&relabelled), Err(TokenError::Invalid));
}

#[test]
fn a_revocation_ends_a_cached_token_and_spares_later_ones() {
    let w = world();
    let token = w.issuer.sign(&caller()).unwrap();
    w.verifier.verify(&token).unwrap();
    let revocation = Revocation {
        issued_before: NOW.0,
        user_id: Some("alice".into()),
        ..Revocation::default()
    };
    w.verifier
        .update(&bundle(&w.issuer, 2, &[revocation]))
        .unwrap();
    assert_eq!(w.verifier.verify(&token), Err(TokenError::Revoked));
    assert_eq!(w.verifier.verify(&token), Err(TokenError::Revoked));
    let later = Caller {
        issued_at: Timestamp(NOW.0 + 1),
        ..caller()
    };
    w.verifier.verify(&w.issuer.sign(&later).unwrap()).unwrap();
}

#[test]
fn an_older_bundle_brings_nothing_back() {
    let w = world();
    let token = w.issuer.sign(&caller()).unwrap();
    let all = Revocation {
        issued_before: NOW.0,
        ..Revocation::default()
    };
    w.verifier.update(&bundle(&w.issuer, 5, &[all])).unwrap();
    w.verifier.update(&bundle(&w.issuer, 4, &[])).unwrap();
    assert_eq!(w.verifier.epoch(), 5);
    assert_eq!(w.verifier.verify(&token), Err(TokenError::Revoked));
}

#[test]
fn rotation_keeps_old_tokens_good_until_their_key_is_dropped() {
    let w = world();
    let token = w.issuer.sign(&caller()).unwrap();
    let issuer = Issuer::new(&keys::generate().unwrap()).unwrap();
    let signed = issuer.sign(&caller()).unwrap();
    assert_eq!(w.verifier.verify(&signed), Err(TokenError::UnknownKey));
    let mut both = bundle(&w.issuer, 2, &[]);
    both.keys.push(issuer.public().clone());
    w.verifier.update(&both).unwrap();
    w.verifier.verify(&signed).unwrap();
    w.verifier.verify(&token).unwrap();
    let without = TrustBundle {
        epoch: 3,
        keys: vec![issuer.public().clone()],
        revocations: vec![],
    };
    w.verifier.update(&without).unwrap();
    assert_eq!(w.verifier.verify(&token), Err(TokenError::UnknownKey));
}

#[test]
fn a_bundle_survives_the_wire() {
    let w = world();
    let sent = bundle(
        &w.issuer,
        9,
        &[Revocation {
            system: true,
            ..Revocation::default()
        }],
    );
    let text = serde_json::to_string(&sent).unwrap();
    assert_eq!(serde_json::from_str::<TrustBundle>(&text).unwrap(), sent);
    let mut broken = sent;
    broken.keys[0].point = "AAAA".to_owned();
    assert!(w.verifier.update(&broken).is_err());
}

#[test]
fn an_unknown_key_is_asked_for_once_and_then_judged() {
    let w = world();
    let issuer = Issuer::new(&keys::generate().unwrap()).unwrap();
    let signed = issuer.sign(&caller()).unwrap();
    let judge = || pollster(w.verifier.verify_or_ask(&signed));
    assert_eq!(judge(), Err(TokenError::UnknownKey));
    let asked = Arc::new(AtomicU64::new(0));
    let newer = bundle(&issuer, 2, &[]);
    let (counter, verifier) = (Arc::clone(&asked), w.verifier.clone());
    w.verifier.ask_by(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        verifier.update(&newer).unwrap();
        Box::pin(std::future::ready(()))
    });
    judge().unwrap();
    judge().unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

/// Runs a future that waits for nothing.
fn pollster<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("it waits"),
    }
}
