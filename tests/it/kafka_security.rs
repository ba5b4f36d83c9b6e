//! TLS, SASL and ACLs against a Kafka that has them: what is set right works, what is not is named by `check`, and what is mended
//! at the broker needs no restart.

use std::process::Command;

use tempfile::TempDir;

use crate::support::bridge::{SOON, Setup, words};
use crate::support::java::{self, Kafka, free_port};
use crate::support::{eventually, python, reader, skip};
use crate::tls;

const SCRAM: &str = "SCRAM-SHA-512=[name=bridge,password=right-password]";
const DEAL: &str = r#"{"event_key":"deal.updated","payload":{"id":"00000000-0000-4000-8000-0000000000d1"}}"#;

/// A Kafka with listeners for SCRAM over TLS and for client certificates, and with ACLs: a topic without any is everyone's.
struct Secured {
    kafka: Kafka,
    certificates: TempDir,
    scram: u16,
    mutual: u16,
}

impl Secured {
    fn start() -> Result<Secured, String> {
        let certificates = tls::certificates()?;
        let (scram, mutual, path) = (free_port(), free_port(), certificates.path().display());
        let properties = format!(
            "listeners={{listeners}},SCRAM://127.0.0.1:{scram},MUTUAL://127.0.0.1:{mutual}\n\
             advertised.listeners={{advertised}},SCRAM://127.0.0.1:{scram},MUTUAL://127.0.0.1:{mutual}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,BACK_DOOR:PLAINTEXT,CONTROLLER:PLAINTEXT,SCRAM:SASL_SSL,MUTUAL:SSL\n\
             ssl.keystore.type=PEM\nssl.keystore.location={path}/server.pem\n\
             ssl.truststore.type=PEM\nssl.truststore.location={path}/ca.pem\n\
             listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512\n\
             listener.name.scram.scram-sha-512.sasl.jaas.config=\
             org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
             listener.name.mutual.ssl.client.auth=required\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             allow.everyone.if.no.acl.found=true\nsuper.users=User:ANONYMOUS\n"
        );
        let kafka = java::prepare_kafka("kafka-secured", None, &properties, &["--add-scram", SCRAM], java::SMALL_JVM)?;
        kafka.start()?;
        Ok(Secured { kafka, certificates, scram, mutual })
    }

    fn setup(&self, test: &str, port: u16, properties: &str) -> Setup {
        let mut setup = Setup::new(test);
        setup.bootstrap = format!("127.0.0.1:{port}");
        let ca = self.certificates.path().join("ca.pem").display().to_string();
        setup.kafka = format!("[kafka.properties]\nssl.ca.location = {ca:?}\n{properties}");
        setup
    }

    fn with_password(&self, test: &str, password: &str) -> Setup {
        let properties = format!(
            "security.protocol = \"SASL_SSL\"\nsasl.mechanism = \"SCRAM-SHA-512\"\nsasl.username = \"bridge\"\n\
             sasl.password = \"{password}\"\n"
        );
        self.setup(test, self.scram, &properties)
    }

    fn with_certificate(&self, test: &str, name: &str) -> Setup {
        let file = |kind: &str| self.certificates.path().join(format!("{name}.{kind}")).display().to_string();
        let (certificate, key) = (file("pem"), file("key"));
        let properties = format!(
            "security.protocol = \"SSL\"\nssl.certificate.location = {certificate:?}\nssl.key.location = {key:?}\n"
        );
        self.setup(test, self.mutual, &properties)
    }

    /// Gives each user the right to an operation on a topic, which from then on nobody has without; to nobody: everyone has all
    /// again.
    fn grant(&self, topic: &str, rights: &[(&str, &str)]) -> Result<(), String> {
        let python = python::python("venv", &crate::foreign_client::PACKAGES)?;
        let allow = |(user, operation): &(&str, &str)| {
            format!("binding('User:{user}', AclOperation.{operation}, AclPermissionType.ALLOW)")
        };
        let change = match rights {
            [] => "a.delete_acls([binding(None, AclOperation.ANY, AclPermissionType.ANY)])".into(),
            _ => format!("a.create_acls([{}])", rights.iter().map(allow).collect::<Vec<_>>().join(", ")),
        };
        let script = format!(
            "from confluent_kafka.admin import *\n\
             a = AdminClient({{'bootstrap.servers': '{}'}})\n\
             def binding(user, operation, permission):\n\
             \x20   kind = AclBinding if user else AclBindingFilter\n\
             \x20   return kind(ResourceType.TOPIC, '{topic}', ResourcePatternType.LITERAL, user, '*' if user else None, operation, permission)\n\
             for done in {change}.values(): done.result()\n",
            self.kafka.address
        );
        java::run(Command::new(python).arg("-c").arg(script))
    }
}

