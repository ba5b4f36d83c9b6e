//! Texts that look like what their field is called: ids, addresses, numbers, codes. For the profiles of others, whose fields nobody here
//! knows.

use heck::ToSnakeCase as _;

use crate::tools::random::Random;

/// What a text looks like.
pub(super) enum NamedText {
    Like(String),
    /// A name of somebody or something, which depends on what it stands in.
    LikeAName,
}

/// A text for a field of this name, made of `number`, which has at most eight digits; `None` where the name says nothing.
pub(super) fn text(random: &mut Random, number: u64, field: &str) -> Option<NamedText> {
    let snake = field.to_snake_case();
    let words: Vec<&str> = snake.split('_').map(singular).collect();
    // A `country_code` is a country.
    let last = match words[..] {
        [.., before, "code"] => before,
        [.., last] => last,
        [] => return None,
    };
    let has = |word: &str| words.contains(&word);
    let like = match last {
        "id" | "ref" | "reference" | "key" | "token" | "sid" | "etag" | "nonce" | "cursor" => id(random),
        "uuid" | "guid" => super::uuid(random),
        "sha" | "hash" | "digest" | "checksum" | "signature" | "fingerprint" => {
            format!("{:016x}{:016x}{number:08x}", random.next(), random.next())
        }
        _ if has("email") || has("mail") => format!("contato{}@exemplo.com.br", number % 1000),
        "url" | "uri" | "href" | "link" | "website" | "site" | "webhook" | "endpoint" => {
            format!("https://exemplo.com.br/{number}")
        }
        "avatar" | "picture" | "image" | "photo" | "thumbnail" | "icon" | "logo" => {
            format!("https://cdn.exemplo.com.br/{number}.jpg")
        }
        _ if has("phone") || has("mobile") || has("tel") || has("msisdn") || has("whatsapp") => {
            format!("55119{number:08}")
        }
        "jid" => format!("55119{number:08}@s.whatsapp.net"),
        "at" | "timestamp" | "datetime" | "on" => "2026-06-02T12:34:56Z".to_owned(),
        "date" | "day" | "birthday" => "2026-06-02".to_owned(),
        "time" => "12:34:56".to_owned(),
        "currency" => "BRL".to_owned(),
        "country" => "BR".to_owned(),
        "locale" | "language" | "lang" => "pt-BR".to_owned(),
        "timezone" | "tz" | "zone" => "America/Sao_Paulo".to_owned(),
        "city" | "town" => "São Paulo".to_owned(),
        "zip" | "zipcode" | "postcode" | "postal" | "cep" => {
            format!("01{:03}-{:03}", number % 1000, number / 1000 % 1000)
        }
        "address" | "street" => format!("Avenida Paulista, {}", 1 + number % 2000),
        "ip" => format!("203.0.113.{}", number % 256),
        "username" | "login" | "user" | "nickname" | "handle" | "slug" => format!("ana.souza{}", number % 100),
        "code" => format!("{:06}", number % 1_000_000),
        "version" => format!("{}.{}.{}", number % 5, number / 5 % 10, number / 50 % 10),
        "amount" | "price" | "total" | "subtotal" | "fee" | "tax" | "cost" | "balance" => {
            format!("{}.{:02}", number % 10_000, number / 10_000 % 100)
        }
        "number" | "no" | "count" | "quantity" => (1 + number % 10_000).to_string(),
        "mime" | "mimetype" => "image/jpeg".to_owned(),
        "filename" | "file" => format!("contrato-{}.pdf", number % 1000),
        "color" | "colour" => format!("#{:06x}", number & 0x00FF_FFFF),
        "name" => return Some(NamedText::LikeAName),
        _ => return None,
    };
    Some(NamedText::Like(like))
}

fn id(random: &mut Random) -> String {
    format!("{:016x}", random.next())
}

/// A list of `urls` holds each a `url`.
fn singular(word: &str) -> &str {
    word.strip_suffix('s').filter(|bare| bare.len() > 1 && !bare.ends_with('s')).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_field_is_called_shows_in_its_text() {
        let mut random = Random::new(3);
        let mut of = |field: &str| match text(&mut random, 12_345_678, field) {
            Some(NamedText::Like(text)) => text,
            Some(NamedText::LikeAName) => "NAME".to_owned(),
            None => "NONE".to_owned(),
        };
        for field in ["id", "account_id", "orderId", "node_ids", "API-Key", "message_token"] {
            let text = of(field);
            assert!(text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit()), "{field}: {text}");
        }
        for field in ["email", "customerEmail", "contact_emails", "mail"] {
            assert!(of(field).ends_with("@exemplo.com.br"), "{field}");
        }
        for field in ["url", "html_url", "callbackUri", "links", "avatar", "profile_picture"] {
            assert!(of(field).starts_with("https://"), "{field}");
        }
        for field in ["phone", "phone_number", "mobileNumber", "phones", "whatsapp_number"] {
            let text = of(field);
            assert!(text.len() == 13 && text.bytes().all(|b| b.is_ascii_digit()), "{field}: {text}");
        }
        assert_eq!((of("uuid").len(), of("head_sha").len()), (36, 40));
        assert_eq!((of("full_name"), of("text"), of("status")), ("NAME".into(), "NONE".into(), "NONE".into()));
    }
}
