//! Requests that show what a token did.

use std::mem;

use super::tokens;
use crate::{
    control::{
        error::Error,
        frame::Output,
        views::{ReportItem, UsageItem},
    },
    domain::authority::Administrator,
    ops::{Context, token_report, token_usage::usage_of, use_locations::last_uses},
    views::{TokenReportView, TokenUsageView},
};

pub(super) async fn show_usage(
    ctx: &Context,
    administrator: Administrator,
    id: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let token = tokens::find(ctx, administrator, id).await?;
    let usage = usage_of(ctx, &token).await?;
    let locations = last_uses(ctx, token.id).await?;
    let mut view = TokenUsageView::new(&token, &usage, locations);
    let days = mem::take(&mut view.days);
    output.item(&UsageItem::Summary(view)).await?;
    for day in days {
        output.item(&UsageItem::Day(day)).await?;
    }
    Ok(())
}

pub(super) async fn show_report(
    ctx: &Context,
    administrator: Administrator,
    id: &str,
    output: &mut Output,
) -> Result<(), Error> {
    let token = tokens::find(ctx, administrator, id).await?;
    let report = token_report::report(ctx, administrator.into(), token).await?;
    let mut view = TokenReportView::new(report, ctx.clock.now());
    let (days, rules, events) =
        (mem::take(&mut view.usage.days), mem::take(&mut view.unused_rules), mem::take(&mut view.events));
    output.item(&ReportItem::Summary(Box::new(view))).await?;
    for day in days {
        output.item(&ReportItem::Day(day)).await?;
    }
    for rule in rules {
        output.item(&ReportItem::UnusedRule(rule)).await?;
    }
    for event in events {
        output.item(&ReportItem::Event(event)).await?;
    }
    Ok(())
}
