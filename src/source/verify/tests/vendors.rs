//! What vendors publish of their signatures is let in, and nothing that differs from it by a byte. Where a vendor publishes no
//! example, one was made after its description by another program (Python's `hmac` and `cryptography`).

mod vectors;

use std::sync::LazyLock;

use proptest::sample::Index;

use super::*;
use vectors::{PRIVATE_KEY, PUBLIC_KEY, SIGNED_AT, VECTORS, Vector};

/// Head and body through the door at `now`, in milliseconds since 1970.
fn knock(door: &Verifier, headers: &HeaderMap, body: &[u8], now: i64) -> Result<(), Unauthorized> {
    let Admission(Proof::Signature(evidence)) = door.admit(head(headers), None)? else { panic!("a signature") };
    door.check_signature(&evidence, body)?;
    door.check_time(&evidence, now)
}

impl Vector {
    fn door(&self) -> Verifier {
        door(self.lines, &["another one", self.secret].map(|s| self.spelled(s)))
    }

    /// A secret that can be one of this vendor's: the rotation tests need another one.
    fn spelled<'a>(&'a self, secret: &'a str) -> &'a str {
        let is_text = Verification::from_lines(self.lines).secret_encoding == crate::catalog::SecretEncoding::Text;
        if is_text { secret } else { self.secret }
    }

    fn now(&self) -> i64 {
        self.time.unwrap_or(SIGNED_AT) * 1000
    }

