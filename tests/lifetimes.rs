//! The life of tokens against a model: whatever is done in whatever order, a secret is accepted exactly while it should
//! be, and with no right that its owner does not have.

#![expect(clippy::unwrap_used, reason = "a failed test is told by its panic")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

#[path = "lifetimes/model.rs"]
mod model;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use patd::{
    config::{Config, Sources},
    domain::{
        ability::{Abilities, Ability, Power},
        account::{Email, Password, User},
        audit::{Actor, Origin},
        id::{SessionId, TokenId},
        limits::Limits,
        text::Name,
        time::Timestamp,
    },
    ops::{
        self, Context,
        accounts::{self, NewAccount, SignInAttempt},
        clock::Clock,
        rotation::{self, RotationRequest},
        sessions,
        tokens::{self, Expiry, TokenRequest},
        verification::{self, Caller},
    },
    store::{
        Store,
        cached::{Cached, Capacity},
        sqlite::{Access, SqliteSettings, SqliteStore},
    },
};
use proptest::prelude::*;
use tempfile::TempDir;

use model::{Model, Modelled};

const IDLE: i64 = 40;
const START: i64 = 1_000_000;

/// One thing that somebody does. Numbers choose among what there is at that time.
#[derive(Clone, Debug)]
enum Operation {
    Create {
        rotates: bool,
        lifetime: Option<i64>,
    },
    Rotate {
        token: usize,
        by_itself: bool,
        grace: u64,
        on_first_use: bool,
        replace_unused: bool,
        lifetime: Option<i64>,
    },
    Use {
        token: usize,
    },
    Revoke {
        token: usize,
    },
    DisableOwner,
    EnableOwner,
    SignIn,
    SignOut {
        session: usize,
    },
    Move {
        seconds: i64,
    },
    Forget,
}

fn operation() -> impl Strategy<Value = Operation> {
    let lifetime = || proptest::option::weighted(0.3, 1..60_i64);
    prop_oneof![
        2 => (any::<bool>(), lifetime()).prop_map(|(rotates, lifetime)| Operation::Create { rotates, lifetime }),
        6 => (any::<usize>(), any::<bool>(), prop_oneof![1 => Just(0), 5 => 1..60_u64], any::<bool>(), any::<bool>(), lifetime())
            .prop_map(|(token, by_itself, grace, on_first_use, replace_unused, lifetime)| Operation::Rotate {
                token, by_itself, grace, on_first_use, replace_unused, lifetime
            }),
        8 => any::<usize>().prop_map(|token| Operation::Use { token }),
        1 => any::<usize>().prop_map(|token| Operation::Revoke { token }),
        1 => Just(Operation::DisableOwner),
        2 => Just(Operation::EnableOwner),
        1 => Just(Operation::SignIn),
        1 => any::<usize>().prop_map(|session| Operation::SignOut { session }),
        4 => (-20..30_i64).prop_map(|seconds| Operation::Move { seconds }),
        1 => Just(Operation::Forget),
    ]
}

/// The program, and what it has handed out.
struct Program {
    ctx: Context,
    store: Arc<SqliteStore>,
    time: Arc<AtomicI64>,
    ada: User,
    tokens: Vec<(TokenId, String)>,
    sessions: Vec<SessionId>,
    _directory: TempDir,
}

impl Program {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = SqliteSettings {
            path: directory.path().join("patd.db"),
            readers: 2,
            pool_timeout: Duration::from_secs(2),
            busy_timeout: Duration::from_secs(5),
            write_queue: 4096,
        };
        let store = Arc::new(SqliteStore::open(&settings, Access::Server).unwrap());
        let time = Arc::new(AtomicI64::new(START));
        let config = Config::load(Sources {
            flags: [
                ("passwords.memory_kib", "8"),
                ("passwords.iterations", "1"),
                ("throttle.per_email_burst", "1000000"),
                ("throttle.per_address_burst", "1000000"),
                ("throttle.rotations_per_family_burst", "1000000"),
                ("tokens.idle_lifetime", &format!("{IDLE}s")),
            ]
            .map(|(key, value)| (key, value.to_owned()))
            .into(),
            ..Sources::default()
        })
        .unwrap();
        let ctx = context(&config, &store, &time);
        let ada = NewAccount {
            name: Name::parse("Ada").unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            password: Password::parse(PASSWORD).unwrap(),
        };
        let ada = accounts::create(&ctx, ada, Origin::COMMAND_LINE).await.unwrap();
        Self { ctx, store, time, ada, tokens: Vec::new(), sessions: Vec::new(), _directory: directory }
    }
}

