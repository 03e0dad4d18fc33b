//! Every method of [`Store`] and of the traits that it includes: which statements it runs, on which thread, and which
//! cached records it invalidates.

use std::sync::Arc;

mod audit_trail;
mod environment_administration;
mod erasure;
mod keyed_requests;
mod nodes;
mod ownership;
mod service_accounts;
mod token_administration;
mod token_counting;
mod token_histories;
mod usage_records;
mod user_administration;

use super::{
    attempts, clock, engine::Engine, environment_access, environment_tokens, environments, inventory,
    keyed_requests::once, lineage, pruning, quotas, revocation, rotation, sessions, sign_in, tokens, use_locations,
    users,
};
use crate::{
    domain::{
        account::{Email, HashParameters, PasswordHash, User, UserCredentials},
        attempts::{Counter, SavedAttempts},
        audit::Attribution,
        authority::Authority,
        environment::{Environment, EnvironmentAccess, Member, MemberRole, Successor},
        id::{EnvironmentId, SessionId, TokenId, UserId},
        node::Readiness,
        session::Session,
        text::Name,
        time::Timestamp,
        token::{NewToken, RevocationReason, Token},
        use_location::UseLocation,
    },
    store::{
        ChangedToken, EachToken, EachUser, EnvironmentQuery, LeakReport, PasswordChange, ProfileChange, PruneBatch,
        Reply, RetentionCutoff, Rotation, SessionQuery, SignIn, Store, Successors, TokenChange, TokenInventory,
        TokenQuery, TokenSelection, UserInventory, Uses, invalidation,
    },
};

