//! The pipeline with a toy service: what a client sees of versions, rules, bodies and faults.

use std::sync::Arc;

use nephos_api::version::{Change, added, before, hide, v};
use nephos_api::{
    Accepted, App, Bytes, Core, Dialect, Endpoints, Hosts, Json, Loaded, Older, Params, Public,
    Reply, Req, Service, Shape, Versioning, With, endpoint, routes,
};
use nephos_auth::personas::{ADMIN, PROJECT_MEMBER_OR_ADMIN};
use nephos_auth::{Resource, RuleInfo};
use nephos_db::Migration;
use nephos_testkit::{Ask, Persona, World};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

mod rules {
    use super::{ADMIN, PROJECT_MEMBER_OR_ADMIN};

    nephos_auth::rules! {
        /// Make a toy.
        pub CreateToy = "toys:create", PROJECT_MEMBER_OR_ADMIN;
        /// Break a toy.
        pub BreakToy = "toys:break", PROJECT_MEMBER_OR_ADMIN;
        /// Read what a host is to have.
        pub FeedToys = "toys:feed", "";
        /// Count toys.
        pub CountToys = "toys:count", ADMIN;
    }
}

struct Toys {
    core: Core,
}

type Svc = Toys;
type Cx = nephos_api::Cx<Svc>;

static DIALECT: Dialect = Dialect {
    versioning: Versioning::Microversion {
        service: "toys",
        legacy_header: Some("X-Toys-Version"),
        min: v(1, 1),
        max: v(1, 4),
    },
    max_body_bytes: 1000,
    strict_slash: true,
    older: Some(Older {
        path: "/v0",
        served_at: "/v1",
    }),
    ..Dialect::plain(
        |fault, id| json!({"fault": {"code": fault.status.as_u16(), "message": fault.message, "id": id}}),
    )
};

impl Service for Toys {
    const NAME: &'static str = "toys";
    const DIALECT: &'static Dialect = &DIALECT;
    fn core(&self) -> &Core {
        &self.core
    }
    fn endpoints() -> Endpoints<Self> {
        routes![
            Discover,
            CreateToy,
            ShowToy,
            BreakToy,
            CountToys,
            CountToysOld,
            EchoToy,
            FeedToys
        ]
    }
    fn rules() -> &'static [RuleInfo] {
        rules::ALL
    }
    fn migrations() -> Vec<Migration> {
        Vec::new()
    }
}

const TOY_VIEW: &[Change] = &[
    added(v(1, 2), "color"),
    before(v(1, 3), "maker", maker_as_name),
];
const TOY_CREATE: &[Change] = &[added(v(1, 3), "color")];

fn maker_as_name(toy: &mut Map<String, Value>) {
    let name = toy.shift_remove("_maker_name").unwrap_or_default();
    toy.insert("maker".into(), name);
}

#[derive(Deserialize, ToSchema)]
struct ToyBody {
    toy: NewToy,
}
#[derive(Deserialize, ToSchema)]
struct NewToy {
    name: String,
    #[serde(default)]
    color: String,
    #[serde(default)]
    parts: Vec<Part>,
}
#[derive(Deserialize, ToSchema)]
struct Part {
    #[expect(dead_code, reason = "only its type matters")]
    size: u32,
}
#[derive(Serialize, ToSchema)]
struct ToyView {
    toy: Toy,
}
#[derive(Serialize, ToSchema)]
struct Toy {
    name: String,
    color: String,
    maker: Value,
    #[serde(rename = "_maker_name", skip_serializing_if = "hide")]
    maker_name: String,
    link: String,
}
#[derive(Deserialize)]
struct ToyPath {
    name: String,
}

struct Stored {
    project: &'static str,
}
impl Resource for Stored {
    const KIND: &'static str = "Toy";
    fn project_id(&self) -> Option<&str> {
        Some(self.project)
    }
}

endpoint! {
    /// Say which versions there are.
    Discover: GET "/" => 300,
    policy: Public,
    reply: Json<Value>,
    handler: discover,
}
async fn discover(cx: Cx, _req: Req<Discover>) -> Reply<Discover> {
    Ok(Json(
        json!({"who": cx.caller.user_id, "href": cx.url("/v1")}),
    ))
}

