//! The configured limits.

use super::counters::Rate;
use crate::{config, domain::attempts::Scope};

/// The configured limits.
#[derive(Clone)]
pub(super) struct Rates {
    account_from_network: Rate,
    account: Rate,
    network: Rate,
    successes: Rate,
    reports: Rate,
    all_reports: Rate,
    rotations: Rate,
}

impl Rates {
    pub(super) fn new(settings: &config::Throttle) -> Self {
        let account_from_network = Rate::new(settings.per_email_burst, settings.per_email_per_minute);
        // The limit of an account is at least that of an account from one site.
        let account = Rate::new(settings.per_account_burst, settings.per_account_per_minute);
        Self {
            account_from_network,
            account: account.at_least(account_from_network.doubled()),
            network: Rate::new(settings.per_address_burst, settings.per_address_per_minute),
            successes: Rate::new(settings.successes_per_account_burst, settings.successes_per_account_per_minute),
            reports: Rate::new(settings.reports_per_address_burst, settings.reports_per_address_per_minute),
            all_reports: Rate::new(settings.reports_burst, settings.reports_per_minute),
            rotations: Rate::new(settings.rotations_per_family_burst, settings.rotations_per_family_per_minute),
        }
    }

    pub(super) fn of(&self, scope: Scope) -> Rate {
        match scope {
            Scope::AccountFromNetwork | Scope::Session => self.account_from_network,
            Scope::AccountFromSite => self.account_from_network.doubled(),
            Scope::Account | Scope::User => self.account,
            Scope::Network => self.network,
            Scope::Site => self.network.doubled(),
            Scope::Successes => self.successes,
            Scope::Reports => self.reports,
            Scope::AllReports => self.all_reports,
            Scope::Rotations => self.rotations,
        }
    }
}
