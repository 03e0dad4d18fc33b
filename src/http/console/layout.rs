//! What every page has around its content.

use super::{assets, look::Look, texts::Texts};

/// What every page has around its content. Templates call it `layout`.
pub(super) struct Layout {
    pub(super) t: Texts,
    /// The title of the page.
    pub(super) title: String,
    /// The name of the console.
    pub(super) site: String,
    pub(super) logo: &'static str,
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    pub(super) icon: &'static str,
    /// The path of this page, for its entry in the navigation.
    pub(super) path: String,
    /// Who is signed in.
    pub(super) person: Option<Signed>,
}

/// Who is signed in, as the pages show them.
pub(super) struct Signed {
    pub(super) name: String,
    pub(super) is_admin: bool,
}

impl Layout {
    /// A page without a person.
    pub(super) fn of_nobody(look: &Look, title: &str) -> Self {
        let console = look.console();
        Self {
            t: look.texts,
            title: title.to_owned(),
            site: console.title.clone(),
            logo: if console.logo.is_some() { assets::LOGO } else { "" },
            style: &assets::STYLE.path,
            script: &assets::SCRIPT.path,
            icon: &assets::ICON.path,
            path: look.path.clone(),
            person: None,
        }
    }

    /// The entries of the navigation: their paths and names.
    pub(super) fn entries(&self) -> Vec<(&'static str, String)> {
        let mut entries = vec![
            ("/console/tokens", self.t.say("tokens-title")),
            ("/console/environments", self.t.say("environments-title")),
            ("/console/sessions", self.t.say("sessions-title")),
            ("/console/activity", self.t.say("activity-title")),
            ("/console/account", self.t.say("account-title")),
        ];
        if self.person.as_ref().is_some_and(|person| person.is_admin) {
            entries.push(("/console/admin", self.t.say("admin-title")));
        }
        entries
    }

    /// Whether the page is below `path`.
    pub(super) fn is_at(&self, path: &str) -> bool {
        self.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// `aria-current` of an entry of the navigation.
    pub(super) fn current(&self, path: &str) -> &'static str {
        if self.path == path {
            "page"
        } else if self.is_at(path) {
            "true"
        } else {
            "false"
        }
    }
}
