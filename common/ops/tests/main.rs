//! Durable work with a toy service: killed at every point it reaches the same end.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use nephos_auth::{Caller, Scope};
use nephos_bus::Bus;
use nephos_db::{Db, DbUrl, Migration, Tx, args};
use nephos_ops::feed::{self, Feed, Place};
use nephos_ops::{
    EnqueueError, Failure, New, Next, OpCx, Operation, Reconcile, Reconcilers, StepError, Worker,
    WorkerParts,
};
use nephos_runtime::crash::{self, Mode};
use nephos_runtime::{Clock, Shutdown, Task, crash_point};
use nephos_types::feed::{FeedPage, Known, Observed};
use nephos_types::{RequestId, Timestamp};
use serde_json::json;
use tokio::sync::Notify;

mod leases;
mod lists;
mod polls;

/// Toys are built in two places: in the database and in the "world", a table that stands for what a host has.
const TABLES: Migration = Migration {
    name: "0001_toys",
    sql: "CREATE TABLE toys (id TEXT PRIMARY KEY, state TEXT NOT NULL, why TEXT); \
          CREATE TABLE world (id TEXT PRIMARY KEY, painted BOOLEAN NOT NULL);",
};
const OPS: &str = "toys.ops";

struct Toys {
    db: Db,
    clock: Clock,
    /// A slow step has begun.
    begun: Arc<Notify>,
    looks: Arc<AtomicUsize>,
}

struct Build;
struct Scrap;
/// Carries something for a minute; nothing is made before it is done.
struct Fetch;
/// Looks, is told of news while it looks, and would end, or rest.
struct Look;

/// How long a look rests.
const NAP: Duration = Duration::from_secs(600);

impl Reconcile<Toys> for Look {
    const KIND: &'static str = "toy.look";

    async fn step(&self, cx: &OpCx<Toys>, op: &Operation) -> Result<Next, StepError> {
        if cx.first_look() {
            cx.tell(&op.resource_id).await?;
        }
        if op.args.get("rests").is_some() {
            cx.rest_guarded("rest", NAP).await?.commit().await?;
            return Ok(Next::After(NAP));
        }
        if op.args.get("itself").is_none() {
            return Ok(Next::Done);
        }
        let mut tx = cx.finish("finish").await?;
        let sql = "INSERT INTO toys (id, state) VALUES ($1, 'SEEN')";
        tx.exec(sql, args![op.resource_id]).await?;
        tx.commit().await?;
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        _cx: &OpCx<Toys>,
        _op: &Operation,
        _failure: &Failure,
        _tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        Ok(())
    }
}

impl Reconcile<Toys> for Build {
    const KIND: &'static str = "toy.build";

