//! The same promises on both buses, and a broker that dies.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod broker;

use std::time::Duration;

use nephos_bus::{Bus, Wakes};
use nephos_runtime::{Clock, WakeSink};
use nephos_types::Wake;

use broker::Broker;

const SOON: Duration = Duration::from_secs(10);

/// Said until it is heard: a listener that is new to a broker hears from when the broker knows of it.
const HELLO: &str = "hello";

/// The next wake that names something; "look at everything" may come at any time, and a greeting late.
async fn named(wakes: &mut Wakes) -> String {
    let clock = Clock::system();
    let wait = async {
        loop {
            let wake = wakes.next().await;
            if !wake.id.is_empty() && wake.id != HELLO {
                return wake.id;
            }
        }
    };
    clock.timeout(SOON, wait).await.expect("a wake within 10 s")
}

/// Waits until `wakes` hears what is said on `here`.
async fn listening(here: &Bus, topic: &'static str, wakes: &mut Wakes) {
    let clock = Clock::system();
    loop {
        assert!(clock.monotonic() < SOON, "nothing is heard on {topic}");
        here.wake(Wake::new(topic, HELLO));
        let pause = Duration::from_millis(100);
        let greeted = async { while wakes.next().await.id != HELLO {} };
        if clock.timeout(pause, greeted).await.is_some() {
            return;
        }
    }
}

async fn connected(bus: &Bus, limit: Duration) {
    let clock = Clock::system();
    while !bus.is_connected() {
        assert!(clock.monotonic() < limit, "not connected within {limit:?}");
        clock.sleep(Duration::from_millis(20)).await;
    }
}

/// What everybody may rely on, whichever bus it is: `there` hears what is said on `here`.
async fn promises(here: &Bus, there: &Bus) {
    let (mut first, mut second) = (there.subscribe("a.ops"), there.subscribe("a.ops"));
    let mut other = there.subscribe("b.ops");
    // What was said before is behind both then.
    listening(here, "a.ops", &mut first).await;
    listening(here, "a.ops", &mut second).await;
    listening(here, "b.ops", &mut other).await;
    here.wake(Wake::new("a.ops", "1"));
    assert_eq!(named(&mut first).await, "1");
    assert_eq!(named(&mut second).await, "1", "every listener hears");
    here.wake(Wake::new("c.ops", "nobody listens"));
    here.wake(Wake::new("b.ops", "2"));
    assert_eq!(named(&mut other).await, "2");
    for n in 0..50 {
        here.wake(Wake::new("a.ops", n.to_string()));
    }
    for n in 0..50 {
        let heard = named(&mut first).await;
        assert_eq!(heard, n.to_string(), "in order, and of this topic only");
    }
}

#[tokio::test]
async fn in_one_process() {
    let bus = Bus::local();
    promises(&bus, &bus).await;
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    let why = Bus::amqp("http://localhost", Clock::system()).unwrap_err();
    assert!(
        why.to_string().contains("amqp://user:password@host"),
        "{why}"
    );
}

#[tokio::test]
async fn without_a_broker_this_process_hears_itself() {
    let bus = Bus::amqp("amqp://127.0.0.1:1", Clock::system()).unwrap();
    assert!(!bus.is_connected());
    let (short, long) = (Duration::from_millis(20), Duration::from_secs(25));
    assert_eq!(
        (bus.may_wait(short), Bus::local().may_wait(long)),
        (short, long)
    );
    assert_eq!(
        bus.may_wait(long),
        Duration::from_secs(1),
        "nobody else is heard"
    );
    promises(&bus, &bus).await;
    for n in 0..10_000 {
        bus.wake(Wake::new("a.ops", n.to_string()));
    }
}

/// One test, because a broker takes seconds to start.
#[tokio::test(flavor = "multi_thread")]
async fn through_a_broker_that_is_killed_restarted_and_frozen() {
    let Some(mut broker) = Broker::new() else {
        eprintln!("not run: NEPHOS_TEST_RABBITMQ is not set");
        return;
    };
    let clock = Clock::virtual_at(nephos_types::Timestamp(0));
    let here = Bus::amqp(&broker.url(), Clock::system()).unwrap();
    let there = Bus::amqp(&broker.url(), clock.clone()).unwrap();
    let mut wakes = there.subscribe("a.ops");
    // Its pauses between attempts are virtual, so it is moved on from outside.
    let mover = nephos_runtime::spawn("mover", {
        let clock = clock.clone();
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                clock.advance(Duration::from_millis(200));
            }
        }
    });
    broker.start().await;
    connected(&here, Duration::from_secs(60)).await;
    connected(&there, Duration::from_secs(60)).await;
    promises(&here, &there).await;
    while wakes.try_next().is_some() {}

    broker.kill();
    let woken = Clock::system().timeout(SOON, wakes.next()).await;
    assert!(woken.is_some(), "who hears nobody any more looks by itself");
    while wakes.try_next().is_some() {}
    here.wake(Wake::new("a.ops", "said while it was dead"));
    broker.start().await;
    connected(&here, Duration::from_secs(60)).await;
    connected(&there, Duration::from_secs(60)).await;
    let woken = Clock::system().timeout(SOON, wakes.next()).await;
    assert!(woken.is_some(), "who comes back looks at everything");
    promises(&here, &there).await;

    // Frozen, the connection stands and nothing comes through it: only our own watchdog tells.
    broker.freeze(true);
    let frozen = Clock::system();
    while there.is_connected() {
        assert!(frozen.monotonic() < SOON, "the watchdog sleeps");
        clock.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    broker.freeze(false);
    connected(&there, Duration::from_secs(60)).await;
    connected(&here, Duration::from_secs(60)).await;
    promises(&here, &there).await;
    mover.abort();
}
