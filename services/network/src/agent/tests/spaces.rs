//! Ports that a namespace has: what lives there is reached, and reaches out, as a guest does.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::bench::*;
use super::routers::add_router;
use crate::agent::differences::from_documents;
use crate::agent::picture::short;

const ADDRESS: &str = "10.0.0.31";

fn space() -> String {
    format!("nephos-l-{}", short(&id(31)))
}

/// A guest that lets everything in, port 31 with a space, and somebody in it who says who asks.
async fn served() -> (Bench, Card) {
    let mut bench = Bench::new("127.0.0.1");
    let everything = vec![rule(json!({}))];
    bench.documents.groups.insert(id(2), group(2, everything));
    bench.port(11, &[1, 2]);
    let port = bench.port(31, &[]);
    (port.space, port.port_security) = (true, false);
    bench.apply().await;
    bench.all_is_up();
    let card = Card::plug(11, "10.0.0.11");
    settle(31);
    serve(&bench).await;
    (bench, card)
}

async fn serve(bench: &Bench) {
    let at = format!("{ADDRESS}:80").parse().unwrap();
    let listener = bench.driver.listen(&space(), at).await.unwrap().unwrap();
    nephos_runtime::spawn("served", async move {
        while let Ok((mut stream, from)) = listener.accept().await {
            let _asked = stream.read(&mut [0; 1000]).await;
            let words = format!("you are {}", from.ip());
            let _told = stream.write_all(words.as_bytes()).await;
            let _over = stream.shutdown().await;
        }
    });
}

#[test]
fn a_guest_reaches_who_lives_in_a_ports_namespace_and_an_agent_that_starts_again_changes_nothing() {
    alone(|| async {
        let (mut bench, card) = served().await;
        let to: Ipv4Addr = ADDRESS.parse().unwrap();
        assert_eq!(card.arp(ADDRESS).await, Some(mac(31)));
        let answer = card.http(mac(31), to, "GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(answer.unwrap(), "you are 10.0.0.11");
        let links = || shell(&format!("ip netns exec {} ip -o link show eth0", space()));
        let before = links();
        bench.restart();
        bench.apply().await;
        bench.all_is_up();
        assert_eq!(links(), before);
        let settings = settings("127.0.0.1");
        let found = from_documents(&settings, bench.driver.as_ref(), &bench.documents).await;
        assert_eq!(found.unwrap().into_iter().collect::<Vec<_>>(), []);
    });
}

#[test]
fn a_floating_ip_leads_into_a_ports_namespace_and_answers_find_the_way_back() {
    alone(|| async {
        let (mut bench, _card) = served().await;
        add_router(&mut bench, &[("172.24.4.31", ADDRESS)]);
        bench.apply_news().await;
        settle(31);
        bench.apply().await;
        bench.all_is_up();
        let asked = tokio::task::spawn_blocking(|| {
            let mut stream = TcpStream::connect("172.24.4.31:80").unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            stream.write_all(b"who am I").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        assert_eq!(asked.await.unwrap(), "you are 172.24.4.1");
    });
}

#[test]
fn security_groups_hold_for_a_port_with_a_namespace() {
    alone(|| async {
        let (mut bench, card) = served().await;
        let port = bench.port(31, &[1]);
        port.space = true;
        bench.apply().await;
        bench.all_is_up();
        let to: Ipv4Addr = ADDRESS.parse().unwrap();
        let ask = || card.http(mac(31), to, "GET / HTTP/1.0\r\n\r\n");
        assert_eq!(ask().await, None);
        bench.port(31, &[1, 2]).space = true;
        bench.apply().await;
        assert_eq!(ask().await.unwrap(), "you are 10.0.0.11");
    });
}

#[test]
fn nothing_is_left_of_a_ports_namespace_when_the_port_goes_and_it_may_become_a_guests() {
    alone(|| async {
        let (mut bench, _card) = served().await;
        bench.reports.told();
        bench.documents.ports.remove(&id(31));
        bench.apply().await;
        assert!(!shell("ip netns list").contains(&space()));
        assert!(!shell("ip -br link").contains(&tap(31)));
        let due = bench.reports.due(false, &nephos_runtime::Clock::system());
        let gone = due.iter().find(|seen| seen.id == id(31)).unwrap();
        assert_eq!(gone.state, "gone");
        bench.port(31, &[1, 2]);
        bench.apply().await;
        bench.all_is_up();
        let guest = Card::plug(31, ADDRESS);
        bench.port(31, &[]).space = true;
        bench.apply().await;
        bench.all_is_up();
        drop(guest);
        assert!(shell("ip netns list").contains(&space()));
    });
}
