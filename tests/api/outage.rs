//! When the store cannot answer, the API answers 503, never 2xx and never 401, and changes nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use patd::{
    domain::{
        account::{Email, HashParameters, PasswordHash, Role, User, UserCredentials},
        account_state::{Account, AccountDetails},
        attempts::{Counter, CountersOf, SavedAttempts},
        audit::{Attribution, Entry, Event},
        authority::Authority,
        deletion::EndsWithUser,
        environment::{Environment, EnvironmentAccess, Member, MemberRole, Successor},
        id::{EnvironmentId, SessionId, TokenId, UserId},
        node::Readiness,
        password_link::{NewPasswordLink, PasswordLink},
        secret::TokenHash,
        session::{Session, SessionRecord},
        text::Name,
        time::Timestamp,
        token::{NewToken, RevocationReason, Token, TokenRecord},
        token_usage::Day,
        use_location::UseLocation,
    },
    store::{
        AccountChange, AccountQuery, Backend, BatchSeries, CacheReport, ChangedToken, Credentials, EachToken, EachUser,
        EnvironmentQuery, Erasure, Export, ExportBatch, ExportPosition, FoundToken, LastAdmin, LeakReport,
        PasswordChange, ProfileChange, PruneBatch, Reply, RetentionCutoff, Rotation, SessionQuery, SignIn, Store,
        StoreError, StoredUsage, Successors, TokenAdministration, TokenChange, TokenInventory, TokenQuery,
        TokenSearchQuery, TokenSelection, UsageBatch, UsageRecords, UserAdministration, UserDeletion, UserInventory,
        Uses,
    },
};
use serde_json::json;

use crate::harness::{TestApp, email, password};

pub const WELL: u8 = 0;
pub const READS_FAIL: u8 = 1;
pub const WRITES_FAIL: u8 = 2;
/// The next write works. Every read after it fails.
pub const READS_FAIL_AFTER_WRITE: u8 = 3;
/// A write of the housekeeping. It fails like the others, and is not the one of [`READS_FAIL_AFTER_WRITE`].
const HOUSEKEEPING: u8 = 4;
/// What a server reads at its start. It works, so that the server starts.
const NEVER: u8 = u8::MAX;

/// What a faulty store does instead of answering.
#[derive(Clone, Copy)]
pub enum Fault {
    Fails,
    Hangs,
    Panics,
    /// It executes the request, and answers only when it works again.
    AnswersLate,
}

/// Switches the faults of a store.
pub struct Switch(Arc<AtomicU8>);

impl Switch {
    pub fn fail_writes(&self) {
        self.0.store(WRITES_FAIL, Ordering::SeqCst);
    }

    pub fn heal(&self) {
        self.0.store(WELL, Ordering::SeqCst);
    }
}

/// A store that fails on purpose.
pub struct Faulty {
    pub backend: Backend,
    mode: Arc<AtomicU8>,
    fault: Fault,
}

impl Faulty {
    /// Reads fail from the start.
    pub fn reads(backend: Backend, fault: Fault) -> Backend {
        Self::wrap(backend, Arc::new(AtomicU8::new(READS_FAIL)), fault)
    }

    /// A store that works until the switch says otherwise.
    pub fn switched() -> (Switch, impl FnOnce(Backend) -> Backend) {
        Self::switched_to(Fault::Fails)
    }

    /// The same with another fault.
    pub fn switched_to(fault: Fault) -> (Switch, impl FnOnce(Backend) -> Backend) {
        let mode = Arc::new(AtomicU8::new(WELL));
        let switch = Switch(Arc::clone(&mode));
        (switch, move |backend| Self::wrap(backend, mode, fault))
    }

    pub fn wrap(backend: Backend, mode: Arc<AtomicU8>, fault: Fault) -> Backend {
        Backend::new(Arc::new(Self { backend, mode, fault }))
    }

