//! The collector: one message over HTTP, and what becomes of it.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode, Url, redirect};

use crate::config::{ConfigError, TracingSettings};
use crate::outbound;

/// An answer says how many spans were refused, and why.
const MAX_ANSWER: usize = 64 << 10;

pub(crate) struct Collector {
    client: reqwest::Client,
    url: Url,
}

/// Why the collector does not have a message.
pub(crate) enum NotCollected {
    /// Another time it may.
    Now(String),
    Ever(String),
}

impl Collector {
    /// # Errors
    /// When `tracing.otlp_ca_file` cannot be used.
    pub(crate) fn new(settings: &TracingSettings) -> Result<Collector, ConfigError> {
        let client = outbound::client(settings.ca_file.as_deref(), "tracing.otlp_ca_file")?
            .timeout(settings.timeout)
            // The headers may hold a secret: nobody else gets them.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("hookbridge/", env!("CARGO_PKG_VERSION")))
            .default_headers(settings.headers.clone())
            .build()
            .map_err(|e| ConfigError::key("tracing", outbound::with_causes(&e)))?;
        Ok(Collector { client, url: settings.url.clone() })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Sends an `ExportTraceServiceRequest` once; says how many of its spans were refused.
    pub(crate) async fn take(&self, message: Bytes) -> Result<u64, NotCollected> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/x-protobuf");
        let response = request.body(message).send().await;
        let response = response.map_err(|e| NotCollected::Now(outbound::why(&e)))?;
        match response.status() {
            status if status.is_success() => Ok(refused(response).await),
            // Those that OTLP calls retryable.
            status @ (StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT) => Err(NotCollected::Now(status.to_string())),
            status => Err(NotCollected::Ever(status.to_string())),
        }
    }
}

/// Of a message that was taken, how many spans were not.
async fn refused(response: Response) -> u64 {
    let Ok(answer) = outbound::body(response, MAX_ANSWER).await else { return 0 };
    let answer = ExportTraceServiceResponse::decode(&*answer).unwrap_or_default();
    answer.partial_success.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0))
}
