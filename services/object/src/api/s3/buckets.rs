//! Buckets.

use s3s::{S3Request, S3Response, S3Result, dto, s3_error};

use super::errors::of_database;
use super::list::time;
use super::{Front, Wish};
use crate::model::listing::{Entry, Gather, MAX_ENTRIES, Wish as Names};
use crate::model::meta::Meta;
use crate::model::object::{Container, ContainerId, Quota};
use crate::store::{self, accounts, containers};

/// The region that clients name; there is but one.
pub(super) const REGION: &str = "us-east-1";

pub(super) async fn list(
    front: &Front,
    request: S3Request<dto::ListBucketsInput>,
) -> S3Result<S3Response<dto::ListBucketsOutput>> {
    let who = front.who(&request).await?;
    if !who.access.reads_account(&who.account) {
        return Err(s3_error!(AccessDenied, "Access Denied"));
    }
    let input = request.input;
    let limit = input.max_buckets.and_then(|max| usize::try_from(max).ok());
    let limit = limit
        .filter(|limit| *limit > 0)
        .unwrap_or(MAX_ENTRIES)
        .min(MAX_ENTRIES);
    let mut gather = Gather::new(Names {
        prefix: input.prefix.clone().unwrap_or_default(),
        marker: input.continuation_token,
        limit: limit + 1,
        ..Names::default()
    });
    let page = (limit + 1, false);
    let db = &front.core.db;
    let rows = store::listing::containers(db, &who.account, &gather.bounds, page).await;
    for row in rows.map_err(of_database)? {
        let name = row.name.clone();
        gather.take(&name, row);
    }
    let more = gather.entries.len() > limit;
    let bucket = |entry: Entry<store::listing::ContainerLine>| match entry {
        Entry::Item(line) => Some(dto::Bucket {
            name: Some(line.name),
            creation_date: Some(time(line.updated_at)),
            ..dto::Bucket::default()
        }),
        Entry::Folder(_) => None,
    };
    let buckets: Vec<dto::Bucket> = gather
        .entries
        .into_iter()
        .take(limit)
        .filter_map(bucket)
        .collect();
    let next = buckets
        .last()
        .and_then(|last| last.name.clone())
        .filter(|_| more);
    let owner = dto::Owner {
        display_name: Some(who.access.caller.user_name.clone()),
        id: Some(who.account.clone()),
    };
    Ok(S3Response::new(dto::ListBucketsOutput {
        buckets: Some(buckets),
        continuation_token: next,
        owner: Some(owner),
        prefix: input.prefix,
    }))
}

pub(super) async fn create(
    front: &Front,
    request: S3Request<dto::CreateBucketInput>,
) -> S3Result<S3Response<dto::CreateBucketOutput>> {
    let who = front.who(&request).await?;
    if !who.access.owns(&who.account) {
        return Err(s3_error!(AccessDenied, "Access Denied"));
    }
    if request
        .input
        .acl
        .is_some_and(|acl| acl.as_str() != dto::BucketCannedACL::PRIVATE)
    {
        return Err(s3_error!(
            NotImplemented,
            "Access lists are set by Swift's API."
        ));
    }
    let name = request.input.bucket;
    let now = front.core.clock.now();
    let container = Container {
        id: ContainerId::from(nephos_runtime::ids::uuid()),
        account: who.account.clone(),
        name: name.clone(),
        meta: Meta::default(),
        objects: 0,
        bytes: 0,
        quota: Quota::default(),
        created_at: now,
        updated_at: now,
    };
    let attempt = || async {
        let mut tx = front.core.db.write().await?;
        accounts::hold(&mut tx, &who.account, now).await?;
        if !containers::insert(&mut tx, &container).await? {
            return Ok(false);
        }
        accounts::count_container(&mut tx, &who.account, 1).await?;
        tx.commit().await?;
        Ok(true)
    };
    let made = front.core.db.again(attempt).await;
    if !made.map_err(of_database)? {
        return Err(s3_error!(
            BucketAlreadyOwnedByYou,
            "Your previous request to create the named bucket succeeded and you already own it."
        ));
    }
    Ok(S3Response::new(dto::CreateBucketOutput {
        location: Some(format!("/{name}")),
    }))
}

pub(super) async fn head(
    front: &Front,
    request: S3Request<dto::HeadBucketInput>,
) -> S3Result<S3Response<dto::HeadBucketOutput>> {
    let who = front.who(&request).await?;
    front
        .bucket(&who, &request.input.bucket, Wish::List)
        .await?;
    Ok(S3Response::new(dto::HeadBucketOutput {
        bucket_region: Some(REGION.to_owned()),
        ..dto::HeadBucketOutput::default()
    }))
}

pub(super) async fn delete(
    front: &Front,
    request: S3Request<dto::DeleteBucketInput>,
) -> S3Result<S3Response<dto::DeleteBucketOutput>> {
    let who = front.who(&request).await?;
    let bucket = front.bucket(&who, &request.input.bucket, Wish::Own).await?;
    if !front.remove_container(&bucket).await.map_err(of_database)? {
        return Err(s3_error!(
            BucketNotEmpty,
            "The bucket you tried to delete is not empty"
        ));
    }
    Ok(S3Response::with_status(
        dto::DeleteBucketOutput::default(),
        http::StatusCode::NO_CONTENT,
    ))
}

pub(super) async fn location(
    front: &Front,
    request: S3Request<dto::GetBucketLocationInput>,
) -> S3Result<S3Response<dto::GetBucketLocationOutput>> {
    let who = front.who(&request).await?;
    front
        .bucket(&who, &request.input.bucket, Wish::List)
        .await?;
    // Empty is how S3 says `us-east-1`.
    Ok(S3Response::new(dto::GetBucketLocationOutput::default()))
}

/// Buckets keep one version of each object.
pub(super) async fn versioning(
    front: &Front,
    request: S3Request<dto::GetBucketVersioningInput>,
) -> S3Result<S3Response<dto::GetBucketVersioningOutput>> {
    let who = front.who(&request).await?;
    front
        .bucket(&who, &request.input.bucket, Wish::List)
        .await?;
    Ok(S3Response::new(dto::GetBucketVersioningOutput::default()))
}