endpoint! {
    /// Make a toy.
    CreateToy: POST "/v1/toys" => 201,
    versions: 1.1..,
    policy: rules::CreateToy,
    body: Json<ToyBody> as Shape::one("toy", TOY_CREATE).keys(&["name", "color", "parts"]),
    reply: With<Json<ToyView>> as Shape::one("toy", TOY_VIEW),
    handler: create_toy,
}
async fn create_toy(cx: Cx, req: Req<CreateToy>) -> Reply<CreateToy> {
    let new = &req.body.toy;
    let _parts = new.parts.len();
    let toy = Toy {
        name: new.name.clone(),
        color: new.color.clone(),
        maker: json!({"id": cx.caller.user_id}),
        maker_name: "me".into(),
        link: cx.url("/v1/toys/x"),
    };
    Ok(With::new(Json(ToyView { toy })).header(http::header::LOCATION, "here"))
}

endpoint! {
    /// Show a toy.
    ShowToy: GET "/v1/toys/{name}" => 200,
    policy: nephos_api::Authenticated,
    path: ToyPath,
    query: Params,
    reply: Json<Value>,
    handler: show_toy,
}
async fn show_toy(_cx: Cx, req: Req<ShowToy>) -> Reply<ShowToy> {
    let all: Vec<&str> = req.query.all("x").collect();
    Ok(Json(json!({"name": req.path.name, "x": all})))
}

endpoint! {
    /// Say what a host is to have.
    FeedToys: GET "/v1/feed" => 200,
    policy: Hosts<rules::FeedToys>,
    query: Params,
    reply: Json<Value>,
    handler: feed_toys,
}
async fn feed_toys(cx: Cx, req: Req<FeedToys>) -> Reply<FeedToys> {
    Ok(Json(json!({"host": cx.host(req.query.get("host"))?})))
}

endpoint! {
    /// Break a toy.
    BreakToy: POST "/v1/toys/{name}/action" ["os-break"] => 202,
    policy: Loaded<rules::BreakToy>,
    path: ToyPath,
    body: Json<Value>,
    reply: Accepted,
    handler: break_toy,
}
async fn break_toy(cx: Cx, req: Req<BreakToy>) -> Reply<BreakToy> {
    let mine = Stored {
        project: Persona::Member.project(),
    };
    cx.allow(rules::BreakToy, (req.path.name == "bear").then_some(mine))?;
    Ok(Accepted)
}

endpoint! {
    /// Count toys.
    CountToys: GET "/v1/count" => 200,
    versions: 1.3..,
    policy: rules::CountToys,
    reply: Json<Value>,
    handler: count_toys,
}
async fn count_toys(_cx: Cx, _req: Req<CountToys>) -> Reply<CountToys> {
    Ok(Json(json!({"count": 1})))
}

endpoint! {
    /// Count toys, as it was.
    CountToysOld: GET "/v1/count" => 203,
    versions: 1.1..=1.2,
    policy: rules::CountToys,
    reply: Json<Value>,
    handler: count_toys_old,
}
async fn count_toys_old(_cx: Cx, _req: Req<CountToysOld>) -> Reply<CountToysOld> {
    Ok(Json(json!(1)))
}

endpoint! {
    /// Give the bytes back.
    EchoToy: PUT "/v1/echo/{name*}" => 200,
    policy: nephos_api::Authenticated,
    path: ToyPath,
    body: Bytes,
    reply: Json<Value>,
    handler: echo_toy,
}
async fn echo_toy(_cx: Cx, req: Req<EchoToy>) -> Reply<EchoToy> {
    Ok(Json(
        json!({"length": req.body.0.len(), "tail": req.path.name}),
    ))
}

async fn toys() -> (World, Ask) {
    let world = World::new();
    let core = world.core::<Toys>().await;
    let app: App<Toys> = world.app(Arc::new(Toys { core }));
    let ask = world.ask(&app);
    (world, ask)
}

