//! Free addresses.

use std::net::{SocketAddr, TcpListener};

/// An address on which nothing listens. Another program may take it before the caller does.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
