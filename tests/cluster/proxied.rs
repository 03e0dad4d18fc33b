//! That the proxy disturbs connections to PostgreSQL as its methods say.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};
use tokio_postgres::{AsyncMessage, Client, Error, NoTls};

use crate::{database::Database, proxy::Proxy};

/// A client that keeps the notifications that reach it.
struct Listener {
    runtime: Runtime,
    client: Client,
    received: UnboundedReceiver<String>,
}

impl Listener {
    /// Listens to a channel, through this place.
    fn open(database: &Database, place: SocketAddr, channel: &str) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (sender, received) = unbounded_channel();
        let client = runtime.block_on(async {
            let (client, mut connection) = tokio_postgres::connect(&database.url_at(place), NoTls).await?;
            tokio::spawn(async move {
                let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
                while let Some(Ok(message)) = messages.next().await {
                    if let AsyncMessage::Notification(message) = message {
                        let _ = sender.send(message.payload().to_owned());
                    }
                }
            });
            client.batch_execute(&format!("LISTEN {channel}")).await?;
            Ok::<_, Error>(client)
        })?;
        Ok(Self { runtime, client, received })
    }

    /// Runs statements. `None` if there is no answer in this time.
    fn execute(&self, sql: &str, within: Duration) -> Option<Result<(), Error>> {
        self.runtime.block_on(async { tokio::time::timeout(within, self.client.batch_execute(sql)).await.ok() })
    }

    /// The notifications that have arrived.
    fn notifications(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.received.try_recv().ok()).collect()
    }
}

const SOON: Duration = Duration::from_secs(10);
const A_WHILE: Duration = Duration::from_millis(300);

#[test]
fn bytes_pass_in_time_late_or_not_at_all() {
    let Some(database) = Database::new() else { return };
    let proxy = Proxy::to(database.server);
    let client = Listener::open(&database, proxy.address, "revoked").unwrap();
    client.execute("SELECT 1", SOON).unwrap().unwrap();

    proxy.delay(A_WHILE);
    let start = Instant::now();
    client.execute("SELECT 1", SOON).unwrap().unwrap();
    assert!(start.elapsed() >= 2 * A_WHILE, "there and back");

    proxy.stall();
    assert!(client.execute("CREATE TABLE late ()", A_WHILE).is_none(), "no answer");
    let is_there = || database.read("SELECT count(*) FROM pg_tables WHERE tablename = 'late'");
    assert_eq!(is_there().as_deref(), Some("0"), "the statement has not arrived");
    proxy.pass();
    client.execute("SELECT 1", SOON).unwrap().unwrap();
    assert_eq!(is_there().as_deref(), Some("1"), "it arrived later");

    proxy.cut();
    assert!(client.execute("SELECT 1", SOON).unwrap().is_err(), "closed");
    assert!(Listener::open(&database, proxy.address, "revoked").is_err(), "refused");
    proxy.pass();
    assert!(client.execute("SELECT 1", SOON).unwrap().is_err(), "closed for good");
    Listener::open(&database, proxy.address, "revoked").unwrap();
}

#[test]
fn only_notifications_are_swallowed() {
    let Some(database) = Database::new() else { return };
    let proxy = Proxy::to(database.server);
    let mut client = Listener::open(&database, proxy.address, "revoked").unwrap();
    let notify = "NOTIFY revoked, 'a'; SELECT repeat('A', 100000)";
    client.execute(notify, SOON).unwrap().unwrap();
    client.execute("SELECT 1", SOON).unwrap().unwrap();
    assert_eq!((client.notifications(), proxy.notifications()), (vec!["a".to_owned()], (0, 1)));
    proxy.swallow_notifications(true);
    client.execute(notify, SOON).unwrap().unwrap();
    client.execute("SELECT 1", SOON).unwrap().unwrap();
    assert_eq!((client.notifications(), proxy.notifications()), (vec![], (1, 1)));
}
