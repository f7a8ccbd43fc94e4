use super::*;

/// When everything happens here.
const NOW: Timestamp = Timestamp(1_000_000_000_000_000);

fn entry(message: &str) -> Entry {
    Entry {
        seq: 0,
        at: NOW.0,
        level: Level::Info,
        request_id: None,
        service: None,
        host: None,
        event: None,
        message: message.into(),
        fields: Vec::new(),
    }
}

fn bytes(journal: &Journal) -> usize {
    let inner = journal.inner();
    let all = inner.rings(true).into_iter().flat_map(Ring::iter);
    all.map(|entry| entry.weight()).sum()
}

fn kept(journal: &Journal) -> usize {
    let inner = journal.inner();
    inner
        .rings(true)
        .into_iter()
        .map(|ring| ring.iter().count())
        .sum()
}

#[test]
fn it_stays_within_two_mebibytes_and_a_burst_pushes_out_no_warning() {
    let journal = Journal::default();
    journal.note(Entry {
        level: Level::Warning,
        ..entry("a warning")
    });
    let long = "x".repeat(10_000);
    for number in 0..20_000 {
        let fields = (0..40).map(|_| ("name".into(), long.as_str().into()));
        let fields = if number % 100 == 0 {
            fields.collect()
        } else {
            Vec::new()
        };
        journal.note(Entry {
            fields,
            ..entry(&long)
        });
    }
    assert!(
        bytes(&journal) <= 2 * 1024 * 1024,
        "{} bytes",
        bytes(&journal)
    );
    assert!(kept(&journal) > 500, "{}", kept(&journal));
    let news = journal.after(NOW, 0, false).entries;
    assert_eq!(news.len(), 1, "{news:?}");
    let all = journal.after(NOW, 0, true);
    assert_eq!(all.entries.len(), PAGE);
    let longest = all
        .entries
        .iter()
        .map(|entry| entry.message.len())
        .max()
        .unwrap();
    assert!(longest <= MESSAGE + "…".len(), "{longest}");
    assert!(all.entries.iter().all(|entry| entry.fields.len() <= FIELDS));
}

#[test]
fn whoever_reads_page_by_page_reads_everything_and_is_told_what_is_gone() {
    let journal = Journal::default();
    for number in 0..1200 {
        journal.note(entry(&number.to_string()));
    }
    let (mut since, mut read) = (0, Vec::new());
    loop {
        let page = journal.after(NOW, since, true);
        assert!(!page.missed);
        if page.entries.is_empty() {
            break;
        }
        read.extend(page.entries.iter().map(|entry| entry.message.to_string()));
        since = page.last;
    }
    let expected: Vec<_> = (0..1200).map(|number| number.to_string()).collect();
    assert_eq!(read, expected);
    for _ in 0..20_000 {
        journal.note(entry("more"));
    }
    assert!(journal.after(NOW, since, true).missed);
    assert!(
        !journal.after(NOW, since, false).missed,
        "nothing else is gone"
    );
}

#[test]
fn a_host_speaks_in_its_own_name_and_pushes_out_nobody() {
    let journal = Journal::default();
    let now = NOW;
    let lie = Entry {
        host: Some("other".into()),
        at: i64::MAX,
        ..entry("hello")
    };
    assert_eq!(
        journal.take_in(now, "quiet", vec![lie.clone(), lie.clone()]),
        2
    );
    journal.note(entry("own"));
    let mut flood = 0;
    for second in 0..100 {
        let many = vec![lie.clone(); 1000];
        flood += journal.take_in(now.plus_secs(second), "loud", many);
    }
    let most = AT_ONCE + 100 * PER_SECOND;
    assert!(flood <= usize::try_from(most).unwrap(), "{flood}");
    let all = journal.after(NOW, 0, true).entries;
    let of = |host: &str| {
        let all = all.iter();
        all.filter(|entry| entry.host.as_deref() == Some(host))
            .count()
    };
    assert_eq!(
        (of("quiet"), of("other")),
        (2, 0),
        "in its own name, and still there"
    );
    assert!(of("loud") <= OF_HOST, "{}", of("loud"));
    let possible = now.0..=now.plus_secs(200).0;
    assert!(all.iter().all(|entry| possible.contains(&entry.at)));
    assert!(all.iter().any(|entry| &*entry.message == "own"));
}

#[test]
fn what_is_older_than_a_day_is_shown_to_nobody_and_makes_room() {
    let journal = Journal::default();
    journal.note(entry("own"));
    let told = Entry {
        at: i64::MIN,
        ..entry("a host's")
    };
    assert_eq!(journal.take_in(NOW, "h1", vec![told; 3]), 3);
    let (today, tomorrow) = (NOW.plus_secs(AGE), NOW.plus_secs(AGE + 1));
    assert_eq!(journal.after(today, 0, true).entries.len(), 4);
    assert!(journal.after(tomorrow, 0, true).entries.is_empty());
    assert_eq!(kept(&journal), 0);
    assert_eq!(journal.inner().shares["h1"].kept, 0);
}

#[tokio::test]
async fn what_the_log_writes_is_kept_with_what_its_spans_say_and_nothing_else() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let filter = tracing_subscriber::EnvFilter::new("warn,nephos_runtime=info");
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(Layer::new());
    let _guard = tracing::subscriber::set_default(subscriber);
    let asks = tracing::info_span!("agent", service = "network", host = "node9");
    let span = asks
        .in_scope(|| tracing::info_span!("request", service = "compute", request_id = "req-layer"));
    span.in_scope(|| {
        tracing::debug!("too fine for the log");
        tracing::info!(target: "other", "of a crate that the log does not show");
        tracing::info!(path = "/host/v1/feed", status = 200, "answered");
        tracing::info!(method = "GET", status = 200, "answered");
        tracing::warn!(service = "image", host = "node1", "beware");
    });
    let id = nephos_types::RequestId::from("req-layer");
    crate::request::under(id, async { tracing::info!("without a span") }).await;
    let found = journal().of_request(Clock::system().now(), "req-layer");
    let said: Vec<_> = found.iter().map(|entry| &*entry.message).collect();
    assert_eq!(said, ["answered", "beware", "without a span"]);
    assert_eq!(found[0].service.as_deref(), Some("compute"));
    assert_eq!(
        found[0].host, None,
        "a host asked, and is not where it is answered"
    );
    assert_eq!(found[0].field("status"), Some("200"));
    assert_eq!(found[1].service.as_deref(), Some("image"));
    assert_eq!(found[1].host.as_deref(), Some("node1"));
    assert!(found[1].is_news() && !found[0].is_news());
}

#[tokio::test]
async fn who_waits_for_news_is_woken_by_news_alone() {
    let journal = Journal::default();
    journal.note(entry("no news"));
    let waiting = journal.changed(0, false);
    tokio::pin!(waiting);
    assert!(still_waits(&mut waiting).await, "it still waits");
    journal.note(Entry {
        event: Some("host".into()),
        ..entry("a host is there")
    });
    waiting.await;
    assert_eq!(journal.after(NOW, 0, false).entries.len(), 1);
}

async fn still_waits(waiting: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    tokio::select! { biased; () = waiting => false, () = tokio::task::yield_now() => true }
}
