//! Whose turn it is, and what news mean.

use super::*;

#[tokio::test]
async fn what_supersedes_what_has_not_begun_waits_for_the_same() {
    let shop = shop().await;
    shop.order("bear", json!({})).await.unwrap();
    let mut tx = shop.db.write().await.unwrap();
    tx.exec(
        "UPDATE operations SET lease_owner = 'another', lease_until = $1",
        args![shop.clock.now().plus_secs(30)],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    shop.supersede("bear").await;
    shop.supersede("bear").await;
    shop.worker().drain().await.unwrap();
    assert!(
        shop.state("bear").await.is_some(),
        "scrapped while another may still be building"
    );
    shop.clock.advance(Duration::from_secs(31));
    shop.worker().drain().await.unwrap();
    assert_eq!(shop.state("bear").await, None);
}

#[tokio::test]
async fn news_during_the_last_step_are_looked_at_before_it_ends() {
    for (id, args) in [("one", json!({})), ("two", json!({"itself": true}))] {
        let shop = shop().await;
        let mut tx = shop.db.write().await.unwrap();
        nephos_ops::enqueue(&mut tx, shop.clock.now(), new("toy.look", id, args))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let worker = shop.worker();
        assert_eq!(worker.drain().await.unwrap(), 1);
        let live = "SELECT COUNT(*) FROM operations WHERE finished_at IS NULL";
        assert_eq!(shop.count(live).await, 0);
        assert_eq!(shop.looks.load(Ordering::Relaxed), 2, "{id}");
    }
}

#[tokio::test]
async fn a_step_that_rests_by_itself_hears_of_news_first_and_rests_no_longer_than_its_time() {
    let shop = shop().await;
    let mut tx = shop.db.write().await.unwrap();
    let look = new("toy.look", "bear", json!({"rests": true}));
    nephos_ops::enqueue(&mut tx, shop.clock.now(), look)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let worker = shop.worker();
    worker.drain().await.unwrap();
    assert_eq!(shop.looks.load(Ordering::Relaxed), 2);
    let resting = "SELECT COUNT(*) FROM operations WHERE step = 'rest' AND lease_owner IS NULL AND finished_at IS NULL";
    assert_eq!(shop.count(resting).await, 1);
    assert_eq!(worker.drain().await.unwrap(), 0, "it is not due");
    worker
        .settle(Duration::from_secs(7 * 24 * 3600))
        .await
        .unwrap();
    let failed =
        "SELECT COUNT(*) FROM operations WHERE error IS NOT NULL AND finished_at IS NOT NULL";
    assert_eq!(shop.count(failed).await, 1);
}

#[tokio::test]
async fn news_for_work_are_told_to_it_or_begin_it() {
    let shop = shop().await;
    let ask = || async {
        let mut tx = shop.db.write().await.unwrap();
        let now = shop.clock.now();
        nephos_ops::enqueue_or_nudge(&mut tx, now, new("toy.build", "bear", json!({})))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    ask().await;
    ask().await;
    let nudged = "SELECT nudges FROM operations WHERE finished_at IS NULL";
    assert_eq!(shop.count(nudged).await, 1);
    shop.worker().drain().await.unwrap();
    ask().await;
    assert_eq!(shop.count(nudged).await, 0, "it had ended: it begins anew");
    let mut tx = shop.db.write().await.unwrap();
    let now = shop.clock.now();
    assert!(!nephos_ops::nudge(&mut tx, now, OPS, "kite").await.unwrap());
    let other = nephos_ops::enqueue_or_nudge(&mut tx, now, new("toy.scrap", "bear", json!({})));
    assert!(matches!(other.await, Err(EnqueueError::Busy { .. })));
}

#[tokio::test]
async fn news_during_a_step_are_acted_on_at_once() {
    let shop = shop().await;
    shop.order("bear", json!({"talks": true})).await.unwrap();
    shop.worker().drain().await.unwrap();
    // Without a look at the news it would wait for ten minutes.
    assert_eq!(shop.state("bear").await.as_deref(), Some("READY"));
}

#[tokio::test]
async fn a_running_worker_acts_on_a_nudge_without_waiting_for_its_next_look() {
    let shop = shop().await;
    shop.order("bear", json!({"wait": true})).await.unwrap();
    let (_worker, _task) = shop.running();
    let resting = "SELECT COUNT(*) FROM operations WHERE run_at > 2000000 AND lease_owner IS NULL";
    let rests = || async { shop.count(resting).await == 1 };
    assert!(shop.pass_until(3, rests).await);
    shop.exec("UPDATE world SET painted = TRUE").await;
    let mut tx = shop.db.write().await.unwrap();
    nephos_ops::nudge(&mut tx, shop.clock.now(), OPS, "bear")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    // The clock stands still.
    let ready = async { while shop.state("bear").await.as_deref() != Some("READY") {} };
    tokio::time::timeout(Duration::from_secs(20), ready)
        .await
        .expect("it still waits");
}

#[tokio::test]
async fn a_running_worker_forgets_what_ended_long_ago() {
    let shop = shop().await;
    shop.order("bear", json!({})).await.unwrap();
    shop.worker().drain().await.unwrap();
    shop.clock.advance(Duration::from_secs(25 * 3600));
    let (_worker, _task) = shop.running();
    let gone = || async { shop.count("SELECT COUNT(*) FROM operations").await == 0 };
    assert!(shop.pass_until(3, gone).await);
}

#[tokio::test]
async fn a_long_step_keeps_its_lease_and_a_dead_worker_loses_its_own_in_seconds() {
    let shop = shop().await;
    shop.order("bear", json!({"slow": true})).await.unwrap();
    let (worker, task) = shop.running();
    shop.begun.notified().await;
    let leased = "SELECT COUNT(*) FROM operations WHERE lease_owner IS NOT NULL";
    let another = shop.worker();
    for _second in 0..30 {
        assert_eq!(
            another.drain().await.unwrap(),
            0,
            "it was taken from a living worker"
        );
        assert_eq!(shop.count(leased).await, 1);
        let before = shop.count("SELECT lease_until FROM operations").await;
        shop.clock.advance(Duration::from_secs(1));
        // A beat that had not yet lain down when the second passed comes with the next one.
        let renewed =
            async { while shop.count("SELECT lease_until FROM operations").await <= before {} };
        let _next_time = tokio::time::timeout(Duration::from_millis(500), renewed).await;
    }
    // The process dies: no step goes on, no beat renews.
    task.abort();
    drop(worker);
    shop.exec("UPDATE operations SET args = '{}'").await;
    for _second in 0..5 {
        shop.clock.advance(Duration::from_secs(1));
        another.drain().await.unwrap();
    }
    assert_eq!(shop.state("bear").await.as_deref(), Some("READY"));
}

#[tokio::test]
async fn a_step_that_may_be_cut_off_ends_when_it_is_superseded() {
    let shop = shop().await;
    shop.order_of("toy.fetch", "bear", json!({})).await.unwrap();
    let (_worker, _task) = shop.running();
    shop.begun.notified().await;
    shop.supersede("bear").await;
    let gone = || async { shop.state("bear").await.is_none() };
    assert!(
        shop.pass_until(5, gone).await,
        "it waits for the whole step"
    );
}

#[tokio::test]
async fn what_supersedes_a_step_that_makes_something_waits_for_it_and_finds_it() {
    let shop = shop().await;
    shop.order("bear", json!({"slow": true})).await.unwrap();
    let (_worker, _task) = shop.running();
    shop.begun.notified().await;
    shop.supersede("bear").await;
    let gone = || async { shop.state("bear").await.is_none() };
    assert!(shop.pass_until(70, gone).await, "it never begins");
    assert_eq!(shop.count("SELECT COUNT(*) FROM world").await, 0);
}

#[tokio::test]
async fn a_step_that_holds_the_database_does_not_stop_it_for_ever() {
    let shop = shop().await;
    shop.order("bear", json!({"holds": true})).await.unwrap();
    let (_worker, _task) = shop.running();
    shop.begun.notified().await;
    for _second in 0..30 {
        shop.clock.advance(Duration::from_secs(1));
        for _turn in 0..20 {
            shop.state("bear").await;
        }
    }
    let ready = || async { shop.state("bear").await.as_deref() == Some("READY") };
    assert!(
        shop.pass_until(10, ready).await,
        "nothing is written any more"
    );
}

#[tokio::test]
async fn looks_are_no_failures_and_a_sibling_that_is_away_is_asked_every_few_seconds() {
    let shop = shop().await;
    shop.order("bear", json!({"wait": true})).await.unwrap();
    let worker = shop.worker();
    for _look in 0..6 {
        worker.drain().await.unwrap();
        shop.clock.advance(Duration::from_secs(601));
    }
    assert_eq!(shop.count("SELECT attempt FROM operations").await, 0);
    shop.exec("DELETE FROM operations").await;

    shop.order("kite", json!({"away": true})).await.unwrap();
    for tries in 1..20 {
        worker.drain().await.unwrap();
        assert_eq!(shop.count("SELECT attempt FROM operations").await, tries);
        let pause = shop.count("SELECT run_at FROM operations").await - shop.clock.now().0;
        assert!((1..=5_000_000).contains(&pause), "{pause}");
        shop.clock.advance(Duration::from_secs(5));
    }
}

#[tokio::test]
async fn work_that_nobody_here_knows_is_left_to_others_and_given_up_at_its_deadline() {
    let shop = shop().await;
    let mut tx = shop.db.write().await.unwrap();
    let now = shop.clock.now();
    nephos_ops::enqueue(&mut tx, now, new("toy.fly", "bear", json!({})))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let worker = shop.worker();
    worker.drain().await.unwrap();
    let free = "SELECT COUNT(*) FROM operations WHERE lease_owner IS NULL AND lease_until = 0";
    assert_eq!(shop.count(free).await, 1);
    let next = shop.count("SELECT run_at FROM operations").await - now.0;
    assert_eq!(next, 60_000_000);
    worker.settle(Duration::from_secs(2 * 3600)).await.unwrap();
    let failed =
        "SELECT COUNT(*) FROM operations WHERE finished_at IS NOT NULL AND error LIKE '%toy.fly%'";
    assert_eq!(shop.count(failed).await, 1);
}

#[tokio::test]
async fn settling_goes_straight_to_the_end_of_a_dead_lease() {
    let shop = shop().await;
    shop.order("bear", json!({})).await.unwrap();
    let mut tx = shop.db.write().await.unwrap();
    tx.exec(
        "UPDATE operations SET lease_owner = 'a dead worker', lease_until = $1",
        args![shop.clock.now().plus_secs(30)],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    shop.supersede("bear").await;
    // A step of a microsecond each would take until tomorrow.
    shop.worker().settle(Duration::from_secs(60)).await.unwrap();
    assert_eq!(shop.state("bear").await, None);
}
