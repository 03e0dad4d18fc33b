//! What an examination of an installation has found.

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing to do.
    Good,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work, or will not for long.
    Bad,
}

impl Verdict {
    /// The word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// One thing that was examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was examined, in a word or two.
    pub subject: &'static str,
    /// How good it is.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// What to do, unless it is good.
    pub remedy: Option<String>,
}

impl Finding {
    /// Nothing to do.
    pub fn good(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Good, text: text.into(), remedy: None }
    }

    /// Somebody should do this.
    pub fn warning(subject: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Warning, text: text.into(), remedy: Some(remedy.into()) }
    }

    /// Somebody must do this.
    pub fn bad(subject: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Bad, text: text.into(), remedy: Some(remedy.into()) }
    }
}
