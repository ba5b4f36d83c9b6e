//! From a text to the digits of the one number in it. `docs/phones.md` has the grammar.

/// Longer texts are no numbers: links may have a message behind the number.
const LONGEST: usize = 2048;
/// Digits of an international call through a carrier, and some. E.164 has 15 at most.
const MOST_DIGITS: usize = 20;
const LONGEST_EXTENSION: usize = 7;
/// What may stand in front of a number, in lower case.
const LABELS: [&str; 16] = [
    "telefone",
    "telephone",
    "teléfono",
    "telefono",
    "celular",
    "whatsapp",
    "mobile",
    "móvil",
    "phone",
    "whats",
    "fone",
    "cell",
    "wpp",
    "zap",
    "tel",
    "cel",
];
/// What stands in front of an extension, in lower case.
const EXTENSIONS: [&str; 13] = [
    "ramal",
    "extensão",
    "extensao",
    "extensión",
    "extension",
    "extn",
    "ext",
    "interno",
    "anexo",
    "rml",
    "x",
    "r",
    "#",
];

/// Whether the digits begin with a country's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Country {
    /// They do: behind `+`, and in what WhatsApp makes.
    Given,
    /// Behind `00`, which is among the digits.
    Dialled,
    /// That is to be found out.
    Open,
}

/// The digits of a number, and what its spelling says about them.
#[derive(Debug)]
pub(super) struct Spelling {
    pub(super) digits: String,
    pub(super) country: Country,
    /// The text says so: `whatsapp:`.
    pub(super) is_whatsapps: bool,
    /// Before which digits a new group begins, as bits.
    cuts: u32,
    area_in_brackets: bool,
}

impl Spelling {
    /// The one number in `text`, or nothing.
    pub(super) fn read(text: &str) -> Option<Spelling> {
        if text.len() > LONGEST {
            return None;
        }
        let text = text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c) || "'\"`".contains(c));
        // Most are, and need no further look.
        if are_digits(text, MOST_DIGITS) {
            let digits = text.to_owned();
            return DigitReader { digits, ..DigitReader::default() }.spelling();
        }
        if let Some((user, domain)) = text.split_once('@') {
            // Other domains are those of groups, channels, anonymous ids, and e-mail.
            let is_account =
                ["s.whatsapp.net", "c.us", "hosted"].iter().any(|known| domain.eq_ignore_ascii_case(known));
            return if is_account { account(user) } else { None };
        }
        if let Some(linked) = link(text) {
            return account(linked);
        }
        if let Some(number) = after(text, "whatsapp:") {
            return written(number).map(|spelling| Spelling { is_whatsapps: true, ..spelling });
        }
        if let Some(number) = after(text, "tel:") {
            return written(number.strip_prefix("//").unwrap_or(number));
        }
        // An account's device or agent, which is not written by people. Without its domain it may be any account's.
        if text.contains(['_', ':']) && text.starts_with(|c: char| c.is_ascii_digit()) {
            return account(text).map(|spelling| Spelling { country: Country::Open, ..spelling });
        }
        written(unlabelled(text))
    }

    fn whole(digits: &str) -> Spelling {
        let digits = digits.to_owned();
        Spelling { digits, country: Country::Given, is_whatsapps: true, cuts: 0, area_in_brackets: false }
    }

    /// Lengths of the groups of digits, from the digit `from` on.
    pub(super) fn groups(&self, from: usize) -> Vec<usize> {
        let mut groups = vec![];
        let mut start = from;
        for at in from + 1..self.digits.len() {
            if self.cuts & (1 << at) != 0 {
                groups.push(at - start);
                start = at;
            }
        }
        groups.push(self.digits.len() - start);
        groups
    }

    /// Whether the digits are written without anything between them.
    pub(super) fn is_plain(&self) -> bool {
        self.cuts == 0
    }

    /// Whether an area code is set apart as it is in Brazil's local numbers: `(51) 98765-4321`, `51 98765-4321`, `051…`.
    pub(super) fn shows_area(&self) -> bool {
        let is_local = || !self.is_plain() && self.digits.len() <= 11 && matches!(self.groups(0)[..], [.., 4..=7, 4]);
        self.area_in_brackets || self.digits.starts_with('0') || is_local()
    }
}

/// What WhatsApp calls an account: a whole number, the number of an agent and that of a device. `5511987654321_1:3`.
fn account(user: &str) -> Option<Spelling> {
    let (user, device) = user.split_once(':').map_or((user, None), |(user, device)| (user, Some(device)));
    let (number, agent) = user.split_once(['.', '_']).map_or((user, None), |(user, agent)| (user, Some(agent)));
    let number = number.strip_prefix('+').unwrap_or(number);
    let is_account = are_digits(number, 15)
        && agent.is_none_or(|agent| are_digits(agent, 3))
        && device.is_none_or(|device| are_digits(device, 5));
    is_account.then(|| Spelling::whole(number))
}

/// What a link to a chat has in the place of the number, which may be blank; nothing for what is no such link.
fn link(text: &str) -> Option<&str> {
    let address = ["https://", "http://"].iter().find_map(|scheme| after(text, scheme)).unwrap_or(text);
    let address = after(address, "www.").unwrap_or(address);
    let number = if let Some(path) = after(address, "wa.me/") {
        let path = path.split(['?', '#']).next()?;
        path.strip_suffix('/').unwrap_or(path)
    } else {
        let sends = ["api.whatsapp.com/send", "web.whatsapp.com/send", "whatsapp://send"];
        let query = sends.iter().find_map(|send| after(address, send))?;
        let query = query.strip_prefix('/').unwrap_or(query).strip_prefix('?').unwrap_or_default();
        let mut phones = query.split(['&', '#']).filter_map(|pair| pair.strip_prefix("phone="));
        let phone = phones.next();
        if phones.next().is_some() { "" } else { phone.unwrap_or_default() }
    };
    Some(after(number, "%2b").unwrap_or(number))
}

