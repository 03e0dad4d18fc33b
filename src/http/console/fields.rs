//! The fields of a form that a browser sends.

use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{domain::time::Timestamp, http::input::form::Form};

/// The fields of a form. They may hold passwords, so they have no Debug.
pub(super) struct Fields(Vec<(String, Zeroizing<String>)>);

impl Fields {
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name, Zeroizing::new(value))).collect())
    }

    /// The fields of a query. What cannot be read is no field.
    pub(super) fn of_query(query: &str) -> Self {
        Self::new(serde_urlencoded::from_str(query).unwrap_or_default())
    }

    /// The value of a field. Empty if it was not sent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// The value of a field without spaces around it. `None` if it is empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// The values of a field that can be sent more than once.
    pub(super) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// The words of a field, between spaces, commas and line breaks.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        let separates = |c: char| c.is_whitespace() || c == ',';
        self.text(name).split(separates).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Whether a box is ticked.
    pub(super) fn is_ticked(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// All fields, for a page that sends them again.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The fields of a request of the API, made from those of a form, so that both are read by the same rules.
#[derive(Default)]
pub(super) struct ApiFields(Map<String, Value>);

impl ApiFields {
    /// Adds a text, even an empty one.
    pub(super) fn text(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.to_owned(), text.into());
        self
    }

    /// Adds a text, unless it is empty.
    pub(super) fn given(self, name: &str, fields: &Fields) -> Self {
        match fields.given(name) {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Adds a whole number, unless the field is empty. What is no number stays a text, so that it is refused.
    pub(super) fn number(mut self, name: &str, fields: &Fields) -> Self {
        if let Some(text) = fields.given(name) {
            let value = text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from);
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds any value.
    pub(super) fn value(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The form of a request with the fields `known`.
    pub(super) fn form(self, known: &'static [&'static str]) -> Form {
        Form::of(self.0, known)
    }
}

/// How long a form that creates something may stay open.
const MAX_AGE: std::time::Duration = std::time::Duration::from_hours(48);

/// The id of a new form that creates something.
pub(super) fn new_form_id(now: Timestamp) -> String {
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, now.unix().unsigned_abs(), 0)).to_string()
}

/// The id of a form that creates something. Each page with such a form has a new one.
pub(super) fn form_id(fields: &Fields, now: Timestamp) -> Option<Uuid> {
    let id =
        Uuid::parse_str(fields.text("form")).ok().filter(|id| id.get_version() == Some(uuid::Version::SortRand))?;
    let (seconds, _) = id.get_timestamp()?.to_unix();
    let made = Timestamp::from_unix(i64::try_from(seconds).ok()?);
    let is_recent = made <= now.plus(MAX_AGE) && now <= made.plus(MAX_AGE);
    is_recent.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_sent() {
        let fields = Fields::of_query("a=1&b=x%0D%0Ay,%20z&a=2&c=");
        assert_eq!((fields.text("a"), fields.text("c"), fields.text("d")), ("1", "", ""));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(fields.words("b"), ["x", "y", "z"]);
        assert!(!fields.is_ticked("c"));
    }

    #[test]
    fn a_form_is_known_by_a_recent_id() {
        let now = Timestamp::from_unix(1_800_000_000);
        let at = |seconds: u64| {
            let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0);
            form_id(&Fields::of_query(&format!("form={}", Uuid::new_v7(time))), now).is_some()
        };
        assert!(at(1_800_000_000) && at(1_800_000_000 - 3600 * 47));
        assert!(!at(1_800_000_000 - 3600 * 49) && !at(1_800_000_000 + 3600 * 49));
        for other in ["", "form=", "form=x", "form=6f1b6a8e-0f5d-4d56-9d0b-0d4a2c0f9b11"] {
            assert!(form_id(&Fields::of_query(other), now).is_none(), "{other}");
        }
    }
}