fn check(setup: &Setup, code: i32, expected: &[&str]) {
    let output = setup.run(&["check"]);
    let said = words(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(expected.iter().all(|words| said.contains(words)), "{expected:?} is not in {said}");
    assert!(!said.contains("-password"), "{said}");
}

#[test]
fn tls_passwords_certificates_and_acls_work_and_are_named_when_they_do_not() {
    let secured = match Secured::start() {
        Ok(secured) => secured,
        Err(missing) => return skip("a Kafka with TLS, SASL and ACLs", &missing, "install Java 17, Maven and openssl"),
    };
    for setup in [secured.with_password("scram", "right-password"), secured.with_certificate("mtls", "client")] {
        check(&setup, 0, &["ok     kafka", "all well"]);
        let bridge = setup.start();
        assert_eq!(bridge.deliver("wegly", DEAL).sum(), (200, "published".into()));
    }
    a_password_is_replaced_without_a_restart(&secured);
    check(
        &secured.with_password("scram-wrong", "wrong-password"),
        69,
        &["DOWN   kafka", "invalid credentials with SASL"],
    );
    let expired = secured.with_certificate("mtls-expired", "expired");
    check(
        &expired,
        69,
        &["DOWN   kafka", "alert", "FAIL   kafka.properties.ssl.certificate.location", "CN = expired", "expired on"],
    );
    check(&secured.with_certificate("mtls-stranger", "stranger"), 69, &["DOWN   kafka", "alert"]);
    let mut other = secured.with_password("scram-ca", "right-password");
    other.kafka = other.kafka.replace("/ca.pem", "/others.pem");
    check(&other, 69, &["DOWN   kafka", "certificate verify failed"]);

    let setup = secured.with_password("acl", "right-password");
    drop(setup.clone().start());
    let topic = setup.topic("wegly.deal");
    if let Err(missing) = secured.grant(&topic, &[("other", "ALL")]) {
        return skip("ACLs", &missing, python::ENABLE);
    }
    eventually("it is in force", SOON, || (setup.run(&["check"]).status.code() == Some(1)).then_some(()));
    check(&setup, 1, &[&format!("FAIL   topic {topic}: not authorized"), "1 finding"]);
    let bridge = setup.start_unready();
    eventually("it is told that the topic is not to be used", SOON, || {
        let reason = bridge.readyz().1["kafka"]["reason"].clone();
        reason.as_str().is_some_and(|reason| reason.contains(&topic) && reason.contains("not authorized")).then_some(())
    });
    assert_eq!(bridge.deliver("wegly", DEAL).sum(), (202, "spooled".into()));
    let lead = r#"{"event_key":"lead.updated","payload":{"id":"00000000-0000-4000-8000-0000000000e1"}}"#;
    assert_eq!(bridge.deliver("wegly", lead).sum(), (200, "published".into()), "the others go on");
    secured.grant(&topic, &[]).unwrap();
    eventually("events are published again, with no restart", SOON, || {
        (bridge.deliver("wegly", DEAL).status == 200).then_some(())
    });
    assert!(!reader::read_from(&secured.kafka.address, &topic).is_empty());

    // A topic that may be seen and not written: `check` writes nothing, so only the first event can tell.
    secured.grant(&topic, &[("bridge", "DESCRIBE"), ("other", "ALL")]).unwrap();
    eventually("events wait", SOON, || (bridge.deliver("wegly", DEAL).sum() == (202, "spooled".into())).then_some(()));
    let told =
        |line: &String| line.contains("deliveries wait in the spool") && line.contains("TOPIC_AUTHORIZATION_FAILED");
    eventually("the log says why", SOON, || bridge.log().iter().any(told).then_some(()));
    assert_eq!(bridge.deliver("wegly", lead).sum(), (200, "published".into()), "the others go on");
    secured.grant(&topic, &[]).unwrap();
    eventually("events are published again, with no restart", SOON, || {
        (bridge.deliver("wegly", DEAL).status == 200).then_some(())
    });
}

fn a_password_is_replaced_without_a_restart(secured: &Secured) {
    let setup = secured.with_password("scram-reload", "wrong-password");
    let mut bridge = setup.start_unready();
    assert_eq!(bridge.deliver("wegly", DEAL).sum(), (202, "spooled".into()));
    // Nothing to try it out against: another wrong one takes over, and what is wrong with it is told.
    bridge.setup.kafka = secured.with_password("scram-reload", "no-better-password").kafka;
    assert_eq!(bridge.reload("taken_over"), "");
    eventually("it is told why the new one is not taken", SOON, || {
        let reason = bridge.readyz().1["kafka"]["reason"].clone();
        reason.as_str().is_some_and(|reason| reason.contains("SASL authentication error")).then_some(())
    });
    let right = secured.with_password("scram-reload", "right-password").kafka;
    bridge.setup.kafka.clone_from(&right);
    assert_eq!(bridge.reload("taken_over"), "");
    eventually("what waited is published", SOON, || {
        let topic = bridge.topic("wegly.deal");
        (bridge.metric(&format!("hookbridge_spool_records{{lane=\"{topic}\"}}")) == 0).then_some(())
    });
    // What waited may be there before the next look at Kafka.
    eventually("Kafka is ready", SOON, || (bridge.readyz().1["kafka"]["ok"] == true).then_some(()));
    assert_eq!(bridge.deliver("wegly", DEAL).sum(), (200, "published".into()));
    // One that Kafka does not take is tried out, and does not take over.
    bridge.setup.kafka = secured.with_password("scram-reload", "wrong-password").kafka;
    let reason = bridge.reload("refused");
    assert!(reason.contains("kafka: ") && reason.contains("SASL"), "{reason}");
    for _ in 0..3 {
        assert_eq!(bridge.deliver("wegly", DEAL).sum(), (200, "published".into()));
    }
    bridge.setup.kafka = secured.with_certificate("scram-reload", "client").kafka;
    bridge.setup.bootstrap = format!("127.0.0.1:{}", secured.mutual);
    assert!(bridge.reload("refused").contains("kafka: "), "servers are for a whole life, and these ask for a password");
    assert_eq!(bridge.deliver("wegly", DEAL).sum(), (200, "published".into()));
}
