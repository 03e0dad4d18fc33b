//! Real proxies, each with the very file from `deploy/`, between raw sockets and an application that tells what reached
//! it. The programs are installed by `tests/run`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod application;
mod checks;
mod client;
mod introspection;
#[path = "../cli/harness.rs"]
#[expect(dead_code, reason = "the command line's tests need more of it")]
mod patd;
mod proxies;
mod world;

use proxies::Kind;

macro_rules! each_check {
    ($proxy:ident, $kind:expr) => {
        mod $proxy {
            use super::*;

            #[test]
            fn abilities_decide_and_the_application_knows_who_it_is() {
                checks::abilities_decide($kind);
            }

            #[test]
            fn nothing_that_a_client_forges_gets_it_anywhere() {
                checks::forgeries_get_nowhere($kind);
            }

            #[test]
            fn a_token_that_is_bound_to_addresses_passes_from_there_alone() {
                checks::addresses_count($kind);
            }

            #[test]
            fn no_spelling_of_a_path_leads_further_than_the_plain_one() {
                checks::spellings_lead_nowhere($kind);
            }

            #[test]
            fn an_outage_lets_nobody_through() {
                checks::outages_let_nobody_through($kind);
            }
        }
    };
}

each_check!(nginx, Kind::Nginx);
each_check!(caddy, Kind::Caddy);
each_check!(traefik, Kind::Traefik);
each_check!(envoy, Kind::Envoy);
each_check!(apache, Kind::Apache);
