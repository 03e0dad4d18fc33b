//! Rate limits of tokens: the headers about them, and when a token is accepted again.

use std::time::Duration;

use insta::assert_snapshot;
use serde_json::json;

use crate::{
    harness::Answer,
    usage_limits::{ask_from, behind_a_proxy, limited},
};

const TOKENS: &str = "/api/v1/user/api-tokens";

fn remaining(answer: &Answer) -> (u16, Option<u32>) {
    (answer.status, answer.header("x-ratelimit-remaining").map(|left| left.parse().unwrap()))
}

#[test]
fn a_rate_is_shown_used_up_and_recovers_at_the_time_of_the_header() {
    let app = behind_a_proxy();
    let ada = app.sign_in("ada");
    let (token, _) = limited(&app, &ada, json!({ "requests_per_minute": 3 }));
    assert_eq!(remaining(&token.get("/api/user")), (200, Some(2)));
    assert_eq!(remaining(&ask_from(&token, "auth-request", Some("192.0.2.7"))), (200, Some(1)));
    // Refused uses count as well.
    assert_eq!(remaining(&token.get(TOKENS)), (403, Some(0)));
    let refused = token.get("/api/user");
    assert_snapshot!(refused.shown(), @r#"
    429
    retry-after: 20
    x-ratelimit-limit: 3
    x-ratelimit-remaining: 0
    x-ratelimit-reset: 1705345220
    {
      "code": "too_many_attempts",
      "message": "Too Many Attempts."
    }
    "#);
    let by_nginx = ask_from(&token, "auth-request", None);
    assert_eq!((by_nginx.status, by_nginx.header("x-auth-error")), (403, Some("too_many_attempts")));
    assert_eq!(ask_from(&token, "forward-auth", None).status, 429);

    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    app.advance(Duration::from_secs(wait - 1));
    assert_eq!(token.get("/api/user").status, 429);
    app.advance(Duration::from_secs(1));
    assert_eq!(remaining(&token.get("/api/user")), (200, Some(0)));
    let (plain, _) = limited(&app, &ada, json!({}));
    assert_eq!(remaining(&plain.get("/api/user")), (200, None), "a token without a rate limit gets no headers");
}

#[test]
fn the_headers_say_when_a_rate_has_recovered_and_when_to_retry() {
    let app = behind_a_proxy();
    let ada = app.sign_in("ada");
    let (token, _) = limited(&app, &ada, json!({ "requests_per_minute": 7 }));
    let start = 1_705_345_200;
    let reset = |answer: &Answer| {
        let header = |name| answer.header(name).map(|text| text.parse::<i64>().unwrap());
        (answer.status, header("x-ratelimit-remaining"), header("x-ratelimit-reset").map(|at| at - start))
    };
    // A seventh of a minute is 8.6 seconds.
    assert_eq!(reset(&token.get("/api/user")), (200, Some(6), Some(9)));
    assert_eq!(reset(&ask_from(&token, "forward-auth", None)), (200, Some(5), Some(18)));
    app.advance(Duration::from_secs(17));
    assert_eq!(reset(&token.get(TOKENS)), (403, Some(5), Some(17 + 18)), "a refusal has the headers as well");
    app.advance(Duration::from_secs(18));
    assert_eq!(
        reset(&token.get("/api/user")),
        (200, Some(6), Some(35 + 9)),
        "it has recovered at the time of the header"
    );
    for left in (0..6).rev() {
        assert_eq!(reset(&token.get("/api/user")).1, Some(left));
    }
    let refused = token.get("/api/user");
    let wait: i64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(reset(&refused), (429, Some(0), Some(35 + wait)));
    assert_eq!(reset(&ask_from(&token, "forward-auth", None)).2, Some(35 + wait));
}
