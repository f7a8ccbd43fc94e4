//! Images, their properties and tags.

use nephos_auth::{Caller, Resource, Target};
use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};
use nephos_types::Timestamp;

use crate::model::image::{BlobState, Data, Image, ImageId, STAGING, Status, Visibility};
use crate::store::word;

/// An image as one caller sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub image: Image,
    /// The caller's project, when the image is shared with it.
    pub member_id: Option<String>,
}

impl std::ops::Deref for Seen {
    type Target = Image;
    fn deref(&self) -> &Image {
        &self.image
    }
}

impl Resource for Seen {
    const KIND: &'static str = "Image";

    fn project_id(&self) -> Option<&str> {
        self.image.owner.as_deref()
    }

    fn target(&self, target: &mut Target) {
        target.set("owner", self.image.owner.as_deref());
        target.set("visibility", self.image.visibility.as_str());
        if let Some(member) = &self.member_id {
            target.set("member_id", member.as_str());
        }
    }

    fn visible_to(&self, caller: &Caller) -> bool {
        let owner = self.image.owner.as_deref();
        let mine = || {
            caller
                .project_id()
                .is_some_and(|project| owner == Some(project.as_str()))
        };
        let open = match self.image.visibility {
            Visibility::Public | Visibility::Community => true,
            Visibility::Shared => self.member_id.is_some(),
            Visibility::Private => false,
        };
        // Glance shows an image without an owner to everybody.
        owner.is_none() || open || mine() || caller.is_admin() || caller.has_role("service")
    }
}

pub(crate) struct ImageRow(pub Image);

impl FromRow for ImageRow {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let status: String = row.get("status")?;
        let visibility: String = row.get("visibility")?;
        Ok(Self(Image {
            id: row.get("id")?,
            name: row.get("name")?,
            status: word(Status::parse(&status), "status", &status)?,
            visibility: word(Visibility::parse(&visibility), "visibility", &visibility)?,
            owner: row.get("owner")?,
            protected: row.get("protected")?,
            hidden: row.get("hidden")?,
            container_format: row.get("container_format")?,
            disk_format: row.get("disk_format")?,
            min_ram: row.get("min_ram")?,
            min_disk: row.get("min_disk")?,
            data: Data {
                size: row.get("size")?,
                virtual_size: row.get("virtual_size")?,
                checksum: row.get("checksum")?,
                hash_algo: row.get("hash_algo")?,
                hash_value: row.get("hash_value")?,
            },
            generation: row.get("generation")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            properties: std::collections::BTreeMap::new(),
            tags: std::collections::BTreeSet::new(),
            stores: Vec::new(),
        }))
    }
}

/// The image with everything that hangs on it, as `caller` sees it.
pub(crate) async fn get(db: &Db, id: &ImageId, caller: &Caller) -> Result<Option<Seen>, Error> {
    let Some(image) = find(db, id).await? else {
        return Ok(None);
    };
    let member_id = match caller.project_id() {
        Some(project) => {
            let sql = "SELECT member_id FROM image_members WHERE image_id = $1 AND member_id = $2";
            db.fetch_opt(sql, args![id, project]).await?
        }
        None => None,
    };
    Ok(Some(Seen { image, member_id }))
}

/// The image with everything that hangs on it.
pub(crate) async fn find(db: &Db, id: &ImageId) -> Result<Option<Image>, Error> {
    let row = db
        .fetch_opt::<ImageRow>(
            "SELECT id, name, status, visibility, owner, protected, hidden, container_format, disk_format, \
             min_ram, min_disk, size, virtual_size, checksum, hash_algo, hash_value, generation, created_at, \
             updated_at FROM images WHERE id = $1",
            args![id],
        )
        .await?;
    let mut images: Vec<Image> = row.into_iter().map(|row| row.0).collect();
    fill(db, &mut images).await?;
    Ok(images.pop())
}

struct Pair(String, String, String);

impl FromRow for Pair {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self(
            row.get("image_id")?,
            row.get("name")?,
            row.get("value")?,
        ))
    }
}

