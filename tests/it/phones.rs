//! Phone numbers as Google's library reads them: its Python version makes numbers of all countries, spells them, and says
//! which are valid (`phones.py`). The program uses another port of it, with spellings of its own around it.

use std::process::Command;

use hookbridge::bench::phone;

use crate::support::{python, skip};

/// The version with the metadata of the program's library.
const PACKAGES: [&str; 1] = ["phonenumbers==9.0.42"];

#[test]
fn generated_numbers_are_what_googles_library_says() {
    let python = match python::python("venv-phones", &PACKAGES) {
        Ok(python) => python,
        Err(missing) => return skip("phone numbers against Google's library", &missing, python::ENABLE),
    };
    let seed = crate::support::variable("HOOKBRIDGE_TEST_SEED").unwrap_or_else(|| "1".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/phones.py");
    let output = Command::new(python).arg(script).arg(&seed).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let cases = String::from_utf8(output.stdout).unwrap();
    let mut wrong = vec![];
    for line in cases.lines() {
        let [field, text, number] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("three columns: {line}") };
        let fields: &[bool] = match field {
            "people" => &[false],
            "whatsapp" => &[true],
            _ => &[false, true],
        };
        for &whatsapp in fields {
            let found = phone(text, whatsapp);
            if found.as_deref() != Some(number).filter(|number| *number != "-") {
                wrong.push(format!("{field}: {text}: expected {number}, got {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}, seed {seed}:\n{}", wrong.len(), cases.lines().count(), wrong.join("\n"));
    assert!(cases.lines().count() > 20_000, "{} cases", cases.lines().count());
}
