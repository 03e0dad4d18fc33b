//! `patd token report`.

use std::io;

use clap::Args;

use super::usage;
use crate::{
    cli::{
        failure::Failure,
        global::GlobalOptions,
        output::{self, Format},
        paragraph::wrapped,
        terminal::escaped,
    },
    control::{Items, ReportItem, Request},
    store::Access,
    views::{CreationView, EventView, FamilyMemberView, TokenReportView, TotalView, UnusedRuleView, UseView},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Report {
    /// The id of the token, as `patd token list` shows it
    id: String,
    #[command(flatten)]
    format: Format,
}

pub(super) fn run(options: &GlobalOptions, arguments: Report) -> Result<(), Failure> {
    let report = received(options.execute(Request::ShowTokenReport(arguments.id), Access::Existing)?)?;
    if arguments.format.json {
        return output::print_json(&report);
    }
    output::print(&text(&report).join("\n"))
}

/// Puts the parts together.
fn received(mut answer: Items) -> io::Result<TokenReportView> {
    let mut report: Option<Box<TokenReportView>> = None;
    answer.each(|item| {
        match (item, &mut report) {
            (ReportItem::Summary(summary), _) => report = Some(summary),
            (ReportItem::Day(day), Some(report)) => report.usage.days.push(day),
            (ReportItem::UnusedRule(rule), Some(report)) => report.unused_rules.push(rule),
            (ReportItem::Event(event), Some(report)) => report.events.push(event),
            (_, None) => return Err(io::ErrorKind::InvalidData.into()),
        }
        io::Result::Ok(())
    })?;
    report.map(|report| *report).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The width of the names at the beginning of lines.
const INDENT: &str = "           ";

fn text(report: &TokenReportView) -> Vec<String> {
    let mut lines = subject(report);
    let mut section = |heading: &str, mut body: Vec<String>| {
        lines.extend([String::new(), heading.to_owned()]);
        lines.append(&mut body);
    };
    section("FAMILY", report.family.iter().flat_map(|member| family_member(member, report)).collect());
    section("ADDRESSES", or_none(report.usage.addresses.iter().flat_map(address).collect()));
    let mut done = usage::summary(&report.usage);
    done.extend(or_none(counted(report, |total| total.allowed)));
    section("WHAT IT DID", done);
    section("WHAT IT WAS REFUSED", or_none(counted(report, |total| total.refused)));
    section("WHAT ELSE IT COULD HAVE DONE", or_none(possible(report)));
    section("EVENTS, LATEST FIRST", or_none(report.events.iter().flat_map(event).collect()));
    lines
}

fn or_none(lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { vec!["none".to_owned()] } else { lines }
}

/// A name and a text that may need several lines.
fn labelled(label: &str, text: &str) -> Vec<String> {
    wrapped(&format!("{label:<11}"), escaped(text).split(' '))
}

fn subject(report: &TokenReportView) -> Vec<String> {
    let TokenReportView { token, state, owner, environment_id, creation, .. } = report;
    let mut lines = labelled("token", &format!("{} {}", token.id, token.name));
    let ended = match (&*report.state, &token.expires_at) {
        ("revoked" | "disabled", _) | (_, None) => String::new(),
        ("expired", Some(at)) => format!(" since {at}"),
        (_, Some(at)) => format!(" until {at}"),
    };
    lines.extend(labelled("state", &format!("{state}{ended}")));
    let kind = owner.r#type.replace('_', " ");
    let email = owner.email.as_ref().map_or_else(String::new, |email| format!(" {email}"));
    lines.extend(labelled("owner", &format!("{kind} {} {}{email}", owner.id, owner.name)));
    if let Some(environment) = environment_id {
        lines.extend(labelled("environment", environment));
    }
    lines.extend(labelled("created", &created(creation)));
    lines.extend(labelled(
        "abilities",
        &if token.abilities.is_empty() { "none".into() } else { token.abilities.join(" ") },
    ));
    lines.extend(labelled("last used", token.last_used_at.as_deref().unwrap_or("never")));
    lines
}

fn created(creation: &CreationView) -> String {
    let CreationView { at, user_id, user_name, event } = creation;
    let by = match (user_id, event) {
        (Some(id), _) => format!(" by user {id} {}", user_name.as_deref().unwrap_or("(deleted)")),
        (None, Some(event)) => format!(" by {}", party(&event.actor.r#type, event.actor.id.as_deref())),
        (None, None) => String::new(),
    };
    let from = event.as_ref().and_then(|event| event.address.as_ref());
    let from = from.map_or_else(String::new, |address| format!(" from {address}"));
    let detail = event.as_ref().and_then(|event| event.detail.as_ref());
    let detail = detail.map_or_else(String::new, |detail| format!(" ({detail})"));
    format!("{at}{by}{from}{detail}")
}

fn party(kind: &str, id: Option<&str>) -> String {
    let kind = match kind {
        "command_line" => "the command line".to_owned(),
        "system" => "the server".to_owned(),
        kind => kind.replace('_', " "),
    };
    id.map_or(kind.clone(), |id| format!("{kind} {id}"))
}

fn family_member(member: &FamilyMemberView, report: &TokenReportView) -> Vec<String> {
    let FamilyMemberView { id, state, created_at, expires_at, revoked_at, revoked_reason, last_used_at, .. } = member;
    let is_subject = if *id == report.token.id { ", this token" } else { "" };
    let mut lines = vec![format!("{id} {state}{is_subject}")];
    let mut times = vec![format!("created {created_at}")];
    times.extend(last_used_at.as_ref().map(|at| format!("last used {at}")));
    times.extend(expires_at.as_ref().map(|at| format!("expires {at}")));
    let reason = revoked_reason.as_deref().unwrap_or_default();
    times.extend(revoked_at.as_ref().map(|at| format!("revoked {at} ({reason})")));
    lines.extend(wrapped(INDENT, times.join(", ").split(' ')));
    lines
}

fn address(used: &UseView) -> Vec<String> {
    let mut lines = vec![format!("{} last used {}", used.address, used.last_used_at)];
    if let Some(agent) = &used.user_agent {
        lines.extend(wrapped(INDENT, escaped(agent).split(' ')));
    }
    lines
}

/// The policies and abilities whose `count` is not zero.
fn counted(report: &TokenReportView, count: fn(&TotalView) -> u64) -> Vec<String> {
    let totals = &report.usage.totals;
    let line = |kind: &str, total: &TotalView| {
        let times = match count(total) {
            1 => "once".to_owned(),
            count => format!("{count} times"),
        };
        let days = match total.first_day == total.last_day {
            true => format!("on {}", total.first_day),
            false => format!("from {} to {}", total.first_day, total.last_day),
        };
        wrapped(&format!("{kind:<10} "), format!("{} {times} {days}", total.name).split(' '))
    };
    let some = |total: &&TotalView| count(total) > 0;
    let policies = totals.policies.iter().filter(some).flat_map(|total| line("policy", total));
    policies.chain(totals.abilities.iter().filter(some).flat_map(|total| line("ability", total))).collect()
}

/// The abilities that it never used, and the rules that it satisfies and has not used.
fn possible(report: &TokenReportView) -> Vec<String> {
    let unused = report.usage.abilities_unused.iter().flatten();
    let abilities = unused.flat_map(|ability| wrapped("ability    ", [ability.as_str()]));
    let rule = |rule: &UnusedRuleView| {
        let UnusedRuleView { policy, rule, methods, paths, abilities } = rule;
        let methods = if methods.is_empty() { "any method".to_owned() } else { methods.join(" ") };
        let needs = if abilities.is_empty() { "no ability".to_owned() } else { abilities.join(" ") };
        let mut lines = wrapped("rule       ", format!("{rule} of policy {policy}, which needs {needs}").split(' '));
        lines.extend(wrapped(INDENT, format!("{methods} on {}", paths.join(" ")).split(' ')));
        lines
    };
    abilities.chain(report.unused_rules.iter().flat_map(rule)).collect()
}

fn event(event: &EventView) -> Vec<String> {
    let EventView { action, outcome, actor, address, detail, at, .. } = event;
    let refused = if outcome == "refused" { " refused" } else { "" };
    let from = address.as_ref().map_or_else(String::new, |address| format!(" from {address}"));
    let detail = detail.as_ref().map_or_else(String::new, |detail| format!(" ({detail})"));
    let mut lines = vec![format!("{at} {action}{refused}")];
    let who = format!("by {}{from}{detail}", party(&actor.r#type, actor.id.as_deref()));
    lines.extend(wrapped(INDENT, escaped(&who).split(' ')));
    lines
}
