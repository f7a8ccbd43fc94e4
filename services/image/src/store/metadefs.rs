//! Metadata definitions: namespaces, what is in them, and the resource types they are for.

use nephos_auth::{Caller, Resource, Target};
use nephos_db::{Db, Direction, Error, FromRow, Page, Row, ToArg as _, Tx, Where, args};
use nephos_types::Timestamp;
use serde_json::Value;

/// A namespace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Namespace {
    pub name: String,
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub public: bool,
    pub protected: bool,
    pub owner: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Namespace {
    pub(crate) const fn visibility(&self) -> &'static str {
        if self.public { "public" } else { "private" }
    }
}

impl Resource for Namespace {
    const KIND: &'static str = "Namespace";

    fn project_id(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    fn target(&self, target: &mut Target) {
        target.set("visibility", self.visibility());
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        let mine = caller
            .project_id()
            .is_some_and(|project| self.owner.as_deref() == Some(project.as_str()));
        self.public || mine || caller.is_admin()
    }
}

impl FromRow for Namespace {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let visibility: String = row.get("visibility")?;
        Ok(Self {
            name: row.get("name")?,
            display_name: row.get("display_name")?,
            description: row.get("description")?,
            public: visibility == "public",
            protected: row.get("protected")?,
            owner: row.get("owner")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// What is in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Object,
    Property,
    Tag,
}

impl ItemKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Property => "property",
            Self::Tag => "tag",
        }
    }
}

