//! The mistakes in a form, as its page shows them: each at its field, and all of them on top.

use std::fmt;

use actix_web::http::StatusCode;
use askama::filters::{Html, HtmlSafe, escape};

use super::{
    look::Look,
    page::{PageError, in_words},
};
use crate::{
    http::error::ApiError,
    ops::{self, FieldError},
};

/// The mistakes in a form.
#[derive(Default)]
pub(super) struct FormErrors {
    /// What is wrong with the whole form, and the way out.
    pub(super) general: Option<(String, String)>,
    /// The names of fields, and what is wrong with each.
    pub(super) fields: Vec<(String, String)>,
}

impl FormErrors {
    /// The mistakes for the page of the form, and its status. Fails with an error that has a page of its own.
    pub(super) fn of(look: &Look, error: PageError) -> Result<(StatusCode, Self), PageError> {
        let PageError::Api(error) = error else { return Err(error) };
        let status = error.code().status();
        match error {
            ApiError::Ops(ops::Error::NotFound | ops::Error::Rejected(_)) => Err(PageError::Api(error)),
            ApiError::Ops(ops::Error::Invalid(errors)) => Ok((status, Self::at_fields(errors))),
            error => Ok((status, Self { general: Some(in_words(look, &error)), fields: Vec::new() })),
        }
    }

    fn at_fields(errors: Vec<FieldError>) -> Self {
        // A mistake in an item of a list is shown at the list.
        let name = |field: &str| field.split('.').next().unwrap_or_default().to_owned();
        let fields = errors.into_iter().map(|error| (name(&error.field), error.message)).collect();
        Self { general: None, fields }
    }

    /// One mistake.
    pub(super) fn at(field: &str, message: String) -> Self {
        Self { general: None, fields: vec![(field.to_owned(), message)] }
    }

    /// Calls the items of a list by what they are: the person who chose them does not know their places.
    pub(super) fn name_items(&mut self, field: &str, items: &[String]) {
        for (_, message) in self.fields.iter_mut().filter(|(name, _)| name == field) {
            for (at, item) in items.iter().enumerate() {
                if let Some(rest) = message.strip_prefix(&format!("The {field}.{at} field ")) {
                    *message = format!("{item} {rest}");
                    break;
                }
            }
        }
    }

    /// Whether there are mistakes.
    pub(super) fn any(&self) -> bool {
        self.general.is_some() || !self.fields.is_empty()
    }

    /// The mistakes at a field. Empty if there are none.
    pub(super) fn of_field(&self, name: &str) -> String {
        let messages = self.fields.iter().filter(|(field, _)| field == name).map(|(_, message)| &**message);
        messages.collect::<Vec<_>>().join(" ")
    }

    /// The attributes that tie a field to its mistake.
    pub(super) fn attributes(&self, name: &str) -> Markup {
        match self.of_field(name).is_empty() {
            true => Markup(String::new()),
            false => Markup(format!(r#" aria-invalid="true" aria-describedby="{name}-error""#)),
        }
    }

    /// The attributes that tie a field to its hint, and to its mistake.
    pub(super) fn attributes_with(&self, name: &str, hint: &str) -> Markup {
        match self.of_field(name).is_empty() {
            true => Markup(format!(r#" aria-describedby="{hint}""#)),
            // One attribute with both: of two, a browser takes the first.
            false => Markup(format!(r#" aria-invalid="true" aria-describedby="{name}-error {hint}""#)),
        }
    }

    /// The mistake, for the place below its field.
    pub(super) fn note(&self, name: &str) -> Markup {
        let message = self.of_field(name);
        match escape(&message, Html) {
            _ if message.is_empty() => Markup(String::new()),
            Ok(message) => Markup(format!(r#"<p class="mistake" id="{name}-error">{message}</p>"#)),
            Err(never) => match never {},
        }
    }
}

/// HTML, with everything escaped that is not of this program.
pub(super) struct Markup(String);

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Markup {}
