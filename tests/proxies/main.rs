//! Real proxies with their files from `deploy/`, between a client and an application that records what it receives. `tests/run`
//! installs the programs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod application;
mod checks;
mod client;
mod everyday;
mod git;
mod introspection;
mod proxies;
#[path = "../support/mod.rs"]
mod support;
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
            fn a_token_of_an_environment_stands_for_no_person() {
                checks::environments_are_no_persons($kind);
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

            #[test]
            fn hosts_and_prefixes_lead_to_their_application() {
                everyday::hosts_and_prefixes_lead_to_their_application($kind);
            }

            #[test]
            fn an_encoded_slash_stays_within_its_segment() {
                everyday::encoded_slashes_stay_within_their_segment($kind);
            }

            #[test]
            fn a_raw_fragment_gets_nowhere() {
                everyday::fragments_get_nowhere($kind);
            }

            #[test]
            fn the_largest_token_passes() {
                everyday::the_largest_token_passes($kind);
            }

            #[test]
            fn a_large_body_passes() {
                everyday::large_bodies_pass($kind);
            }

            #[test]
            fn a_socket_is_opened_for_who_may_and_no_other_protocol() {
                everyday::sockets_are_opened_for_those_who_may($kind);
            }

            #[test]
            fn the_application_does_not_get_the_token() {
                everyday::applications_do_not_get_the_token($kind);
            }

            #[test]
            fn a_refusal_says_why_and_the_log_whose() {
                everyday::refusals_say_why_and_logs_whose($kind);
            }
        }
    };
}

each_check!(nginx, Kind::Nginx);
each_check!(caddy, Kind::Caddy);
each_check!(traefik, Kind::Traefik);
each_check!(envoy, Kind::Envoy);
each_check!(apache, Kind::Apache);

// Not for httpd, which uses introspection: it has no policies and accepts only Bearer tokens.
macro_rules! each_check_of_policies {
    ($proxy:ident, $kind:expr) => {
        mod $proxy {
            use super::*;

            #[test]
            fn git_and_curl_are_asked_for_a_token() {
                git::git_and_curl_are_asked_for_a_token($kind);
            }

            #[test]
            fn unwanted_headers_are_not_forged() {
                everyday::unwanted_headers_are_not_forged($kind);
            }
        }
    };
}

each_check_of_policies!(nginx_policies, Kind::Nginx);
each_check_of_policies!(caddy_policies, Kind::Caddy);
each_check_of_policies!(traefik_policies, Kind::Traefik);
each_check_of_policies!(envoy_policies, Kind::Envoy);

#[test]
fn caddy_hands_on_a_key_in_a_header_of_its_own() {
    everyday::keys_are_taken_where_the_policy_says(Kind::Caddy);
}

#[test]
fn caddy_removes_forged_names_that_patd_leaves_empty() {
    checks::forgeries_are_removed(Kind::CaddyWithoutCopies);
}