    pub fn unless<'a, T: Unpin + Send + 'a>(&self, mode: u8, reply: impl FnOnce() -> Reply<'a, T>) -> Reply<'a, T> {
        if mode == WRITES_FAIL {
            let (after_write, fail) = (READS_FAIL_AFTER_WRITE, READS_FAIL);
            let _ = self.mode.compare_exchange(after_write, fail, Ordering::SeqCst, Ordering::SeqCst);
        }
        let failing = if [HOUSEKEEPING, nodes::COUNTING].contains(&mode) { WRITES_FAIL } else { mode };
        if self.mode.load(Ordering::SeqCst) != failing {
            return reply();
        }
        match self.fault {
            Fault::Fails => Reply::ready(Err(StoreError::Unavailable("on purpose".into()))),
            Fault::Hangs => Reply::Pending(Box::pin(std::future::pending())),
            Fault::Panics => panic!("on purpose"),
            Fault::AnswersLate if mode == nodes::COUNTING => reply(),
            Fault::AnswersLate => {
                let (reply, mode) = (reply(), Arc::clone(&self.mode));
                Reply::Pending(Box::pin(async move {
                    let answer = reply.await;
                    while mode.load(Ordering::SeqCst) != WELL {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    answer
                }))
            }
        }
    }
}

macro_rules! delegate {
    ($trait:ident $({ $($more:tt)* })?: $($mode:ident { $(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $reply:ty;)* })*) => {
        impl $trait for Faulty {
            $($($more)*)?
            $($(fn $name(&self $(, $arg: $type)*) -> Reply<'_, $reply> {
                self.unless($mode, || self.backend.store.$name($($arg),*))
            })*)*
        }
    };
}

pub(crate) use delegate;

impl Credentials for Faulty {
    fn token_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<TokenRecord>>> {
        self.unless(READS_FAIL, || self.backend.credentials.token_by_hash(hash))
    }

    fn session_by_hash(&self, hash: &TokenHash) -> Reply<'_, Option<Arc<SessionRecord>>> {
        self.unless(READS_FAIL, || self.backend.credentials.session_by_hash(hash))
    }

    fn cache_report(&self) -> Option<CacheReport> {
        self.backend.credentials.cache_report()
    }
}

delegate! {
    UserAdministration:
    READS_FAIL {
        fn accounts(&self, query: AccountQuery) -> Vec<Account>;
        fn account_details(&self, id: UserId, now: Timestamp) -> AccountDetails;
        fn password_link(&self, hash: TokenHash) -> Option<PasswordLink>;
    }
    WRITES_FAIL {
        fn change_account(&self, id: UserId, change: AccountChange, last: LastAdmin, by: Attribution) -> Account;
        fn disable_user(&self, id: UserId, last: LastAdmin, by: Attribution) -> Account;
        fn enable_user(&self, id: UserId, by: Attribution) -> Account;
        fn end_sessions(&self, id: UserId, by: Attribution) -> u64;
        fn invite_user(&self, user: User, link: NewPasswordLink, by: Attribution) -> ();
        fn reset_password(&self, id: UserId, link: NewPasswordLink, last: LastAdmin, by: Attribution) -> Account;
        fn clear_attempts(&self, counters: Vec<CountersOf>, held: bool, event: Entry, by: Attribution) -> u64;
        fn set_password_by_link(&self, hash: TokenHash, password: PasswordHash, by: Attribution) -> ();
        fn set_role(&self, id: UserId, role: Role, last: LastAdmin, by: Attribution) -> User;
    }
}

mod audit_trail;
pub mod keyed_requests;
mod nodes;
mod token_reads;

delegate! {
    TokenAdministration:
    READS_FAIL {
        fn find_tokens(&self, search: TokenSearchQuery, now: Timestamp) -> Vec<FoundToken>;
    }
    WRITES_FAIL {
        fn disable_environment_token(&self, id: TokenId, by: Attribution) -> ChangedToken;
        fn enable_environment_token(&self, id: TokenId, by: Attribution) -> ChangedToken;
        fn wait_until_known(&self) -> ();
    }
}

delegate! {
    Export:
    READS_FAIL {
        fn export(&self, user: UserId, position: ExportPosition) -> Option<ExportBatch>;
    }
}

