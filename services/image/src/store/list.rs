//! Lists of images: which the caller may see, which were asked for, in which order.

use nephos_auth::Caller;
use nephos_db::{Arg, Db, Direction, Error, Page, ToArg, Where, args};

use crate::model::image::{Image, Visibility};
use crate::model::list::{
    Filter, ListQuery, MemberFilter, NumberKey, SortKey, TextKey, TimeKey, VisibilityFilter,
};
use crate::store::images::{ImageRow, fill};

/// A page of images, behind `marker` when there is one.
pub(crate) async fn page(
    db: &Db,
    caller: &Caller,
    query: &ListQuery,
    marker: Option<&Image>,
) -> Result<Vec<Image>, Error> {
    let mut select = Where::new(
        "SELECT id, name, status, visibility, owner, protected, hidden, container_format, disk_format, min_ram, \
         min_disk, size, virtual_size, checksum, hash_algo, hash_value, generation, created_at, updated_at \
         FROM images",
    )
    .eq("hidden", query.hidden);
    select = visible(select, caller, query);
    for filter in &query.filters {
        select = filtered(select, filter);
    }
    let sort = query.sort.iter().map(|(key, descending)| {
        let direction = if *descending {
            Direction::Desc
        } else {
            Direction::Asc
        };
        (column(*key), direction)
    });
    let select = select.page(Page {
        sort: sort.collect(),
        after: marker.map(|image| {
            query
                .sort
                .iter()
                .map(|(key, _)| value(image, *key))
                .collect()
        }),
        limit: Some(query.limit),
    });
    let rows = db.fetch_where::<ImageRow>(&select).await?;
    let mut images: Vec<Image> = rows.into_iter().map(|row| row.0).collect();
    fill(db, &mut images).await?;
    Ok(images)
}

/// Glance's rules: own images, public ones, those shared with the caller; community images of others only on request.
fn visible(select: Where, caller: &Caller, query: &ListQuery) -> Where {
    let project = caller.project_id().map(nephos_types::ProjectId::as_str);
    let mut select = select;
    if !caller.is_admin() {
        let open = [Visibility::Public, Visibility::Community].map(Visibility::as_str);
        let mut groups = vec![Where::group().in_("visibility", open)];
        if let Some(project) = project {
            groups.push(Where::group().eq("owner", project));
            groups.push(shared_with(project, query.member_status));
        }
        select = select.any(groups);
    }
    match query.visibility {
        VisibilityFilter::All => select,
        VisibilityFilter::Only(visibility) => select.eq("visibility", visibility.as_str()),
        VisibilityFilter::Usual => {
            let mut groups =
                vec![Where::group().not_eq("visibility", Visibility::Community.as_str())];
            if let Some(project) = project {
                groups.push(Where::group().eq("owner", project));
            }
            select.any(groups)
        }
    }
}

fn shared_with(project: &str, status: MemberFilter) -> Where {
    let shared = Where::group().eq("visibility", Visibility::Shared.as_str());
    match status {
        MemberFilter::All => shared.raw(
            "EXISTS (SELECT 1 FROM image_members AS m WHERE m.image_id = images.id AND m.member_id = {})",
            args![project],
        ),
        MemberFilter::Only(status) => shared.raw(
            "EXISTS (SELECT 1 FROM image_members AS m WHERE m.image_id = images.id AND m.member_id = {} \
             AND m.status = {})",
            args![project, status.as_str()],
        ),
    }
}

fn filtered(select: Where, filter: &Filter) -> Where {
    match filter {
        Filter::Text(key, values) => select.in_(text_column(*key), values),
        Filter::Number(key, value) => select.eq(number_column(*key), *value),
        Filter::AtLeast(key, value) => select.ge(number_column(*key), *value),
        Filter::AtMost(key, value) => select.le(number_column(*key), *value),
        Filter::Time {
            key,
            from,
            until,
            outside,
        } => {
            let column = match key {
                TimeKey::Created => "created_at",
                TimeKey::Updated => "updated_at",
            };
            match (from, until, outside) {
                (Some(from), Some(until), true) => select.any(vec![
                    Where::group().lt(column, *from),
                    Where::group().ge(column, *until),
                ]),
                _between => {
                    let select = match from {
                        Some(from) => select.ge(column, *from),
                        None => select,
                    };
                    match until {
                        Some(until) => select.lt(column, *until),
                        None => select,
                    }
                }
            }
        }
        Filter::Protected(protected) => select.eq("protected", *protected),
        Filter::Tag(tag) => select.raw(
            "EXISTS (SELECT 1 FROM image_tags AS t WHERE t.image_id = images.id AND t.tag = {})",
            args![tag],
        ),
        Filter::Property(name, value) => select.raw(
            "EXISTS (SELECT 1 FROM image_properties AS p WHERE p.image_id = images.id AND p.name = {} \
             AND p.value = {})",
            args![name, value],
        ),
        Filter::Never => select.raw("1=0", Vec::new()),
    }
}

const fn text_column(key: TextKey) -> &'static str {
    match key {
        TextKey::Name => "name",
        TextKey::Id => "id",
        TextKey::Status => "status",
        TextKey::ContainerFormat => "container_format",
        TextKey::DiskFormat => "disk_format",
        TextKey::Owner => "owner",
        TextKey::Checksum => "checksum",
        TextKey::HashAlgo => "hash_algo",
        TextKey::HashValue => "hash_value",
    }
}

const fn number_column(key: NumberKey) -> &'static str {
    match key {
        NumberKey::Size => "size",
        NumberKey::VirtualSize => "virtual_size",
        NumberKey::MinRam => "min_ram",
        NumberKey::MinDisk => "min_disk",
    }
}

/// Never NULL: engines disagree where NULL sorts.
const fn column(key: SortKey) -> &'static str {
    match key {
        SortKey::Name => "COALESCE(name, '')",
        SortKey::Status => "status",
        SortKey::ContainerFormat => "COALESCE(container_format, '')",
        SortKey::DiskFormat => "COALESCE(disk_format, '')",
        SortKey::Size => "COALESCE(size, -1)",
        SortKey::Id => "id",
        SortKey::CreatedAt => "created_at",
        SortKey::UpdatedAt => "updated_at",
    }
}

fn value(image: &Image, key: SortKey) -> Arg {
    let text = |text: &Option<String>| text.clone().unwrap_or_default().to_arg();
    match key {
        SortKey::Name => text(&image.name),
        SortKey::Status => image.status.as_str().to_arg(),
        SortKey::ContainerFormat => text(&image.container_format),
        SortKey::DiskFormat => text(&image.disk_format),
        SortKey::Size => image.data.size.unwrap_or(-1).to_arg(),
        SortKey::Id => image.id.to_arg(),
        SortKey::CreatedAt => image.created_at.to_arg(),
        SortKey::UpdatedAt => image.updated_at.to_arg(),
    }
}