#[tokio::test]
async fn a_reply_and_a_request_have_the_shape_of_the_asked_version() {
    let (_world, ask) = toys().await;
    let member = ask.as_persona(Persona::Member);
    let body = json!({"toy": {"name": "bear"}});
    let newest = member
        .at("toys latest")
        .post("/v1/toys", body.clone())
        .await
        .expect(201);
    assert_eq!(newest.json["toy"]["maker"]["id"], Persona::Member.user());
    assert_eq!(newest.json["toy"].get("_maker_name"), None);
    assert_eq!(
        newest.json["toy"]["link"],
        "http://cloud.test/toys/v1/toys/x"
    );
    assert_eq!(newest.header("openstack-api-version"), Some("toys 1.4"));
    assert_eq!(newest.header("x-toys-version"), Some("1.4"));
    assert_eq!(newest.header("location"), Some("here"));
    let oldest = member.post("/v1/toys", body).await.expect(201);
    assert_eq!(oldest.json["toy"]["maker"], "me");
    assert_eq!(oldest.json["toy"].get("color"), None);

    let colored = json!({"toy": {"name": "bear", "color": "red"}});
    let refused = member
        .at("toys 1.2")
        .post("/v1/toys", colored.clone())
        .await
        .expect(400);
    assert!(
        refused.json["fault"]["message"]
            .as_str()
            .unwrap()
            .contains("'color' was unexpected")
    );
    member
        .at("toys 1.3")
        .post("/v1/toys", colored)
        .await
        .expect(201);
}

#[tokio::test]
async fn an_older_api_forgets_unknown_keys_and_knows_no_versions() {
    let (_world, ask) = toys().await;
    let member = ask.as_persona(Persona::Member);
    let body = json!({"toy": {"name": "bear", "color": "red", "smell": "wood"}});
    let asked = member.at("toys latest");
    let made = asked.post("/v0/toys", body).await.expect(201);
    assert_eq!(made.json["toy"]["maker"], "me");
    assert_eq!(made.header("openstack-api-version"), None);
    member.get("/v0").await.expect(404);
    member.get("/v0toys").await.expect(404);
}

#[tokio::test]
async fn a_slash_at_the_end_stands_before_a_name_that_is_missing() {
    let (_world, ask) = toys().await;
    let admin = ask.as_persona(Persona::Admin);
    let body = json!({"toy": {"name": "bear"}});
    admin.post("/v1/toys/", body).await.expect(404);
    admin.get("/v1/toys/").await.expect(404);
    admin.get("/v1/count/").await.expect(203);
}

#[tokio::test]
async fn versions_outside_the_range_are_refused_and_rows_have_their_own() {
    let (_world, ask) = toys().await;
    let admin = ask.as_persona(Persona::Admin);
    admin.at("toys 1.5").get("/v1/count").await.expect(406);
    admin.at("toys 1.0").get("/v1/count").await.expect(406);
    admin.at("toys 1.04").get("/v1/count").await.expect(400);
    admin.at("other 9.9").get("/v1/count").await.expect(203);
    admin
        .with_header("x-toys-version", "1.3")
        .get("/v1/count")
        .await
        .expect(200);
    admin.at("toys 1.3").get("/v1/count").await.expect(200);
}

#[tokio::test]
async fn who_may_not_is_told_which_rule_and_who_is_nobody_is_asked_to_log_in() {
    let (_world, ask) = toys().await;
    let nobody = ask.get("/v1/count").await.expect(401);
    assert_eq!(
        nobody.header("www-authenticate"),
        Some("Keystone uri=\"http://cloud.test/identity\"")
    );
    ask.with_token("forged").get("/v1/count").await.expect(401);
    let member = ask
        .as_persona(Persona::Member)
        .get("/v1/count")
        .await
        .expect(403);
    assert!(
        member.json["fault"]["message"]
            .as_str()
            .unwrap()
            .contains("toys:count")
    );
    let breaking = json!({"os-break": null});
    let ask_break = |persona, name: &str| {
        let (ask, breaking) = (ask.as_persona(persona), breaking.clone());
        let target = format!("/v1/toys/{name}/action");
        async move { ask.post(&target, breaking).await.status }
    };
    assert_eq!(ask_break(Persona::Member, "bear").await, 202);
    assert_eq!(ask_break(Persona::Reader, "bear").await, 403);
    assert_eq!(ask_break(Persona::OtherProject, "bear").await, 404);
    assert_eq!(ask_break(Persona::Member, "kite").await, 404);
    ask.get("/").await.expect(300);
}

