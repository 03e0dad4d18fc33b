//! Tokens and session tokens as clients present them.

use crate::domain::secret::{CredentialKind, Prefixes, PresentedCredential};

/// A text is accepted exactly if the model accepts it, with the same kind, number and hash. The same text with the right
/// checksum is tried, too, because random bytes hardly ever have it.
pub fn credential(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    compare(text);
    if let Some((random, checksum)) = text.len().checked_sub(8).and_then(|at| text.split_at_checked(at))
        && let Some(start) = random.len().checked_sub(40).filter(|start| random.is_char_boundary(*start))
    {
        let right = format!("{:08x}", crc32fast::hash(&random.as_bytes()[start..]));
        compare(&format!("{random}{right}"));
        compare(&format!("{random}{}", right.to_uppercase()));
        compare(&format!("{random}{right}{checksum}"));
    }
}

fn compare(text: &str) {
    let prefixes = Prefixes::new("ses_", "pat_", "talq_").expect("they are the defaults");
    let parsed = PresentedCredential::parse(text, &prefixes).ok();
    let found = parsed.map(|found| (found.kind, found.number, *found.hash.as_bytes()));
    assert_eq!(found, model(text), "{text:?}");
}

/// `NUMBER|` before a personal access token, the prefix, 40 letters or digits, and their CRC-32 in 8 hexadecimal digits.
fn model(text: &str) -> Option<(CredentialKind, Option<i64>, [u8; 32])> {
    let (number, secret) = match text.split_once('|') {
        None => (None, text),
        Some((number, secret)) => {
            (Some(number.parse::<i64>().ok().filter(|n| *n > 0 && n.to_string() == number)?), secret)
        }
    };
    let kinds = [
        ("ses_", CredentialKind::Session),
        ("pat_", CredentialKind::PersonalAccessToken),
        ("talq_", CredentialKind::EnvironmentToken),
    ];
    let (prefix, kind) = kinds.into_iter().find(|(prefix, _)| secret.starts_with(prefix))?;
    let characters: Vec<char> = secret.chars().skip(prefix.len()).collect();
    let (random, checksum) = characters.split_at_checked(40)?;
    let random: String = random.iter().collect();
    let is_sound = random.chars().all(|c| c.is_ascii_alphanumeric())
        && checksum.iter().collect::<String>() == format!("{:08x}", crc32fast::hash(random.as_bytes()))
        && (number.is_none() || kind == CredentialKind::PersonalAccessToken);
    is_sound.then(|| (kind, number, *blake3::hash(secret.as_bytes()).as_bytes()))
}
