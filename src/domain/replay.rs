//! What an exported audit trail says has ended since a backup, so that it does not come back with the backup.
//!
//! Only what takes rights away is repeated. What was created or granted after the backup is lost with the state that the
//! backup replaces; nobody can use it.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{
    account::Role,
    audit::{Action, Entry, Outcome, Target},
    environment::MemberRole,
    id::{EnvironmentId, SessionId, TokenId, UserId},
    time::Timestamp,
    token::RevocationReason,
};

/// An event of an exported trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEvent {
    /// The number.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub entry: Entry,
}

/// Everything that ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Tokens that were revoked or replaced, with the time and the reason.
    pub ended_tokens: BTreeMap<TokenId, (Timestamp, RevocationReason)>,
    /// Tokens that were disabled, and not enabled again.
    pub disabled_tokens: BTreeSet<TokenId>,
    /// Sessions.
    pub ended_sessions: BTreeSet<SessionId>,
    /// Users whose password was changed or reset. The trail does not hold the new one.
    pub ended_passwords: BTreeSet<UserId>,
    /// Users whose link to set a password was used or replaced.
    pub ended_password_links: BTreeSet<UserId>,
    /// Administrators who became members.
    pub demoted_users: BTreeSet<UserId>,
    /// Users who were disabled, and not enabled again.
    pub disabled_users: BTreeSet<UserId>,
    /// Users who were deleted.
    pub deleted_users: BTreeSet<UserId>,
    /// Service accounts that were disabled, and not enabled again.
    pub disabled_service_accounts: BTreeSet<UserId>,
    /// Service accounts that were deleted.
    pub deleted_service_accounts: BTreeSet<UserId>,
    /// Managers who were removed, each with the service account.
    pub removed_managers: BTreeSet<(UserId, UserId)>,
    /// Environments that were deleted.
    pub deleted_environments: BTreeSet<EnvironmentId>,
    /// The last role of members whose role was changed, or who were removed (`None`).
    pub members: BTreeMap<(EnvironmentId, UserId), Option<MemberRole>>,
    /// How many tokens and environments got another owner. That is not repeated.
    pub other_owners: u64,
    /// How many events there were.
    pub events: u64,
}

impl Replay {
    /// Adds the next event.
    pub fn add(&mut self, event: &TrailEvent) {
        self.events += 1;
        if event.entry.outcome == Outcome::Success {
            match event.entry.target {
                Target::PersonalAccessToken(id) | Target::EnvironmentToken(id) => self.add_token(event, id),
                Target::Session(id) if event.entry.action == Action::SessionEnded => {
                    self.ended_sessions.insert(id);
                }
                Target::User(id) => self.add_user(&event.entry, id),
                Target::ServiceAccount(id) => self.add_service_account(&event.entry, id),
                Target::Environment(id) => self.add_environment(&event.entry, id),
                Target::Session(_) | Target::UnknownUser | Target::Database => {}
            }
        }
    }

    fn add_token(&mut self, TrailEvent { at, entry, .. }: &TrailEvent, id: TokenId) {
        match entry.action {
            Action::TokenRevoked => {
                let word = detail(entry).split(',').next().unwrap_or_default();
                // Other words are those of an owner or environment that was deleted.
                let reason = RevocationReason::parse(word).unwrap_or(RevocationReason::RevokedByOwner);
                self.ended_tokens.entry(id).or_insert((*at, reason));
            }
            // The trail does not say how long the old secret was to remain valid, and the new one is lost.
            Action::TokenRotated => {
                self.ended_tokens.entry(id).or_insert((*at, RevocationReason::Rotated));
            }
            Action::TokenDisabled => {
                self.disabled_tokens.insert(id);
            }
            Action::TokenEnabled => {
                self.disabled_tokens.remove(&id);
            }
            // Two events say it: one with the new owner, one with the old.
            Action::TokenHandedOver => self.other_owners += u64::from(detail(entry).starts_with("to ")),
            _ => {}
        }
    }

    fn add_user(&mut self, entry: &Entry, id: UserId) {
        match entry.action {
            Action::UserPasswordChanged => {
                self.ended_passwords.insert(id);
                self.ended_password_links.insert(id);
            }
            Action::UserPasswordLinkCreated => {
                self.ended_password_links.insert(id);
                if detail(entry) == "reset" {
                    self.ended_passwords.insert(id);
                }
            }
            Action::UserEmailChanged => {
                self.ended_password_links.insert(id);
            }
            Action::UserRoleChanged if detail(entry) == Role::Member.as_str() => {
                self.demoted_users.insert(id);
            }
            Action::UserRoleChanged => {
                self.demoted_users.remove(&id);
            }
            Action::UserDisabled => {
                self.disabled_users.insert(id);
            }
            Action::UserEnabled => {
                self.disabled_users.remove(&id);
            }
            Action::UserDeleted => {
                self.deleted_users.insert(id);
            }
            _ => {}
        }
    }

