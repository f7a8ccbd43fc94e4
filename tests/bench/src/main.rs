//! Figures, as JSON on standard output: token checks in this process, a host's network agent with many ports, and one call
//! many times over HTTP.

mod plane;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;
use nephos_auth::{Caller, Issuer, Scope, TrustBundle, Verifier, keys};
use nephos_runtime::Clock;
use nephos_types::Timestamp;
use serde_json::{Value, json};

#[derive(Parser)]
enum Command {
    /// Checks tokens on one core: known ones, and ones never seen before.
    Tokens,
    /// Gives an empty host's network agent many ports, then one more, then a change elsewhere. As root, in a network
    /// namespace of its own.
    Plane(plane::Size),
    /// Asks for a URL again and again.
    Get {
        /// The URL.
        url: String,
        /// The token.
        #[arg(long)]
        token: String,
        /// How often in all.
        #[arg(long, default_value_t = 200)]
        count: usize,
        /// How many at a time.
        #[arg(long, default_value_t = 1)]
        at_once: usize,
        /// A header, `name: value`.
        #[arg(long)]
        header: Option<String>,
    },
}

fn main() -> anyhow::Result<()> {
    let figures = match Command::parse() {
        Command::Tokens => tokens()?,
        Command::Plane(size) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(plane::plane(size))?,
        Command::Get {
            url,
            token,
            count,
            at_once,
            header,
        } => {
            let asked = Asked { url, token, header };
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(get(Arc::new(asked), count, at_once))?
        }
    };
    writeln!(std::io::stdout(), "{figures}")?;
    Ok(())
}

fn tokens() -> anyhow::Result<Value> {
    const KNOWN: usize = 200_000;
    const FRESH: usize = 2_000;
    let clock = Clock::system();
    let issuer = Issuer::new(&keys::generate()?)?;
    let verifier = Verifier::new(clock.clone());
    verifier.update(&TrustBundle {
        epoch: 1,
        keys: vec![issuer.public().clone()],
        revocations: Vec::new(),
    })?;
    let mut caller = Caller::new("user", Scope::project("project"), &["member", "reader"]);
    caller.expires_at = Timestamp(i64::MAX / 2);
    let token = |number: usize| {
        let mut caller = caller.clone();
        caller.audit_ids = vec![format!("audit-{number}")];
        issuer.sign(&caller)
    };
    let known = token(0)?;
    let began = clock.monotonic();
    for _ in 0..KNOWN {
        verifier.verify(&known)?;
    }
    let known_took = clock.monotonic().saturating_sub(began);
    let fresh = (1..=FRESH).map(token).collect::<Result<Vec<_>, _>>()?;
    let began = clock.monotonic();
    for token in &fresh {
        verifier.verify(token)?;
    }
    let fresh_took = clock.monotonic().saturating_sub(began);
    Ok(json!({"known_per_sec": rate(KNOWN, known_took), "fresh_per_sec": rate(FRESH, fresh_took)}))
}

struct Asked {
    url: String,
    token: String,
    header: Option<String>,
}

async fn get(asked: Arc<Asked>, count: usize, at_once: usize) -> anyhow::Result<Value> {
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(60))
        .build()?;
    let left = Arc::new(AtomicUsize::new(count));
    let clock = Clock::system();
    let began = clock.monotonic();
    let workers = (0..at_once).map(|_| {
        worker(
            client.clone(),
            Arc::clone(&asked),
            Arc::clone(&left),
            clock.clone(),
        )
    });
    let mut took = Vec::with_capacity(count);
    for part in futures_util::future::try_join_all(workers).await? {
        took.extend(part);
    }
    let whole = clock.monotonic().saturating_sub(began);
    took.sort_unstable();
    let millis = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank"
        )]
        let rank = ((took.len() as f64 * share) as usize).min(took.len().saturating_sub(1));
        took.get(rank).map_or(0.0, Duration::as_secs_f64) * 1000.0
    };
    Ok(json!({"p50_ms": millis(0.50), "p99_ms": millis(0.99), "per_sec": rate(count, whole)}))
}

async fn worker(
    client: reqwest::Client,
    asked: Arc<Asked>,
    left: Arc<AtomicUsize>,
    clock: Clock,
) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        })
        .is_ok()
    {
        let mut request = client.get(&asked.url).header("x-auth-token", &asked.token);
        if let Some((name, value)) = asked
            .header
            .as_deref()
            .and_then(|header| header.split_once(": "))
        {
            request = request.header(name, value);
        }
        let began = clock.monotonic();
        request.send().await?.error_for_status()?.bytes().await?;
        took.push(clock.monotonic().saturating_sub(began));
    }
    Ok(took)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(f64::EPSILON)
}
