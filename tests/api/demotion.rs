//! An administrator loses their power with the answer to the change, also in the middle of a loop of requests.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    admin_users::path_of,
    harness::{Client, TestApp, password},
};

/// What takes the power away.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Demoted,
    Disabled,
    PasswordChanged,
    PasswordReset,
    SignedOut,
}

impl Loss {
    /// Whether tokens lose it, too. The others end sessions only.
    const fn reaches_tokens(self) -> bool {
        matches!(self, Self::Demoted | Self::Disabled)
    }

    fn inflict(self, root: &Client<'_>, admin: &Client<'_>, path: &str) {
        let change = json!({ "current_password": password("admin"), "password": "a long enough new password" });
        let answer = match self {
            Self::Demoted => root.patch(path, json!({ "role": "member" })),
            Self::Disabled => root.post(&format!("{path}/disable"), json!({})),
            Self::PasswordChanged => admin.put("/api/v1/user/password", change),
            Self::PasswordReset => root.post(&format!("{path}/reset-password"), json!({})),
            Self::SignedOut => root.delete(&format!("{path}/sessions")),
        };
        assert_eq!(answer.status, 200, "{self:?}: {}", answer.shown());
    }
}

#[test]
fn no_call_that_begins_after_the_answer_has_an_administrators_power() {
    let losses = [Loss::Demoted, Loss::Disabled, Loss::PasswordChanged, Loss::PasswordReset, Loss::SignedOut];
    for loss in losses {
        let app = TestApp::spawn();
        let (root, admin) = (app.sign_in_admin("root"), app.sign_in_admin("admin"));
        let path = path_of(&admin);
        let looping = app.sign_in_again("admin");
        let token = admin.create_token(json!({ "name": "t", "abilities": ["admin:*"] }));
        let token = app.bearer(token["token"].as_str().unwrap());
        let target = path_of(&app.sign_in("target"));
        let (answered, successes) = (AtomicBool::new(false), Mutex::new(Vec::new()));

        let answered_at = thread::scope(|scope| {
            for (client, is_token) in [(&looping, false), (&looping, false), (&token, true), (&token, true)] {
                let (answered, successes, target) = (&answered, &successes, &target);
                scope.spawn(move || {
                    let (mut writes, mut late) = (false, 0);
                    while late < 6 {
                        late += u32::from(answered.load(Ordering::SeqCst));
                        let began = Instant::now();
                        writes = !writes;
                        let status = match writes {
                            true => client.post(&format!("{target}/enable"), json!({})).status,
                            false => client.get(target).status,
                        };
                        if status == 200 {
                            successes.lock().unwrap().push((is_token, began));
                        }
                    }
                });
            }
            // However slow the machine is.
            let begun = Instant::now();
            while successes.lock().unwrap().len() <= 20 && begun.elapsed() < Duration::from_secs(60) {
                thread::sleep(Duration::from_millis(10));
            }
            loss.inflict(&root, &admin, &path);
            let answered_at = Instant::now();
            answered.store(true, Ordering::SeqCst);
            answered_at
        });
        let successes = successes.into_inner().unwrap();
        let late =
            |of_token| successes.iter().filter(|(token, began)| *token == of_token && *began > answered_at).count();
        assert!(successes.len() > 20, "{loss:?}: the loops ran: {}", successes.len());
        assert_eq!(late(false), 0, "{loss:?}: a session");
        assert_eq!(late(true) > 0, !loss.reaches_tokens(), "{loss:?}: a token");
    }
}