/// Adds properties, tags and stores: three statements, however many images there are.
pub(crate) async fn fill(db: &Db, images: &mut [Image]) -> Result<(), Error> {
    if images.is_empty() {
        return Ok(());
    }
    let ids: Vec<ImageId> = images.iter().map(|image| image.id.clone()).collect();
    let at: std::collections::HashMap<String, usize> = ids
        .iter()
        .enumerate()
        .map(|(at, id)| (id.0.clone(), at))
        .collect();
    let properties =
        Where::new("SELECT image_id, name, value FROM image_properties").in_("image_id", &ids);
    let tags = Where::new("SELECT image_id, tag AS name, tag AS value FROM image_tags")
        .in_("image_id", &ids);
    let stores = Where::new("SELECT image_id, store AS name, store AS value FROM blobs")
        .in_("image_id", &ids)
        .eq("state", BlobState::Kept.as_str())
        .not_eq("store", STAGING)
        .page(Page {
            sort: vec![("store", Direction::Asc)],
            ..Page::default()
        });
    let mut each = |pair: &Pair, with: &dyn Fn(&mut Image)| {
        if let Some(image) = at.get(&pair.0).and_then(|at| images.get_mut(*at)) {
            with(image);
        }
    };
    for pair in db.fetch_where::<Pair>(&properties).await? {
        each(&pair, &|image| {
            image.properties.insert(pair.1.clone(), pair.2.clone());
        });
    }
    for pair in db.fetch_where::<Pair>(&tags).await? {
        each(&pair, &|image| {
            image.tags.insert(pair.1.clone());
        });
    }
    for pair in db.fetch_where::<Pair>(&stores).await? {
        each(&pair, &|image| image.stores.push(pair.1.clone()));
    }
    Ok(())
}

/// A new image; false when its id is taken.
pub(crate) async fn insert(tx: &mut Tx, image: &Image) -> Result<bool, Error> {
    let inserted = tx
        .exec(
            "INSERT INTO images (id, name, status, visibility, owner, protected, hidden, container_format, \
             disk_format, min_ram, min_disk, size, virtual_size, checksum, hash_algo, hash_value, generation, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, NULL, NULL, \
             NULL, NULL, 1, $12, $12) ON CONFLICT DO NOTHING",
            args![
                image.id,
                image.name,
                image.status.as_str(),
                image.visibility.as_str(),
                image.owner,
                image.protected,
                image.hidden,
                image.container_format,
                image.disk_format,
                image.min_ram,
                image.min_disk,
                image.created_at,
            ],
        )
        .await?;
    if inserted == 0 {
        return Ok(false);
    }
    insert_properties(tx, image).await?;
    insert_tags(tx, image).await?;
    Ok(true)
}

/// Writes what a request changed, unless somebody else changed the image since it was read as `before`.
pub(crate) async fn update(
    tx: &mut Tx,
    before: &Image,
    after: &Image,
    now: Timestamp,
) -> Result<(), Error> {
    tx.exec_some(
            "UPDATE images SET name = $1, visibility = $2, owner = $3, protected = $4, hidden = $5, \
             container_format = $6, disk_format = $7, min_ram = $8, min_disk = $9, generation = generation + 1, \
             updated_at = $10 WHERE id = $11 AND generation = $12",
            args![
                after.name,
                after.visibility.as_str(),
                after.owner,
                after.protected,
                after.hidden,
                after.container_format,
                after.disk_format,
                after.min_ram,
                after.min_disk,
                now,
                before.id,
                before.generation,
            ],
        )
        .await?;
    if before.properties != after.properties {
        let sql = "DELETE FROM image_properties WHERE image_id = $1";
        tx.exec(sql, args![before.id]).await?;
        insert_properties(tx, after).await?;
    }
    if before.tags != after.tags {
        let sql = "DELETE FROM image_tags WHERE image_id = $1";
        tx.exec(sql, args![before.id]).await?;
        insert_tags(tx, after).await?;
    }
    Ok(())
}

async fn insert_properties(tx: &mut Tx, image: &Image) -> Result<(), Error> {
    for (name, value) in &image.properties {
        let sql = "INSERT INTO image_properties (image_id, name, value) VALUES ($1, $2, $3)";
        tx.exec(sql, args![image.id, name, value]).await?;
    }
    Ok(())
}

async fn insert_tags(tx: &mut Tx, image: &Image) -> Result<(), Error> {
    for tag in &image.tags {
        let sql = "INSERT INTO image_tags (image_id, tag) VALUES ($1, $2)";
        tx.exec(sql, args![image.id, tag]).await?;
    }
    Ok(())
}

/// Notes that data comes for an image; a conflict when the image is not as it was read.
pub(crate) async fn begin_data(
    tx: &mut Tx,
    image: &Image,
    to: Status,
    now: Timestamp,
) -> Result<(), Error> {
    tx.exec_some(
        "UPDATE images SET status = $1, generation = generation + 1, updated_at = $2 \
         WHERE id = $3 AND generation = $4",
        args![to.as_str(), now, image.id, image.generation],
    )
    .await?;
    Ok(())
}

