//! Deliveries as vendors sign them: examples that they publish, and where there are none, made after their descriptions.

/// A delivery as its vendor signs it.
pub(super) struct Vector {
    pub(super) vendor: &'static str,
    /// Under `[verify]`.
    pub(super) lines: &'static str,
    pub(super) secret: &'static str,
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: &'static [u8],
    /// The signed time in seconds, if there is one.
    pub(super) time: Option<i64>,
}

pub(super) const SIGNED_AT: i64 = 1_614_265_330;

/// The key of RFC 8032, 7.1, test 3.
pub(super) const PUBLIC_KEY: &str = "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025";
pub(super) const PRIVATE_KEY: &str = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7";

const STANDARD_WEBHOOKS: &str = r#"
    method = "hmac-sha256"
    header = "webhook-signature"
    separator = " "
    prefix = "v1,"
    encoding = "base64"
    secret = { encoding = "base64", prefix = "whsec_" }
    signed = "{header:webhook-id}.{header:webhook-timestamp}.{body}"
    timestamp = { header = "webhook-timestamp" }
    tolerance = "5m"
"#;

const STRIPE: &str = r#"
    method = "hmac-sha256"
    header = "stripe-signature"
    separator = ","
    prefix = "v1="
    encoding = "hex"
    signed = "{timestamp}.{body}"
    timestamp = { prefix = "t=" }
    tolerance = "5m"
"#;

