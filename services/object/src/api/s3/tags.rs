//! Tags, which objects do not have: tools that copy them ask for them first.

use s3s::{S3Request, S3Response, S3Result, dto};

use super::objects::found;
use super::{Front, Wish};

pub(super) async fn get(
    front: &Front,
    request: S3Request<dto::GetObjectTaggingInput>,
) -> S3Result<S3Response<dto::GetObjectTaggingOutput>> {
    let who = front.who(&request).await?;
    let input = request.input;
    let bucket = front.bucket(&who, &input.bucket, Wish::Read).await?;
    found(front, &bucket, &input.key).await?;
    Ok(S3Response::new(dto::GetObjectTaggingOutput::default()))
}
