//! Why a request is refused, as the operator gets to see it. The sender sees less: all that is wrong with a proof is one answer
//! (`http/reply.rs`).

/// Defines [`Refusal`]: for each the reason, and a sentence for the operator.
macro_rules! refusals {
    ($($(#[doc = $doc:literal])* $refusal:ident: $reason:literal, $advice:literal;)*) => {
        /// Why a request was not taken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Refusal {
            $($(#[doc = $doc])* $refusal,)*
        }

        impl Refusal {
            pub(crate) const ALL: &[Refusal] = &[$(Refusal::$refusal,)*];

            /// As the label `reason` of metrics and the field `reason` of the log have it. The names are fixed: alerts are built on
            /// them.
            pub(crate) fn reason(self) -> &'static str {
                match self {
                    $(Refusal::$refusal => $reason,)*
                }
            }

            /// What is wrong, and what to look at. It quotes nothing of the request.
            pub(crate) fn advice(self) -> &'static str {
                match self {
                    $(Refusal::$refusal => $advice,)*
                }
            }
        }
    };
}

refusals! {
    /// There is no signature, token or signed time.
    Missing: "missing", "no signature or token; check that the sender sends one, and that no proxy drops the header";
    /// What is there cannot be one.
    Malformed: "malformed", "the signature or its time is not written as the profile's [verify] says; compare it with how the sender signs";
    /// It is not of this sender, or not of this body.
    Wrong: "wrong", "the signature or token matches none of the source's secrets; compare them with the sender's, and check that no proxy changes the body";
    /// It is right, but of another time.
    Stale: "stale", "the signature is right, but its time is too far from now; compare the clocks; else somebody repeated the delivery";
    /// What may be there only once is there several times.
    Several: "several", "a header or a signed time is there more than once; check what a proxy adds";
    UnknownSource: "unknown_source", "the path names no source of the configuration; correct the address at the sender, or add the source";
    NotFound: "not_found", "no such path; correct the address at the sender: webhooks go to /webhooks/{source}";
    MethodNotAllowed: "method_not_allowed", "expected POST; correct the method at the sender";
    ContentType: "content_type", "expected the content type application/json; change it at the sender";
    ContentEncoding: "content_encoding", "expected a body without content encoding; turn compression off at the sender or proxy";
    BodyTooLarge: "body_too_large", "the body is larger than the source's max_body_bytes; raise it if such bodies are right";
    BadRequest: "bad_request", "the body is broken or was cut off; look at the network and the proxy";
    ReadTimeout: "read_timeout", "the body did not arrive within http.body_timeout; look at the network and the proxy";
    RateLimited: "rate_limited", "the source sends more than its rate_limit; raise it, or find out why the sender sends so much";
    Overloaded: "overloaded", "too many requests are in flight; raise http.max_in_flight_bytes, or add an instance";
    ShuttingDown: "shutting_down", "this instance is shutting down; the sender tries again";
    Unavailable: "unavailable", "neither Kafka nor the spool could take the event; make room for the spool or bring Kafka back, as /readyz says";
}

impl Refusal {
    /// Whether nobody proved to be a sender.
    pub(crate) fn is_unauthorized(self) -> bool {
        matches!(self, Refusal::Missing | Refusal::Malformed | Refusal::Wrong | Refusal::Stale | Refusal::Several)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_at_its_place_and_has_a_reason_of_its_own() {
        for (at, refusal) in Refusal::ALL.iter().enumerate() {
            assert_eq!(*refusal as usize, at);
        }
        let reasons: std::collections::BTreeSet<_> = Refusal::ALL.iter().map(|refusal| refusal.reason()).collect();
        assert_eq!(reasons.len(), Refusal::ALL.len());
    }

    #[test]
    fn each_says_what_is_wrong_and_what_to_do() {
        for refusal in Refusal::ALL {
            let parts = refusal.advice().split_once("; ");
            assert!(parts.is_some_and(|(wrong, remedy)| !wrong.is_empty() && !remedy.is_empty()), "{refusal:?}");
        }
    }
}
