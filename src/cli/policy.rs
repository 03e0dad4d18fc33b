//! `patd policy`: the dry run of a policy, decided by the very code that answers a proxy.

use std::{io, net::IpAddr};

use clap::Subcommand;
use serde::Serialize;

use super::{Failure, Shared, output};
use crate::{
    config::Config,
    domain::policy::{Access, Rule},
    ops::{
        self,
        verification::{self, Caller, Denied, Passage, PolicyDenied},
    },
    server,
    store::sqlite,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say which rule decides over a request, and whether a token would pass: exit code 0, or 4 where it would not
    Explain {
        /// The policy, by name
        #[arg(long, value_name = "NAME")]
        policy: String,
        /// The request's method
        #[arg(long, default_value = "GET")]
        method: String,
        /// The request's path as a client would send it, query and all
        #[arg(long)]
        path: String,
        /// Read a token from stdin and say whether it would pass
        #[arg(long)]
        token_stdin: bool,
        /// From where the request comes, for a token that is bound to addresses
        #[arg(long, value_name = "ADDRESS", requires = "token_stdin")]
        ip: Option<IpAddr>,
        /// Print one line of JSON instead of text
        #[arg(long)]
        json: bool,
    },
}

/// What became of a request, in words that the JSON shares with the text.
#[derive(Serialize)]
struct Explanation {
    policy: String,
    method: String,
    path: String,
    /// The place of the rule, from 1.
    rule: Option<usize>,
    methods: Vec<String>,
    paths: Vec<String>,
    public: bool,
    credentials: Vec<&'static str>,
    abilities: Vec<String>,
    /// Whether the token passes, or anybody; none where no token was given to a rule that needs one.
    passes: Option<bool>,
    reason: String,
}

pub(super) fn run(shared: &Shared, command: &Command) -> Result<(), Failure> {
    let Command::Explain { policy, method, path, token_stdin, ip, json } = command;
    let config = Config::load(shared.sources()?)?;
    let passage = Passage { policy, method, target: path };
    let found = verification::find_rule(&config.policies, passage);
    let mut explanation = Explanation::new(passage, found);
    if *token_stdin && explanation.passes.is_none() {
        let mut token = String::new();
        io::stdin().read_line(&mut token).map_err(|error| Failure::Usage(format!("no token on stdin: {error}")))?;
        let caller = Caller { address: *ip, user_agent: None };
        let judged = judge(shared, passage, caller, token.trim_end_matches(['\r', '\n']), &explanation.abilities)?;
        (explanation.passes, explanation.reason) = judged;
    }
    match json {
        true => output::print_json(&explanation)?,
        false => output::print(&explanation.text())?,
    }
    match explanation.passes {
        Some(false) => Err(Failure::Refused(Vec::new())),
        _ => Ok(()),
    }
}

/// Whether the token passes by the rule, and why or why not.
fn judge(
    shared: &Shared,
    passage: Passage<'_>,
    caller: Caller<'_>,
    token: &str,
    needed: &[String],
) -> Result<(Option<bool>, String), Failure> {
    let ctx = shared.open(sqlite::Access::Existing)?;
    let decided = server::block_on(async {
        let decided = verification::authorize(&ctx, passage, caller, || Ok::<_, ops::Error>(token)).await;
        // What it took of a quota beyond this one use.
        ctx.give_back_leases().await?;
        decided
    });
    Ok(match decided {
        Ok(principal) => {
            let who = principal.map(|principal| match principal.person() {
                Some(person) => person.email.to_string(),
                None => format!("environment {}", principal.subject()),
            });
            (Some(true), format!("the token of {} passes", who.unwrap_or_default()))
        }
        Err(ops::Error::Denied(Denied::AddressNotAllowed)) if caller.address.is_none() => {
            (Some(false), "the token is bound to addresses: say with --ip from where it is used".to_owned())
        }
        Err(ops::Error::Denied(reason)) => (Some(false), format!("the token is not accepted: {reason}")),
        Err(ops::Error::MissingAbility) => {
            (Some(false), format!("the token does not hold all of the abilities needed: {}", needed.join(", ")))
        }
        Err(ops::Error::Policy(PolicyDenied::WrongKind)) => {
            (Some(false), "the rule does not take this kind of credential".to_owned())
        }
        Err(other) => return Err(other.into()),
    })
}

impl Explanation {
    fn new(passage: Passage<'_>, found: Result<(usize, &Rule), PolicyDenied>) -> Self {
        let mut explanation = Self {
            policy: passage.policy.to_owned(),
            method: passage.method.to_owned(),
            path: passage.target.to_owned(),
            rule: None,
            methods: Vec::new(),
            paths: Vec::new(),
            public: false,
            credentials: Vec::new(),
            abilities: Vec::new(),
            passes: Some(false),
            reason: String::new(),
        };
        match found {
            Err(PolicyDenied::UnknownPolicy) => explanation.reason = "there is no policy of that name".into(),
            Err(PolicyDenied::MalformedPath) => explanation.reason = "the path does not begin with a slash".into(),
            Err(PolicyDenied::AmbiguousPath(why)) => {
                explanation.reason = format!("the path can be read in two ways: it {why}");
            }
            Err(_) => explanation.reason = "no rule is for this method and path, so nobody passes".into(),
            Ok((at, rule)) => explanation.take(at, rule),
        }
        explanation
    }

    fn take(&mut self, at: usize, rule: &Rule) {
        self.rule = Some(at + 1);
        self.methods.clone_from(&rule.methods);
        self.paths = rule.paths.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        match &rule.access {
            Access::Public => {
                self.public = true;
                self.passes = Some(true);
                self.reason = "the rule is public, so anybody passes".into();
            }
            Access::Credential { kinds, abilities } => {
                self.credentials = kinds.iter().map(|kind| kind.as_str()).collect();
                self.abilities = abilities.iter().map(ToString::to_string).collect();
                self.passes = None;
                self.reason = "give a token with --token-stdin to see whether it passes".into();
            }
        }
    }

    fn text(&self) -> String {
        let line = |key: &str, value: &str| format!("{key:<12} {}\n", output::escaped(value));
        let mut text = line("request", &format!("{} {}", self.method, self.path));
        text += &line("policy", &self.policy);
        if let Some(rule) = self.rule {
            let methods = if self.methods.is_empty() { "any method".to_owned() } else { self.methods.join(", ") };
            text += &line("rule", &format!("{rule}: {methods}; {}", self.paths.join(", ")));
            if !self.public {
                let abilities = if self.abilities.is_empty() { "none".to_owned() } else { self.abilities.join(", ") };
                text += &line("credentials", &self.credentials.join(", "));
                text += &line("abilities", &abilities);
            }
        }
        text + line("verdict", &self.reason).trim_end()
    }
}
