//! Binds the write-ahead log to its database file, so that a log is replayed only into the file that it was written for.
//!
//! SQLite finds the log by the file's name. It replays any log that it finds there, and checks only that each frame is
//! whole. If an older copy of the file, or another database, is put beside the log of a killed process, SQLite mixes the
//! two without a warning. If a frame is damaged, SQLite takes it for the end of the log and ignores everything behind it: a
//! revoked token becomes valid again. The modules here refuse such a start:
//!
//! - [`row`]: the row that the file and the log both carry;
//! - [`scan`]: reads a log as SQLite does, and finds damage that SQLite does not report;
//! - [`watermark`]: records in a separate file how much of the log was acknowledged;
//! - [`binder`]: keeps row and watermark up to date, on the writer's thread;
//! - [`acceptance`]: decides at the start whether the log is accepted.
//!
//! # The row
//!
//! `log_binding` has one row, with a random nonce and the previous nonce. Three rules hold:
//!
//! 1. **The first transaction of each log draws a new nonce.** A log restarts only when all of it is in the file
//!    ([`binder`] explains how that is known). So the previous nonce is the one in the complete file that the log
//!    continues.
//! 2. **Before a process answers its first change, it draws a nonce and checkpoints the whole log.** So a copy that was
//!    made while no process had the file open holds a nonce that no later log names as its previous one.
//! 3. **A log is accepted if the file holds the previous nonce of the log's first row, or a nonce that the log itself
//!    holds.** In the first case, the page of the row was not yet copied into the file; in the second, it was. In both
//!    cases, every page is either as it was before the log or as it is in the log, so replaying the log makes the file
//!    complete.
//!
//! A nonce is 128 random bits, so two states of a database, or two databases, never share one by chance. A copied file
//! shares its nonce with the original. Rule 2 draws another one before the two can differ.
//!
//! # What is not covered
//!
//! - A log without the row in its first transaction, which an older release or another program wrote. File and log are
//!   checked in full (`integrity_check`), but a foreign log with the same structure could pass.
//! - Rule 2 while another program reads the database continuously. The start goes on, with a warning.
//! - A copy of the file that SQLite's own backup made while a process had it open, and that is put back beside the log of
//!   that time. It becomes the latest state, not the state at the time of the copy. Nothing is lost or mixed.
//! - Another program that opens the file before patd does: SQLite has then replayed the log already.
//! - After a power cut: the last transactions, if the disk lost them although they were synced. The watermark is not
//!   synced, so it may be older than these transactions.

pub(super) mod acceptance;
pub(super) mod binder;
pub(super) mod fault;
pub(super) mod row;
pub(super) mod scan;
mod watermark;
