//! Compares random programs with a model of a token's life: in any order of operations, a secret is accepted exactly while
//! it should be, and with no right that its owner does not have.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

#[path = "lifetimes/model.rs"]
mod model;
#[path = "lifetimes/program.rs"]
mod program;
#[path = "support/mod.rs"]
mod support;

use std::{mem, sync::atomic::Ordering, time::Duration};

use patd::{
    domain::{
        ability::ServerAbility,
        account::Password,
        audit::{Actor, RequestSource},
        id::TokenId,
        text::Name,
        time::Timestamp,
        usage_limits::UsageLimits,
    },
    ops::{
        self,
        accounts::{self, SignInAttempt},
        revocation,
        rotation::{self, RotationRequest},
        sessions,
        tokens::{self, Expiry, TokenRequest},
        verification::{self, Caller},
    },
    store::Successors,
};
use proptest::prelude::*;

use model::{Model, Modelled};
use program::{ADMINISTRATOR, PASSWORD, Program, abilities};

const IDLE: i64 = 40;
const START: i64 = 1_000_000;

/// One operation. Numbers choose among the tokens that exist at that time.
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
    Report {
        token: usize,
    },
    Disable {
        token: usize,
    },
    Enable {
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
        1 => any::<usize>().prop_map(|token| Operation::Report { token }),
        1 => any::<usize>().prop_map(|token| Operation::Disable { token }),
        2 => any::<usize>().prop_map(|token| Operation::Enable { token }),
        1 => Just(Operation::DisableOwner),
        2 => Just(Operation::EnableOwner),
        1 => Just(Operation::SignIn),
        1 => any::<usize>().prop_map(|session| Operation::SignOut { session }),
        4 => (-20..30_i64).prop_map(|seconds| Operation::Move { seconds }),
        1 => Just(Operation::Forget),
    ]
}

fn acting(actor: Actor) -> RequestSource {
    RequestSource::without_request(actor)
}

