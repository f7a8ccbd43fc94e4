//! The body of an answer: all of it, a range, or several ranges one behind the other.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode};
use nephos_api::{Fault, Payload};

use super::reply::{Answer, set};
use crate::Svc;
use crate::model::range::{Wanted, wanted};
use crate::ops::read::{Content, ReadError};

/// Puts what is wanted of the content into the answer.
///
/// # Errors
/// 416 when none of it is there; a [`ReadError`] within when the bytes cannot be opened.
pub(crate) async fn fill(
    service: &Arc<Svc>,
    content: Content,
    range: Option<&str>,
    mut answer: Answer,
) -> Result<Result<Answer, Fault>, ReadError> {
    let size = content.size;
    let parts = match wanted(range, size) {
        Wanted::All => {
            answer.reply.body = streamed(size, content.stream(service).await?);
            return Ok(Ok(answer));
        }
        Wanted::Nothing => {
            let fault = Fault::range_not_satisfiable("The Range requested is not available.");
            return Ok(Err(
                fault.header(http::header::CONTENT_RANGE, &format!("bytes */{size}"))
            ));
        }
        Wanted::Parts(parts) => parts,
    };
    answer.status = Some(StatusCode::PARTIAL_CONTENT);
    if let [part] = parts.as_slice() {
        let shown = format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1));
        set(&mut answer.headers, "content-range", &shown);
        let content = content.within(part.clone());
        answer.reply.body = streamed(content.size, content.stream(service).await?);
        return Ok(Ok(answer));
    }
    let boundary = nephos_runtime::ids::hex();
    let inner = content_type(&answer.headers);
    let (mut length, mut all) = (0, stream::empty().boxed());
    for part in parts {
        let head = format!(
            "--{boundary}\r\nContent-Type: {inner}\r\nContent-Range: bytes {}-{}/{size}\r\n\r\n",
            part.start,
            part.end.saturating_sub(1)
        );
        let content = content.within(part);
        length += head.len() as u64 + content.size + 2;
        let bytes = content.stream(service).await?;
        all = all
            .chain(text(head))
            .chain(bytes)
            .chain(text("\r\n".to_owned()))
            .boxed();
    }
    let tail = format!("--{boundary}--");
    length += tail.len() as u64;
    let kind = format!("multipart/byteranges;boundary={boundary}");
    set(&mut answer.headers, "content-type", &kind);
    answer.reply.body = streamed(length, all.chain(text(tail)).boxed());
    Ok(Ok(answer))
}

fn text(text: String) -> stream::Iter<std::array::IntoIter<Result<Bytes, std::io::Error>, 1>> {
    stream::iter([Ok(Bytes::from(text))])
}

fn streamed(length: u64, chunks: nephos_blob::Chunks) -> Payload {
    Payload::Stream { length, chunks }
}

fn content_type(headers: &HeaderMap) -> String {
    let shown = headers.get("content-type").map(|value| value.as_bytes());
    String::from_utf8_lossy(shown.unwrap_or(b"application/octet-stream")).into_owned()
}