const PASSWORD: &str = "a long enough password of ada";

fn context(config: &Config, store: &Arc<SqliteStore>, time: &Arc<AtomicI64>) -> Context {
    let capacity = Capacity { tokens: 100, sessions: 100, unknown: 100 };
    let cached = Cached::new(Arc::clone(store) as Arc<dyn Store>, capacity);
    let told = Arc::clone(time);
    let clock = Clock::new(move || Timestamp::from_unix(told.load(Ordering::SeqCst)));
    Context::new(config, Arc::new(cached), clock).unwrap()
}

fn abilities(rotates: bool) -> Abilities {
    let own = ["calls:read", if rotates { "tokens:rotate-self" } else { "user:read" }];
    Abilities::new(own.map(|text| Ability::parse(text).unwrap())).unwrap()
}

fn acting(actor: Actor) -> Origin {
    Origin { actor, address: None, request_id: None }
}

/// Does the operation to both, and compares what they say.
async fn step(program: &mut Program, model: &mut Model, operation: &Operation) {
    // Mostly one of the latest, about which more can still happen.
    let chosen = |number: &usize, of: usize| match of {
        0 => None,
        of if number.is_multiple_of(4) => Some(number / 4 % of),
        of => Some(of - 1 - number / 4 % of.min(3)),
    };
    match operation {
        Operation::Create { rotates, lifetime } => {
            let request = TokenRequest {
                owner: program.ada.id,
                name: Name::parse("t").unwrap(),
                abilities: Some(abilities(*rotates)),
                expiry: lifetime.map_or(Expiry::Never, |life| Expiry::At(Timestamp::from_unix(model.now + life))),
                limits: Limits::default(),
            };
            let made = tokens::create(&program.ctx, request, Origin::COMMAND_LINE).await;
            assert_eq!(made.is_ok(), !model.owner_disabled, "{made:?}");
            let Ok(made) = made else { return };
            program.tokens.push((made.token.id, made.plaintext.expose().to_owned()));
            model.tokens.push(Modelled {
                family: model.tokens.len(),
                rotated_from: None,
                rotates: *rotates,
                expires_at: lifetime.map(|life| model.now + life),
                last_use: model.now,
                is_used: false,
                is_revoked: false,
                is_rotated_away: false,
                grace: None,
            });
        }
        Operation::Rotate { token, by_itself, grace, on_first_use, replace_unused, lifetime } => {
            let Some(at) = chosen(token, model.tokens.len()) else { return };
            let end = lifetime.map(|life| model.now + life);
            let request = RotationRequest {
                grace: Some(Duration::from_secs(*grace)),
                end_on_first_use: Some(*on_first_use),
                expiry: end.map_or(Expiry::Default, |end| Expiry::At(Timestamp::from_unix(end))),
                replace_unused: *replace_unused,
            };
            let (id, secret) = program.tokens[at].clone();
            let (may, rotated) =
                match by_itself {
                    true => {
                        let may = model.accepts(at);
                        if may {
                            model.used(at);
                        } else if model.is_reuse(at) {
                            model.end_family(model.tokens[at].family);
                        }
                        let ctx = &program.ctx;
                        let rotated =
                            match rotation::accept_rotating(ctx, &secret, Caller::default(), acting(Actor::Anonymous))
                                .await
                            {
                                Ok(asking) => {
                                    rotation::rotate_self(ctx, &asking, request, acting(Actor::Anonymous)).await
                                }
                                Err(error) => Err(error),
                            };
                        (may && model.tokens[at].rotates, rotated)
                    }
                    false => {
                        let session = program.sessions.last().copied();
                        let Some(session) = session else { return };
                        let origin = acting(Actor::Session(session));
                        let rotated = rotation::rotate(&program.ctx, program.ada.id, id, request, origin).await;
                        // Disabling ends every session.
                        (model.lasts(at) && *model.sessions.last().unwrap(), rotated)
                    }
                };
            let expected = if may { model.rotate(at, *grace, *on_first_use, *replace_unused, end) } else { None };
            assert_eq!(rotated.is_ok(), expected.is_some(), "token {at}: {rotated:?}");
            let (Ok(rotated), Some(expires_at)) = (rotated, expected) else { return };
            assert_eq!(rotated.token.expires_at.map(Timestamp::unix), expires_at);
            assert_eq!(rotated.token.abilities, abilities(model.tokens[at].rotates));
            program.tokens.push((rotated.token.id, rotated.plaintext.expose().to_owned()));
            model.tokens.push(Modelled {
                rotated_from: Some(at),
                expires_at,
                last_use: model.now,
                is_used: false,
                is_revoked: false,
                is_rotated_away: false,
                grace: None,
                ..model.tokens[at].clone()
            });
        }
        Operation::Use { token } => {
            if let Some(at) = chosen(token, model.tokens.len()) {
                check(program, model, at).await;
            }
        }
        Operation::Revoke { token } => {
            let Some(at) = chosen(token, model.tokens.len()) else { return };
            let id = program.tokens[at].0;
            let revoked = tokens::revoke(&program.ctx, program.ada.id, id, Origin::COMMAND_LINE).await;
            assert_eq!(revoked.is_ok(), !model.tokens[at].is_revoked, "{revoked:?}");
            model.tokens[at].is_revoked = true;
        }
        Operation::DisableOwner => {
            accounts::disable(&program.ctx, program.ada.id, Origin::COMMAND_LINE).await.unwrap();
            model.owner_disabled = true;
            model.sessions.fill(false);
        }
        Operation::EnableOwner => {
            accounts::enable(&program.ctx, program.ada.id, Origin::COMMAND_LINE).await.unwrap();
            model.owner_disabled = false;
        }
        Operation::SignIn => {
            let attempt = SignInAttempt {
                client: "192.0.2.1".parse().unwrap(),
                email: program.ada.email.clone(),
                password: Password::parse(PASSWORD).unwrap(),
                device_name: None,
            };
            let signed_in = accounts::sign_in(&program.ctx, attempt, acting(Actor::Anonymous)).await;
            assert_eq!(signed_in.is_ok(), !model.owner_disabled);
            if let Ok(issued) = signed_in {
                program.sessions.push(issued.session.id);
                model.sessions.push(true);
            }
        }
        Operation::SignOut { session } => {
            let Some(at) = chosen(session, model.sessions.len()) else { return };
            let id = program.sessions[at];
            let ended = sessions::end(&program.ctx, program.ada.id, id, acting(Actor::Session(id))).await;
            assert_eq!(ended.is_ok(), model.sessions[at]);
            model.sessions[at] = false;
        }
        Operation::Move { seconds } => {
            let time = program.time.fetch_add(*seconds, Ordering::SeqCst) + seconds;
            // Whoever looks at the clock now makes it the latest.
            program.ctx.clock.now();
            model.now = model.now.max(time);
        }
        Operation::Forget => {
            program.ctx.flush_uses().await.unwrap();
            program.ctx.note_reuse().await.unwrap();
        }
    }
}