delegate! {
    Erasure:
    READS_FAIL {
        fn ends_with_user(&self, id: UserId, with_transfer: bool, now: Timestamp) -> EndsWithUser;
    }
    WRITES_FAIL {
        fn delete_user(&self, id: UserId, deletion: UserDeletion, by: Attribution) -> EndsWithUser;
    }
    HOUSEKEEPING {
        fn scrub(&self) -> bool;
    }
}

delegate! {
    Store:
    NEVER {
        fn close(&self) -> ();
        fn hash_parameters(&self, sample: u32) -> Vec<(HashParameters, u64)>;
        fn saved_attempts(&self) -> SavedAttempts;
        fn latest_time(&self) -> Option<Timestamp>;
    }
    READS_FAIL {
        fn ready(&self) -> Readiness;
        fn user(&self, id: UserId) -> User;
        fn credentials(&self, id: UserId) -> UserCredentials;
        fn credentials_by_email(&self, email: &Email) -> Option<UserCredentials>;
        fn users(&self, after: Option<UserId>, limit: u32) -> Vec<User>;
        fn each_user(&self, inventory: UserInventory, each: EachUser) -> ();
        fn environment_owner(&self, id: EnvironmentId) -> UserId;
        fn each_token(&self, inventory: TokenInventory, now: Timestamp, each: EachToken) -> ();
        fn ended_tokens(&self, long_ago: RetentionCutoff, after: i64) -> PruneBatch;
        fn sessions_of(&self, user: UserId, query: SessionQuery, now: Timestamp) -> Vec<Session>;
        fn environment(&self, user: UserId, id: EnvironmentId) -> EnvironmentAccess;
        fn environments_of(&self, user: UserId, query: EnvironmentQuery) -> Vec<EnvironmentAccess>;
        fn members_of(&self, user: UserId, id: EnvironmentId) -> Vec<Member>;
        fn environment_token(&self, user: UserId, environment: EnvironmentId, id: TokenId) -> Token;
        fn environment_tokens(&self, authority: Authority, environment: EnvironmentId, query: TokenQuery, now: Timestamp) -> Vec<Token>;
        fn token(&self, id: TokenId) -> Token;
        fn token_in_any_state(&self, id: TokenId) -> Token;
        fn successors_of(&self, ids: Vec<TokenId>) -> Vec<(TokenId, TokenId)>;
        fn last_use_of(&self, number: i64) -> Option<Timestamp>;
        fn tokens_of(&self, owner: UserId, query: TokenQuery, now: Timestamp) -> Vec<Token>;
        fn locations_of(&self, id: TokenId) -> Vec<UseLocation>;
        fn taken_uses(&self, ids: Vec<TokenId>) -> Vec<(TokenId, u32)>;
    }
    WRITES_FAIL {
        fn add_user(&self, user: User, password: PasswordHash, by: Attribution) -> ();
        fn change_profile(&self, id: UserId, change: ProfileChange, by: Attribution) -> User;
        fn change_password(&self, id: UserId, change: PasswordChange, by: Attribution) -> ();
        fn sign_in(&self, sign_in: SignIn, by: Attribution) -> ();
        fn end_session(&self, user: UserId, id: SessionId, by: Attribution) -> ();
        fn end_other_sessions(&self, user: UserId, keep: SessionId, by: Attribution) -> u64;
        fn add_environment(&self, environment: Environment, by: Attribution) -> ();
        fn set_current_environment(&self, user: UserId, id: EnvironmentId, by: Attribution) -> User;
        fn rename_environment(&self, user: UserId, id: EnvironmentId, name: Name, by: Attribution) -> EnvironmentAccess;
        fn delete_environment(&self, user: UserId, id: EnvironmentId, by: Attribution) -> ();
        fn set_member(&self, user: UserId, id: EnvironmentId, with: UserId, role: MemberRole, by: Attribution) -> Member;
        fn remove_member(&self, user: UserId, id: EnvironmentId, with: UserId, by: Attribution) -> ();
        fn add_environment_token(&self, user: UserId, token: NewToken, max_live: u32, by: Attribution) -> Token;
        fn regenerate_environment_token(&self, user: UserId, environment: EnvironmentId, id: TokenId, successor: Successor, by: Attribution) -> ChangedToken;
        fn change_environment_token(&self, user: UserId, environment: EnvironmentId, id: TokenId, change: TokenChange, by: Attribution) -> ChangedToken;
        fn revoke_environment_token(&self, authority: Authority, environment: EnvironmentId, id: TokenId, reason: RevocationReason, by: Attribution) -> ();
        fn add_token(&self, token: NewToken, max_live: u32, by: Attribution) -> Token;
        fn change_token(&self, owner: UserId, id: TokenId, change: TokenChange, by: Attribution) -> ChangedToken;
        fn revoke_token(&self, owner: UserId, id: TokenId, reason: RevocationReason, by: Attribution) -> Successors;
        fn rotate_token(&self, rotation: Rotation, by: Attribution) -> ChangedToken;
        fn revoke_tokens(&self, owner: UserId, which: TokenSelection, reason: RevocationReason, by: Attribution) -> u64;
        fn revoke_leaked(&self, leaked: LeakReport, by: Attribution) -> ();
        fn disable_token(&self, owner: UserId, id: TokenId, by: Attribution) -> (ChangedToken, Successors);
        fn enable_token(&self, owner: UserId, id: TokenId, by: Attribution) -> ChangedToken;
    }
    HOUSEKEEPING {
        fn record_first_use(&self, successor: TokenId, rotated_from: TokenId, by: Attribution) -> ();
        fn revoke_family(&self, owner: UserId, family: TokenId, reused: TokenId, note: bool, by: Attribution) -> u64;
        fn prune_tokens(&self, tokens: Vec<(i64, TokenId)>, long_ago: RetentionCutoff) -> u64;
        fn reserve_uses(&self, id: TokenId) -> u32;
        fn return_uses(&self, unused: Vec<(TokenId, u32)>) -> ();
        fn save_attempts(&self, counters: Vec<Counter>) -> ();
        fn delete_rested_attempts(&self, rested_by: Timestamp) -> u64;
        fn record_time(&self, now: Timestamp) -> ();
        fn record_uses(&self, uses: Uses) -> ();
        fn record_locations(&self, origins: Vec<(TokenId, UseLocation)>) -> ();
        fn prune_sessions(&self, now: Timestamp) -> u64;
    }
}

