//! `patd user owns`, `patd user hand-over` and `patd user disable`.

use clap::Args;

use super::{
    failure::Failure,
    global::GlobalOptions,
    output::{self, Format},
    terminal::{escaped, print_message},
};
use crate::{
    control::{HandOverRequest, Request, UserRemoval},
    store::Access,
    views::{DisabledAccountView, HandedOverView, OwnedItemsView, OwnedView},
};

#[derive(Debug, Args)]
pub(super) struct Owns {
    /// The owner: e-mail address or id of a user, or id of a service account
    user: String,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct HandOver {
    /// The owner: e-mail address or id of a user, or id of a service account
    user: String,
    /// The new owner: e-mail address or id of a user, or id of a service account
    #[arg(long, value_name = "OWNER")]
    to: String,
    /// A personal access token to hand over, with its predecessors and successors; may be repeated [default: all, unless
    /// --environment is given]
    #[arg(long = "token", value_name = "ID")]
    tokens: Vec<String>,
    /// An environment to hand over, with its tokens; may be repeated [default: all but the default one, unless --token is
    /// given]
    #[arg(long = "environment", value_name = "ID")]
    environments: Vec<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Disable {
    /// The e-mail address or id of the user
    user: String,
    #[command(flatten)]
    transfer: TransferTo,
    /// Change nothing; only list what the user owns
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct TransferTo {
    /// Hand over the tokens and environments of the user in the same change: e-mail address or id of a user, or id of a
    /// service account
    #[arg(long, value_name = "OWNER")]
    pub(super) transfer_to: Option<String>,
}

pub(super) fn show(options: &GlobalOptions, Owns { user, format }: Owns) -> Result<(), Failure> {
    let owned: OwnedView = options.execute(Request::ShowOwned(user), Access::Existing)?.single()?;
    if format.json { output::print_json(&owned) } else { print(&owned) }
}

fn print(owned: &OwnedView) -> Result<(), Failure> {
    let lists = [
        ("personal access tokens", &owned.tokens),
        ("environments", &owned.environments),
        ("managed service accounts", &owned.service_accounts),
    ];
    let lines: Vec<String> = lines(lists).collect();
    output::print(&lines.join("\n"))
}

fn lines<'o>(lists: [(&'o str, &'o OwnedItemsView); 3]) -> impl Iterator<Item = String> + 'o {
    lists.into_iter().flat_map(|(heading, items)| {
        let more = (items.count as usize).saturating_sub(items.first.len());
        let rest = (more > 0).then(|| format!("  and {more} more"));
        let item = |item: &crate::views::OwnedItemView| format!("  {}  {}", item.id, escaped(&item.name));
        let shown: Vec<String> = items.first.iter().map(item).chain(rest).collect();
        std::iter::once(format!("{heading}: {}", items.count)).chain(shown)
    })
}

pub(super) fn hand_over(options: &GlobalOptions, arguments: HandOver) -> Result<(), Failure> {
    let HandOver { user, to, tokens, environments, format } = arguments;
    let names_some = !tokens.is_empty() || !environments.is_empty();
    let request = HandOverRequest {
        from: user,
        to,
        tokens: names_some.then_some(tokens),
        environments: names_some.then_some(environments),
    };
    let handed_over: HandedOverView = options.execute(Request::HandOver(request), Access::Existing)?.single()?;
    if format.json {
        return output::print_json(&handed_over);
    }
    let HandedOverView { tokens, environments } = handed_over;
    print_message(&format!(
        "handed over: {tokens} live tokens, {environments} environments; their secrets stay valid and stand for the new owner"
    ));
    Ok(())
}

pub(super) fn disable(options: &GlobalOptions, arguments: Disable) -> Result<(), Failure> {
    let Disable { user, transfer: TransferTo { transfer_to }, dry_run, format } = arguments;
    let request = Request::DisableUser { removal: UserRemoval { user, transfer_to }, dry_run };
    let disabled: DisabledAccountView = options.execute(request, Access::Existing)?.single()?;
    if format.json {
        output::print_json(&disabled)?;
    } else {
        print(&disabled.owns)?;
    }
    let email = escaped(&disabled.account.email);
    let (is, were) = if dry_run { ("would be", "would be") } else { ("is", "were") };
    print_message(&match disabled.handed_over {
        None => format!("{email} {is} disabled"),
        Some(handed_over) => format!("{email} {is} disabled; {} {were} handed over", how_much(&handed_over)),
    });
    Ok(())
}

/// How much is handed over.
pub(super) fn how_much(HandedOverView { tokens, environments }: &HandedOverView) -> String {
    format!("{} and {}", counted(u64::from(*tokens), "live token"), counted(u64::from(*environments), "environment"))
}

/// A number of things.
pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