impl<E: Engine> Store for E {
    fn ready(&self) -> Reply<'_, Readiness> {
        self.check_readiness()
    }

    fn add_user(&self, user: User, password: PasswordHash, by: Attribution) -> Reply<'_, ()> {
        self.change(invalidation::NOTHING, by, move |connection, by| users::add(connection, &user, Some(&password), by))
    }

    fn user(&self, id: UserId) -> Reply<'_, User> {
        self.read(move |connection| users::by_id(connection, id))
    }

    fn credentials(&self, id: UserId) -> Reply<'_, UserCredentials> {
        self.read(move |connection| users::credentials(connection, id))
    }

    fn credentials_by_email(&self, email: &Email) -> Reply<'_, Option<UserCredentials>> {
        let canonical = email.canonical().to_owned();
        self.read(move |connection| users::credentials_by_email(connection, &canonical))
    }

    fn hash_parameters(&self, sample: u32) -> Reply<'_, Vec<(HashParameters, u64)>> {
        self.read_long(move |connection| users::hash_parameters(connection, sample))
    }

    fn users(&self, after: Option<UserId>, limit: u32) -> Reply<'_, Vec<User>> {
        self.read_long(move |connection| users::list(connection, after, limit))
    }

    fn each_user(&self, wanted: UserInventory, each: EachUser) -> Reply<'_, ()> {
        self.read_inventory(move |connection| inventory::each_user(connection, &wanted, each))
    }

    fn change_profile(&self, id: UserId, change: ProfileChange, by: Attribution) -> Reply<'_, User> {
        self.change(invalidation::user(id), by, move |connection, by| {
            users::change_profile(connection, id, &change, by)
        })
    }

    fn change_password(&self, id: UserId, change: PasswordChange, by: Attribution) -> Reply<'_, ()> {
        self.change(invalidation::user(id), by, move |connection, by| {
            users::change_password(connection, id, &change, by)
        })
    }

    fn sign_in(&self, sign_in: SignIn, by: Attribution) -> Reply<'_, ()> {
        let changes = invalidation::added(sign_in.session.hash);
        self.change(changes, by, move |connection, by| sign_in::sign_in(connection, &sign_in, by))
    }

    fn sessions_of(&self, user: UserId, query: SessionQuery, now: Timestamp) -> Reply<'_, Vec<Session>> {
        self.read_long(move |connection| sessions::list(connection, user, query, now))
    }

    fn end_session(&self, user: UserId, id: SessionId, by: Attribution) -> Reply<'_, ()> {
        self.change(invalidation::session(id), by, move |connection, by| sessions::end(connection, user, id, by))
    }

    fn end_other_sessions(&self, user: UserId, keep: SessionId, by: Attribution) -> Reply<'_, u64> {
        self.change(invalidation::user(user), by, move |connection, by| {
            sessions::end_all(connection, user, Some(keep), by)
        })
    }

    fn add_environment(&self, environment: Environment, by: Attribution) -> Reply<'_, ()> {
        self.change_once(invalidation::NOTHING, by, move |connection, by| {
            environments::add(connection, &environment, by)
        })
    }

    fn environment_owner(&self, id: EnvironmentId) -> Reply<'_, UserId> {
        self.read(move |connection| environments::owner(connection, id))
    }

    fn environment(&self, user: UserId, id: EnvironmentId) -> Reply<'_, EnvironmentAccess> {
        self.read(move |connection| environment_access::seen(connection, user, id))
    }

    fn environments_of(&self, user: UserId, query: EnvironmentQuery) -> Reply<'_, Vec<EnvironmentAccess>> {
        self.read_long(move |connection| environments::list(connection, user, query))
    }

    fn set_current_environment(&self, user: UserId, id: EnvironmentId, by: Attribution) -> Reply<'_, User> {
        self.change(invalidation::user(user), by, move |connection, by| environments::choose(connection, user, id, by))
    }

    fn rename_environment(
        &self,
        user: UserId,
        id: EnvironmentId,
        name: Name,
        by: Attribution,
    ) -> Reply<'_, EnvironmentAccess> {
        self.change(invalidation::NOTHING, by, move |connection, by| {
            environments::rename(connection, user, id, &name, by)
        })
    }

    fn delete_environment(&self, user: UserId, id: EnvironmentId, by: Attribution) -> Reply<'_, ()> {
        self.change_reporting(by, move |connection, by, changes| {
            environments::delete(connection, user, id, by, changes)
        })
    }

    fn members_of(&self, user: UserId, id: EnvironmentId) -> Reply<'_, Vec<Member>> {
        self.read_long(move |connection| environments::members(connection, user, id))
    }

    fn set_member(
        &self,
        user: UserId,
        id: EnvironmentId,
        with: UserId,
        role: MemberRole,
        by: Attribution,
    ) -> Reply<'_, Member> {
        self.change(invalidation::NOTHING, by, move |connection, by| {
            environments::share(connection, user, id, with, role, by)
        })
    }

    fn remove_member(&self, user: UserId, id: EnvironmentId, with: UserId, by: Attribution) -> Reply<'_, ()> {
        self.change(invalidation::user(with), by, move |connection, by| {
            environments::unshare(connection, user, id, with, by)
        })
    }

    fn add_environment_token(&self, user: UserId, token: NewToken, max_live: u32, by: Attribution) -> Reply<'_, Token> {
        let changes = invalidation::added(token.hash);
        self.change_once(changes, by, move |connection, by| {
            environment_tokens::add(connection, user, &token, max_live, by)
        })
    }

    fn environment_token(&self, user: UserId, environment: EnvironmentId, id: TokenId) -> Reply<'_, Token> {
        self.read(move |connection| environment_tokens::seen(connection, user, environment, id))
    }

    fn environment_tokens(
        &self,
        authority: Authority,
        environment: EnvironmentId,
        query: TokenQuery,
        now: Timestamp,
    ) -> Reply<'_, Vec<Token>> {
        self.read_long(move |connection| environment_tokens::list(connection, authority, environment, &query, now))
    }

    fn regenerate_environment_token(
        &self,
        user: UserId,
        environment: EnvironmentId,
        id: TokenId,
        successor: Successor,
        by: Attribution,
    ) -> Reply<'_, ChangedToken> {
        let changes = invalidation::regeneration(id, successor.hash);
        self.change_once(changes, by, move |connection, by| {
            environment_tokens::regenerate(connection, user, environment, id, successor.clone(), by)
        })
    }

    fn change_environment_token(
        &self,
        user: UserId,
        environment: EnvironmentId,
        id: TokenId,
        change: TokenChange,
        by: Attribution,
    ) -> Reply<'_, ChangedToken> {
        self.change(invalidation::token(id), by, move |connection, by| {
            environment_tokens::change(connection, user, environment, id, &change, by)
        })
    }

    fn revoke_environment_token(
        &self,
        authority: Authority,
        environment: EnvironmentId,
        id: TokenId,
        reason: RevocationReason,
        by: Attribution,
    ) -> Reply<'_, ()> {
        self.change(invalidation::token(id), by, move |connection, by| {
            environment_tokens::revoke(connection, authority, environment, id, reason, by)
        })
    }

    fn add_token(&self, token: NewToken, max_live: u32, by: Attribution) -> Reply<'_, Token> {
        let headroom = Arc::clone(self.headroom());
        let changes = invalidation::added(token.hash);
        // Not a `change`: the rule itself finds out whether the session is still open.
        self.write(changes, move |connection| {
            once(connection, &by, || tokens::add(connection, &token, max_live, &headroom, &by))
        })
    }

    fn token(&self, id: TokenId) -> Reply<'_, Token> {
        self.read(move |connection| tokens::any_by_id(connection, id))
    }

    fn token_in_any_state(&self, id: TokenId) -> Reply<'_, Token> {
        self.read(move |connection| tokens::in_any_state(connection, id))
    }

    fn last_use_of(&self, number: i64) -> Reply<'_, Option<Timestamp>> {
        self.read(move |connection| tokens::last_use(connection, number))
    }

    fn tokens_of(&self, owner: UserId, query: TokenQuery, now: Timestamp) -> Reply<'_, Vec<Token>> {
        self.read_long(move |connection| tokens::list(connection, tokens::LIST, owner.uuid(), &query, now))
    }

    fn each_token(&self, wanted: TokenInventory, now: Timestamp, each: EachToken) -> Reply<'_, ()> {
        self.read_inventory(move |connection| inventory::each_token(connection, &wanted, now, each))
    }

    fn change_token(
        &self,
        owner: UserId,
        id: TokenId,
        change: TokenChange,
        by: Attribution,
    ) -> Reply<'_, ChangedToken> {
        self.change(invalidation::token(id), by, move |connection, by| {
            tokens::change_personal(connection, owner, id, &change, by)
        })
    }

    fn revoke_token(
        &self,
        owner: UserId,
        id: TokenId,
        reason: RevocationReason,
        by: Attribution,
    ) -> Reply<'_, Successors> {
        self.change_reporting(by, move |connection, by, changes| {
            revocation::revoke(connection, owner, id, reason, by, changes)
        })
    }

    fn successors_of(&self, ids: Vec<TokenId>) -> Reply<'_, Vec<(TokenId, TokenId)>> {
        self.read_long(move |connection| lineage::successors(connection, &ids))
    }

    fn rotate_token(&self, rotation: Rotation, by: Attribution) -> Reply<'_, ChangedToken> {
        let headroom = Arc::clone(self.headroom());
        let changes = invalidation::rotation(&rotation);
        self.change_once(changes, by, move |connection, by| rotation::rotate(connection, &rotation, &headroom, by))
    }

    fn record_first_use(&self, successor: TokenId, rotated_from: TokenId, by: Attribution) -> Reply<'_, ()> {
        let changes = invalidation::first_use(successor, rotated_from);
        self.change(changes, by, move |connection, by| rotation::begin(connection, successor, by))
    }

    fn revoke_family(
        &self,
        owner: UserId,
        family: TokenId,
        reused: TokenId,
        note: bool,
        by: Attribution,
    ) -> Reply<'_, u64> {
        self.change(invalidation::user(owner), by, move |connection, by| {
            rotation::revoke_family(connection, owner, family, reused, note, by)
        })
    }

    fn ended_tokens(&self, cutoff: RetentionCutoff, after: i64) -> Reply<'_, PruneBatch> {
        self.read_long(move |connection| pruning::find(connection, cutoff, after))
    }

    fn prune_tokens(&self, tokens: Vec<(i64, TokenId)>, cutoff: RetentionCutoff) -> Reply<'_, u64> {
        let changes = invalidation::tokens(&tokens);
        self.write(changes, move |connection| pruning::delete(connection, &tokens, cutoff))
    }

    fn revoke_tokens(
        &self,
        owner: UserId,
        selection: TokenSelection,
        reason: RevocationReason,
        by: Attribution,
    ) -> Reply<'_, u64> {
        self.change(invalidation::user(owner), by, move |connection, by| {
            revocation::revoke_some(connection, owner, &selection, reason, by)
        })
    }

    fn revoke_leaked(&self, leaked: LeakReport, by: Attribution) -> Reply<'_, ()> {
        self.change_reporting(by, move |connection, by, changes| {
            revocation::revoke_leaked(connection, &leaked, by, changes)
        })
    }

    fn disable_token(&self, owner: UserId, id: TokenId, by: Attribution) -> Reply<'_, (ChangedToken, Successors)> {
        self.change_reporting(by, move |connection, by, changes| {
            revocation::disable(connection, owner, id, by, changes)
        })
    }

    fn enable_token(&self, owner: UserId, id: TokenId, by: Attribution) -> Reply<'_, ChangedToken> {
        self.change(invalidation::token(id), by, move |connection, by| revocation::enable(connection, owner, id, by))
    }

    fn reserve_uses(&self, id: TokenId) -> Reply<'_, u32> {
        self.write(invalidation::NOTHING, move |connection| quotas::reserve(connection, id))
    }

    fn return_uses(&self, unused: Vec<(TokenId, u32)>) -> Reply<'_, ()> {
        self.write(invalidation::NOTHING, move |connection| quotas::give_back(connection, &unused))
    }

    fn taken_uses(&self, ids: Vec<TokenId>) -> Reply<'_, Vec<(TokenId, u32)>> {
        self.read_long(move |connection| quotas::taken(connection, &ids))
    }

    fn saved_attempts(&self) -> Reply<'_, SavedAttempts> {
        self.read_long(attempts::saved)
    }

    fn save_attempts(&self, counters: Vec<Counter>) -> Reply<'_, ()> {
        self.write(invalidation::NOTHING, move |connection| attempts::save(connection, &counters))
    }

    fn delete_rested_attempts(&self, rested_by: Timestamp) -> Reply<'_, u64> {
        self.write(invalidation::NOTHING, move |connection| attempts::delete_rested(connection, rested_by))
    }

    fn latest_time(&self) -> Reply<'_, Option<Timestamp>> {
        self.read_long(clock::latest_time)
    }

    fn record_time(&self, now: Timestamp) -> Reply<'_, ()> {
        self.write(invalidation::NOTHING, move |connection| clock::record_time(connection, now))
    }

    fn record_uses(&self, uses: Uses) -> Reply<'_, ()> {
        self.write(invalidation::uses(&uses), move |connection| {
            tokens::record_uses(connection, &uses.tokens)?;
            sessions::record_uses(connection, &uses.sessions)
        })
    }

    fn record_locations(&self, locations: Vec<(TokenId, UseLocation)>) -> Reply<'_, ()> {
        self.write(invalidation::NOTHING, move |connection| use_locations::record(connection, &locations))
    }

    fn locations_of(&self, id: TokenId) -> Reply<'_, Vec<UseLocation>> {
        self.read(move |connection| use_locations::of(connection, id))
    }

    fn prune_sessions(&self, now: Timestamp) -> Reply<'_, u64> {
        self.write(invalidation::expired_sessions(), move |connection| sessions::prune(connection, now))
    }

    fn close(&self) -> Reply<'_, ()> {
        Engine::close(self)
    }
}
