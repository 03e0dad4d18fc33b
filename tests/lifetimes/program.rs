//! The program under test, on a store and a clock of its own.

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
    store::{
        Access, Backend,
        cache::Capacity,
        sqlite::{SqliteSettings, SqliteStore},
    },
};
use tempfile::TempDir;

use super::{IDLE, START};

pub const ADMINISTRATOR: Administrator = Administrator::command_line();

pub const PASSWORD: &str = "a long enough password of ada";

/// The program, and what it has handed out.
pub struct Program {
    pub ctx: Context,
    pub store: Arc<SqliteStore>,
    pub time: Arc<AtomicI64>,
    pub ada: User,
    pub tokens: Vec<(TokenId, String)>,
    pub sessions: Vec<SessionId>,
    _directory: TempDir,
}

impl Program {
    pub async fn new() -> Self {
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
                ("throttle.reports_per_address_burst", "1000000"),
                ("throttle.reports_burst", "1000000"),
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
        let ada = accounts::create(&ctx, ADMINISTRATOR, ada, Role::Member, RequestSource::COMMAND_LINE).await.unwrap();
        Self { ctx, store, time, ada, tokens: Vec::new(), sessions: Vec::new(), _directory: directory }
    }
}

fn context(config: &Config, store: &Arc<SqliteStore>, time: &Arc<AtomicI64>) -> Context {
    let capacity = Capacity { tokens: 100, sessions: 100, unknown: 100 };
    let backend = Backend::with_cache(Arc::clone(store), capacity);
    let told = Arc::clone(time);
    let clock = Clock::new(move || Timestamp::from_unix(told.load(Ordering::SeqCst)));
    Context::new(config, backend, clock).unwrap()
}

pub fn abilities(rotates: bool) -> Abilities {
    let own = ["calls:read", if rotates { "tokens:rotate-self" } else { "user:read" }];
    Abilities::new(own.map(|text| Ability::parse(text).unwrap())).unwrap()
}