/// Applies the operation to the program and the model, and compares the results.
async fn step(program: &mut Program, model: &mut Model, operation: &Operation) {
    // Mostly one of the latest tokens, because more can still happen to them.
    let chosen = |number: &usize, of: usize| match of {
        0 => None,
        of if number.is_multiple_of(4) => Some(number / 4 % of),
        of => Some(of - 1 - number / 4 % of.min(3)),
    };
    // Nothing is issued while the clock is set back by more than a minute.
    let issues = program.time.load(Ordering::SeqCst) >= model.now - 60;
    match operation {
        Operation::Create { rotates, lifetime } => {
            let request = TokenRequest {
                id: None,
                owner: program.ada.id,
                name: Name::parse("t").unwrap(),
                abilities: Some(abilities(*rotates)),
                expiry: lifetime.map_or(Expiry::Never, |life| Expiry::At(Timestamp::from_unix(model.now + life))),
                limits: UsageLimits::default(),
                annotations: Default::default(),
                is_canary: false,
            };
            let created =
                tokens::create(&program.ctx, ADMINISTRATOR.into(), request, RequestSource::COMMAND_LINE).await;
            assert_eq!(created.is_ok(), issues && !model.owner_disabled, "{created:?}");
            let Ok(created) = created else { return };
            program.tokens.push((created.token.id, created.plaintext.expose().to_owned()));
            model.tokens.push(Modelled {
                family: model.tokens.len(),
                lineage: model.tokens.len(),
                rotated_from: None,
                is_disabled: false,
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
                abilities: None,
                grace: Some(Duration::from_secs(*grace)),
                end_on_first_use: Some(*on_first_use),
                expiry: end.map_or(Expiry::Default, |end| Expiry::At(Timestamp::from_unix(end))),
                replace_unused: *replace_unused,
            };
            let (id, secret) = program.tokens[at].clone();
            let (may, rotated) = match by_itself {
                true => {
                    let may = model.accepts(at);
                    if may {
                        model.used(at);
                    } else if model.is_reuse(at) {
                        model.revoke_family(model.tokens[at].family);
                    }
                    let ctx = &program.ctx;
                    let rotated = match rotation::authenticate_for_rotation(
                        ctx,
                        &secret,
                        Caller::default(),
                        acting(Actor::Anonymous),
                    )
                    .await
                    {
                        Ok(asking) => rotation::rotate_self(ctx, &asking, request, acting(Actor::Anonymous)).await,
                        Err(error) => Err(error),
                    };
                    (may && model.tokens[at].rotates, rotated)
                }
                false => {
                    let session = program.sessions.last().copied();
                    let Some(session) = session else { return };
                    let origin = acting(Actor::Session { id: session, user: Some(program.ada.id) });
                    let rotated = rotation::rotate(&program.ctx, program.ada.id, id, request, origin).await;
                    // Disabling an account ends every session.
                    let is_enabled = !model.tokens[at].is_disabled;
                    (model.lasts(at) && is_enabled && *model.sessions.last().unwrap(), rotated)
                }
            };
            let expected =
                if may && issues { model.rotate(at, *grace, *on_first_use, *replace_unused, end) } else { None };
            assert_eq!(rotated.is_ok(), expected.is_some(), "token {at}: {rotated:?}");
            let (Ok(rotated), Some(expires_at)) = (rotated.map(|rotated| rotated.issued), expected) else { return };
            assert_eq!(rotated.token.expires_at.map(Timestamp::unix), expires_at);
            assert_eq!(rotated.token.abilities, abilities(model.tokens[at].rotates));
            program.tokens.push((rotated.token.id, rotated.plaintext.expose().to_owned()));
            model.tokens.push(Modelled {
                lineage: if *by_itself { model.tokens[at].lineage } else { model.tokens.len() },
                rotated_from: Some(at),
                is_disabled: false,
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
            let revoked =
                revocation::revoke(&program.ctx, program.ada.id.into(), id, RequestSource::COMMAND_LINE).await;
            let expected = model.reaches(at).map(|reached| {
                reached.iter().for_each(|token| model.tokens[*token].is_revoked = true);
                reached.into_iter().filter(|token| *token != at).map(|token| program.tokens[token].0).collect()
            });
            assert_eq!(changed_successors(revoked, program), expected, "token {at}");
        }
        Operation::Report { token } => {
            let Some(at) = chosen(token, model.tokens.len()) else { return };
            let client = "192.0.2.1".parse().unwrap();
            let secret = program.tokens[at].1.clone();
            revocation::revoke_leaked(&program.ctx, &[secret], client, None, acting(Actor::Anonymous)).await.unwrap();
            for token in model.reaches(at).unwrap_or_default() {
                model.tokens[token].is_revoked = true;
            }
        }
        Operation::Disable { token } => {
            let Some(at) = chosen(token, model.tokens.len()) else { return };
            let id = program.tokens[at].0;
            let disabled =
                revocation::disable(&program.ctx, program.ada.id.into(), id, RequestSource::COMMAND_LINE).await;
            let expected = model.reaches(at).map(|reached| {
                let enabled: Vec<usize> = reached
                    .into_iter()
                    .filter(|token| !mem::replace(&mut model.tokens[*token].is_disabled, true))
                    .collect();
                enabled.into_iter().filter(|token| *token != at).map(|token| program.tokens[token].0).collect()
            });
            assert_eq!(changed_successors(disabled.map(|(_, successors)| successors), program), expected, "token {at}");
        }
        Operation::Enable { token } => {
            let Some(at) = chosen(token, model.tokens.len()) else { return };
            let id = program.tokens[at].0;
            let enabled =
                revocation::enable(&program.ctx, program.ada.id.into(), id, RequestSource::COMMAND_LINE).await;
            assert_eq!(enabled.is_ok(), !model.tokens[at].is_revoked, "{enabled:?}");
            if enabled.is_ok() {
                model.tokens[at].is_disabled = false;
            }
        }
        Operation::DisableOwner => {
            accounts::disable(
                &program.ctx,
                ADMINISTRATOR,
                program.ada.id,
                patd::store::LastAdmin::MayGo,
                RequestSource::COMMAND_LINE,
            )
            .await
            .unwrap();
            model.owner_disabled = true;
            model.sessions.fill(false);
        }
        Operation::EnableOwner => {
            accounts::enable(&program.ctx, ADMINISTRATOR, program.ada.id, RequestSource::COMMAND_LINE).await.unwrap();
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
            assert_eq!(signed_in.is_ok(), issues && !model.owner_disabled);
            if let Ok(issued) = signed_in {
                program.sessions.push(issued.session.id);
                model.sessions.push(true);
            }
        }
        Operation::SignOut { session } => {
            let Some(at) = chosen(session, model.sessions.len()) else { return };
            let id = program.sessions[at];
            let ended = sessions::end(
                &program.ctx,
                program.ada.id,
                id,
                acting(Actor::Session { id, user: Some(program.ada.id) }),
            )
            .await;
            assert_eq!(ended.is_ok(), model.sessions[at]);
            model.sessions[at] = false;
        }
        Operation::Move { seconds } => {
            let time = program.time.fetch_add(*seconds, Ordering::SeqCst) + seconds;
            // Reading the clock raises the latest known time.
            program.ctx.clock.now();
            model.now = model.now.max(time);
        }
        Operation::Forget => {
            program.ctx.flush_uses().await.unwrap();
            program.ctx.flush_reuse().await.unwrap();
        }
    }
}

/// The successors that a revocation or disabling changed, or `None` if it changed nothing.
fn changed_successors(answer: Result<Successors, ops::Error>, program: &Program) -> Option<Vec<TokenId>> {
    match answer {
        Ok(successors) => Some(successors.changed),
        Err(ops::Error::NotFound) => None,
        Err(ops::Error::Replaced(successor)) => {
            assert!(program.tokens.iter().any(|(id, _)| *id == successor));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Presents a secret and checks that it is accepted exactly if the model says so, with its original rights.
async fn check(program: &Program, model: &mut Model, at: usize) {
    let token = &model.tokens[at];
    let found = verification::authenticate(&program.ctx, &program.tokens[at].1, Caller::default()).await;
    assert_eq!(found.is_ok(), model.accepts(at), "token {at} at {}: {found:?}, modelled {token:?}", model.now);
    match found {
        Ok(principal) => {
            assert_eq!(*principal.abilities(), abilities(token.rotates));
            let person = principal.person().unwrap();
            assert_eq!((person.id, person.disabled_at), (program.ada.id, None));
            assert!(!principal.holds("calls:write") && principal.require(ServerAbility::TokensIntrospect).is_err());
            model.used(at);
        }
        Err(error) => assert!(matches!(error, ops::Error::Rejected(_)), "{error:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_secret_is_accepted_exactly_while_the_model_accepts_it(operations in proptest::collection::vec(operation(), 1..60)) {
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
            // The store without the cache must agree.
            for (at, (id, _)) in program.tokens.iter().enumerate() {
                let stored = program.ctx.store.token(*id).await;
                assert_eq!(stored.is_ok(), !model.tokens[at].is_revoked, "token {at}: {stored:?}");
            }
        });
    }
}