pub fn failing_app() -> (TestApp, Arc<AtomicU8>) {
    let mode = Arc::new(AtomicU8::new(WELL));
    let switch = Arc::clone(&mode);
    let app = TestApp::with_store(&[("accounts.registration", "true")], |backend| {
        Faulty::wrap(backend, switch, Fault::Fails)
    });
    (app, mode)
}

#[test]
fn a_read_that_fails_is_503_on_every_route_and_never_401() {
    let (app, mode) = failing_app();
    let ada = app.sign_in("ada");
    let token = ada.create_token(json!({ "name": "t" }));
    let token = app.bearer(token["token"].as_str().unwrap());
    mode.store(READS_FAIL, Ordering::SeqCst);

    for (method, path) in patd::http::routes() {
        // The routes that answer before they read anything have their own tests.
        let elsewhere =
            ["/", "/api", "/livez", "/api/v1/auth/register", "/api/v1/revoke", "/api/v1/tokens/revoke-leaked"];
        let is_document = path.starts_with("/api/docs") || path.starts_with("/api/openapi") || path == "/llms.txt";
        if elsewhere.contains(&path) || is_document || path.starts_with("/api/authz/") {
            continue;
        }
        let path = ["{id}", "{user_id}", "{token_id}"]
            .iter()
            .fold(path.to_owned(), |path, id| path.replace(id, &uuid::Uuid::now_v7().to_string()));
        let body = match &*path {
            "/api/v1/auth/login" => Some(json!({ "email": email("ada"), "password": password("ada") })),
            "/api/v1/auth/password-link" => {
                let link = patd::domain::password_link::generate().unwrap();
                Some(json!({ "token": link.expose(), "password": "a long enough password" }))
            }
            _ => (method != "GET" && method != "HEAD").then(|| json!({})),
        };
        for client in [&ada, &token] {
            let answer = client.send(method.as_str(), &path, body.clone());
            assert_eq!(answer.status, 503, "{method} {path}: {}", answer.shown());
            assert_eq!(answer.header("www-authenticate"), None, "{method} {path}");
        }
    }
    assert_eq!(app.anonymous().get("/livez").status, 200, "the process is alive");
    // A wrong checksum is refused without the store.
    assert_eq!(app.bearer("pat_rubbish").get("/api/user").status, 401);

    mode.store(WELL, Ordering::SeqCst);
    assert_eq!(token.get("/api/user").status, 200, "it recovers without a restart");
}

