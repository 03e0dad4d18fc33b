//! The tokens of a person, and of the service accounts that they manage.

pub(super) mod facts;
pub(super) mod list;
pub(super) mod making;
pub(super) mod new;
pub(super) mod one;
pub(super) mod place;
pub(super) mod secret;
pub(super) mod status;

use super::{page::PageError, person::Person};
use crate::{
    domain::{
        authority::Authority,
        id::UserId,
        owner::ServiceAccount,
        page::PageRequest,
        policy::{PathPattern, Rule},
    },
    ops::service_accounts,
};

/// An owner whose tokens the person manages, for a choice.
pub(super) struct OwnerChoice {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) is_chosen: bool,
}

/// The service accounts that the person manages, up to 100. Empty for nearly all.
async fn service_accounts_of(person: &Person) -> Result<Vec<ServiceAccount>, PageError> {
    let authority = Authority::User(person.user.user.id);
    let request = PageRequest { cursor: None, limit: 100 };
    let page = service_accounts::list(person.ops(), authority, None, request).await?;
    Ok(page.items.into_iter().map(|details| details.account).collect())
}

/// The owners to choose from. Empty if there is no choice.
async fn owner_choices(person: &Person, chosen: UserId) -> Result<Vec<OwnerChoice>, PageError> {
    let accounts = service_accounts_of(person).await?;
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    let user = &person.user.user;
    let own = (user.id, person.look.texts.say("tokens-owner-you"));
    let all = std::iter::once(own).chain(accounts.into_iter().map(|account| (account.id, account.name.to_string())));
    Ok(all.map(|(id, name)| OwnerChoice { id: id.to_string(), name, is_chosen: id == chosen }).collect())
}

/// The methods and paths of a rule.
fn rule_in_words(rule: &Rule) -> String {
    let methods = if rule.methods.is_empty() { "*".to_owned() } else { rule.methods.join(" ") };
    let paths: Vec<&str> = rule.paths.iter().map(PathPattern::as_str).collect();
    format!("{methods} {}", paths.join(" "))
}