pub(super) const VECTORS: &[Vector] = &[
    // docs.github.com: "Testing the webhook payload validation".
    Vector {
        vendor: "github",
        lines: "method = \"hmac-sha256\"\nheader = \"x-hub-signature-256\"\nprefix = \"sha256=\"\nencoding = \"hex\"",
        secret: "It's a Secret to Everybody",
        headers: &[(
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        )],
        body: b"Hello, World!",
        time: None,
    },
    // docs.slack.dev: "Verifying requests from Slack".
    Vector {
        vendor: "slack",
        lines: r#"
            method = "hmac-sha256"
            header = "x-slack-signature"
            prefix = "v0="
            encoding = "hex"
            signed = "v0:{header:x-slack-request-timestamp}:{body}"
            timestamp = { header = "x-slack-request-timestamp" }
            tolerance = "5m"
        "#,
        secret: "8f742231b10e8888abcd99yyyzzz85a5",
        headers: &[
            ("x-slack-request-timestamp", "1531420618"),
            ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ],
        body: b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar\
            &user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com\
            %2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a1\
            4d10d2c447fce8b6703c",
        time: Some(1_531_420_618),
    },
    // The tests of the reference libraries of Standard Webhooks, and of Svix.
    Vector {
        vendor: "standard webhooks",
        lines: STANDARD_WEBHOOKS,
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        headers: &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ],
        body: br#"{"test": 2432232314}"#,
        time: Some(SIGNED_AT),
    },
    // RFC 8032, 7.1, test 3.
    Vector {
        vendor: "ed25519",
        lines: "method = \"ed25519\"\nheader = \"x-signature\"\nencoding = \"hex\"",
        secret: PUBLIC_KEY,
        headers: &[(
            "x-signature",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        )],
        body: b"\xaf\x82",
        time: None,
    },
    Vector {
        vendor: "standard webhooks, asymmetric",
        lines: r#"
            method = "ed25519"
            header = "webhook-signature"
            separator = " "
            prefix = "v1a,"
            encoding = "base64"
            secret = { encoding = "base64", prefix = "whpk_" }
            signed = "{header:webhook-id}.{header:webhook-timestamp}.{body}"
            timestamp = { header = "webhook-timestamp" }
            tolerance = "5m"
        "#,
        secret: "whpk_/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=",
        headers: &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1a,CbWWbcW7B69jFUBICrevjm7uB16AqaX4X9zprrpWvW4012zWjiDpguw4L1VnBIktLL4pyfhNhZgLFTYi5s10AA=="),
        ],
        body: br#"{"test": 2432232314}"#,
        time: Some(SIGNED_AT),
    },
    Vector {
        vendor: "discord",
        lines: r#"
            method = "ed25519"
            header = "x-signature-ed25519"
            encoding = "hex"
            signed = "{timestamp}{body}"
            timestamp = { header = "x-signature-timestamp" }
            tolerance = "5m"
        "#,
        secret: PUBLIC_KEY,
        headers: &[
            ("x-signature-timestamp", "1614265330"),
            (
                "x-signature-ed25519",
                "ca1f731ca2ea261bf21a8e73771f4b49a497075483a5850468e48b7557fd5a982e2a261beb7cb46db6e16978c0a42b1c75ca70c45f74bc64c8327c7176e44703",
            ),
        ],
        body: br#"{"type":1}"#,
        time: Some(SIGNED_AT),
    },
    Vector {
        vendor: "stripe",
        lines: STRIPE,
        secret: "whsec_test_secret",
        headers: &[(
            "stripe-signature",
            "t=1492774577,v1=91110bb4292e56d95b06660f55b3f65c0157840684729f1271e6da44c1ed57eb",
        )],
        body: br#"{"id":"evt_1","object":"event","type":"charge.succeeded"}"#,
        time: Some(1_492_774_577),
    },
    Vector {
        vendor: "shopify",
        lines: "method = \"hmac-sha256\"\nheader = \"x-shopify-hmac-sha256\"\nencoding = \"base64\"",
        secret: "hush",
        headers: &[("x-shopify-hmac-sha256", "qBvrsZF7RfB1iS6BX6IHqJTp5L911P7intnPeTPsH0I=")],
        body: br#"{"id":820982911946154508}"#,
        time: None,
    },
    Vector {
        vendor: "chatwoot",
        lines: r#"
            method = "hmac-sha256"
            header = "x-chatwoot-signature"
            prefix = "sha256="
            encoding = "hex"
            signed = "{timestamp}.{body}"
            timestamp = { header = "x-chatwoot-timestamp" }
            tolerance = "5m"
        "#,
        secret: "cw-secret",
        headers: &[
            ("x-chatwoot-timestamp", "1767225600"),
            ("x-chatwoot-signature", "sha256=43c2136b9ba1bf8c448187dd4e534ce80b183e3e7be80f81a8e25e4ae6400119"),
        ],
        body: br#"{"event":"message_created","id":1}"#,
        time: Some(1_767_225_600),
    },
    Vector {
        vendor: "hmac-sha1",
        lines: "method = \"hmac-sha1\"\nheader = \"x-hub-signature\"\nprefix = \"sha1=\"\nencoding = \"hex\"",
        secret: "old",
        headers: &[("x-hub-signature", "sha1=d01d0837d0d1a20265d79d28983adee61d6715a1")],
        body: br#"{"a":1}"#,
        time: None,
    },
    Vector {
        vendor: "hmac-sha512",
        lines: "method = \"hmac-sha512\"\nheader = \"x-signature\"",
        secret: "long",
        headers: &[(
            "x-signature",
            "f8b29406349504233dc04cb9b49577d3aa4017c4454192cfbe7cab8669209969b4d86ca89d10f8ecdfec2bd2fff9ffcb24c8a267653f4ccad0cb82a62800c70f",
        )],
        body: br#"{"a":1}"#,
        time: None,
    },
    Vector {
        vendor: "method, path and query",
        lines: "method = \"hmac-sha256\"\nheader = \"x-signature\"\nsigned = \"{method}\\n{path}\\n{query}\\n{body}\"",
        secret: "p",
        headers: &[("x-signature", "a9a09a665a5c2cdf4dc8e619575dfbd13333d1bed42779ebbd4614145fc23e34")],
        body: b"{}",
        time: None,
    },
];
