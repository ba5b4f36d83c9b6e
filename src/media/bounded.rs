//! S3's answers, read up to a bound. No object is ever fetched: what comes is an error's page of XML, or a role's credentials.

use std::pin::Pin;

use http_body_util::{BodyExt as _, Limited};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};

use crate::outbound::Unread;

const MAX_ANSWER: usize = 1 << 20;

/// Makes clients that give an answer up once it is too large.
#[derive(Debug)]
pub(super) struct Bounded;

impl HttpConnector for Bounded {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(ReqwestConnector::default().connect(options)?)))
    }
}

#[derive(Debug)]
struct Service(HttpClient);

type Answering<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Service {
    // As `async_trait` has it.
    fn call<'me, 'call>(&'me self, request: HttpRequest) -> Answering<'call>
    where
        'me: 'call,
        Self: 'call,
    {
        Box::pin(async move {
            let response = self.0.execute(request).await?;
            Ok(response.map(|body| HttpResponseBody::new(Limited::new(body, MAX_ANSWER).map_err(why))))
        })
    }
}

/// The client's own error, or that there was too much.
fn why(error: Box<dyn std::error::Error + Send + Sync>) -> HttpError {
    let too_large = |_| HttpError::new(HttpErrorKind::Decode, Unread::TooLarge(MAX_ANSWER));
    error.downcast::<HttpError>().map_or_else(too_large, |inner| *inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::config::{MediaPlace, MediaSettings};
    use crate::media::File;
    use crate::media::store::Store;
    use crate::outbound::endless;

    #[tokio::test]
    async fn an_answer_that_does_not_end_is_not_read_to_its_end() {
        let (endpoint, sent) = endless("403 Forbidden", "<Error>");
        let options = [("access_key_id", "an-id"), ("secret_access_key", "s3cret"), ("endpoint", &endpoint)];
        let options: BTreeMap<_, _> = options.iter().map(|(k, v)| ((*k).to_owned(), v.parse().unwrap())).collect();
        let place = MediaPlace::S3 { bucket: "b".into(), prefix: "p".into(), options };
        let store = Store::new(&MediaSettings { inline_max_bytes: 0, place, max_bytes: 0, shared: false }).unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        let words = store.keep(&File::new(b"abc".to_vec(), None), end).await.unwrap_err().to_string();
        assert!(words.contains(&format!("the answer is larger than {MAX_ANSWER} bytes")), "{words}");
        // Beside what was read: what waits in the buffers of two connections.
        let sent = sent.load(Ordering::Relaxed);
        assert!(sent < MAX_ANSWER + 2 * (40 << 20), "{sent} bytes were taken");
    }
}
