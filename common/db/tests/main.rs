//! The door to both engines: SQLite always, PostgreSQL when `NEPHOS_TEST_PG` names a server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nephos_db::{Db, DbUrl, Direction, Kind, Migration, Page, Where, args};
use nephos_runtime::{Clock, WakeSink, request};
use nephos_types::{Timestamp, Wake};

#[derive(Default)]
struct Heard(Mutex<Vec<Wake>>);

impl WakeSink for Heard {
    fn wake(&self, wake: Wake) {
        self.0.lock().unwrap().push(wake);
    }
}

struct Fixture {
    db: Db,
    heard: Arc<Heard>,
    clock: Clock,
    _folder: tempfile::TempDir,
}

const TABLES: &[Migration] = &[Migration {
    name: "0001_things",
    sql: "CREATE TABLE things (id TEXT PRIMARY KEY, n BIGINT NOT NULL, flag BOOLEAN NOT NULL, note TEXT);",
}];

#[expect(
    clippy::disallowed_methods,
    reason = "the test run says where PostgreSQL is"
)]
async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let url = match std::env::var("NEPHOS_TEST_PG") {
        Ok(server) => {
            let name = folder
                .path()
                .file_name()
                .unwrap()
                .to_string_lossy()
                .to_lowercase();
            DbUrl::create_database(&server, &format!("db_{}", name.trim_start_matches('.')))
                .await
                .unwrap()
        }
        Err(_) => DbUrl::sqlite(folder.path().join("x.sqlite")),
    };
    let heard = Arc::new(Heard::default());
    let clock = Clock::virtual_at(Timestamp(0));
    let db = Db::open(&url, clock.clone(), heard.clone()).await.unwrap();
    db.migrate(TABLES).await.unwrap();
    db.migrate(TABLES).await.unwrap();
    Fixture {
        db,
        heard,
        clock,
        _folder: folder,
    }
}

