//! `patd policy`: shows what a policy decides about a request. Uses the code that answers proxies.

use std::{io, net::IpAddr};

use clap::Subcommand;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{failure::Failure, global::GlobalOptions, output, terminal::escaped};
use crate::{
    config::Config,
    control::{JudgeToken, JudgedView, Request, Secret, Verdict},
    domain::{
        ability::{Abilities, Ability},
        policy::{self, Rule},
        policy_options::{Challenges, IdentityHeader},
        secret::CredentialKind,
    },
    ops::{
        authorization::{self, ForwardedRequest, PolicyRejection},
        tokens,
    },
    store::Access,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show which rule decides about a request, and whether a token is allowed: exit code 0, or 4 if it is refused
    Explain {
        /// The name of the policy
        #[arg(long, value_name = "NAME")]
        policy: String,
        /// The method of the request
        #[arg(long, default_value = "GET")]
        method: String,
        /// The path of the request as the client sends it, with its query
        #[arg(long)]
        path: String,
        /// Read a token from stdin and show whether it is allowed
        #[arg(long)]
        token_stdin: bool,
        /// Show whether a token with these abilities would be allowed, separated by commas: calls:read,calls:write. Empty
        /// for a token without abilities
        #[arg(long, value_name = "ABILITIES", conflicts_with_all = ["token_stdin", "ip"], value_parser = parse_abilities)]
        abilities: Option<Abilities>,
        /// The address of the client, for a token that allows only some addresses
        #[arg(long, value_name = "ADDRESS", requires = "token_stdin")]
        ip: Option<IpAddr>,
        /// Print one line of JSON
        #[arg(long)]
        json: bool,
    },
}

/// The result. Its fields are those of the JSON.
#[derive(Serialize)]
struct Explanation {
    policy: String,
    method: String,
    path: String,
    /// The number of the rule, from 1.
    rule: Option<usize>,
    methods: Vec<String>,
    paths: Vec<String>,
    public: bool,
    credentials: Vec<&'static str>,
    /// The abilities that the rule requires.
    abilities: Vec<String>,
    /// The segments of the path as the application sees them.
    segments: Vec<String>,
    /// The challenges of a 401.
    challenges: Vec<&'static str>,
    /// Where a token may be sent besides `Authorization`.
    credential_from: Vec<String>,
    /// The identity headers that are not sent empty.
    identity_headers: Vec<&'static str>,
    /// Those of them that the token lacks.
    missing: Vec<String>,
    /// The principal, if the token is accepted.
    user_id: Option<String>,
    token_id: Option<String>,
    /// Whether the request is allowed. `None` if the rule requires a token and none was given.
    passes: Option<bool>,
    reason: String,
}

