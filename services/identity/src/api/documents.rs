//! Records that are kept and shown as they came: four functions for every kind of them.

use std::borrow::Cow;
use std::marker::PhantomData;

use nephos_api::{Empty, Endpoint, Fault, Json, Params, Req};
use nephos_auth::{Rule, Target};
use nephos_db::Tx;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::fault::{DIALECT, duplicate, not_found, taken};
use super::list;
use super::shape::{Keyed, Many, Named, One, Under};
use super::users::clean;
use crate::model::extra::Extra;
use crate::{Cx, Svc, rules, store};

/// A kind of record.
pub(crate) trait Kind: Send + Sync + std::fmt::Debug + 'static {
    /// `identity_provider`: its name in JSON and in the database.
    const ONE: &'static str;
    /// `identity_providers`.
    const MANY: &'static str;
    /// Its place in the API; `{parent}` stands for the record that it belongs to.
    const PATH: &'static str;
    /// What a fault calls it.
    const CALLED: &'static str;
    /// The kind of the record that it belongs to.
    const PARENT: Option<&'static str> = None;
    /// Whether tokens or the catalog show it.
    const IN_SNAPSHOT: bool = false;
    /// By what lists are filtered.
    const FILTERS: &'static [&'static str] = &[];

    /// A list of which no value may stand in another record of the kind, and what a fault calls a value.
    const UNIQUE: Option<(&'static str, &'static str)> = None;

    /// Whether the whole record is one that may be kept.
    fn check(whole: &Extra) -> Result<(), Fault>;
}

/// A record of one kind.
#[derive(Debug)]
pub(crate) struct Document<K> {
    pub body: Extra,
    id: String,
    parent: String,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Document<K> {
    pub(crate) fn new(parent: &str, body: Extra) -> Self {
        let id = body
            .0
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        Self {
            body,
            id,
            parent: parent.to_owned(),
            kind: PhantomData,
        }
    }
}

impl<K: Kind> Named for Document<K> {
    const ONE: &'static str = K::ONE;
    const MANY: &'static str = K::MANY;
    const PATH: &'static str = K::PATH;
    fn id(&self) -> &str {
        &self.id
    }
    fn path(&self) -> String {
        format!("{}/{}", K::PATH.replace("{parent}", &self.parent), self.id)
    }
}

impl<K> Serialize for Document<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.body.serialize(serializer)
    }
}

impl<K: Kind> PartialSchema for Document<K> {
    fn schema() -> RefOr<Schema> {
        Extra::schema()
    }
}

impl<K: Kind> ToSchema for Document<K> {
    fn name() -> Cow<'static, str> {
        K::ONE.into()
    }
}

/// The body of a record.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Given<K> {
    body: Extra,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Keyed for Given<K> {
    const KEY: &'static str = K::ONE;
}

impl<K: Kind> PartialSchema for Given<K> {
    fn schema() -> RefOr<Schema> {
        Extra::schema()
    }
}

impl<K: Kind> ToSchema for Given<K> {
    fn name() -> Cow<'static, str> {
        format!("{}_body", K::ONE).into()
    }
}

/// A record's place.
#[derive(Debug, Deserialize)]
pub(crate) struct DocumentPath {
    pub id: String,
    #[serde(default)]
    pub parent: String,
}

/// The place of a list of records that belong to another one.
#[derive(Debug, Deserialize)]
pub(crate) struct ParentPath {
    pub parent: String,
}

/// A rule by its type, without a target.
pub(crate) fn permit<R: Rule>(cx: &Cx) -> Result<(), Fault> {
    let core = nephos_api::Service::core(&**cx.service());
    let allowed = rules::in_scope(R::NAME, &cx.caller)
        && core.policy.check(R::INFO, &cx.caller, &Target::new());
    if allowed {
        Ok(())
    } else {
        Err(Fault::forbidden((DIALECT.forbidden)(R::NAME)))
    }
}

async fn check_parent<K: Kind>(cx: &Cx, parent: &str) -> Result<(), Fault> {
    if let Some(kind) = K::PARENT
        && store::documents::get(cx.db(), kind, "", parent)
            .await?
            .is_none()
    {
        return Err(not_found(kind, parent));
    }
    Ok(())
}

/// Lists the records of a kind.
pub(crate) async fn list<E, K, R>(cx: Cx, req: Req<E>) -> Result<Json<Many<Document<K>>>, Fault>
where
    E: Endpoint<Service = Svc, Path = (), Query = Params>,
    K: Kind,
    R: Rule,
{
    permit::<R>(&cx)?;
    below::<K>(&cx, "", &req.query).await
}

/// Lists the records that belong to another one.
pub(crate) async fn list_below<E, K, R>(
    cx: Cx,
    req: Req<E>,
) -> Result<Json<Many<Document<K>>>, Fault>
where
    E: Endpoint<Service = Svc, Path = ParentPath, Query = Params>,
    K: Kind,
    R: Rule,
{
    permit::<R>(&cx)?;
    check_parent::<K>(&cx, &req.path.parent).await?;
    below::<K>(&cx, &req.path.parent, &req.query).await
}

async fn below<K: Kind>(
    cx: &Cx,
    parent: &str,
    query: &Params,
) -> Result<Json<Many<Document<K>>>, Fault> {
    let found = store::documents::list(cx.db(), K::ONE, parent).await?;
    let found = found
        .into_iter()
        .map(|body| Document::new(parent, body))
        .collect();
    let path = K::PATH.replace("{parent}", parent);
    list::reply(cx, (&path, query), K::FILTERS, found)
}

