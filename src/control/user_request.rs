//! The parts of requests that concern users.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        account::{Email, Role},
        text::Name,
    },
    ops::FieldError,
};

/// The data of a new user, without the password.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name.
    pub name: String,
    /// The e-mail address for sign-in.
    pub email: String,
    /// Whether the user is an administrator.
    pub admin: bool,
}

impl NewUser {
    /// The role.
    pub const fn role(&self) -> Role {
        if self.admin { Role::Admin } else { Role::Member }
    }

    /// Parses the name and the address.
    pub fn parse(&self) -> Result<(Name, Email), Vec<FieldError>> {
        let name = Name::parse(&self.name).map_err(|error| FieldError::new("name", error));
        let email = Email::parse(&self.email).map_err(|error| FieldError::new("email", error));
        match (name, email) {
            (Ok(name), Ok(email)) => Ok((name, email)),
            (name, email) => Err(name.err().into_iter().chain(email.err()).collect()),
        }
    }
}

/// A user who is disabled or deleted, and who gets what they own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRemoval {
    /// The e-mail address or id of the user.
    pub user: String,
    /// The e-mail address or id of a user, or the id of a service account. `None` hands over nothing.
    pub transfer_to: Option<String>,
}

/// Which users to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserList {
    /// Only users whose name or address contains this text.
    pub search: Option<String>,
    /// Only users with this role.
    pub role: Option<String>,
    /// Only users whose account is in this state.
    pub state: Option<String>,
    /// The order.
    pub sort: UserSort,
    /// Whether the order is reversed.
    pub reverse: bool,
    /// At most this many.
    pub limit: Option<u64>,
}

/// The order of users.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserSort {
    /// Oldest first.
    #[default]
    Created,
    /// By name.
    Name,
    /// By address.
    Email,
}