    async fn step(&self, cx: &OpCx<Toys>, op: &Operation) -> Result<Next, StepError> {
        let id = &op.resource_id;
        let painted: Option<String> = cx
            .db()
            .fetch_opt(
                "SELECT CASE WHEN painted THEN 'yes' ELSE 'no' END FROM world WHERE id = $1",
                args![id],
            )
            .await?;
        match painted.as_deref() {
            None if op.args.get("broken").is_some() => {
                Err(StepError::Permanent("no parts for it".to_owned()))
            }
            None if op.args.get("never").is_some() => {
                Err(StepError::Transient("the shop is closed".to_owned()))
            }
            None if op.args.get("away").is_some() => {
                Err(StepError::Away("the shop is moving".to_owned()))
            }
            None if op.args.get("slow").is_some() => {
                let clock = cx.service().clock.clone();
                cx.service().begun.notify_one();
                clock.sleep(Duration::from_secs(60)).await;
                cx.make(id).await?;
                Ok(Next::Again)
            }
            None if op.args.get("holds").is_some() => {
                // Not what a step should do, but nobody else may suffer for it.
                let tx = cx.write("hold").await?;
                cx.service().begun.notify_one();
                cx.service().clock.sleep(Duration::from_secs(20)).await;
                drop(tx);
                cx.make(id).await?;
                Ok(Next::Again)
            }
            Some("no") if op.args.get("talks").is_some() && cx.first_look() => {
                // It has looked; now it is told that what it saw is old.
                cx.tell(id).await?;
                Ok(Next::Wait {
                    until: cx.now().plus_secs(600),
                })
            }
            None => {
                crash_point!("build.before_make");
                cx.make(id).await?;
                crash_point!("build.made");
                Ok(Next::Again)
            }
            Some("no") if op.args.get("naps").is_some() && cx.first_look() => {
                cx.service().begun.notify_one();
                cx.service().clock.sleep(Duration::from_secs(1)).await;
                Ok(Next::After(Duration::from_millis(500)))
            }
            Some("no") if op.args.get("wait").is_some() => Ok(Next::Wait {
                until: cx.now().plus_secs(600),
            }),
            Some("no") => {
                crash_point!("build.before_paint");
                let mut tx = cx.write("paint").await?;
                tx.exec(
                    "UPDATE world SET painted = $1 WHERE id = $2",
                    args![true, id],
                )
                .await?;
                tx.commit().await?;
                crash_point!("build.painted");
                Ok(Next::Again)
            }
            Some(_) => {
                crash_point!("build.before_finish");
                let mut tx = cx.finish("finish").await?;
                tx.exec("UPDATE toys SET state = 'READY' WHERE id = $1", args![id])
                    .await?;
                tx.commit().await?;
                crash_point!("build.finished");
                Ok(Next::Done)
            }
        }
    }

    async fn failed(
        &self,
        _cx: &OpCx<Toys>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        tx.exec(
            "UPDATE toys SET state = 'ERROR', why = $1 WHERE id = $2",
            args![failure.message, op.resource_id],
        )
        .await?;
        Ok(())
    }
}

impl Reconcile<Toys> for Fetch {
    const KIND: &'static str = "toy.fetch";
    const CUT_OFF: bool = true;

    async fn step(&self, cx: &OpCx<Toys>, _op: &Operation) -> Result<Next, StepError> {
        cx.service().begun.notify_one();
        cx.service().clock.sleep(Duration::from_secs(60)).await;
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        _cx: &OpCx<Toys>,
        _op: &Operation,
        _failure: &Failure,
        _tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        Ok(())
    }
}

impl Reconcile<Toys> for Scrap {
    const KIND: &'static str = "toy.scrap";

    async fn step(&self, cx: &OpCx<Toys>, op: &Operation) -> Result<Next, StepError> {
        let mut tx = cx.finish("scrap").await?;
        tx.exec("DELETE FROM world WHERE id = $1", args![op.resource_id])
            .await?;
        tx.exec("DELETE FROM toys WHERE id = $1", args![op.resource_id])
            .await?;
        tx.commit().await?;
        Ok(Next::Done)
    }

    async fn failed(
        &self,
        _cx: &OpCx<Toys>,
        _op: &Operation,
        _failure: &Failure,
        _tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        Ok(())
    }
}

impl Toys {
    fn first_look(&self) -> bool {
        self.looks.fetch_add(1, Ordering::Relaxed) == 0
    }

    async fn tell(&self, id: &str) -> Result<(), nephos_db::Error> {
        let mut tx = self.db.write().await?;
        let told = nephos_ops::nudge(&mut tx, self.clock.now(), OPS, id).await?;
        assert!(told, "its operation is live");
        tx.commit().await
    }

    /// A side effect outside the fence: it has to be repeatable.
    async fn make(&self, id: &str) -> Result<(), nephos_db::Error> {
        let mut tx = self.db.write().await?;
        let sql = "INSERT INTO world (id, painted) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        tx.exec(sql, args![id, false]).await?;
        tx.commit().await
    }
}