async fn insert(db: &Db, id: &str, n: i64) -> Result<(), nephos_db::Error> {
    let mut tx = db.write().await?;
    let sql = "INSERT INTO things (id, n, flag, note) VALUES ($1, $2, $3, $4)";
    tx.exec(sql, args![id, n, true, None::<&str>]).await?;
    tx.wake(Wake::new("things", id));
    tx.commit().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_sixteen_writers_were_told_is_what_stands() {
    let f = fixture().await;
    let mut writers = Vec::new();
    for writer in 0..16i64 {
        let db = f.db.clone();
        let (tell, told) = tokio::sync::oneshot::channel();
        nephos_runtime::spawn("writer", async move {
            let mut kept = 0;
            for n in 0..20i64 {
                match n % 4 {
                    0 => {
                        let mut tx = db.write().await.unwrap();
                        // Undone, or in the way of others: either way it has no effect.
                        drop(
                            tx.exec("DELETE FROM things WHERE n >= $1", args![0i64])
                                .await,
                        );
                        drop(tx);
                    }
                    1 => assert!(insert(&db, "twice", -1).await.is_err() || writer >= 0),
                    _more => {
                        let id = format!("{writer}-{n}");
                        db.again(|| insert(&db, &id, n)).await.unwrap();
                        kept += 1;
                    }
                }
            }
            tell.send(kept).unwrap();
        });
        writers.push(told);
    }
    let mut kept = 0;
    for writer in writers {
        kept += writer.await.unwrap();
    }
    let rows: i64 =
        f.db.fetch_scalar("SELECT COUNT(*) FROM things WHERE id <> $1", args!["twice"])
            .await
            .unwrap();
    assert_eq!(rows, kept);
    assert_eq!(
        i64::try_from(f.heard.0.lock().unwrap().len()).unwrap(),
        kept + 1
    );
}

#[tokio::test]
async fn a_transaction_is_dead_after_its_first_error_and_wakes_nobody() {
    let f = fixture().await;
    insert(&f.db, "a", 1).await.unwrap();
    f.heard.0.lock().unwrap().clear();
    let mut tx = f.db.write().await.unwrap();
    tx.wake(Wake::new("things", "a"));
    let twice = tx
        .exec(
            "INSERT INTO things (id, n, flag) VALUES ($1, $2, $3)",
            args!["a", 1i64, false],
        )
        .await
        .unwrap_err();
    assert!(twice.is_unique(), "{twice}");
    let after = tx.exec("DELETE FROM things", args![]).await.unwrap_err();
    assert_eq!(after.kind(), Kind::Poisoned);
    assert_eq!(tx.commit().await.unwrap_err().kind(), Kind::Poisoned);
    assert!(f.heard.0.lock().unwrap().is_empty());
    insert(&f.db, "b", 1).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_stays_open_is_refused() {
    let f = fixture().await;
    let mut tx = f.db.write().await.unwrap();
    f.clock.advance(Duration::from_secs(6));
    let late = tx.exec("DELETE FROM things", args![]).await.unwrap_err();
    assert_eq!(late.kind(), Kind::Poisoned);
}

#[tokio::test]
async fn nothing_is_stored_for_somebody_who_waits_no_longer() {
    let f = fixture().await;
    let until = f.clock.now().plus_secs(3);
    let within = |id| request::within(Some(until), insert(&f.db, id, 1));
    within("a").await.unwrap();
    f.clock.advance(Duration::from_secs(4));
    assert_eq!(within("b").await.unwrap_err().kind(), Kind::TooLate);
    let finished = nephos_runtime::finish(async move { request::until() });
    assert_eq!(request::within(Some(until), finished).await, Some(until));
    insert(&f.db, "c", 1).await.unwrap();
    let sql = "SELECT id FROM things ORDER BY id";
    let kept: Vec<String> = f.db.fetch_all(sql, args![]).await.unwrap();
    assert_eq!(kept, ["a", "c"]);
}

#[tokio::test]
async fn pages_join_to_the_whole_list() {
    let f = fixture().await;
    for id in 0..25i64 {
        insert(&f.db, &format!("{id:02}"), id % 3).await.unwrap();
    }
    let sort = vec![("n", Direction::Desc), ("id", Direction::Asc)];
    let mut seen: Vec<String> = Vec::new();
    let mut after = None;
    loop {
        let page = Page {
            sort: sort.clone(),
            after: after.take(),
            limit: Some(4),
        };
        let query = Where::new("SELECT id FROM things").ge("n", 0i64).page(page);
        let ids: Vec<String> = f.db.fetch_where(&query).await.unwrap();
        let Some(last) = ids.last() else { break };
        let n: i64 =
            f.db.fetch_scalar("SELECT n FROM things WHERE id = $1", args![last])
                .await
                .unwrap();
        after = Some(args![n, last]);
        seen.extend(ids);
    }
    let whole: Vec<String> =
        f.db.fetch_all("SELECT id FROM things ORDER BY n DESC, id", args![])
            .await
            .unwrap();
    assert_eq!(seen, whole);
    assert_eq!(seen.len(), 25);
    let some: Vec<String> =
        f.db.fetch_where(
            &Where::new("SELECT id FROM things")
                .contains("id", "1")
                .prefix("id", "0"),
        )
        .await
        .unwrap();
    assert_eq!(some, ["01"]);
}

/// Both read how many there are, and write what follows from it.
#[tokio::test]
async fn of_two_that_read_and_then_write_one_does_it_again() {
    let f = fixture().await;
    insert(&f.db, "sum", 0).await.unwrap();
    let count = "SELECT n FROM things WHERE id = $1";
    let note = "UPDATE things SET n = $1 WHERE id = $2";
    if f.db.kind() == nephos_db::EngineKind::Postgres {
        let (mut one, mut two) = (f.db.write().await.unwrap(), f.db.write().await.unwrap());
        let seen: i64 = one.fetch_scalar(count, args!["sum"]).await.unwrap();
        let same: i64 = two.fetch_scalar(count, args!["sum"]).await.unwrap();
        one.exec(note, args![seen + 1, "sum"]).await.unwrap();
        one.commit().await.unwrap();
        let lost = two.exec(note, args![same + 1, "sum"]).await.unwrap_err();
        assert_eq!(lost.kind(), Kind::Conflict, "{lost}");
    }
    let add = || async {
        let mut tx = f.db.write().await?;
        let seen: i64 = tx.fetch_scalar(count, args!["sum"]).await?;
        tokio::task::yield_now().await;
        tx.exec(note, args![seen + 1, "sum"]).await?;
        tx.commit().await
    };
    let before: i64 = f.db.fetch_scalar(count, args!["sum"]).await.unwrap();
    let eight = (0..8).map(|_| f.db.again(add));
    for done in futures_util::future::join_all(eight).await {
        done.unwrap();
    }
    let after: i64 = f.db.fetch_scalar(count, args!["sum"]).await.unwrap();
    assert_eq!(after, before + 8);
}

/// Each checks that the other's row is not there, and writes its own: no row is written twice.
#[tokio::test]
async fn a_check_of_what_another_is_about_to_write_is_a_conflict() {
    let f = fixture().await;
    let claim = |id: &'static str, other: &'static str| {
        let db = f.db.clone();
        async move {
            let mut tx = db.write().await?;
            let there = "SELECT id FROM things WHERE id = $1";
            let taken: Option<String> = tx.fetch_opt(there, args![other]).await?;
            tokio::task::yield_now().await;
            if taken.is_none() {
                let sql = "INSERT INTO things (id, n, flag) VALUES ($1, $2, $3)";
                tx.exec(sql, args![id, 0i64, true]).await?;
            }
            tx.commit().await
        }
    };
    for _ in 0..10 {
        let (one, two) = (|| claim("one", "two"), || claim("two", "one"));
        let (one, two) = tokio::join!(f.db.again(one), f.db.again(two));
        one.unwrap();
        two.unwrap();
        let rows = "SELECT COUNT(*) FROM things";
        let rows: i64 = f.db.fetch_scalar(rows, args![]).await.unwrap();
        assert_eq!(rows, 1);
        let mut tx = f.db.write().await.unwrap();
        tx.exec("DELETE FROM things", args![]).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn one_statement_is_a_transaction_by_itself() {
    let f = fixture().await;
    insert(&f.db, "a", 1).await.unwrap();
    let sql = "UPDATE things SET n = n + 1 WHERE id = $1 AND n = $2";
    assert_eq!(f.db.exec_alone(sql, args!["a", 1_i64]).await.unwrap(), 1);
    assert_eq!(f.db.exec_alone(sql, args!["a", 1_i64]).await.unwrap(), 0);
    let raise = Where::given("UPDATE things SET n = n + $1", args![10_i64]);
    let raise = raise.in_("id", ["a", "b", "c"]).tail("RETURNING n");
    let raised: Vec<i64> = f.db.fetch_alone(&raise).await.unwrap();
    assert_eq!(raised, [12]);
    let late = request::within(
        Some(Timestamp(-1)),
        f.db.exec_alone("DELETE FROM things", args![]),
    );
    assert_eq!(late.await.unwrap_err().kind(), Kind::TooLate);
    let left: i64 =
        f.db.fetch_scalar("SELECT COUNT(*) FROM things", args![])
            .await
            .unwrap();
    assert_eq!(left, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dropped_transaction_held_is_free_and_so_is_its_connection() {
    let f = fixture().await;
    insert(&f.db, "a", 1).await.unwrap();
    // More often than there are connections.
    for round in 0..30_i64 {
        let mut tx = f.db.guarded().await.unwrap();
        let sql = "UPDATE things SET n = $1 WHERE id = $2";
        tx.exec(sql, args![round, "a"]).await.unwrap();
        if round % 2 == 0 {
            tx.exec("UPDATE nowhere SET n = $1", args![round])
                .await
                .unwrap_err();
        }
        drop(tx);
    }
    f.db.exec_alone("UPDATE things SET n = n + 1", args![])
        .await
        .unwrap();
    let n: i64 =
        f.db.fetch_scalar("SELECT n FROM things", args![])
            .await
            .unwrap();
    assert_eq!(n, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_cut_off_is_in_nobodys_way() {
    let f = fixture().await;
    insert(&f.db, "a", 1).await.unwrap();
    let slow = "WITH RECURSIVE many (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM many WHERE x < 300000) \
         SELECT MAX(x) FROM many";
    for _cut in 0..30 {
        let read = f.db.fetch_scalar::<i64>(slow, args![]);
        let cut = tokio::time::timeout(Duration::from_millis(2), read).await;
        let _cut_or_quick = cut.map(|read| assert_eq!(read.unwrap(), 300_000));
    }
    let n: i64 =
        f.db.fetch_scalar("SELECT n FROM things", args![])
            .await
            .unwrap();
    assert_eq!(n, 1);
}