#[tokio::test]
async fn bad_input_is_named() {
    let (_world, ask) = toys().await;
    let member = ask.as_persona(Persona::Member);
    let send = |body: &'static str| {
        let member = member.clone();
        async move {
            let answer = member
                .send(http::Method::POST, "/v1/toys", body.into())
                .await
                .expect(400);
            assert!(
                answer.json["fault"]["id"]
                    .as_str()
                    .unwrap()
                    .starts_with("req-")
            );
            answer.json["fault"]["message"].as_str().unwrap().to_owned()
        }
    };
    assert!(
        send("").await.contains("needs a JSON body"),
        "{}",
        send("").await
    );
    assert!(send("{\"toy\": ").await.contains("not valid JSON"));
    assert!(
        send("{\"toy\": {\"name\": 5}}")
            .await
            .contains("name (toy.name)")
    );
    let deep = send("{\"toy\": {\"name\": \"x\", \"parts\": [{\"size\": -1}]}}").await;
    assert!(deep.contains("toy.parts[0].size"), "{deep}");
    assert!(send("[]").await.contains("body"));
    let huge = format!("{{\"toy\": {{\"name\": \"{}\"}}}}", "x".repeat(2000));
    member
        .send(http::Method::POST, "/v1/toys", huge.into())
        .await
        .expect(413);
    let no_action = member
        .post("/v1/toys/bear/action", json!({"dance": 1}))
        .await
        .expect(400);
    assert!(
        no_action.json["fault"]["message"]
            .as_str()
            .unwrap()
            .contains("dance")
    );
    member.delete("/v1/toys").await.expect(405);
    member.get("/v1/nothing").await.expect(404);
}

#[tokio::test]
async fn names_are_decoded_and_a_tail_takes_the_rest() {
    let (_world, ask) = toys().await;
    let member = ask.as_persona(Persona::Member);
    let shown = member.get("/v1/toys/a%20b%2Fc?x=1&x=2").await.expect(200);
    assert_eq!(shown.json, json!({"name": "a b/c", "x": ["1", "2"]}));
    let echo = member
        .send(http::Method::PUT, "/v1/echo/a/b//c", "12345".into())
        .await
        .expect(200);
    assert_eq!(echo.json, json!({"length": 5, "tail": "a/b//c"}));
}

#[tokio::test]
async fn the_openapi_document_names_every_row() {
    let (_world, ask) = toys().await;
    let document = ask.get("/openapi.json").await.expect(200).json;
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths["/v1/toys"]["post"]["operationId"], "CreateToy");
    assert_eq!(paths["/v1/toys"]["post"]["x-policy"], "toys:create");
    assert!(paths.contains_key("/v1/toys/{name}/action#os-break"));
    assert_eq!(paths["/v1/count"]["get"]["operationId"], "CountToys");
    assert!(document["components"]["schemas"]["NewToy"].is_object());
}

#[tokio::test]
async fn the_token_of_a_host_is_good_for_its_own_calls_alone() {
    let (_world, ask) = toys().await;
    let host = ask.as_persona(Persona::Host);
    assert_eq!(host.get("/v1/feed").await.expect(200).json["host"], "one");
    host.get("/v1/feed?host=one").await.expect(200);
    let refused = host.get("/v1/feed?host=another").await.expect(403);
    let words = refused.json["fault"]["message"].as_str().unwrap();
    assert!(
        words.contains("host one") && words.contains("host another"),
        "{words}"
    );
    // A rule that lets everybody in makes nobody a host, and one that would let a host in does not count.
    ask.as_persona(Persona::Admin)
        .get("/v1/feed?host=one")
        .await
        .expect(403);
    ask.as_persona(Persona::Nobody)
        .get("/v1/feed?host=one")
        .await
        .expect(401);
    host.get("/v1/toys/bear").await.expect(403);
    // What anybody may ask, a host asks as anybody.
    host.get("/").await.expect(300);
}
