//! Real proxies with their files from `deploy/`, between a client and an application that records its requests. `tests/run`
//! installs the programs.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod application;
mod checks;
mod client;
mod everyday;
mod git;
mod identity;
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
            fn requests_need_the_ability_and_the_application_gets_the_identity() {
                checks::abilities_are_required($kind);
            }

            #[test]
            fn forged_headers_grant_no_access_and_no_identity() {
                checks::forged_headers_have_no_effect($kind);
            }

            #[test]
            fn an_environment_token_has_no_user_identity() {
                identity::environment_tokens_have_no_user($kind);
            }

            #[test]
            fn the_application_learns_whether_a_service_account_asks_and_clients_cannot_forge_that() {
                identity::service_accounts_are_named($kind);
            }

            #[test]
            fn a_token_with_allowed_addresses_is_accepted_only_from_those() {
                checks::allowed_addresses_apply($kind);
            }

            #[test]
            fn no_spelling_of_a_path_bypasses_the_policy() {
                checks::path_spellings_do_not_bypass_the_policy($kind);
            }

            #[test]
            fn no_request_passes_during_an_outage() {
                checks::outages_refuse_all_requests($kind);
            }

            #[test]
            fn hosts_and_prefixes_select_the_application() {
                everyday::hosts_and_prefixes_select_the_application($kind);
            }

            #[test]
            fn an_encoded_slash_stays_within_its_segment() {
                everyday::encoded_slashes_stay_within_their_segment($kind);
            }

            #[test]
            fn a_raw_fragment_never_reaches_the_application() {
                everyday::fragments_never_reach_the_application($kind);
            }

            #[test]
            fn a_token_with_the_largest_abilities_is_accepted() {
                everyday::the_largest_token_is_accepted($kind);
            }

            #[test]
            fn a_large_body_is_forwarded() {
                everyday::large_bodies_are_forwarded($kind);
            }

            #[test]
            fn websockets_need_the_ability_and_other_protocols_are_refused() {
                everyday::websockets_need_the_ability($kind);
            }

            #[test]
            fn the_application_does_not_receive_the_token() {
                everyday::applications_do_not_receive_the_token($kind);
            }

            #[test]
            fn a_refusal_names_its_reason_and_the_log_names_the_token() {
                everyday::refusals_name_the_reason_and_logs_the_token($kind);
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
fn caddy_accepts_a_token_in_the_configured_header() {
    everyday::tokens_are_accepted_in_the_configured_header(Kind::Caddy);
}

#[test]
fn caddy_removes_forged_headers_that_patd_does_not_set() {
    checks::forged_headers_are_removed(Kind::CaddyWithoutCopies);
}