    fn knock(&self, headers: &[(&'static str, &str)], body: &[u8]) -> Result<(), Unauthorized> {
        knock(&self.door(), &super::headers(headers), body, self.now())
    }
}

#[test]
fn what_vendors_publish_is_let_in() {
    for vector in VECTORS {
        assert_eq!(vector.knock(vector.headers, vector.body), Ok(()), "{}", vector.vendor);
    }
}

#[test]
fn a_delivery_of_another_time_is_stale_and_only_one_that_is_right() {
    const TOLERANCE: i64 = 300_000;
    for vector in VECTORS {
        let (door, headers) = (vector.door(), super::headers(vector.headers));
        let at = |apart: i64| knock(&door, &headers, vector.body, vector.now() + apart);
        let stale = if vector.time.is_some() { Err(Unauthorized::Stale) } else { Ok(()) };
        for apart in [-TOLERANCE, 0, TOLERANCE] {
            assert_eq!(at(apart), Ok(()), "{} {apart}", vector.vendor);
        }
        for apart in [-TOLERANCE - 1, TOLERANCE + 1, i64::MAX - vector.now()] {
            assert_eq!(at(apart), stale, "{} {apart}", vector.vendor);
        }
        let old = knock(&door, &headers, b"another body", vector.now() + TOLERANCE + 1);
        assert_eq!(old, Err(Unauthorized::Wrong), "{}", vector.vendor);
    }
}

#[test]
fn what_is_not_there_is_missing_and_what_is_there_twice_is_told_apart() {
    for vector in VECTORS {
        for (at, left_out) in vector.headers.iter().enumerate() {
            let mut headers = vector.headers.to_vec();
            headers.remove(at);
            assert_eq!(vector.knock(&headers, vector.body), Err(Unauthorized::Missing), "{}", vector.vendor);
            let is_list =
                Verification::from_lines(vector.lines).separator.is_some() && left_out.0.contains("signature");
            headers = [vector.headers, &[*left_out]].concat();
            // A list may be in several lines; but its time stands in it once.
            let expected =
                if is_list && !vector.vendor.contains("stripe") { Ok(()) } else { Err(Unauthorized::Several) };
            assert_eq!(vector.knock(&headers, vector.body), expected, "{} {}", vector.vendor, left_out.0);
        }
        let blank: Vec<_> = vector.headers.iter().map(|(name, _)| (*name, "")).collect();
        assert_eq!(vector.knock(&blank, vector.body), Err(Unauthorized::Missing), "{}", vector.vendor);
    }
}

#[test]
fn any_of_several_signatures_will_do() {
    let right = "v1=91110bb4292e56d95b06660f55b3f65c0157840684729f1271e6da44c1ed57eb";
    let wrong = right.replace('9', "8");
    let stripe = VECTORS.iter().find(|vector| vector.vendor == "stripe").unwrap();
    for (header, expected) in [
        (format!("t=1492774577,{wrong},{right}"), Ok(())),
        (format!("t=1492774577, {right} , {wrong},v0=ab"), Ok(())),
        (format!("{right},t=1492774577"), Ok(())),
        (format!("t=1492774577,v1=zz,{right}"), Ok(())),
        (format!("t=1492774577,{wrong},{wrong}"), Err(Unauthorized::Wrong)),
        (format!("t=1492774578,{right}"), Err(Unauthorized::Wrong)),
        (format!("t=1492774577,t=1492774577,{right}"), Err(Unauthorized::Several)),
        (format!("t=,{right}"), Err(Unauthorized::Wrong)),
        (right.to_owned(), Err(Unauthorized::Missing)),
        ("t=1492774577".to_owned(), Err(Unauthorized::Malformed)),
        (format!("t=1492774577,{}", right.replace("v1", "v0")), Err(Unauthorized::Malformed)),
        (format!("t=1492774577,{}", vec![right; 16].join(",")), Ok(())),
        (format!("t=1492774577,{}", vec![right; 17].join(",")), Err(Unauthorized::Malformed)),
    ] {
        assert_eq!(stripe.knock(&[("stripe-signature", &header)], stripe.body), expected, "{header}");
    }
    let svix = VECTORS.iter().find(|vector| vector.vendor == "standard webhooks").unwrap();
    let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let other = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
    for (header, expected) in [
        (format!("{other} {right} v1a,AAAA v2,{right}"), Ok(())),
        (other.to_owned(), Err(Unauthorized::Wrong)),
        (right.replace("v1,", "v1a,"), Err(Unauthorized::Malformed)),
    ] {
        let headers = [svix.headers[0], svix.headers[1], ("webhook-signature", &*header)];
        assert_eq!(svix.knock(&headers, svix.body), expected, "{header}");
    }
    let asymmetric = VECTORS.iter().find(|vector| vector.vendor == "standard webhooks, asymmetric").unwrap();
    for (count, expected) in [(4, Ok(())), (5, Err(Unauthorized::Malformed))] {
        let list = vec![asymmetric.headers[2].1; count].join(" ");
        let headers = [asymmetric.headers[0], asymmetric.headers[1], ("webhook-signature", &*list)];
        assert_eq!(asymmetric.knock(&headers, asymmetric.body), expected, "{count}");
    }
}

#[test]
fn a_time_is_read_in_seconds_milliseconds_or_as_a_date() {
    let lines = "method = \"hmac-sha256\"\nheader = \"x-s\"\nsigned = \"{header:x-t}{body}\"\n\
                 timestamp = { header = \"x-t\" }\ntolerance = \"1s\"";
    let door = door(lines, &["s"]);
    for (time, expected) in [
        ("1614265330", Ok(())),
        ("1614265330000", Ok(())),
        ("2021-02-25T15:02:10Z", Ok(())),
        ("2021-02-25T16:02:10.5+01:00", Ok(())),
        ("1614265332", Err(Unauthorized::Stale)),
        ("0", Err(Unauthorized::Stale)),
        ("2021-02-25", Err(Unauthorized::Malformed)),
        ("-1614265330", Err(Unauthorized::Malformed)),
        ("99999999999999999999", Err(Unauthorized::Malformed)),
        ("soon", Err(Unauthorized::Malformed)),
    ] {
        let signature = base16ct::lower::encode_string(&sign("s", &[time.as_bytes(), BODY].concat()));
        let headers = headers(&[("x-t", time), ("x-s", &signature)]);
        assert_eq!(knock(&door, &headers, BODY, SIGNED_AT * 1000), expected, "{time}");
    }
}

#[test]
fn what_signer_makes_is_let_in() {
    for vector in VECTORS {
        let rule = Verification::from_lines(vector.lines);
        let private = if rule.method == Method::Ed25519 { private_key(&rule) } else { vector.secret.into() };
        let signer = Signer::new(&rule, &secret(&private)).unwrap_or_else(|flaw| panic!("{}: {flaw}", vector.vendor));
        let made = signer.headers("/webhooks/x?a=b", BODY, "id-1", vector.now() + 999);
        let made: HeaderMap =
            made.iter().map(|(n, v)| (n.parse().unwrap(), v.parse::<HeaderValue>().unwrap())).collect();
        assert_eq!(knock(&vector.door(), &made, BODY, vector.now()), Ok(()), "{} {made:?}", vector.vendor);
    }
    let bearer = door("method = \"token\"\nheader = \"x-t\"\nprefix = \"Token \"", &["tok"]);
    let basic = door("method = \"basic\"", &["user:pass"]);
    for (door, lines, given) in [
        (bearer, "method = \"token\"\nheader = \"x-t\"\nprefix = \"Token \"", "tok"),
        (basic, "method = \"basic\"", "user:pass"),
    ] {
        let signer = Signer::new(&Verification::from_lines(lines), &secret(given)).unwrap();
        let made = signer.headers("/webhooks/x", BODY, "id-1", 0);
        let made: HeaderMap =
            made.iter().map(|(n, v)| (n.parse().unwrap(), v.parse::<HeaderValue>().unwrap())).collect();
        assert!(door.admit(head(&made), None).is_ok(), "{made:?}");
    }
}

/// The private key, as the rule's secrets are written.
fn private_key(rule: &Verification) -> String {
    match rule.secret_encoding {
        crate::catalog::SecretEncoding::Base64 => STANDARD.encode(base16ct::lower::decode_vec(PRIVATE_KEY).unwrap()),
        _ => PRIVATE_KEY.into(),
    }
}

#[test]
fn a_password_is_taken_from_authorization_only() {
    let door = door("method = \"basic\"", &["old:pw", "user:p:w"]);
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    for (pairs, expected) in [
        (vec![("authorization", basic("old:pw"))], Ok(())),
        (vec![("authorization", basic("user:p:w").replace("Basic", "bAsIc"))], Ok(())),
        (vec![("authorization", basic("user:p:w").trim_end_matches('=').to_owned())], Ok(())),
        (vec![("authorization", basic("user:p"))], Err(Unauthorized::Wrong)),
        (vec![("authorization", basic(""))], Err(Unauthorized::Wrong)),
        (vec![("authorization", "Basic user:p:w".into())], Err(Unauthorized::Malformed)),
        (vec![("authorization", "Bearer user:p:w".into())], Err(Unauthorized::Malformed)),
        (vec![("x-authorization", basic("old:pw"))], Err(Unauthorized::Missing)),
        (vec![], Err(Unauthorized::Missing)),
    ] {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let admitted = door.admit(head(&headers(&pairs)), Some("user:p:w")).map(|_| ());
        assert_eq!(admitted, expected, "{pairs:?}");
    }
    assert!(door.proves_by_head() && !door.takes_token_in_path());
}

#[test]
fn a_secret_that_cannot_be_one_is_refused() {
    let base64 = "method = \"hmac-sha256\"\nheader = \"x-s\"\nsecret = { encoding = \"base64\", prefix = \"whsec_\" }";
    let hex = "method = \"hmac-sha256\"\nheader = \"x-s\"\nsecret = { encoding = \"hex\" }";
    let ed25519 = "method = \"ed25519\"\nheader = \"x-s\"";
    let weak = "0100000000000000000000000000000000000000000000000000000000000000";
    for (lines, text, expected) in [
        (base64, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", None),
        (base64, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", None),
        (base64, "whsec_", Some(SecretFlaw::Blank)),
        (base64, "whsec_not base64!", Some(SecretFlaw::NotSpelled("base64"))),
        (hex, "00ff", None),
        (hex, "00f", Some(SecretFlaw::NotSpelled("hex"))),
        (ed25519, PUBLIC_KEY, None),
        (ed25519, "/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=", None),
        (ed25519, "aGVsbG8=", Some(SecretFlaw::NoPublicKey)),
        (ed25519, weak, Some(SecretFlaw::WeakKey)),
        ("method = \"basic\"", "user", Some(SecretFlaw::NoPassword)),
        ("method = \"basic\"", "user:", Some(SecretFlaw::NoPassword)),
    ] {
        let made = Verifier::new(&Verification::from_lines(lines), &[secret(text)]);
        assert_eq!(made.err(), expected.map(|flaw| (0, flaw)), "{text}");
    }
}

static DOORS: LazyLock<Vec<Verifier>> = LazyLock::new(|| VECTORS.iter().map(Vector::door).collect());

/// The places of all bytes that count: of the body, and of the headers.
enum Place {
    Body(usize),
    Header(usize, usize),
}

fn places(vector: &Vector) -> Vec<Place> {
    let of_headers = vector.headers.iter().enumerate();
    let of_headers = of_headers.flat_map(|(at, (_, value))| (0..value.len()).map(move |byte| Place::Header(at, byte)));
    (0..vector.body.len()).map(Place::Body).chain(of_headers).collect()
}

/// Whether two characters of a signature mean the same: hex has two cases, and base64 two alphabets.
fn mean_the_same(encoding: crate::catalog::ProofEncoding, a: u8, b: u8) -> bool {
    use crate::catalog::ProofEncoding::Base64;
    match encoding {
        Base64 => matches!([a.min(b), a.max(b)], [b'+', b'-'] | [b'/', b'_']),
        _ => a.eq_ignore_ascii_case(&b),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn one_byte_changed_anywhere_is_refused(which in 0..VECTORS.len(), place in any::<Index>(), to in b' '..=b'~') {
        let vector = &VECTORS[which];
        let rule = Verification::from_lines(vector.lines);
        let mut body = vector.body.to_vec();
        let mut headers: Vec<_> = vector.headers.iter().map(|(name, value)| (*name, value.as_bytes().to_vec())).collect();
        let byte = match place.get(&places(vector)) {
            Place::Body(at) => &mut body[*at],
            Place::Header(header, at) => {
                let (name, value) = &mut headers[*header];
                prop_assume!(*name != rule.header || !mean_the_same(rule.encoding, value[*at], to));
                &mut value[*at]
            }
        };
        prop_assume!(*byte != to);
        *byte = to;
        // HTTP takes white space off the ends of a value before anybody sees it.
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, std::str::from_utf8(value).unwrap().trim())).collect();
        prop_assert!(knock(&DOORS[which], &super::headers(&headers), &body, vector.now()).is_err(), "{}: {headers:?}", vector.vendor);
    }
}