#[test]
fn a_write_that_fails_is_503_and_changes_nothing() {
    let (app, mode) = failing_app();
    let ada = app.sign_in("ada");
    let other = app.sign_in_again("ada");
    let created = ada.create_token(json!({ "name": "kept" }));
    let token = app.bearer(created["token"].as_str().unwrap());
    let path = format!("/api/v1/user/api-tokens/{}", created["id"].as_str().unwrap());
    let environment = ada.get("/api/user").body["current_environment_id"].as_str().unwrap().to_owned();
    let environment = format!("/api/v1/environments/{environment}");
    // The use is recorded before, so that the two lists do not differ in it.
    assert_eq!(token.get("/api/user").status, 200);
    let before = (ada.get("/api/v1/user").text, ada.get("/api/v1/user/api-tokens").text);
    mode.store(WRITES_FAIL, Ordering::SeqCst);

    let new = "another long password, never stored";
    let answers = [
        ada.post("/api/v1/user/api-tokens", json!({ "name": "never" })),
        ada.patch(&path, json!({ "name": "never" })),
        ada.delete(&path),
        ada.post(&format!("{path}/rotate"), json!({})),
        token.post("/api/v1/user/api-tokens/self/rotate", json!({})),
        ada.patch("/api/v1/user", json!({ "name": "never" })),
        ada.put("/api/v1/user/password", json!({ "current_password": password("ada"), "password": new })),
        ada.delete("/api/v1/user/sessions"),
        ada.send("DELETE", "/api/v1/user", Some(json!({ "current_password": password("ada") }))),
        ada.post("/api/v1/environments", json!({ "name": "never" })),
        ada.patch(&environment, json!({ "name": "never" })),
        ada.post(&format!("{environment}/tokens"), json!({ "name": "never" })),
        ada.post("/api/v1/auth/logout", json!({})),
        app.anonymous().post("/api/v1/auth/login", json!({ "email": email("ada"), "password": password("ada") })),
        // The refusal cannot be recorded, so the answer is 503.
        app.anonymous().post("/api/v1/auth/login", json!({ "email": email("ada"), "password": "wrong" })),
        app.anonymous().post("/api/v1/auth/login", json!({ "email": email("nobody"), "password": "wrong" })),
        ada.put("/api/v1/user/password", json!({ "current_password": "wrong", "password": new })),
        app.anonymous()
            .post("/api/v1/auth/register", json!({ "name": "n", "email": "n@example.com", "password": new })),
    ];
    for answer in &answers {
        assert_eq!(answer.status, 503, "{}", answer.shown());
        assert_eq!(answer.body["code"], "store_unavailable");
        assert!(!answer.text.contains("on purpose"), "the answer does not have the text of the store");
    }
    assert_eq!(token.get("/api/user").status, 200, "checks still work");

    mode.store(WELL, Ordering::SeqCst);
    assert_eq!((ada.get("/api/v1/user").text, ada.get("/api/v1/user/api-tokens").text), before);
    assert_eq!(other.get("/api/user").status, 200, "no session was ended");
    app.sign_in_again("ada");
}
