//! The agent on the simulated data plane: the same loop, no kernel.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::bench::*;
use crate::agent::differences::from_documents;
use crate::driver::fake::Fake;
use crate::driver::plane::{HOST, Link, Plane, Space};
use crate::driver::{Driver, Step};

fn bench() -> (Bench, Arc<Fake>) {
    let fake = Arc::new(Fake::default());
    let driver: Arc<dyn Driver> = Arc::clone(&fake) as Arc<dyn Driver>;
    let mut bench = Bench::with(settings("127.0.0.1"), driver);
    bench
        .documents
        .groups
        .insert(id(2), group(2, vec![rule(json!({}))]));
    bench.port(11, &[1]);
    bench.port(12, &[1, 2]);
    (bench, fake)
}

#[tokio::test]
async fn a_second_pass_finds_nothing_to_do() {
    let (mut bench, fake) = bench();
    assert_eq!(fake.take_steps(), []);
    bench.apply().await;
    bench.all_is_up();
    assert!(!fake.take_steps().is_empty());
    bench.apply().await;
    assert_eq!(fake.take_steps(), []);
}

/// How many entries steps put on links, and how many steps are of another kind.
fn entries(steps: &[Step]) -> (BTreeMap<String, usize>, usize) {
    let mut added = BTreeMap::new();
    let mut others = 0;
    for step in steps {
        let (link, count) = match step {
            Step::Forwards { link, change, .. } => (link, change.add.len()),
            Step::Neighbours { link, change, .. } => (link, change.add.len()),
            _other => {
                others += 1;
                continue;
            }
        };
        added.insert(link.clone(), count);
    }
    (added, others)
}

#[tokio::test]
async fn a_port_elsewhere_costs_its_own_entries_and_nothing_else() {
    let (mut bench, fake) = bench();
    (50..60).for_each(|n| bench.elsewhere(n, "127.0.0.9"));
    bench.apply().await;
    _ = fake.take_steps();
    bench.elsewhere(60, "127.0.0.9");
    bench.apply_news().await;
    let expected = BTreeMap::from([("vx1001".to_owned(), 2), ("br1001".to_owned(), 1)]);
    assert_eq!(entries(&fake.take_steps()), (expected, 0));
    bench.apply().await;
    assert_eq!(fake.take_steps(), []);
}

#[tokio::test]
async fn a_tunnel_that_is_made_anew_gets_all_of_its_entries_again() {
    let (mut bench, fake) = bench();
    (50..60).for_each(|n| bench.elsewhere(n, "127.0.0.9"));
    bench.apply().await;
    let whole = fake.plane();
    fake.meddle(|plane| {
        let host = plane.spaces.get_mut(HOST).unwrap();
        host.links.remove("vx1001");
        host.forwards.remove("vx1001");
    });
    bench.apply_news().await;
    assert_eq!(fake.plane(), whole);
    // A look at everything also finds what went by itself.
    fake.meddle(|plane| {
        _ = plane
            .spaces
            .get_mut(HOST)
            .unwrap()
            .forwards
            .remove("vx1001")
    });
    bench.apply().await;
    assert_eq!(fake.plane(), whole);
}

#[tokio::test]
async fn a_port_that_fails_is_reported_with_the_reason_and_the_others_are_up() {
    let (mut bench, fake) = bench();
    fake.fail(Some(&tap(12)));
    bench.apply().await;
    let failed = bench.not_up();
    let ports: Vec<_> = failed.iter().filter(|(kind, ..)| kind == "port").collect();
    assert_eq!(ports.len(), 1, "{failed:?}");
    assert!(ports[0].2.contains("the simulation says no"), "{failed:?}");
    fake.fail(None);
    bench.apply().await;
    bench.all_is_up();
}

#[tokio::test]
async fn a_port_that_is_withdrawn_is_reported_gone_once_it_is() {
    let (mut bench, _fake) = bench();
    bench.apply().await;
    bench.reports.told();
    bench.documents.ports.remove(&id(12));
    bench.apply().await;
    let due = bench.reports.due(false, &nephos_runtime::Clock::system());
    let gone: Vec<_> = due
        .iter()
        .map(|seen| (seen.id.clone(), seen.state.as_str()))
        .collect();
    assert!(gone.contains(&(id(12), "gone")), "{gone:?}");
}

/// What the check finds after the agent's work and this.
async fn finds(meddle: impl FnOnce(&mut Plane)) -> Vec<String> {
    let (mut bench, fake) = bench();
    bench.apply().await;
    fake.meddle(meddle);
    let found = from_documents(&settings("127.0.0.1"), fake.as_ref(), &bench.documents).await;
    let lines = found.unwrap().into_iter();
    lines
        .map(|one| format!("{}: {}", one.id, one.what))
        .collect()
}

#[tokio::test]
async fn the_check_finds_what_is_missing_too_much_or_changed() {
    assert_eq!(finds(|_| {}).await, Vec::<String>::new());
    let host = |plane: &mut Plane, change: &dyn Fn(&mut Space)| {
        change(plane.spaces.get_mut(HOST).unwrap());
    };
    let found = finds(|plane| host(plane, &|host| host.tables.clear())).await;
    assert!(
        found[0].ends_with("in the host: a table of filters that is not as it should be"),
        "{found:?}"
    );
    let found = finds(|plane| host(plane, &|host| _ = host.links.remove(&tap(11)))).await;
    assert!(
        found.contains(&format!("{}: a network device that is missing", tap(11))),
        "{found:?}"
    );
    let stray = |host: &mut Space| {
        let like: Link = host.links[&tap(11)].clone();
        host.links.insert("tapdeadbeef-00".to_owned(), like);
    };
    let found = finds(|plane| host(plane, &stray)).await;
    assert_eq!(found, ["tapdeadbeef-00: a network device of nothing"]);
    let found = finds(|plane| {
        _ = plane
            .spaces
            .insert("nephos-r-x".to_owned(), Space::default())
    })
    .await;
    assert_eq!(found, ["nephos-r-x: a network namespace of nothing"]);
}
