//! Users, sessions and tokens for the tests.

use super::*;

pub(super) const NOT_FOUND: StoreError = StoreError::NotFound;
pub(super) const CREDENTIALS_CHANGED: StoreError = StoreError::Conflict(Conflict::CredentialsChanged);
pub(super) const EMAIL_TAKEN: StoreError = StoreError::Conflict(Conflict::EmailTaken);
pub(super) const REASON: RevocationReason = RevocationReason::RevokedByOwner;
pub(super) const TOO_MANY: StoreError = StoreError::Conflict(Conflict::TooManyTokens);

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

pub(super) fn revoked(seconds: i64) -> Revocation {
    Revocation { at: at(seconds), reason: REASON }
}

/// A change by the command line at this time.
pub(super) fn by(seconds: i64) -> Attribution {
    Attribution { origin: RequestSource::COMMAND_LINE, at: at(seconds) }
}

pub(super) fn by_session(session: &NewSession, seconds: i64) -> Attribution {
    let origin = RequestSource::without_request(Actor::session(&session.session));
    Attribution { origin, at: at(seconds) }
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(super) fn password(text: &str) -> PasswordHash {
    PasswordHash::new(format!("$argon2id${text}"))
}

pub(super) fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

pub(super) fn person(text: &str) -> User {
    User {
        id: UserId::new(Uuid::now_v7()),
        name: name(text),
        email: email(&format!("{text}@example.com")),
        created_at: at(1000),
        disabled_at: None,
        current_environment: EnvironmentId::new(Uuid::now_v7()),
        role: UserRole::Member,
    }
}

pub(super) fn secret(kind: CredentialKind) -> (TokenHash, Hint) {
    let prefixes = Prefixes::new("ses_", "pat_", "talq_").unwrap();
    let plaintext = Plaintext::generate(kind, &prefixes).unwrap();
    (plaintext.hash(), plaintext.hint())
}

pub(super) fn session(user: &User, created_at: i64, expires_at: i64) -> NewSession {
    NewSession {
        session: Session {
            id: SessionId::new(Uuid::now_v7()),
            user: user.id,
            device_name: Some(name("laptop")),
            created_at: at(created_at),
            last_used_at: at(created_at),
            expires_at: at(expires_at),
        },
        hash: secret(CredentialKind::Session).0,
    }
}

pub(super) fn new_token(owner: UserId, text: &str) -> NewToken {
    let (hash, hint) = secret(CredentialKind::PersonalAccessToken);
    let id = TokenId::new(Uuid::now_v7());
    NewToken {
        id,
        environment: None,
        family: id,
        rotated_from: None,
        owner,
        name: name(text),
        abilities: Abilities::full(),
        hash,
        hint,
        created_at: at(1000),
        expires_at: None,
        limits: None,
        annotations: None,
        is_canary: false,
    }
}

/// A user whose password hash is `password("old")`.
pub(super) async fn add(store: &TestStore, text: &str) -> User {
    let user = person(text);
    store.add_user(user.clone(), password("old"), by(1000)).await.unwrap();
    user
}

pub(super) async fn sign_in(store: &TestStore, user: &User, created_at: i64, expires_at: i64) -> NewSession {
    let session = session(user, created_at, expires_at);
    let sign_in = SignIn { session: session.clone(), verified: password("old"), rehashed: None };
    store.sign_in(sign_in, by(1)).await.unwrap();
    session
}

pub(super) async fn is_signed_in(store: &TestStore, session: &NewSession) -> bool {
    let found = store.session_by_hash(&session.hash).await.unwrap();
    found.is_some()
}

pub(super) async fn add_token(store: &TestStore, owner: &User, text: &str) -> Token {
    let token = new_token(owner.id, text);
    store.add_token(token, 1000, by(1000)).await.unwrap()
}

pub(super) async fn names(store: &TestStore, owner: &User, query: TokenQuery, now: i64) -> Vec<String> {
    let tokens = store.tokens_of(owner.id, query, at(now)).await.unwrap();
    tokens.iter().map(|token| token.name.to_string()).collect()
}

pub(super) fn all() -> TokenQuery {
    TokenQuery { limit: 100, ..TokenQuery::default() }
}