/// `text` without one of the words that people put in front of a number.
fn unlabelled(text: &str) -> &str {
    let text = text.trim_start_matches(['☎', '📞', '📱', '📲', '\u{fe0f}', ' ']);
    let labelled = LABELS.iter().find_map(|label| after(text, label));
    labelled.map_or(text, |rest| rest.trim_start_matches([' ', '.', ':']))
}

/// A number as people write it, and an extension, which is left off.
fn written(text: &str) -> Option<Spelling> {
    let (text, parameters) = text.split_once(';').unwrap_or((text, ""));
    let text = text.trim_end_matches([' ', '.', ',']);
    if !are_parameters(parameters) {
        return None;
    }
    let mut reader = DigitReader::default();
    let encoded = after(text, "%2b");
    reader.has_plus = encoded.is_some();
    let mut rest = encoded.unwrap_or(text);
    while let Some(c) = rest.chars().next() {
        let behind = &rest[c.len_utf8()..];
        rest = match reader.take(c, behind) {
            Step::One => behind,
            Step::Placeholder => &rest[2..],
            Step::None if is_extension(rest) => break,
            Step::None => return None,
        };
    }
    reader.spelling()
}

/// Parameters of RFC 3966. A local number with a context is none without it, and need not be one with it.
fn are_parameters(text: &str) -> bool {
    text.split(';').map(str::trim).filter(|parameter| !parameter.is_empty()).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match &name.to_ascii_lowercase()[..] {
            "ext" => are_digits(value, LONGEST_EXTENSION),
            "phone-context" => false,
            _ => is_name,
        }
    })
}

/// `ramal 12`, `(ext. 12)`, `, x12`, up to the text's end.
fn is_extension(text: &str) -> bool {
    let text = text.trim_start_matches([' ', ',', '(', '-']);
    let Some(number) = EXTENSIONS.iter().find_map(|word| after(text, word)) else { return false };
    let number = number.trim_start_matches([' ', '.', ':', '=', '#']);
    let number = number.strip_suffix(')').unwrap_or(number);
    are_digits(number, LONGEST_EXTENSION)
}

/// Whether the text is digits, at least one and at most that many.
fn are_digits(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// What stands behind `start`, whose case does not matter.
fn after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let mut rest = text.chars();
    start.chars().all(|c| rest.next().is_some_and(|there| there.to_lowercase().eq([c]))).then_some(rest.as_str())
}

/// Marks of direction and the like, which come along when a number is copied.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// How much of the text a [`DigitReader`] took: a sign, the two of `xx`, or nothing.
enum Step {
    One,
    Placeholder,
    None,
}

/// A number that is read sign by sign.
#[derive(Default)]
struct DigitReader {
    digits: String,
    has_plus: bool,
    slashes: usize,
    is_cut: bool,
    cuts: u32,
    /// How many digits stand before the open bracket.
    open: Option<usize>,
    area_in_brackets: bool,
}

impl DigitReader {
    fn take(&mut self, c: char, behind: &str) -> Step {
        let read = self.digits.len();
        let is_taken = match c {
            '0'..='9' => return self.digit(c),
            '+' => read == 0 && !std::mem::replace(&mut self.has_plus, true),
            '(' | '[' => {
                self.open = Some(read);
                // The longest that stands before an area code: 00, a carrier, a country.
                read <= 6
            }
            ')' | ']' => {
                self.close();
                true
            }
            // 030/1234567. Behind more digits it sets two numbers apart, or ends of numbers.
            '/' => {
                self.slashes += 1;
                self.slashes == 1 && (1..=4).contains(&read)
            }
            ' ' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' => true,
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '.' | '·' => read > 0,
            'x' | 'X' | '*' if behind.starts_with(c) && self.is_before_carrier() => {
                self.is_cut = true;
                return Step::Placeholder;
            }
            _ if is_invisible(c) => return Step::One,
            _ => false,
        };
        self.is_cut |= read > 0;
        if is_taken { Step::One } else { Step::None }
    }

    fn digit(&mut self, c: char) -> Step {
        if self.digits.len() == MOST_DIGITS {
            return Step::None;
        }
        if std::mem::take(&mut self.is_cut) {
            self.cuts |= 1 << self.digits.len();
        }
        self.digits.push(c);
        Step::One
    }

    /// 0xx11: the caller is to choose a carrier.
    fn is_before_carrier(&self) -> bool {
        self.digits == "0" || self.digits == "550"
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            let inside = &self.digits[open..];
            self.area_in_brackets |= inside.len() == 2 || inside.starts_with('0');
        }
    }

    fn spelling(self) -> Option<Spelling> {
        let country = if self.has_plus {
            Country::Given
        } else if self.digits.starts_with("00") {
            Country::Dialled
        } else {
            Country::Open
        };
        let DigitReader { digits, cuts, area_in_brackets, .. } = self;
        let spelling = Spelling { digits, country, is_whatsapps: false, cuts, area_in_brackets };
        // A single digit at the end is that of another number: (11) 9876-5432-3.
        let ends_whole = spelling.is_plain() || !matches!(spelling.groups(0)[..], [.., _, 1]);
        ends_whole.then_some(spelling)
    }
}
