//! What one node has noted about uses counts in the decisions of another. The nodes are in this process and share a clock that the
//! test moves.

use std::time::Duration;

use patd::{
    compose,
    domain::{
        account::{Email, Password, Role},
        annotations::Annotations,
        audit::RequestSource,
        authority::{Administrator, Authority},
        id::UserId,
        text::Name,
        time::Timestamp,
        token::IssuedToken,
        usage_limits::UsageLimits,
    },
    ops::{
        Context, Error, accounts,
        expiry::Expiry,
        revocation::{self, BulkRevocation},
        rotation::{self, RotationRequest},
        tokens::{self, TokenRequest},
        verification::{self, Caller},
    },
    store::Access,
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    database::Database,
    support::{
        clock::TestClock,
        settings::{self, FAST_HASHING},
    },
};

const HOUR: Duration = Duration::from_hours(1);
const PASSWORD: &str = "an engine of 1000 wheels";
const BY: RequestSource = RequestSource::COMMAND_LINE;

struct Nodes {
    first: Context,
    second: Context,
    clock: TestClock,
    owner: UserId,
    runtime: Runtime,
    _database: Database,
}

impl Nodes {
    fn new() -> Option<Self> {
        let database = Database::new()?;
        let clock = TestClock::at(Timestamp::parse("2024-01-15T19:00:00Z").unwrap());
        let url = database.url_at(database.server);
        let lifetimes = [("tokens.idle_lifetime", "1d"), ("sessions.idle_lifetime", "1d")];
        let config = settings::load(None, &[&FAST_HASHING[..], &lifetimes, &[("database.url", &url)]].concat());
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let start = || {
            let backend = compose::with_cache(&config, compose::open_store(&config, Access::Server).unwrap());
            let context = Context::new(&config, backend, clock.clock()).unwrap();
            runtime.block_on(context.start()).unwrap();
            context
        };
        let (first, second) = (start(), start());
        let account = accounts::NewAccount {
            ids: None,
            name: Name::parse("Ada").unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            password: Password::parse(PASSWORD).unwrap(),
        };
        let created = accounts::create(&first, Administrator::command_line(), account, Role::Member, BY);
        let owner = runtime.block_on(created).unwrap().id;
        Some(Self { first, second, clock, owner, runtime, _database: database })
    }

    async fn token(&self, name: &str) -> IssuedToken {
        let request = TokenRequest {
            id: None,
            owner: self.owner,
            name: Name::parse(name).unwrap(),
            abilities: None,
            expiry: Expiry::Never,
            limits: UsageLimits::default(),
            annotations: Annotations::default(),
            is_canary: false,
        };
        tokens::create(&self.first, self.authority(), request, BY).await.unwrap()
    }

    fn authority(&self) -> Authority {
        Authority::Administrator(Administrator::command_line())
    }
}

async fn is_accepted(node: &Context, secret: &str) -> bool {
    verification::introspect(node, secret, Caller::default()).await.unwrap().is_ok()
}

#[test]
fn a_token_that_another_node_accepted_lately_is_not_idle() {
    let Some(nodes) = Nodes::new() else { return };
    nodes.runtime.block_on(async {
        let token = nodes.token("used").await;
        let secret = token.plaintext.expose();
        // From now on the second node has the record in its memory.
        assert!(is_accepted(&nodes.second, secret).await);
        nodes.second.flush_uses().await.unwrap();
        nodes.clock.advance(20 * HOUR);
        assert!(is_accepted(&nodes.first, secret).await);
        nodes.first.flush_uses().await.unwrap();
        nodes.clock.advance(20 * HOUR);
        assert!(is_accepted(&nodes.second, secret).await);
        nodes.clock.advance(25 * HOUR);
        assert!(!is_accepted(&nodes.first, secret).await && !is_accepted(&nodes.second, secret).await);
    });
}

#[test]
fn a_session_that_another_node_accepted_lately_is_not_idle() {
    let Some(nodes) = Nodes::new() else { return };
    nodes.runtime.block_on(async {
        let attempt = accounts::SignInAttempt {
            client: "192.0.2.1".parse().unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            password: Password::parse(PASSWORD).unwrap(),
            device_name: None,
        };
        let session = accounts::sign_in(&nodes.first, attempt, BY).await.unwrap();
        let secret = session.plaintext.expose();
        assert!(is_accepted(&nodes.second, secret).await);
        nodes.second.flush_uses().await.unwrap();
        nodes.clock.advance(20 * HOUR);
        assert!(is_accepted(&nodes.first, secret).await);
        nodes.first.flush_uses().await.unwrap();
        nodes.clock.advance(20 * HOUR);
        assert!(is_accepted(&nodes.second, secret).await);
        nodes.clock.advance(25 * HOUR);
        assert!(!is_accepted(&nodes.first, secret).await && !is_accepted(&nodes.second, secret).await);
    });
}

#[test]
fn a_token_that_another_node_accepted_lately_is_not_revoked_as_unused() {
    let Some(nodes) = Nodes::new() else { return };
    nodes.runtime.block_on(async {
        let (used, unused) = (nodes.token("used").await, nodes.token("unused").await);
        nodes.clock.advance(10 * HOUR);
        let since = nodes.first.clock.now();
        nodes.clock.advance(HOUR);
        assert!(is_accepted(&nodes.first, used.plaintext.expose()).await);
        nodes.first.flush_uses().await.unwrap();
        let bulk = BulkRevocation::UnusedSince(since);
        let revoked = revocation::revoke_many(&nodes.second, nodes.authority(), nodes.owner, bulk, BY).await;
        assert_eq!(revoked.unwrap(), 1);
        for node in [&nodes.first, &nodes.second] {
            assert!(is_accepted(node, used.plaintext.expose()).await);
            assert!(!is_accepted(node, unused.plaintext.expose()).await);
        }
    });
}

#[test]
fn a_successor_that_another_node_accepted_is_not_replaced_as_unused() {
    let Some(nodes) = Nodes::new() else { return };
    nodes.runtime.block_on(async {
        let token = nodes.token("rotated").await.token;
        let rotate = async |node, replace_unused| {
            let request = RotationRequest {
                abilities: None,
                grace: Some(HOUR),
                end_on_first_use: Some(false),
                expiry: Expiry::Default,
                replace_unused,
            };
            rotation::rotate(node, nodes.owner, token.id, request, BY).await
        };
        let unused = rotate(&nodes.first, false).await.unwrap().issued;
        let successor = rotate(&nodes.second, true).await.unwrap().issued;
        assert!(!is_accepted(&nodes.first, unused.plaintext.expose()).await, "it was replaced");
        // Nothing is flushed: the first use is in the database before it is answered.
        assert!(is_accepted(&nodes.first, successor.plaintext.expose()).await);
        let replaced = rotate(&nodes.second, true).await;
        assert!(matches!(replaced, Err(Error::AlreadyRotated { .. })), "{:?}", replaced.err());
        assert!(is_accepted(&nodes.second, successor.plaintext.expose()).await);
    });
}
