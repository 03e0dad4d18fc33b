//! What the administrator asks for by the command line, and how it reaches the database: through the running server's
//! socket, or directly where no server has the file.
//!
//! A [`Request`] is one operation. [`execute()`] carries it out on a [`Context`](crate::ops::Context), the server's or the
//! command's own, and answers a stream of lines. So a command does the same either way; but through the server it takes
//! its turn in the server's queue of writes, and a revocation is exact at once.
//!
//! [`socket`] owns the socket file, [`server`] its listener, [`client`] the other end. What a command prints, and in which
//! words, is its own matter.

pub mod client;
mod error;
mod execute;
mod frame;
mod items;
mod request;
pub mod server;
mod socket;
#[cfg(test)]
mod tests;
mod views;

pub use self::{
    error::Error,
    execute::execute,
    frame::Output,
    items::Items,
    request::{
        JudgeToken, LimitsRequest, Moment, NewToken, NewUser, PROTOCOL, Request, Secret, TokenList, TokenSort,
        TokenState, UserList, UserSort, WhichToken, WhoseTokens,
    },
    views::{ChangedTokenView, IssuedView, JudgedView, ListedTokenView, RevokedView, Verdict},
};