struct Shop {
    db: Db,
    clock: Clock,
    bus: Bus,
    begun: Arc<Notify>,
    looks: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test run says where PostgreSQL is"
)]
async fn shop() -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let url = match std::env::var("NEPHOS_TEST_PG") {
        Ok(server) => {
            let name = folder
                .path()
                .file_name()
                .unwrap()
                .to_string_lossy()
                .to_lowercase();
            let name = format!("ops_{}", name.trim_start_matches('.'));
            DbUrl::create_database(&server, &name).await.unwrap()
        }
        Err(_) => DbUrl::sqlite(folder.path().join("toys.sqlite")),
    };
    let (clock, bus) = (Clock::virtual_at(Timestamp(1_000_000)), Bus::local());
    let db = Db::open(&url, clock.clone(), Arc::new(bus.clone()))
        .await
        .unwrap();
    db.migrate(&[
        nephos_ops::MIGRATION,
        feed::MIGRATION,
        feed::REQUESTS,
        feed::LISTS,
        feed::LAST,
        TABLES,
    ])
    .await
    .unwrap();
    Shop {
        db,
        clock,
        bus,
        begun: Arc::default(),
        looks: Arc::default(),
        _folder: folder,
    }
}

impl Shop {
    fn worker(&self) -> Worker<Toys> {
        Worker::new(WorkerParts {
            service: Arc::new(Toys {
                db: self.db.clone(),
                clock: self.clock.clone(),
                begun: Arc::clone(&self.begun),
                looks: Arc::clone(&self.looks),
            }),
            db: self.db.clone(),
            clock: self.clock.clone(),
            bus: self.bus.clone(),
            topic: OPS,
            reconcilers: Reconcilers::new()
                .with(Build)
                .with(Scrap)
                .with(Fetch)
                .with(Look),
        })
    }

    /// A worker at work until the test ends.
    fn running(&self) -> (Worker<Toys>, Task) {
        let worker = self.worker();
        let runner = worker.clone();
        let task = nephos_runtime::spawn("worker", async move {
            runner.run(Shutdown::new()).await.unwrap();
        });
        (worker, task)
    }

    /// Moves the clock second by second until `done` says so.
    async fn pass_until<F: Future<Output = bool>>(
        &self,
        seconds: u32,
        done: impl Fn() -> F,
    ) -> bool {
        let until = async {
            while !done().await {
                tokio::task::yield_now().await;
            }
        };
        tokio::pin!(until);
        for _second in 0..seconds {
            // In this second the worker does what it can do in it, which takes real time.
            let a_little = Duration::from_millis(100);
            if tokio::time::timeout(a_little, &mut until).await.is_ok() {
                return true;
            }
            self.clock.advance(Duration::from_secs(1));
        }
        // The clock stands still; on a busy machine what was begun needs longer.
        tokio::time::timeout(Duration::from_secs(20), until)
            .await
            .is_ok()
    }

