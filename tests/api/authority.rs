//! Operations act with the rights of a user or of an administrator. A user reaches nothing of another user.

use patd::{
    domain::{
        ability::{Abilities, Ability},
        account::User,
        audit::{Actor, RequestSource},
        authority::Authority,
        id::{EnvironmentId, TokenId},
        text::Name,
        token::IssuedToken,
        usage_limits::UsageLimits,
    },
    ops::{
        Error,
        environment_tokens::{self, EnvironmentTokenRequest},
        revocation::{self, BulkRevocation},
        tokens::{self, Expiry},
    },
};

use crate::harness::{ADMINISTRATOR, TestApp, block_on, token_request};

/// The source has no influence on rights: it says only what the audit trail shows.
fn source() -> RequestSource {
    RequestSource::without_request(Actor::Anonymous)
}

fn create(app: &TestApp, authority: Authority, owner: &User, abilities: &[&str]) -> Result<IssuedToken, Error> {
    let abilities = abilities.iter().map(|text| Ability::parse(text).unwrap());
    let request = token_request(owner.id, "t", Some(Abilities::new(abilities).unwrap()));
    block_on(tokens::create(&app.ops, authority, request, source()))
}

fn token_of(app: &TestApp, owner: &User) -> TokenId {
    create(app, owner.id.into(), owner, &["calls:read"]).unwrap().token.id
}

#[test]
fn another_users_token_does_not_exist_for_a_user_and_does_for_an_administrator() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.user("ada"), app.user("bob"));
    let id = token_of(&app, &ada);
    let (other, admin) = (Authority::User(bob.id), Authority::Administrator(ADMINISTRATOR));

    assert_eq!(block_on(tokens::show(&app.ops, other, id)).unwrap_err(), Error::NotFound);
    assert_eq!(block_on(revocation::disable(&app.ops, other, id, source())).unwrap_err(), Error::NotFound);
    assert_eq!(block_on(revocation::enable(&app.ops, other, id, source())).unwrap_err(), Error::NotFound);
    assert_eq!(block_on(revocation::revoke(&app.ops, other, id, source())).unwrap_err(), Error::NotFound);
    let all = |authority| block_on(revocation::revoke_many(&app.ops, authority, ada.id, BulkRevocation::All, source()));
    assert_eq!(all(other), Err(Error::NotFound));
    let token = block_on(tokens::show(&app.ops, ada.id.into(), id)).unwrap();
    assert!(token.revoked.is_none() && token.disabled_at.is_none(), "nothing has changed: {token:?}");

    assert!(block_on(revocation::disable(&app.ops, admin, id, source())).unwrap().0.token.disabled_at.is_some());
    assert!(block_on(revocation::enable(&app.ops, admin, id, source())).unwrap().token.disabled_at.is_none());
    block_on(revocation::revoke(&app.ops, admin, id, source())).unwrap();
    assert!(block_on(tokens::show(&app.ops, admin, id)).unwrap().revoked.is_some());
    token_of(&app, &ada);
    assert_eq!(all(admin), Ok(1));
}

#[test]
fn an_administrator_needs_no_role_in_an_environment_and_a_stranger_sees_none() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.user("ada"), app.user("bob"));
    let (environment, other) = (ada.current_environment, Authority::User(bob.id));
    let token = || {
        let request = EnvironmentTokenRequest {
            id: None,
            name: Name::parse("t").unwrap(),
            abilities: Some(Abilities::none()),
            expiry: Expiry::Default,
            limits: UsageLimits::default(),
            annotations: Default::default(),
            is_canary: false,
        };
        block_on(environment_tokens::create(&app.ops, ada.id, environment, request, source())).unwrap().token.id
    };
    let revoke = |authority, id| block_on(environment_tokens::revoke(&app.ops, authority, environment, id, source()));
    let revoke_all = |authority, environment: EnvironmentId| {
        block_on(environment_tokens::revoke_all(&app.ops, authority, environment, source()))
    };

    let first = token();
    assert_eq!(revoke(other, first), Err(Error::NotFound));
    assert_eq!(revoke_all(other, environment), Err(Error::NotFound));
    assert_eq!(revoke_all(ADMINISTRATOR.into(), EnvironmentId::new(first.uuid())), Err(Error::NotFound));
    assert_eq!(revoke(ADMINISTRATOR.into(), first), Ok(()));
    block_on(revocation::revoke(&app.ops, ADMINISTRATOR.into(), token(), source())).unwrap();
    token();
    assert_eq!(revoke_all(ADMINISTRATOR.into(), environment), Ok(1));
}

#[test]
fn only_an_administrator_grants_a_reserved_ability_or_creates_a_token_for_another_user() {
    let app = TestApp::spawn();
    let (ada, bob) = (app.user("ada"), app.user("bob"));
    for reserved in ["tokens:introspect", "admin", "admin:users"] {
        let refused = create(&app, ada.id.into(), &ada, &[reserved]).unwrap_err();
        assert!(matches!(&refused, Error::Invalid(errors) if errors[0].field == "abilities.0"), "{refused:?}");
        assert!(create(&app, ADMINISTRATOR.into(), &ada, &[reserved]).is_ok(), "{reserved}");
    }
    assert_eq!(create(&app, bob.id.into(), &ada, &["calls:read"]).unwrap_err(), Error::NotFound);
    assert!(create(&app, ADMINISTRATOR.into(), &ada, &["calls:read"]).is_ok());
}
