//! What the log says of requests for pages.

use crate::{drive::bytes, harness::Place};

const PASSWORD: &str = "a password of many words";
const WRONG: &str = "a-wrong-but-secret-password";
const CODE: &str = "the-secret-of-a-password-link";

#[test]
fn no_secret_of_a_form_a_cookie_or_an_address_is_logged() {
    for format in ["text", "json"] {
        let place = Place::new(&[("PATD__LOG__FORMAT", format), ("PATD__LOG__LEVEL", "debug")]);
        let command = ["user", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin"];
        assert!(place.run(&command, PASSWORD).success);
        let server = place.serve();
        let form = [
            ("Sec-Fetch-Site", "same-origin".to_owned()),
            ("Content-Type", "application/x-www-form-urlencoded".to_owned()),
        ];
        let ask = |method: &str, target: &str, headers: &[(&str, String)], body: &str| {
            server.connect().exchange(method, &bytes(method, target, headers, body)).unwrap()
        };
        let refused = ask("POST", "/console/sign-in", &form, &format!("email=ada@example.com&password={WRONG}"));
        assert_eq!(refused.status, 401);
        let body = format!("email=ada@example.com&password={}", PASSWORD.replace(' ', "+"));
        // On this machine, the cookie has no Secure and is sent back.
        let request = format!(
            "POST /console/sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let signed_in = server.connect().exchange("POST", request.as_bytes()).unwrap();
        assert_eq!(signed_in.status, 303);
        let set = signed_in.header("set-cookie").unwrap().to_owned();
        let secret = set.split(['=', ';']).nth(1).unwrap().to_owned();
        assert!(secret.starts_with("ses_"), "{set}");
        let request = format!("GET /console/tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: patd={secret}\r\n\r\n");
        assert_eq!(server.connect().exchange("GET", request.as_bytes()).unwrap().status, 200);
        assert_eq!(ask("GET", &format!("/console/set-password?token={CODE}"), &[], "").status, 200);
        assert_eq!(ask("POST", "/console/set-password", &form, &format!("token={CODE}&password={WRONG}")).status, 422);
        let ended = server.terminate();
        let log = &ended.stderr;
        assert!(log.contains("/console/sign-in") && log.contains("/console/tokens"), "{log}");
        for hidden in [PASSWORD, "of+many", WRONG, CODE, &secret] {
            assert!(!log.contains(hidden), "{hidden}: {log}");
        }
    }
}
