//! `patd policy`: the dry run of a policy, decided by the very code that answers a proxy.

use std::{io, net::IpAddr};

use clap::Subcommand;
use serde::Serialize;

use super::{Failure, Shared, output};
use crate::{
    config::Config,
    domain::{
        ability::Ability,
        policy::{Access, Rule},
        policy_options::{Challenges, IdentityHeader},
    },
    ops::{
        self,
        passage::{self, Passage, PolicyDenied, Refusal},
        verification::{Caller, Denied},
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
    /// What the rule needs, all of it: `required` in the answer to a token that lacks one.
    abilities: Vec<String>,
    /// The segments of the path as the application sees them.
    segments: Vec<String>,
    /// What a 401 offers.
    challenges: Vec<&'static str>,
    /// Where a token is looked for besides `Authorization`.
    credential_from: Vec<String>,
    /// The identity headers that are not sent empty.
    identity_headers: Vec<&'static str>,
    /// Who asks, where the token is accepted.
    user_id: Option<String>,
    token_id: Option<String>,
    /// Whether the token passes, or anybody; none where no token was given to a rule that needs one.
    passes: Option<bool>,
    reason: String,
}

pub(super) fn run(shared: &Shared, command: &Command) -> Result<(), Failure> {
    let Command::Explain { policy, method, path, token_stdin, ip, json } = command;
    let config = Config::load(shared.sources()?)?;
    let mut explanation = Explanation::new(policy, method, path);
    match passage::find_policy(&config.policies, policy) {
        Ok(policy) => {
            let passage = Passage { policy, method, target: path };
            explanation.take_options(passage);
            match passage::find_rule(passage) {
                Ok((at, rule)) => explanation.take_rule(at, rule),
                Err(denied) => explanation.reason = reason_of(denied),
            }
            if *token_stdin && explanation.passes.is_none() {
                let mut token = String::new();
                io::stdin()
                    .read_line(&mut token)
                    .map_err(|error| Failure::Usage(format!("no token on stdin: {error}")))?;
                let caller = Caller { address: *ip, user_agent: None };
                explanation.judge(shared, passage, caller, token.trim_end_matches(['\r', '\n']))?;
            }
        }
        Err(denied) => explanation.reason = reason_of(denied),
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

/// Why nobody passes.
fn reason_of(denied: PolicyDenied) -> String {
    match denied {
        PolicyDenied::UnknownPolicy => "there is no policy of that name".into(),
        PolicyDenied::MalformedPath(why) => format!("the path {why}"),
        PolicyDenied::AmbiguousPath(why) => {
            let mut reason = format!("the path can be read in two ways: it {why}");
            if let Some(setting) = why.setting() {
                reason += &format!(" (the policy's {setting} says how the application reads it)");
            }
            reason
        }
        PolicyDenied::NoRule => "no rule is for this method and path, so nobody passes".into(),
        PolicyDenied::WrongKind => "the rule does not take this kind of credential".into(),
    }
}

impl Explanation {
    fn new(policy: &str, method: &str, path: &str) -> Self {
        Self {
            policy: policy.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            rule: None,
            methods: Vec::new(),
            paths: Vec::new(),
            public: false,
            credentials: Vec::new(),
            abilities: Vec::new(),
            segments: Vec::new(),
            challenges: Vec::new(),
            credential_from: Vec::new(),
            identity_headers: Vec::new(),
            user_id: None,
            token_id: None,
            passes: Some(false),
            reason: String::new(),
        }
    }

    fn take_options(&mut self, passage: Passage<'_>) {
        let options = passage.policy.options();
        let read = passage.policy.read(passage.target);
        self.segments =
            read.map_or_else(|_| Vec::new(), |path| path.segments().iter().map(ToString::to_string).collect());
        self.challenges = options.challenges.names();
        self.credential_from = options.credential_from.iter().map(ToString::to_string).collect();
        let wanted = IdentityHeader::ALL.into_iter().filter(|header| options.identity_headers.wants(*header));
        self.identity_headers = wanted.map(IdentityHeader::as_str).collect();
    }

    fn take_rule(&mut self, at: usize, rule: &Rule) {
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

    /// Says whether the token passes by the rule, and why or why not.
    fn judge(&mut self, shared: &Shared, passage: Passage<'_>, caller: Caller<'_>, token: &str) -> Result<(), Failure> {
        let ctx = shared.open(sqlite::Access::Existing)?;
        let decided = server::block_on(async {
            let decided = passage::authorize(&ctx, passage, caller, || Ok::<_, ops::Error>(token)).await;
            // What it took of a quota beyond this one use.
            ctx.give_back_leases().await.map_err(Refusal::of_stranger)?;
            decided
        });
        let (principal, refused) = match decided {
            Ok(principal) => (principal.map(Box::new), None),
            Err(Refusal { error, principal }) => (principal, Some(error)),
        };
        if let Some(principal) = &principal {
            self.token_id = Some(principal.id().to_string());
            self.user_id = principal.person().map(|person| person.id.to_string());
        }
        let who = principal.as_ref().map_or_else(String::new, |principal| match principal.person() {
            Some(person) => person.email.to_string(),
            None => format!("environment {}", principal.subject()),
        });
        self.passes = Some(refused.is_none());
        self.reason = match refused {
            None => format!("the token of {who} passes"),
            Some(ops::Error::Denied(Denied::AddressNotAllowed)) if caller.address.is_none() => {
                "the token is bound to addresses: say with --ip from where it is used".to_owned()
            }
            Some(ops::Error::Denied(reason)) => format!("the token is not accepted: {reason}"),
            Some(ops::Error::MissingAbility(needed)) => {
                let lacks = |ability: &&Ability| principal.as_ref().is_some_and(|who| !who.holds(ability.as_str()));
                let missing: Vec<&str> = needed.iter().filter(lacks).map(Ability::as_str).collect();
                format!("the token of {who} does not hold all of the abilities needed: it lacks {}", missing.join(", "))
            }
            Some(ops::Error::Policy(denied)) => reason_of(denied),
            Some(other) => return Err(other.into()),
        };
        Ok(())
    }

    fn text(&self) -> String {
        let line = |key: &str, value: &str| format!("{key:<12} {}\n", output::escaped(value));
        let mut text = line("request", &format!("{} {}", self.method, self.path));
        text += &line("policy", &self.policy);
        // A path that reads as it is written, and what every policy does by default, need no line.
        let plain = self.path.split('?').next().unwrap_or_default();
        if !self.segments.is_empty() && format!("/{}", self.segments.join("/")) != plain || self.has_slash_in_segment()
        {
            text +=
                &line("segments", &self.segments.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(" "));
        }
        if let Some(rule) = self.rule {
            let methods = if self.methods.is_empty() { "any method".to_owned() } else { self.methods.join(", ") };
            text += &line("rule", &format!("{rule}: {methods}; {}", self.paths.join(", ")));
            if !self.public {
                let abilities = if self.abilities.is_empty() { "none".to_owned() } else { self.abilities.join(", ") };
                text += &line("credentials", &self.credentials.join(", "));
                if !self.credential_from.is_empty() {
                    text += &line("sent in", &format!("Authorization, {}", self.credential_from.join(", ")));
                }
                if self.challenges != Challenges::default().names() {
                    text += &line("challenges", &self.challenges.join(", "));
                }
                text += &line("abilities", &abilities);
            }
            if self.identity_headers.len() < IdentityHeader::ALL.len() {
                let headers =
                    if self.identity_headers.is_empty() { "none".into() } else { self.identity_headers.join(", ") };
                text += &line("headers", &headers);
            }
        }
        for (key, value) in [("user", &self.user_id), ("token", &self.token_id)] {
            if let Some(value) = value {
                text += &line(key, value);
            }
        }
        text + line("verdict", &self.reason).trim_end()
    }

    fn has_slash_in_segment(&self) -> bool {
        self.segments.iter().any(|segment| segment.contains('/'))
    }
}
