//! `[media.options]`: those that hold an address, or a part of one. `object_store` makes requests of them without looking, and
//! cannot say what is wrong when an event is on its way. Which options there are is its own affair (`media/bucket`).

use std::collections::BTreeMap;

use object_store::ClientConfigKey;
use object_store::aws::AmazonS3ConfigKey as Key;

use super::address::AddressRule;
use super::fault::Faults;
use crate::values::secret::Secret;

/// Notes the addresses that are none.
pub(super) fn check(options: &BTreeMap<String, Secret>, faults: &mut Faults) {
    for (name, value) in options {
        let Ok(option) = name.to_ascii_lowercase().parse::<Key>() else { continue };
        let (key, value) = (format!("media.options.{name}"), value.expose());
        match option {
            Key::Endpoint | Key::S3Endpoint | Key::StsEndpoint | Key::MetadataEndpoint => {
                let no_credentials = Some("must not hold credentials: use access_key_id and secret_access_key");
                check_address(&AddressRule { no_credentials, ..any(&key) }, value, faults);
            }
            Key::ContainerCredentialsFullUri => {
                check_address(&AddressRule { no_query: None, ..any(&key) }, value, faults);
            }
            Key::Client(ClientConfigKey::ProxyUrl) => {
                check_address(&AddressRule { no_credentials: None, ..any(&key) }, value, faults);
            }
            // It comes behind a host.
            Key::ContainerCredentialsRelativeUri if !is_path(value) => {
                faults.add(key, "expected a path such as /v2/credentials");
            }
            // It is a part of a host's name.
            Key::Region | Key::DefaultRegion if !is_label(value) => {
                faults.add(key, "expected the name of a region, such as us-east-1");
            }
            _ => {}
        }
    }
}

fn any(key: &str) -> AddressRule<'_> {
    AddressRule {
        key,
        schemes: &["http", "https"],
        expected: "an http:// or https:// address",
        no_credentials: Some("must not hold credentials"),
        no_query: Some("must not have a `?` or `#`"),
    }
}

fn check_address(rule: &AddressRule<'_>, value: &str, faults: &mut Faults) {
    let found = rule.parse(value, faults.written()).map(drop);
    faults.or(found, ());
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Written;

    fn said(name: &str, value: &str) -> String {
        let mut faults = Faults::new(Written::default());
        check(&BTreeMap::from([(name.to_owned(), value.parse().unwrap())]), &mut faults);
        faults.into_all().iter().map(|fault| format!("{} {:?}", fault.what, fault.remedy)).collect()
    }

    #[test]
    fn every_option_that_holds_an_address_is_judged_as_one() {
        let bad =
            ["localhost:9000", "localhost", "127.0.0.1:9000", "", "http://", "http://a b:1", "http://127.0.0.1:99999"];
        for name in [
            "endpoint",
            "AWS_ENDPOINT_URL",
            "aws_endpoint_url_s3",
            "endpoint_url_sts",
            "metadata_endpoint",
            "container_credentials_full_uri",
            "proxy_url",
        ] {
            for value in bad {
                assert!(said(name, value).contains("expected an http:// or https:// address"), "{name} {value}");
            }
            assert!(said(name, "localhost:9000").contains("put http:// or https:// in front of it"), "{name}");
            assert_eq!(said(name, "http://127.0.0.1:9000"), "");
        }
        assert!(said("endpoint", "http://u:s3cret@a").contains("credentials"));
        assert_eq!(said("proxy_url", "http://u:s3cret@a"), "");
        for (name, value) in [("region", "us east"), ("region", ""), ("container_credentials_relative_uri", "a")] {
            assert!(said(name, value).contains("expected"), "{name}");
        }
        for (name, value) in
            [("region", "auto"), ("container_credentials_relative_uri", "/v2/a?b=c"), ("user_agent", "a b")]
        {
            assert_eq!(said(name, value), "", "{name}");
        }
    }
}
