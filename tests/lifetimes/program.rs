//! The program under test, on a store and a clock of its own.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use patd::{
    compose,
    config::Config,
    domain::{
        ability::{Abilities, Ability},
        account::{Email, Password, Role, User},
        audit::RequestSource,
        authority::Administrator,
        id::{SessionId, TokenId},
        text::Name,
        time::Timestamp,
    },
    ops::{
        Context,
        accounts::{self, NewAccount},
        clock::Clock,
    },
    store::{Access, cache::Capacity},
};
use tempfile::TempDir;

use super::{IDLE, START};
use crate::support::{
    database::TestDatabase,
    settings::{self, FAST_HASHING, NO_THROTTLE},
};

pub const ADMINISTRATOR: Administrator = Administrator::command_line();

pub const PASSWORD: &str = "a long enough password of ada";

/// The program, and what it has handed out.
pub struct Program {
    pub ctx: Context,
    pub time: Arc<AtomicI64>,
    pub ada: User,
    pub tokens: Vec<(TokenId, String)>,
    pub sessions: Vec<SessionId>,
    _database: TestDatabase,
    _directory: TempDir,
}

impl Program {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = TestDatabase::new(directory.path());
        let time = Arc::new(AtomicI64::new(START));
        let idle = format!("{IDLE}s");
        let own = [
            database.setting(),
            ("throttle.reports_per_address_burst", "1000000"),
            ("throttle.reports_burst", "1000000"),
            ("tokens.idle_lifetime", &idle),
        ];
        let config = settings::load(None, &[&FAST_HASHING[..], &NO_THROTTLE, &own].concat());
        let ctx = context(&config, &time);
        let ada = NewAccount {
            ids: None,
            name: Name::parse("Ada").unwrap(),
            email: Email::parse("ada@example.com").unwrap(),
            password: Password::parse(PASSWORD).unwrap(),
        };
        let ada = accounts::create(&ctx, ADMINISTRATOR, ada, Role::Member, RequestSource::COMMAND_LINE).await.unwrap();
        Self { ctx, time, ada, tokens: Vec::new(), sessions: Vec::new(), _database: database, _directory: directory }
    }
}

fn context(config: &Config, time: &Arc<AtomicI64>) -> Context {
    let capacity = Capacity { tokens: 100, sessions: 100, unknown: 100 };
    let backend = compose::open_store(config, Access::Server).unwrap().cached(capacity);
    let told = Arc::clone(time);
    let clock = Clock::new(move || Timestamp::from_unix(told.load(Ordering::SeqCst)));
    Context::new(config, backend, clock).unwrap()
}

pub fn abilities(rotates: bool) -> Abilities {
    let own = ["calls:read", if rotates { "tokens:rotate-self" } else { "user:read" }];
    Abilities::new(own.map(|text| Ability::parse(text).unwrap())).unwrap()
}
