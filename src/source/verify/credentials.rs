//! Which headers hold a credential by their names, whatever a profile says of them.
//!
//! Senders, proxies and gateways have no one name for it (`x-auth-token`, `api-key`, `x-amz-security-token`), so the words
//! count that such names are made of. A header too many is no loss: what a dead letter is for is its body.

use http::HeaderName;

/// Words of which one in a name is enough.
const WORDS: [&str; 18] = [
    "token",
    "secret",
    "passw",
    "passphrase",
    "passcode",
    "credential",
    "authoriz",
    "authoris",
    "authent",
    "cookie",
    "session",
    "signature",
    "hmac",
    "jwt",
    "oauth",
    "csrf",
    "xsrf",
    "bearer",
];

/// Words that count where they stand between dashes: others have them within (`x-author`, `x-paused`).
const PARTS: [&str; 6] = ["auth", "pass", "pwd", "otp", "sid", "pin"];

/// Whether a header of this name may hold what its sender proves itself by.
pub(super) fn holds_credential(name: &HeaderName) -> bool {
    // `http` keeps names in small letters.
    let name = name.as_str();
    // A key of this kind names a request, and is there to be compared.
    let is_key = name.ends_with("key") && !name.contains("idempotency");
    is_key
        || WORDS.iter().any(|word| name.contains(word))
        || name.split(['-', '_', '.']).any(|part| PARTS.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(name: &str) -> bool {
        holds_credential(&name.parse().unwrap())
    }

    #[test]
    fn what_senders_prove_themselves_by_is_told_by_its_name() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "Cookie",
            "Set-Cookie2",
            "X-Auth-Token",
            "X-API-Key",
            "x-access-token",
            "X-CSRF-Token",
            "api-key",
            "apikey",
            "api_key",
            "token",
            "X-Token",
            "x-secret",
            "X-Hub-Signature-256",
            "X-Amz-Security-Token",
            "X-Goog-Iap-Jwt-Assertion",
            "X-Session-Id",
            "X-Webhook-Password",
            "x-shared-key",
            "X-Auth",
            "x-auth-user",
            "x-client-credentials",
            "Ocp-Apim-Subscription-Key",
            "x-user-passwd",
            "X-SID",
            "Authentication",
        ] {
            assert!(holds(name), "{name}");
        }
    }

    #[test]
    fn what_tells_of_a_request_stays() {
        for name in [
            "content-type",
            "user-agent",
            "x-wegly-event",
            "traceparent",
            "tracestate",
            "x-request-id",
            "idempotency-key",
            "x-idempotency-key",
            "x-forwarded-for",
            "host",
            "x-author",
            "x-tenant",
            "x-compass",
            "keep-alive",
            "date",
            "x-spinner",
        ] {
            assert!(!holds(name), "{name}");
        }
    }
}