/// Presents a secret: it is accepted exactly where the model says so, and with the rights that it was made with.
async fn check(program: &Program, model: &mut Model, at: usize) {
    let token = &model.tokens[at];
    let found = verification::authenticate(&program.ctx, &program.tokens[at].1, Caller::default()).await;
    assert_eq!(found.is_ok(), model.accepts(at), "token {at} at {}: {found:?}, modelled {token:?}", model.now);
    match found {
        Ok(principal) => {
            assert_eq!(*principal.abilities(), abilities(token.rotates));
            let person = principal.person().unwrap();
            assert_eq!((person.id, person.disabled_at), (program.ada.id, None));
            assert!(!principal.holds("calls:write") && principal.require(Power::TokensIntrospect).is_err());
            model.used(at);
        }
        Err(error) => assert!(matches!(error, ops::Error::Denied(_)), "{error:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_secret_is_accepted_exactly_while_it_should_be(operations in proptest::collection::vec(operation(), 1..60)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let mut program = Program::new().await;
            let mut model = Model { now: START, ..Model::default() };
            for first in [Operation::SignIn, Operation::Create { rotates: true, lifetime: None }] {
                step(&mut program, &mut model, &first).await;
            }
            for operation in &operations {
                step(&mut program, &mut model, operation).await;
            }
            for at in 0..model.tokens.len() {
                check(&program, &mut model, at).await;
            }
            // What the memory kept from the store is no different there.
            for (at, (id, _)) in program.tokens.iter().enumerate() {
                let stored = program.store.token(*id).await;
                assert_eq!(stored.is_ok(), !model.tokens[at].is_revoked, "token {at}: {stored:?}");
            }
        });
    }
}