/// An object, a property or a tag.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub name: String,
    pub body: Value,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl FromRow for Item {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let body: String = row.get("body")?;
        Ok(Self {
            name: row.get("name")?,
            body: serde_json::from_str(&body).map_err(|why| Error::damaged(why.to_string()))?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// A resource type that a namespace is for.
#[derive(Clone, Debug)]
pub(crate) struct Association {
    pub namespace: String,
    pub resource_type: String,
    pub prefix: Option<String>,
    pub properties_target: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl FromRow for Association {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            namespace: row.get("namespace")?,
            resource_type: row.get("resource_type")?,
            prefix: row.get("prefix")?,
            properties_target: row.get("properties_target")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

pub(crate) async fn get(db: &Db, name: &str) -> Result<Option<Namespace>, Error> {
    db.fetch_opt(
        "SELECT name, display_name, description, visibility, protected, owner, created_at, updated_at \
         FROM metadef_namespaces WHERE name = $1",
        args![name],
    )
    .await
}

/// Which namespaces are asked for.
#[derive(Clone, Debug)]
pub(crate) struct NamespaceQuery {
    pub visibility: Option<String>,
    pub resource_types: Vec<String>,
    pub sort: (&'static str, Direction),
    pub after: Option<Namespace>,
    pub limit: u32,
}

pub(crate) async fn page(
    db: &Db,
    caller: &Caller,
    query: &NamespaceQuery,
) -> Result<Vec<Namespace>, Error> {
    let mut select = Where::new(
        "SELECT name, display_name, description, visibility, protected, owner, created_at, updated_at \
         FROM metadef_namespaces",
    )
    .eq_opt("visibility", query.visibility.as_deref());
    if !caller.is_admin() {
        let mut groups = vec![Where::group().eq("visibility", "public")];
        if let Some(project) = caller.project_id() {
            groups.push(Where::group().eq("owner", project));
        }
        select = select.any(groups);
    }
    if !query.resource_types.is_empty() {
        let types = query.resource_types.iter().map(|name| {
            Where::group().raw(
                "EXISTS (SELECT 1 FROM metadef_associations AS a WHERE a.namespace = metadef_namespaces.name \
                 AND a.resource_type = {})",
                args![name],
            )
        });
        select = select.any(types.collect());
    }
    let (column, direction) = query.sort;
    let after = query.after.as_ref().map(|namespace| {
        let value = match column {
            "updated_at" => namespace.updated_at.to_arg(),
            "name" => namespace.name.to_arg(),
            _created => namespace.created_at.to_arg(),
        };
        vec![value, namespace.name.to_arg()]
    });
    let sort = vec![(column, direction), ("name", direction)];
    db.fetch_where(&select.page(Page {
        sort,
        after,
        limit: Some(query.limit),
    }))
    .await
}

/// False when the name is taken.
pub(crate) async fn insert(tx: &mut Tx, namespace: &Namespace) -> Result<bool, Error> {
    let inserted = tx
        .exec(
            "INSERT INTO metadef_namespaces (name, display_name, description, visibility, protected, owner, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
            args![
                namespace.name,
                namespace.display_name,
                namespace.description,
                namespace.visibility(),
                namespace.protected,
                namespace.owner,
                namespace.created_at,
                namespace.updated_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Unique when the new name is taken; a conflict when there is none of the old name any more.
pub(crate) async fn update(tx: &mut Tx, old: &str, namespace: &Namespace) -> Result<(), Error> {
    tx.exec_some(
            "UPDATE metadef_namespaces SET name = $1, display_name = $2, description = $3, visibility = $4, \
             protected = $5, owner = $6, updated_at = $7 WHERE name = $8",
            args![
                namespace.name,
                namespace.display_name,
                namespace.description,
                namespace.visibility(),
                namespace.protected,
                namespace.owner,
                namespace.updated_at,
                old,
            ],
        )
        .await?;
    Ok(())
}

/// A conflict when it is gone or protected by now.
pub(crate) async fn remove(tx: &mut Tx, name: &str) -> Result<(), Error> {
    let sql = "DELETE FROM metadef_namespaces WHERE name = $1 AND protected = $2";
    tx.exec_some(sql, args![name, false]).await?;
    Ok(())
}

pub(crate) async fn items(db: &Db, namespace: &str, kind: ItemKind) -> Result<Vec<Item>, Error> {
    db.fetch_all(
        "SELECT name, body, created_at, updated_at FROM metadef_items WHERE namespace = $1 AND kind = $2 \
         ORDER BY created_at DESC, name",
        args![namespace, kind.as_str()],
    )
    .await
}

pub(crate) async fn item(
    db: &Db,
    namespace: &str,
    (kind, name): (ItemKind, &str),
) -> Result<Option<Item>, Error> {
    db.fetch_opt(
        "SELECT name, body, created_at, updated_at FROM metadef_items \
         WHERE namespace = $1 AND kind = $2 AND name = $3",
        args![namespace, kind.as_str(), name],
    )
    .await
}

/// False when the name is taken.
pub(crate) async fn insert_item(
    tx: &mut Tx,
    namespace: &str,
    kind: ItemKind,
    item: &Item,
) -> Result<bool, Error> {
    let inserted = tx
        .exec(
            "INSERT INTO metadef_items (namespace, kind, name, body, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            args![
                namespace,
                kind.as_str(),
                item.name,
                item.body.to_string(),
                item.created_at,
                item.updated_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Unique when the new name is taken; a conflict when there is none of the old name any more.
pub(crate) async fn update_item(
    tx: &mut Tx,
    namespace: &str,
    (kind, old): (ItemKind, &str),
    item: &Item,
) -> Result<(), Error> {
    tx.exec_some(
        "UPDATE metadef_items SET name = $1, body = $2, updated_at = $3 \
             WHERE namespace = $4 AND kind = $5 AND name = $6",
        args![
            item.name,
            item.body.to_string(),
            item.updated_at,
            namespace,
            kind.as_str(),
            old,
        ],
    )
    .await?;
    Ok(())
}

/// A conflict when it is gone by now.
pub(crate) async fn remove_item(
    tx: &mut Tx,
    namespace: &str,
    (kind, name): (ItemKind, &str),
) -> Result<(), Error> {
    let sql = "DELETE FROM metadef_items WHERE namespace = $1 AND kind = $2 AND name = $3";
    tx.exec_some(sql, args![namespace, kind.as_str(), name])
        .await?;
    Ok(())
}

pub(crate) async fn remove_items(
    tx: &mut Tx,
    namespace: &str,
    kind: ItemKind,
) -> Result<(), Error> {
    let sql = "DELETE FROM metadef_items WHERE namespace = $1 AND kind = $2";
    tx.exec(sql, args![namespace, kind.as_str()]).await?;
    Ok(())
}

/// A resource type.
#[derive(Clone, Debug)]
pub(crate) struct ResourceType {
    pub name: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl FromRow for ResourceType {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.get("name")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

pub(crate) async fn resource_types(db: &Db) -> Result<Vec<ResourceType>, Error> {
    let sql = "SELECT name, created_at, updated_at FROM metadef_resource_types ORDER BY name";
    db.fetch_all(sql, args![]).await
}

/// The associations of some namespaces.
pub(crate) async fn associations(db: &Db, namespaces: &[&str]) -> Result<Vec<Association>, Error> {
    let select = Where::new(
        "SELECT namespace, resource_type, prefix, properties_target, created_at, updated_at \
         FROM metadef_associations",
    )
    .in_("namespace", namespaces)
    .page(Page {
        sort: vec![
            ("namespace", Direction::Asc),
            ("resource_type", Direction::Asc),
        ],
        ..Page::default()
    });
    db.fetch_where(&select).await
}

/// Associates; a resource type that nobody named before is made. False when they are associated already.
pub(crate) async fn insert_association(
    tx: &mut Tx,
    association: &Association,
) -> Result<bool, Error> {
    tx.exec(
        "INSERT INTO metadef_resource_types (name, created_at, updated_at) VALUES ($1, $2, $2) \
         ON CONFLICT DO NOTHING",
        args![association.resource_type, association.created_at],
    )
    .await?;
    let inserted = tx
        .exec(
            "INSERT INTO metadef_associations (namespace, resource_type, prefix, properties_target, created_at, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            args![
                association.namespace,
                association.resource_type,
                association.prefix,
                association.properties_target,
                association.created_at,
                association.updated_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

pub(crate) async fn remove_association(
    tx: &mut Tx,
    namespace: &str,
    resource_type: &str,
) -> Result<bool, Error> {
    let sql = "DELETE FROM metadef_associations WHERE namespace = $1 AND resource_type = $2";
    Ok(tx.exec(sql, args![namespace, resource_type]).await? == 1)
}