pub(super) fn run(options: &GlobalOptions, command: &Command) -> Result<(), Failure> {
    let Command::Explain { policy, method, path, token_stdin, abilities, ip, json } = command;
    let config = Config::load(options.sources()?)?;
    if let Some(unknown) =
        abilities.iter().flat_map(Abilities::iter).find(|ability| !tokens::is_known(&config.tokens.abilities, ability))
    {
        return Err(Failure::Usage(format!(
            "no token can have the ability {unknown}, because tokens.abilities in the configuration does not name it"
        )));
    }
    let mut explanation = Explanation::new(policy, method, path);
    match authorization::find_policy(&config.policies, policy) {
        Ok(policy) => {
            let forwarded = ForwardedRequest { policy, method, target: path };
            explanation.add_options(forwarded);
            match authorization::find_rule(forwarded) {
                Ok((at, rule)) => explanation.add_rule(at, rule),
                Err(denied) => explanation.reason = reason_of(denied),
            }
            if *token_stdin && explanation.passes.is_none() {
                let mut token = Zeroizing::new(String::new());
                io::stdin()
                    .read_line(&mut token)
                    .map_err(|error| Failure::Usage(format!("the token cannot be read from stdin: {error}")))?;
                let token = Secret::new(Zeroizing::new(token.trim_end_matches(['\r', '\n']).to_owned()));
                explanation.judge(options, token, *ip)?;
            }
            if let Some(abilities) = abilities
                && explanation.passes.is_none()
            {
                explanation.judge_abilities(abilities);
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

fn parse_abilities(text: &str) -> Result<Abilities, String> {
    if text.is_empty() {
        return Ok(Abilities::none());
    }
    let parse = |ability: &str| Ability::parse(ability.trim()).map_err(|error| format!("{ability:?} {error}"));
    let abilities = text.split(',').map(parse).collect::<Result<Vec<_>, _>>()?;
    Abilities::new(abilities).map_err(|error| error.to_string())
}

/// Why the request is refused.
fn reason_of(denied: PolicyRejection) -> String {
    match denied {
        PolicyRejection::UnknownPolicy => "there is no policy of that name".into(),
        PolicyRejection::MalformedPath(why) => format!("the path {why}"),
        PolicyRejection::AmbiguousPath(why) => {
            let mut reason = format!("the path can be read in two ways: it {why}");
            if let Some(setting) = why.setting() {
                reason += &format!(" (the policy's {setting} says how the application reads it)");
            }
            reason
        }
        PolicyRejection::NoRule => "no rule matches this method and path, so the request is refused".into(),
        PolicyRejection::WrongKind => "the rule does not accept this kind of credential".into(),
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
            missing: Vec::new(),
            user_id: None,
            token_id: None,
            passes: Some(false),
            reason: String::new(),
        }
    }

    fn add_options(&mut self, forwarded: ForwardedRequest<'_>) {
        let options = forwarded.policy.options();
        let read = forwarded.policy.read(forwarded.target);
        self.segments =
            read.map_or_else(|_| Vec::new(), |path| path.segments().iter().map(ToString::to_string).collect());
        self.challenges = options.challenges.names();
        self.credential_from = options.credential_from.iter().map(ToString::to_string).collect();
        let sent = IdentityHeader::ALL.into_iter().filter(|header| options.identity_headers.wants(*header));
        self.identity_headers = sent.map(IdentityHeader::as_str).collect();
    }

    fn add_rule(&mut self, at: usize, rule: &Rule) {
        self.rule = Some(at + 1);
        self.methods.clone_from(&rule.methods);
        self.paths = rule.paths.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        match &rule.access {
            policy::Access::Public => {
                self.public = true;
                self.passes = Some(true);
                self.reason = "the rule is public, so every request is allowed".into();
            }
            policy::Access::Credential { kinds, abilities } => {
                self.credentials = kinds.iter().map(|kind| kind.as_str()).collect();
                self.abilities = abilities.iter().map(ToString::to_string).collect();
                self.passes = None;
                self.reason =
                    "pass a token with --token-stdin, or its abilities with --abilities, to see whether it is allowed"
                        .into();
            }
        }
    }

    /// Finds out whether the rule allows the token, and why.
    fn judge(&mut self, options: &GlobalOptions, token: Secret, address: Option<IpAddr>) -> Result<(), Failure> {
        let kinds = self.credentials.iter().map(ToString::to_string).collect();
        let request = JudgeToken { token, kinds, abilities: self.abilities.clone(), address };
        let answer = options.execute(Request::JudgeToken(request), Access::Existing)?;
        let JudgedView { who, user_id, token_id, verdict } = answer.single()?;
        (self.user_id, self.token_id) = (user_id, token_id);
        self.conclude(&format!("the token of {}", who.unwrap_or_default()), verdict);
        Ok(())
    }

    /// Finds out whether the rule allows a personal access token or an environment token with these abilities.
    fn judge_abilities(&mut self, abilities: &Abilities) {
        let missing: Vec<String> = self.abilities.iter().filter(|needed| !abilities.cover(needed)).cloned().collect();
        let is_for_tokens = self.credentials.iter().any(|kind| *kind != CredentialKind::Session.as_str());
        let verdict = match (is_for_tokens, missing.is_empty()) {
            (false, _) => Verdict::WrongKind,
            (true, true) => Verdict::Passes,
            (true, false) => Verdict::Lacks(missing),
        };
        self.conclude("a token with these abilities", verdict);
    }

    fn conclude(&mut self, subject: &str, verdict: Verdict) {
        self.passes = Some(matches!(verdict, Verdict::Passes));
        self.reason = match verdict {
            Verdict::Passes => format!("{subject} is allowed"),
            Verdict::AddressMissing => {
                "the token allows only some addresses; name the address of the client with --ip".to_owned()
            }
            Verdict::Denied(reason) => format!("the token is not accepted: {reason}"),
            Verdict::Lacks(missing) => {
                let names = missing.join(", ");
                self.missing = missing;
                format!("{subject} lacks required abilities: {names}")
            }
            Verdict::WrongKind => reason_of(PolicyRejection::WrongKind),
        };
    }

    fn text(&self) -> String {
        let line = |key: &str, value: &str| format!("{key:<12} {}\n", escaped(value));
        let mut text = line("request", &format!("{} {}", self.method, self.path));
        text += &line("policy", &self.policy);
        // A path without special characters and options with their default need no line.
        let path = self.path.split('?').next().unwrap_or_default();
        if !self.segments.is_empty() && format!("/{}", self.segments.join("/")) != path || self.has_slash_in_segment() {
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