    fn add_service_account(&mut self, entry: &Entry, id: UserId) {
        match entry.action {
            Action::ServiceAccountDisabled => {
                self.disabled_service_accounts.insert(id);
            }
            Action::ServiceAccountEnabled => {
                self.disabled_service_accounts.remove(&id);
            }
            Action::ServiceAccountDeleted => {
                self.deleted_service_accounts.insert(id);
            }
            Action::ServiceAccountManagerAdded | Action::ServiceAccountManagerRemoved => {
                let Some(manager) = other_user(entry, "user ") else { return };
                match entry.action {
                    Action::ServiceAccountManagerRemoved => self.removed_managers.insert((id, manager)),
                    _ => self.removed_managers.remove(&(id, manager)),
                };
            }
            _ => {}
        }
    }

    fn add_environment(&mut self, entry: &Entry, id: EnvironmentId) {
        match entry.action {
            Action::EnvironmentDeleted => {
                self.deleted_environments.insert(id);
            }
            Action::EnvironmentShared => {
                let role = detail(entry).split([' ', ',']).next().and_then(|word| MemberRole::parse(word).ok());
                if let (Some(member), Some(role)) = (other_user(entry, "to user "), role) {
                    self.members.insert((id, member), Some(role));
                }
            }
            Action::EnvironmentUnshared => {
                if let Some(member) = other_user(entry, "from user ") {
                    self.members.insert((id, member), None);
                }
            }
            Action::EnvironmentTransferred => self.other_owners += u64::from(detail(entry).starts_with("to ")),
            _ => {}
        }
    }
}

fn detail(entry: &Entry) -> &str {
    entry.detail.as_deref().unwrap_or_default()
}

/// The user whom the detail names after `words`; without them, the event is in that user's own trail.
fn other_user(entry: &Entry, words: &str) -> Option<UserId> {
    let (before, named) = match detail(entry).split_once(words) {
        None => return entry.user,
        Some(parts) => parts,
    };
    // "by user …" says who acted.
    if before.ends_with("by ") {
        return entry.user;
    }
    let id = named.split(',').next().and_then(|id| Uuid::try_parse(id).ok());
    id.map(UserId::new)
}

/// Reads a trail that continues the one of a backup. `last` is the last event in the backup. A trail `without_gaps` has
/// every number. Returns what ended, and the last number.
pub fn read<E>(
    trail: impl Iterator<Item = Result<TrailEvent, E>>,
    last: Option<&TrailEvent>,
    without_gaps: bool,
) -> Result<(Replay, i64), TrailError<E>> {
    let (mut replay, mut is_found) = (Replay::default(), last.is_none());
    let after = last.map_or(i64::MIN, |last| last.seq);
    let mut before = None;
    for event in trail {
        let event = event.map_err(TrailError::Unreadable)?;
        if let Some(before) = before {
            if event.seq <= before {
                return Err(TrailError::Unordered { seq: event.seq });
            }
            if without_gaps && before >= after && event.seq != before + 1 {
                return Err(TrailError::Gap { after: before, next: event.seq });
            }
        }
        before = Some(event.seq);
        match last {
            Some(last) if event.seq == last.seq => {
                let is_same = event.at == last.at
                    && (event.entry.action, event.entry.target) == (last.entry.action, last.entry.target);
                if !is_same {
                    return Err(TrailError::Other { seq: event.seq });
                }
                is_found = true;
            }
            _ if event.seq > after && !is_found => return Err(TrailError::Late { first: event.seq, last: after }),
            _ if event.seq > after => replay.add(&event),
            _ => {}
        }
    }
    match before {
        Some(end) if is_found => Ok((replay, end)),
        end => Err(TrailError::Early { end, last: after }),
    }
}

/// Why a trail does not continue the one of a backup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrailError<E> {
    /// An event cannot be read.
    #[error("{0}")]
    Unreadable(E),
    /// The numbers do not rise.
    #[error(
        "event {seq} is out of order: export the trail with `patd audit export`, which writes the oldest event first"
    )]
    Unordered {
        /// Its number.
        seq: i64,
    },
    /// Events are missing.
    #[error(
        "the events between {after} and {next} are missing: export the trail without conditions, because a revocation may be \
         among them"
    )]
    Gap {
        /// The last event before.
        after: i64,
        /// The first event behind.
        next: i64,
    },
    /// It is the trail of another database.
    #[error("event {seq} is another one than in the backup: this is the trail of another database")]
    Other {
        /// The number of the event.
        seq: i64,
    },
    /// It begins after the backup.
    #[error("it begins with event {first}, but must begin with event {last}, the last one in the backup, or before")]
    Late {
        /// Its first event.
        first: i64,
        /// The last event in the backup.
        last: i64,
    },
    /// It ends before the backup.
    #[error(
        "it {}, before event {last}, the last one in the backup: it does not say what ended after the backup",
        end.map_or_else(|| "is empty".to_owned(), |end| format!("ends with event {end}"))
    )]
    Early {
        /// Its last event.
        end: Option<i64>,
        /// The last event in the backup.
        last: i64,
    },
}

#[cfg(test)]
mod tests;
