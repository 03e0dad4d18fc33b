//! Requests about the audit trail.

use uuid::Uuid;

use super::users;
use crate::{
    control::{
        audit_request::{EventConditions, EventList},
        audit_views::{SealView, VerificationView},
        error::Error,
        frame::Output,
    },
    domain::{authority::Administrator, event_filter::EventFilter, id::UserId, seal::SealReference},
    ops::{Context, FieldError, audit, seals},
    store::{EventOrder, EventQuery},
    views::AdminEventView,
};

/// How many events are read at once, so that no long read holds up checkpoints.
const PAGE: u32 = 1000;

pub(super) async fn list(
    ctx: &Context,
    administrator: Administrator,
    list: EventList,
    output: &mut Output,
) -> Result<(), Error> {
    let filter = filter(ctx, administrator, &list.conditions).await?;
    let order = if list.oldest_first { EventOrder::OldestFirst } else { EventOrder::NewestFirst };
    let mut query = EventQuery { filter, order, after: list.after, before: list.before, limit: PAGE };
    let mut left = list.limit.unwrap_or(u64::MAX);
    while left > 0 {
        query.limit = u32::try_from(left).map_or(PAGE, |left| left.min(PAGE));
        let events = audit::find(ctx, administrator, query.clone()).await?;
        let count = events.len();
        for event in events {
            match order {
                EventOrder::OldestFirst => query.after = Some(event.seq),
                EventOrder::NewestFirst => query.before = Some(event.seq),
            }
            output.item(&AdminEventView::from(event)).await?;
        }
        left -= count as u64;
        if count < query.limit as usize {
            break;
        }
    }
    Ok(())
}

async fn filter(
    ctx: &Context,
    administrator: Administrator,
    conditions: &EventConditions,
) -> Result<EventFilter, Error> {
    let mut filter = conditions.parse(ctx.clock.now())?;
    if let Some(actor) = &conditions.actor {
        filter.actor = Some(user(ctx, administrator, actor).await?);
    }
    if let Some(subject) = &conditions.subject {
        filter.subject = match Uuid::try_parse(subject) {
            Ok(id) => Some(id),
            Err(_) => Some(user(ctx, administrator, subject).await?.uuid()),
        };
    }
    Ok(filter)
}

/// An id need not be that of a user who still exists.
async fn user(ctx: &Context, administrator: Administrator, id_or_email: &str) -> Result<UserId, Error> {
    match UserId::parse(id_or_email) {
        Some(id) => Ok(id),
        None => Ok(users::find(ctx, administrator, id_or_email).await?.id),
    }
}

pub(super) async fn seal(ctx: &Context, administrator: Administrator, output: &mut Output) -> Result<(), Error> {
    if let Some(seal) = seals::seal_all(ctx, administrator).await? {
        output.item(&SealView::from(&seal)).await?;
    }
    Ok(())
}

pub(super) async fn verify(
    ctx: &Context,
    administrator: Administrator,
    expected: Option<&str>,
    output: &mut Output,
) -> Result<(), Error> {
    let expected = expected
        .map(SealReference::parse)
        .transpose()
        .map_err(|error| vec![FieldError { field: "expect".to_owned(), message: format!("the seal {error}") }])?;
    let mut checking = seals::Checking::new(administrator, expected);
    while checking.next(ctx).await? {
        // The command waits only so long for the next sign of life.
        output.item(&VerificationView::unfinished()).await?;
        output.flush().await?;
    }
    let verification = checking.finish(ctx).await?;
    Ok(output.item(&VerificationView::from(&verification)).await?)
}