async fn load<K: Kind>(cx: &Cx, path: &DocumentPath) -> Result<Extra, Fault> {
    check_parent::<K>(cx, &path.parent).await?;
    let found = store::documents::get(cx.db(), K::ONE, &path.parent, &path.id).await?;
    found.ok_or_else(|| not_found(K::CALLED, &path.id))
}

/// Shows a record.
pub(crate) async fn show<E, K, R>(cx: Cx, req: Req<E>) -> Result<Json<One<Document<K>>>, Fault>
where
    E: Endpoint<Service = Svc, Path = DocumentPath>,
    K: Kind,
    R: Rule,
{
    permit::<R>(&cx)?;
    let body = load::<K>(&cx, &req.path).await?;
    Ok(Json(One::new(&cx, Document::new(&req.path.parent, body))))
}

/// Makes a record under the id of the path.
pub(crate) async fn create<E, K, R>(cx: Cx, req: Req<E>) -> Result<Json<One<Document<K>>>, Fault>
where
    E: Endpoint<Service = Svc, Path = DocumentPath, Body = Json<Under<Given<K>>>>,
    K: Kind,
    R: Rule,
{
    permit::<R>(&cx)?;
    check_parent::<K>(&cx, &req.path.parent).await?;
    let Json(Under(given)) = req.body;
    let tx = cx.write().await?;
    insert::<K>(&cx, tx, &req.path, given).await
}

/// Makes a record of what was given, with what was written before it in the transaction.
pub(crate) async fn insert<K: Kind>(
    cx: &Cx,
    mut tx: Tx,
    path: &DocumentPath,
    given: Given<K>,
) -> Result<Json<One<Document<K>>>, Fault> {
    let mut body = given.body;
    clean(&mut body, &["id", "links"], Some(&path.id))?;
    body.0.insert("id".to_owned(), json!(path.id));
    K::check(&body)?;
    check_id(&path.id)?;
    check_unique::<K>(&mut tx, path, &body).await?;
    let place = (K::ONE, path.parent.as_str(), path.id.as_str());
    let inserted = store::documents::insert(&mut tx, place, &body).await;
    inserted.map_err(|error| taken(error, K::ONE, format!("ID {}", path.id)))?;
    commit::<K>(cx, tx).await?;
    Ok(Json(One::new(cx, Document::new(&path.parent, body))))
}

/// As long as in Keystone.
const MAX_ID: usize = 64;

fn check_id(id: &str) -> Result<(), Fault> {
    if id.chars().count() <= MAX_ID {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "String length exceeded. The length of string '{id}' exceeds the limit of column id(CHAR({MAX_ID}))."
    )))
}

/// What is one record's only.
async fn check_unique<K: Kind>(
    tx: &mut Tx,
    path: &DocumentPath,
    body: &Extra,
) -> Result<(), Fault> {
    let wanted =
        K::UNIQUE.and_then(|(key, called)| Some((key, called, body.0.get(key)?.as_array()?)));
    let Some((key, called, wanted)) = wanted else {
        return Ok(());
    };
    for other in store::documents::list_in(tx, K::ONE, &path.parent).await? {
        if other.0.get("id").and_then(Value::as_str) == Some(&path.id) {
            continue;
        }
        let theirs = other.0.get(key).and_then(Value::as_array);
        if let Some(same) = theirs
            .into_iter()
            .flatten()
            .find(|one| wanted.contains(one))
        {
            return Err(duplicate(K::ONE, format!("{called} {same}")));
        }
    }
    Ok(())
}

impl<K> Given<K> {
    /// Sets what was not given.
    pub(crate) fn default_to(&mut self, key: &str, value: Value) {
        self.body.0.entry(key).or_insert(value);
    }

    /// What was given for a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.body.0.get(key)
    }
}

/// Changes a record.
pub(crate) async fn update<E, K, R>(cx: Cx, req: Req<E>) -> Result<Json<One<Document<K>>>, Fault>
where
    E: Endpoint<Service = Svc, Path = DocumentPath, Body = Json<Under<Given<K>>>>,
    K: Kind,
    R: Rule,
{
    permit::<R>(&cx)?;
    let before = load::<K>(&cx, &req.path).await?;
    let mut whole = before.clone();
    let Json(Under(mut given)) = req.body;
    clean(&mut given.body, &["id", "links"], Some(&req.path.id))?;
    whole.merge(given.body);
    K::check(&whole)?;
    let place = (K::ONE, req.path.parent.as_str(), req.path.id.as_str());
    let mut tx = cx.write().await?;
    check_unique::<K>(&mut tx, &req.path, &whole).await?;
    store::documents::update(&mut tx, place, (&before, &whole)).await?;
    commit::<K>(&cx, tx).await?;
    Ok(Json(One::new(&cx, Document::new(&req.path.parent, whole))))
}

/// Removes a record and what belongs to it.
pub(crate) async fn remove<E, K, R>(cx: Cx, req: Req<E>) -> Result<Empty, Fault>
where
    E: Endpoint<Service = Svc, Path = DocumentPath>,
    K: Kind,
    R: Rule,
{
    permit::<R>(&cx)?;
    let place = (K::ONE, req.path.parent.as_str(), req.path.id.as_str());
    let mut tx = cx.write().await?;
    if !store::documents::remove(&mut tx, place).await? {
        return Err(not_found(K::CALLED, &req.path.id));
    }
    commit::<K>(&cx, tx).await?;
    Ok(Empty)
}

async fn commit<K: Kind>(cx: &Cx, tx: Tx) -> Result<(), Fault> {
    if K::IN_SNAPSHOT {
        return Ok(cx.commit_snapshot(tx).await?);
    }
    Ok(tx.commit().await?)
}