/// Moves an image from one state to another; false when it is not in the first one, or not there.
pub(crate) async fn move_status(
    tx: &mut Tx,
    id: &ImageId,
    (from, to): (Status, Status),
    now: Timestamp,
) -> Result<bool, Error> {
    let moved = tx
        .exec(
            "UPDATE images SET status = $1, generation = generation + 1, updated_at = $2 \
             WHERE id = $3 AND status = $4",
            args![to.as_str(), now, id, from.as_str()],
        )
        .await?;
    Ok(moved == 1)
}

/// The same, with what is known of the data.
pub(crate) async fn move_status_with_data(
    tx: &mut Tx,
    id: &ImageId,
    (from, to): (Status, Status),
    data: &Data,
    now: Timestamp,
) -> Result<bool, Error> {
    let moved = tx
        .exec(
            "UPDATE images SET status = $1, size = $2, virtual_size = $3, checksum = $4, hash_algo = $5, \
             hash_value = $6, generation = generation + 1, updated_at = $7 WHERE id = $8 AND status = $9",
            args![
                to.as_str(),
                data.size,
                data.virtual_size,
                data.checksum,
                data.hash_algo,
                data.hash_value,
                now,
                id,
                from.as_str(),
            ],
        )
        .await?;
    Ok(moved == 1)
}

/// Removes an image that was seen there and unprotected, and everything that hangs on it but its blobs.
pub(crate) async fn remove(tx: &mut Tx, id: &ImageId) -> Result<(), Error> {
    let sql = "DELETE FROM images WHERE id = $1 AND protected = $2";
    tx.exec_some(sql, args![id, false]).await?;
    Ok(())
}

/// The same, of one that has no data and got none meanwhile.
pub(crate) async fn remove_empty(tx: &mut Tx, id: &ImageId) -> Result<(), Error> {
    let sql = "DELETE FROM images WHERE id = $1 AND protected = $2 \
         AND status NOT IN ('active', 'deactivated')";
    tx.exec_some(sql, args![id, false]).await?;
    Ok(())
}

/// Removes an image that nobody but the service itself knows how to keep.
pub(crate) async fn remove_unconditionally(tx: &mut Tx, id: &ImageId) -> Result<(), Error> {
    tx.exec("DELETE FROM images WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// Adds a tag; what is there is there.
pub(crate) async fn insert_tag(tx: &mut Tx, id: &ImageId, tag: &str) -> Result<(), Error> {
    let sql = "INSERT INTO image_tags (image_id, tag) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    tx.exec(sql, args![id, tag]).await?;
    Ok(())
}

/// Removes a tag; false when it is not there.
pub(crate) async fn remove_tag(tx: &mut Tx, id: &ImageId, tag: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM image_tags WHERE image_id = $1 AND tag = $2";
    Ok(tx.exec(sql, args![id, tag]).await? == 1)
}

/// Says that an image changed; false when it is gone.
pub(crate) async fn touch(tx: &mut Tx, id: &ImageId, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE images SET updated_at = $1, generation = generation + 1 WHERE id = $2";
    Ok(tx.exec(sql, args![now, id]).await? == 1)
}

/// The same, unless somebody else changed the image since it was read.
pub(crate) async fn touch_unchanged(
    tx: &mut Tx,
    image: &Image,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "UPDATE images SET updated_at = $1, generation = generation + 1 \
         WHERE id = $2 AND generation = $3";
    Ok(tx.exec(sql, args![now, image.id, image.generation]).await? == 1)
}

/// Sets one of the service's own properties; nothing when it is to be removed.
pub(crate) async fn set_property(
    tx: &mut Tx,
    id: &ImageId,
    name: &'static str,
    value: Option<&str>,
) -> Result<(), Error> {
    match value {
        Some(value) => {
            let sql = "INSERT INTO image_properties (image_id, name, value) \
                 SELECT id, $1, $2 FROM images WHERE id = $3 \
                 ON CONFLICT (image_id, name) DO UPDATE SET value = excluded.value";
            tx.exec(sql, args![name, value, id]).await?;
        }
        None => {
            let sql = "DELETE FROM image_properties WHERE image_id = $1 AND name = $2";
            tx.exec(sql, args![id, name]).await?;
        }
    }
    Ok(())
}
