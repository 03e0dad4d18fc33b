//! Environments: the list, one of them with its members and tokens, and one of its tokens.

pub(super) mod list;
pub(super) mod one;
pub(super) mod token;

use super::texts::Texts;
use crate::domain::environment::Role;

/// The name of a role.
fn role_in_words(texts: Texts, role: Role) -> String {
    texts.say(match role {
        Role::Viewer => "environments-role-viewer",
        Role::Admin => "environments-role-admin",
        Role::Owner => "environments-role-owner",
    })
}
