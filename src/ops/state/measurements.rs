//! What operations count for metrics. No number says anything about a single token or user.

use crate::{
    measure::{Counter, PerThread},
    ops::{error::Error, rejection::Rejection},
};

/// Defines an enum whose variants are the values of a label.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $value:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The value in a metric.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $value,)+ }
            }
        }
    };
}

label! {
    /// Where a check was asked for.
    Via {
        /// nginx's `auth_request`.
        AuthRequest "auth_request",
        /// `forward_auth` of Caddy and Traefik.
        ForwardAuth "forward_auth",
        /// Envoy's `ext_authz`.
        ExtAuthz "ext_authz",
        /// Introspection (RFC 7662).
        Introspect "introspect",
        /// The check with more details, of one token.
        Verify "verify",
        /// The same of many tokens.
        VerifyBatch "verify_batch",
    }
}

label! {
    /// How a check ended.
    CheckVerdict {
        /// The credential is accepted and may do what was asked, or the rule is public.
        Allowed "allowed",
        /// The request of the client had no credential.
        NoCredential "no_credential",
        /// The credential has a wrong form.
        Malformed "malformed",
        /// The secret is unknown.
        Unknown "unknown",
        /// It has expired, or was not used for too long.
        Expired "expired",
        /// It is revoked, or was replaced.
        Revoked "revoked",
        /// It is disabled.
        Disabled "disabled",
        /// Its owner is disabled.
        OwnerDisabled "owner_disabled",
        /// It may not be used from that address.
        AddressNotAllowed "ip_not_allowed",
        /// Its rate limit is reached.
        RateLimited "rate_limited",
        /// Its quota is used up.
        QuotaExceeded "quota_exceeded",
        /// It lacks an ability.
        MissingAbility "missing_ability",
        /// The policy has no rule for the request, or the rule does not accept its kind.
        PolicyRefused "policy_refused",
        /// The question itself cannot be judged: an untrusted proxy, an ambiguous path, an unknown policy.
        BadQuestion "bad_question",
        /// Nothing was decided: the answer was 503.
        Undecided "undecided",
    }
}

impl From<Rejection> for CheckVerdict {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Missing => Self::NoCredential,
            Rejection::Malformed => Self::Malformed,
            Rejection::Unknown | Rejection::Canary | Rejection::WrongNumber => Self::Unknown,
            Rejection::Expired | Rejection::Idle => Self::Expired,
            Rejection::Revoked | Rejection::Rotated => Self::Revoked,
            Rejection::Disabled => Self::Disabled,
            Rejection::OwnerDisabled => Self::OwnerDisabled,
            Rejection::AddressNotAllowed => Self::AddressNotAllowed,
            Rejection::RateLimited(_) => Self::RateLimited,
            Rejection::QuotaExceeded => Self::QuotaExceeded,
        }
    }
}

label! {
    /// How a sign-in ended.
    SignInResult {
        /// A session was issued.
        Succeeded "succeeded",
        /// Address or password are wrong, or the account is disabled.
        Refused "refused",
        /// There were too many attempts.
        Throttled "throttled",
        /// Nothing was decided.
        Undecided "undecided",
    }
}

label! {
    /// What a limit refused.
    ThrottledAction {
        /// A sign-in.
        SignIn "sign_in",
        /// A registration.
        Registration "registration",
        /// The use of a password link.
        PasswordLink "password_link",
        /// The confirmation of a password by a signed-in user.
        Confirmation "confirmation",
        /// A change of the e-mail address.
        EmailChange "email_change",
        /// A leak report.
        LeakReport "leak_report",
        /// The rotation of a token by itself.
        SelfRotation "self_rotation",
        /// A use of a token beyond its rate limit.
        TokenRate "token_rate",
        /// A use of a token beyond its quota.
        TokenQuota "token_quota",
    }
}

#[derive(Debug, Default)]
struct Verdicts([[Counter; CheckVerdict::ALL.len()]; Via::ALL.len()]);

/// The counts of operations.
#[derive(Debug, Default)]
pub struct Measurements {
    verdicts: PerThread<Verdicts>,
    sign_ins: [Counter; SignInResult::ALL.len()],
    throttled: [Counter; ThrottledAction::ALL.len()],
    /// Uses of secrets that rotation had ended.
    pub reuses: Counter,
}

impl Measurements {
    /// Counts a check.
    pub(crate) fn count_check(&self, via: Via, verdict: CheckVerdict) {
        self.verdicts.own().0[via as usize][verdict as usize].increment();
    }

    /// How many checks ended so.
    pub fn checks(&self, via: Via, verdict: CheckVerdict) -> u64 {
        self.verdicts.all().map(|verdicts| verdicts.0[via as usize][verdict as usize].get()).sum()
    }

    pub(in crate::ops) fn count_sign_in<T>(&self, result: &Result<T, Error>) {
        let result = match result {
            Ok(_) => SignInResult::Succeeded,
            Err(Error::SignInRefused) => SignInResult::Refused,
            Err(Error::Throttled(_)) => SignInResult::Throttled,
            Err(_) => SignInResult::Undecided,
        };
        self.sign_ins[result as usize].increment();
    }

    /// How many sign-ins ended so.
    pub fn sign_ins(&self, result: SignInResult) -> u64 {
        self.sign_ins[result as usize].get()
    }

    pub(in crate::ops) fn count_throttled(&self, action: ThrottledAction) {
        self.throttled[action as usize].increment();
    }

    /// Counts the use of a token, if `error` says that one of its limits refuses it.
    pub(in crate::ops) fn count_limited(&self, error: &Error) {
        match error {
            Error::Rejected(Rejection::RateLimited(_)) => self.count_throttled(ThrottledAction::TokenRate),
            Error::Rejected(Rejection::QuotaExceeded) => self.count_throttled(ThrottledAction::TokenQuota),
            _ => {}
        }
    }

    /// How many actions were refused so.
    pub fn throttled(&self, action: ThrottledAction) -> u64 {
        self.throttled[action as usize].get()
    }
}