    async fn supersede(&self, id: &str) {
        let mut tx = self.db.write().await.unwrap();
        let now = self.clock.now();
        nephos_ops::supersede(&mut tx, now, new("toy.scrap", id, json!({})))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    async fn exec(&self, sql: &'static str) {
        let mut tx = self.db.write().await.unwrap();
        tx.exec(sql, args![]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn order(&self, id: &str, args: serde_json::Value) -> Result<(), EnqueueError> {
        self.order_of("toy.build", id, args).await
    }

    async fn order_of(
        &self,
        kind: &'static str,
        id: &str,
        args: serde_json::Value,
    ) -> Result<(), EnqueueError> {
        let mut tx = self.db.write().await.unwrap();
        tx.exec(
            "INSERT INTO toys (id, state) VALUES ($1, 'BUILDING') ON CONFLICT DO NOTHING",
            args![id],
        )
        .await
        .unwrap();
        nephos_ops::enqueue(&mut tx, self.clock.now(), new(kind, id, args)).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn state(&self, id: &str) -> Option<String> {
        self.db
            .fetch_opt("SELECT state FROM toys WHERE id = $1", args![id])
            .await
            .unwrap()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        self.db.fetch_scalar(sql, args![]).await.unwrap()
    }
}

fn new<'a>(kind: &'static str, id: &'a str, args: serde_json::Value) -> New<'a> {
    static CALLER: std::sync::LazyLock<Caller> =
        std::sync::LazyLock::new(|| Caller::new("u", Scope::project("p"), &["member"]));
    static REQUEST: std::sync::LazyLock<RequestId> =
        std::sync::LazyLock::new(|| RequestId::from("req-1"));
    New {
        topic: OPS,
        kind,
        resource_id: id,
        args,
        caller: &CALLER,
        request_id: &REQUEST,
        deadline_secs: 3600,
    }
}

#[tokio::test]
async fn killed_at_every_crash_point_it_reaches_the_same_end() {
    let reference = shop().await;
    crash::set(Mode::Record);
    reference.order("bear", json!({})).await.unwrap();
    reference.worker().drain().await.unwrap();
    let points = crash::recorded();
    crash::set(Mode::Off);
    assert_eq!(points.len(), 6, "{points:?}");

    for point in points {
        let shop = shop().await;
        shop.order("bear", json!({})).await.unwrap();
        crash::set(Mode::Unwind {
            name: point.to_owned(),
            nth: 1,
        });
        let crashed = AssertUnwindSafe(shop.worker().drain()).catch_unwind().await;
        assert!(crashed.is_err(), "{point} was not reached");
        let restarted = shop.worker();
        restarted.take_over().await.unwrap();
        restarted.settle(Duration::from_secs(120)).await.unwrap();
        assert_eq!(
            shop.state("bear").await.as_deref(),
            Some("READY"),
            "{point}"
        );
        assert_eq!(shop.count("SELECT COUNT(*) FROM world").await, 1, "{point}");
        let live = shop
            .count("SELECT COUNT(*) FROM operations WHERE finished_at IS NULL")
            .await;
        assert_eq!(live, 0, "{point}");
    }
}

#[tokio::test]
async fn a_busy_resource_takes_no_second_operation_but_a_superseding_one() {
    let shop = shop().await;
    shop.order("bear", json!({"wait": true})).await.unwrap();
    shop.worker().drain().await.unwrap();
    match shop.order("bear", json!({})).await {
        Err(EnqueueError::Busy { kind }) => assert_eq!(kind, "toy.build"),
        other => panic!("{other:?}"),
    }
    let mut tx = shop.db.write().await.unwrap();
    nephos_ops::supersede(
        &mut tx,
        shop.clock.now(),
        new("toy.scrap", "bear", json!({})),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    shop.worker().drain().await.unwrap();
    assert_eq!(shop.state("bear").await, None);
    assert_eq!(shop.count("SELECT COUNT(*) FROM world").await, 0);
}

#[tokio::test]
async fn what_supersedes_waits_until_the_other_lease_is_gone() {
    let shop = shop().await;
    shop.order("bear", json!({})).await.unwrap();
    let mut tx = shop.db.write().await.unwrap();
    tx.exec(
        "UPDATE operations SET lease_owner = 'a dead worker', lease_until = $1",
        args![shop.clock.now().plus_secs(30)],
    )
    .await
    .unwrap();
    nephos_ops::supersede(
        &mut tx,
        shop.clock.now(),
        new("toy.scrap", "bear", json!({})),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    shop.worker().drain().await.unwrap();
    assert!(
        shop.state("bear").await.is_some(),
        "scrapped while the other may still be building"
    );
    shop.clock.advance(Duration::from_secs(31));
    shop.worker().drain().await.unwrap();
    assert_eq!(shop.state("bear").await, None);
}

#[tokio::test]
async fn a_failure_reaches_the_resource_and_a_closed_shop_ends_at_the_deadline() {
    let shop = shop().await;
    shop.order("bear", json!({"broken": true})).await.unwrap();
    shop.order("kite", json!({"never": true})).await.unwrap();
    shop.worker()
        .settle(Duration::from_secs(2 * 3600))
        .await
        .unwrap();
    let why = |id: &'static str| {
        let db = shop.db.clone();
        async move {
            let sql = "SELECT why FROM toys WHERE state = 'ERROR' AND id = $1";
            db.fetch_scalar::<String>(sql, args![id]).await.unwrap()
        }
    };
    assert_eq!(why("bear").await, "no parts for it");
    assert!(
        why("kite").await.contains("in time"),
        "{}",
        why("kite").await
    );
}

#[tokio::test]
async fn a_worker_without_its_lease_writes_nothing() {
    let shop = shop().await;
    shop.order("bear", json!({"wait": true})).await.unwrap();
    shop.worker().drain().await.unwrap();
    // News arrive, and meanwhile another worker takes the operation.
    let mut tx = shop.db.write().await.unwrap();
    nephos_ops::nudge(&mut tx, shop.clock.now(), OPS, "bear")
        .await
        .unwrap();
    tx.exec(
        "UPDATE operations SET lease_owner = 'another', lease_until = $1",
        args![shop.clock.now().plus_secs(30)],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    shop.worker().drain().await.unwrap();
    assert_eq!(shop.state("bear").await.as_deref(), Some("BUILDING"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_asks_for_another_look_gets_it_then_and_not_at_the_next_poll() {
    let shop = shop().await;
    shop.order("toy", json!({"naps": true})).await.unwrap();
    let (_worker, _task) = shop.running();
    shop.begun.notified().await;
    // The worker goes to sleep while the step is at work.
    let _asleep =
        tokio::time::timeout(Duration::from_millis(200), std::future::pending::<()>()).await;
    shop.clock.advance(Duration::from_secs(1));
    let sql = "SELECT COUNT(*) FROM operations WHERE lease_owner IS NULL AND finished_at IS NULL";
    let rests = async {
        while shop.count(sql).await == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), rests)
        .await
        .unwrap();
    // Long before its lease would have ended, up to which the worker meant to sleep.
    let ready = async {
        while shop.state("toy").await.as_deref() != Some("READY") {
            tokio::task::yield_now().await;
        }
    };
    tokio::pin!(ready);
    let mut seen = false;
    for _moment in 0..40 {
        shop.clock.advance(Duration::from_millis(25));
        seen = tokio::time::timeout(Duration::from_millis(50), &mut ready)
            .await
            .is_ok();
        if seen {
            break;
        }
    }
    assert!(seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_build_each_toy_once_without_any_wake() {
    let shop = shop().await;
    for number in 0..20 {
        shop.order(&format!("toy-{number}"), json!({}))
            .await
            .unwrap();
    }
    let (one, two) = (shop.worker(), shop.worker());
    let (first, second) = tokio::join!(one.drain(), two.drain());
    first.unwrap();
    second.unwrap();
    shop.worker()
        .settle(Duration::from_secs(120))
        .await
        .unwrap();
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM toys WHERE state = 'READY'")
            .await,
        20
    );
    assert_eq!(shop.count("SELECT COUNT(*) FROM world").await, 20);
}

/// Up to where a host knows its feed that was given this page.
fn known(page: &FeedPage) -> Known {
    Known {
        since: page.revision,
        lists: page.lists,
    }
}

#[tokio::test]
async fn a_feed_gives_everything_then_only_changes() {
    let shop = shop().await;
    let feed = Feed::new(
        shop.db.clone(),
        shop.bus.clone(),
        shop.clock.clone(),
        "toys.feed",
    );
    let place = |id: &'static str| Place {
        topic: "toys.feed",
        host: "h1",
        kind: "toy",
        id,
    };
    let mut tx = shop.db.write().await.unwrap();
    let asked = nephos_types::RequestId::from("req-1");
    let (now, one) = (shop.clock.now(), json!({"n": 1}));
    let published = feed::publish(&mut tx, now, place("a"), 1, &one);
    nephos_runtime::request::under(asked.clone(), published)
        .await
        .unwrap();
    feed::publish(&mut tx, shop.clock.now(), place("b"), 1, &json!({"n": 2}))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let all = feed.since("h1", Known::default(), 0).await.unwrap();
    assert!(all.complete);
    assert_eq!((all.revision, all.items.len()), (2, 2));
    let behalf: Vec<_> = all.items.iter().map(|item| &item.request_id).collect();
    assert_eq!(behalf, [&Some(asked), &None]);
    assert!(
        feed.since("h2", Known::default(), 0)
            .await
            .unwrap()
            .items
            .is_empty()
    );

    let mut tx = shop.db.write().await.unwrap();
    feed::publish(&mut tx, shop.clock.now(), place("a"), 1, &json!({"n": 1}))
        .await
        .unwrap();
    feed::withdraw(&mut tx, shop.clock.now(), place("b"), 2)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let change = feed.since("h1", known(&all), 0).await.unwrap();
    assert!(!change.complete);
    assert_eq!(
        change.items.len(),
        1,
        "the same again is no change: {change:?}"
    );
    assert_eq!(change.items.first().unwrap().spec, None);

    shop.clock.advance(Duration::from_secs(2 * 24 * 3600));
    let mut tx = shop.db.write().await.unwrap();
    feed::prune(&mut tx, shop.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let late = feed.since("h1", known(&all), 0).await.unwrap();
    assert!(
        late.complete,
        "an agent that was away while tombstones were removed reads everything: {late:?}"
    );
    assert_eq!(late.items.len(), 1);
    assert!(!feed.since("h1", known(&change), 0).await.unwrap().complete);
}

#[tokio::test]
async fn a_poll_waits_for_its_own_host_only() {
    let shop = shop().await;
    let feed = Feed::new(
        shop.db.clone(),
        shop.bus.clone(),
        shop.clock.clone(),
        "toys.feed",
    );
    let place = |host: &'static str| Place {
        topic: "toys.feed",
        host,
        kind: "toy",
        id: "a",
    };
    let mut tx = shop.db.write().await.unwrap();
    feed::publish(&mut tx, shop.clock.now(), place("h1"), 1, &json!({}))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let change = async {
        for (host, generation) in [("h2", 1), ("h1", 2)] {
            let mut tx = shop.db.write().await.unwrap();
            feed::publish(
                &mut tx,
                shop.clock.now(),
                place(host),
                generation,
                &json!({}),
            )
            .await
            .unwrap();
            tx.commit().await.unwrap();
        }
    };
    let (page, ()) = tokio::join!(feed.since("h1", Known { since: 1, lists: 0 }, 20), change);
    assert_eq!(page.unwrap().items.first().unwrap().generation, 2);

    // A host that nothing was ever wanted on knows so after its first answer, and waits like the others.
    let first = async {
        let mut tx = shop.db.write().await.unwrap();
        feed::publish(&mut tx, shop.clock.now(), place("h3"), 1, &json!({}))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    assert!(
        feed.since("h3", Known::default(), 0)
            .await
            .unwrap()
            .complete
    );
    let (page, ()) = tokio::join!(feed.since("h3", Known::default(), 20), first);
    assert_eq!(page.unwrap().items.len(), 1);

    let mut tx = shop.db.write().await.unwrap();
    let seen = Observed {
        kind: "toy".into(),
        id: "a".into(),
        generation_seen: 2,
        state: "built".into(),
        detail: json!({"color": "red"}),
        at: shop.clock.now(),
    };
    feed::record_observed(&mut tx, [("h1", std::slice::from_ref(&seen))])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let stored = feed::observed(&shop.db, "toy", "a").await.unwrap();
    assert_eq!(stored.first().unwrap().observed, seen);
}
