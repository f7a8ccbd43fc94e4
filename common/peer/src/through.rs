//! A request of somebody else, handed on to a sibling as it is: streams both ways, and a refusal is an answer.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::{HeaderMap, Method, header};
use nephos_api::{Incoming, Payload, Request, Response};
use tokio::sync::mpsc::Receiver;

use crate::sending::{self, Pieces, Unsent};
use crate::{PeerError, Peers, Replicas, Transport, target};

impl Peers {
    /// Hands `request` on to `service`: method, path below its prefix, query, headers and body stay as they are.
    ///
    /// # Errors
    /// When the service is not known here or does not answer.
    pub async fn hand_on(
        &self,
        service: &'static str,
        mut request: Request,
    ) -> Result<Response, PeerError> {
        target::check(service, &request.path)?;
        let unknown = || PeerError::silent(service, "this process does not know where it is");
        match self.directory().find(service).ok_or_else(unknown)? {
            Transport::Local(dispatch) => {
                request.base_url = format!("{}/{service}", self.public_url());
                // As over a socket: what was asked is done to its end, whoever gives up waiting.
                Ok(nephos_runtime::finish(dispatch.dispatch(request)).await)
            }
            Transport::Http(replicas) => self.hand_on_by_http(service, &replicas, request).await,
        }
    }

    async fn hand_on_by_http(
        &self,
        service: &'static str,
        replicas: &Replicas,
        request: Request,
    ) -> Result<Response, PeerError> {
        let mut target = request.path;
        if !request.query.is_empty() {
            target.push('?');
            target.push_str(&request.query);
        }
        let mut body = Outgoing::from(request.body);
        let mut failed = PeerError::silent(service, "nobody says where it is");
        for (number, url) in replicas.in_turn() {
            let url = format!("{url}{target}");
            let Some(sent) = self
                .send_on((&request.method, url), &request.headers, &mut body)
                .await
            else {
                break;
            };
            match sent {
                Ok(answer) => {
                    replicas.prefer(number);
                    return Ok(answer);
                }
                // Nothing was sent, so another copy may be asked.
                Err(Unsent::Unreached(why)) => failed = PeerError::silent(service, why),
                Err(Unsent::BrokeOff(why)) => return Err(PeerError::silent(service, why)),
            }
        }
        Err(failed)
    }

    /// One try; none when the body has been sent already.
    async fn send_on(
        &self,
        (method, url): (&Method, String),
        headers: &HeaderMap,
        body: &mut Outgoing,
    ) -> Option<Result<Response, Unsent>> {
        let of = |http: &reqwest::Client| {
            let request = http.request(method.clone(), url.as_str());
            request.headers(headers.clone())
        };
        let sent = match body {
            Outgoing::Bytes(bytes) => {
                let sent = of(self.http()).body(bytes.clone()).send().await;
                sent.map(|sent| answered(sent, |pieces| pieces))
                    .map_err(Unsent::from)
            }
            Outgoing::Stream(chunks) => {
                let chunks = outgoing(chunks.take()?);
                let (clock, limits) = (self.clock(), self.limits());
                let sent = sending::send((clock, limits), of(self.sending()), chunks).await;
                let flowing = |pieces| sending::flowing(clock.clone(), limits.stall, pieces);
                sent.map(|sent| answered(sent, flowing))
            }
        };
        Some(sent)
    }
}

/// A body on its way to a copy of a service. A stream can be sent once.
enum Outgoing {
    Bytes(Bytes),
    Stream(Option<Receiver<Result<Option<Bytes>, std::io::Error>>>),
}

impl From<Incoming> for Outgoing {
    fn from(body: Incoming) -> Self {
        match body {
            Incoming::Bytes(bytes) => Self::Bytes(bytes),
            Incoming::Stream(chunks) => Self::Stream(Some(chunks)),
        }
    }
}

fn answered(sent: reqwest::Response, watched: impl FnOnce(Pieces) -> Pieces) -> Response {
    let (status, mut headers) = (sent.status(), sent.headers().clone());
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    headers.remove(header::TRANSFER_ENCODING);
    let chunks = sent
        .bytes_stream()
        .map(|chunk| chunk.map_err(std::io::Error::other))
        .boxed();
    let chunks = watched(chunks);
    let body = match length {
        Some(length) => Payload::Stream { length, chunks },
        None => Payload::Open(chunks),
    };
    Response {
        status,
        headers,
        body,
    }
}

/// A channel that closes without its declared end is an upload that broke off, and breaks off there too.
fn outgoing(chunks: Receiver<Result<Option<Bytes>, std::io::Error>>) -> Pieces {
    stream::unfold(Some(chunks), |chunks| async move {
        let mut chunks = chunks?;
        match chunks.recv().await {
            Some(Ok(Some(chunk))) => Some((Ok(chunk), Some(chunks))),
            Some(Ok(None)) => None,
            Some(Err(why)) => Some((Err(why), None)),
            None => Some((Err(std::io::ErrorKind::ConnectionAborted.into()), None)),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(
        chunks: Vec<Result<Option<Bytes>, std::io::Error>>,
    ) -> Vec<Result<Bytes, std::io::ErrorKind>> {
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        for chunk in chunks {
            sender.send(chunk).await.unwrap();
        }
        drop(sender);
        let chunks = outgoing(receiver).map(|chunk| chunk.map_err(|why| why.kind()));
        chunks.collect().await
    }

    #[tokio::test]
    async fn an_upload_that_breaks_off_here_breaks_off_there() {
        let some = || Ok(Some(Bytes::from_static(b"x")));
        let whole = sent(vec![some(), Ok(None)]).await;
        assert_eq!(whole, [Ok(Bytes::from_static(b"x"))]);
        let cut = sent(vec![some()]).await;
        assert_eq!(
            cut.last(),
            Some(&Err(std::io::ErrorKind::ConnectionAborted))
        );
    }
}
