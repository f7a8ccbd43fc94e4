use nephos_api::http::{HeaderValue, Method, StatusCode};
use nephos_runtime::journal::{Entry, Level};
use nephos_testkit::{HOST, Persona, World};
use serde_json::Value;

use super::*;

/// A service that only says that it was asked.
struct Service;

impl Dispatch for Service {
    fn dispatch(&self, _request: Request) -> BoxFuture<'static, Response> {
        let teapot = Response {
            status: StatusCode::IM_A_TEAPOT,
            ..shown(&json!({}))
        };
        async move { teapot }.boxed()
    }
}

fn front(world: &World) -> Fronted {
    Fronted {
        desk: Arc::new(Desk {
            verifier: world.verifier.clone(),
            operations: Vec::new(),
            clock: world.clock.clone(),
            shutdown: Shutdown::new(),
            waiting: places(),
        }),
        service: Arc::new(Service),
    }
}

async fn ask(
    world: &World,
    persona: Persona,
    (method, target): (&str, &str),
    body: &Value,
) -> (u16, Value) {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = Request::new(method, target);
    if let Some(token) = world.token(persona) {
        let token = HeaderValue::from_str(&token).unwrap();
        request.headers.insert("x-auth-token", token);
    }
    request.body = Incoming::Bytes(body.to_string().into());
    let response = front(world).dispatch(request).await;
    let Payload::Bytes(body) = response.body else {
        panic!("no body");
    };
    (
        response.status.as_u16(),
        serde_json::from_slice(&body).unwrap(),
    )
}

fn note(message: &str) -> Entry {
    Entry {
        seq: 0,
        at: 0,
        level: Level::Warning,
        request_id: Some("req-1".into()),
        service: None,
        host: Some("victim".into()),
        event: None,
        message: message.into(),
        fields: Vec::new(),
    }
}

#[tokio::test]
async fn only_operators_read_and_only_hosts_and_services_tell() {
    let world = World::new();
    let notes = json!({ "entries": [note("told")] });
    for persona in Persona::ALL {
        let (mut statuses, expected) = (
            Vec::new(),
            match persona {
                Persona::Nobody => [401, 401, 401],
                Persona::Admin => [200, 200, 403],
                Persona::Service => [403, 403, 200],
                Persona::Host | Persona::OtherHost => [403, 403, 200],
                _tenant => [403, 403, 403],
            },
        );
        for call in [
            ("GET", "/journal/v1/entries"),
            ("GET", "/journal/v1/requests/req-1"),
            ("POST", "/journal/v1/notes"),
        ] {
            statuses.push(ask(&world, persona, call, &notes).await.0);
        }
        assert_eq!(statuses, expected, "{persona:?}");
    }
    let (status, _) = ask(&world, Persona::Nobody, ("GET", "/v2.1/servers"), &notes).await;
    assert_eq!(status, 418, "everything else is the service's");
    let (status, _) = ask(&world, Persona::Admin, ("GET", "/journal/v1/x"), &notes).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_host_tells_in_its_own_name_and_only_so_much() {
    let world = World::new();
    let tell = ("POST", "/journal/v1/notes");
    let many = |count: usize| json!({ "entries": vec![note("a lie"); count] });
    let (status, said) = ask(&world, Persona::Host, tell, &many(NOTES)).await;
    assert_eq!((status, &said["kept"]), (200, &json!(NOTES)));
    let (status, _) = ask(&world, Persona::Host, tell, &many(NOTES + 1)).await;
    assert_eq!(status, 400);
    let unknown = json!({"entries": [], "host": "victim"});
    assert_eq!(ask(&world, Persona::Host, tell, &unknown).await.0, 400);
    let mut kept = 0;
    for _ in 0..20 {
        let (_, said) = ask(&world, Persona::Host, tell, &many(NOTES)).await;
        kept += said["kept"].as_u64().unwrap();
    }
    assert!(kept < 600, "a flood is cut off: {kept}");
    let read = ("GET", "/journal/v1/requests/req-1");
    let (_, known) = ask(&world, Persona::Admin, read, &json!({})).await;
    let entries = known["entries"].as_array().unwrap();
    assert!(!entries.is_empty() && entries.len() < 500);
    assert!(entries.iter().all(|entry| entry["host"] == HOST));
}

#[tokio::test]
async fn a_reader_of_another_process_begins_anew_and_one_that_knows_all_waits() {
    let world = World::new();
    let own = |message: &str| {
        let entry = Entry {
            host: None,
            ..note(message)
        };
        entry.told_at(world.clock.now())
    };
    journal().note(own("first"));
    let get = |target: String| {
        let world = &world;
        async move {
            ask(world, Persona::Admin, ("GET", &target), &json!({}))
                .await
                .1
        }
    };
    let first = get("/journal/v1/entries?process=gone&after=99&wait=20".to_owned()).await;
    assert_eq!(first["entries"][0]["message"], "first");
    let id = first["process"]["id"].as_str().unwrap();
    let last = first["last"].as_u64().unwrap();
    let next = format!("/journal/v1/entries?process={id}&after={last}&wait=20");
    let (waiting, (), ()) = tokio::join!(
        get(next),
        async {
            tokio::task::yield_now().await;
            journal().note(own("second"));
        },
        // What comes with it is waited for on the virtual clock.
        async {
            for _ in 0..50 {
                tokio::task::yield_now().await;
                world.clock.advance(GATHER);
            }
        }
    );
    assert_eq!(waiting["entries"][0]["message"], "second");
    assert_eq!(waiting["missed"], false);
}

#[tokio::test]
async fn whoever_would_wait_when_all_places_are_taken_is_told_so_and_may_still_look() {
    let world = World::new();
    let full = front(&world);
    let _all = full.desk.waiting.acquire_many(32).await.unwrap();
    let id = &journal().process;
    for (wait, expected) in [(20, 503), (0, 200)] {
        let target = format!("/journal/v1/entries?process={id}&after=0&wait={wait}");
        let mut request = Request::new(Method::GET, &target);
        let token = world.token(Persona::Admin).unwrap();
        let token = HeaderValue::from_str(&token).unwrap();
        request.headers.insert("x-auth-token", token);
        assert_eq!(full.dispatch(request).await.status.as_u16(), expected);
    }
}
