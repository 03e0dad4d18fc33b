//! The messages on the socket. If one of these texts changes, raise [`PROTOCOL`], so that a command of another release gets a
//! clear error and is not misunderstood.

use zeroize::Zeroizing;

use super::*;
use crate::ops::token_search::FilterTexts;

fn secret(text: &str) -> Secret {
    Secret::new(Zeroizing::new(text.to_owned()))
}

#[test]
fn requests_have_this_json() {
    let text = || "text".to_owned();
    let removal = |transfer_to| UserRemoval { user: text(), transfer_to };
    let requests = [
        (
            Request::CreateUser { user: NewUser { name: text(), email: text(), admin: true }, password: secret("p") },
            r#"{"create_user":{"user":{"name":"text","email":"text","admin":true},"password":"p"}}"#,
        ),
        (
            Request::InviteUser(NewUser { name: text(), email: text(), admin: false }),
            r#"{"invite_user":{"name":"text","email":"text","admin":false}}"#,
        ),
        (Request::ResetPassword(text()), r#"{"reset_password":"text"}"#),
        (Request::SetRole { user: text(), role: text() }, r#"{"set_role":{"user":"text","role":"text"}}"#),
        (Request::UnlockUser(text()), r#"{"unlock_user":"text"}"#),
        (Request::ListSessions(text()), r#"{"list_sessions":"text"}"#),
        (Request::EndSessions(text()), r#"{"end_sessions":"text"}"#),
        (
            Request::ListUsers(UserList {
                search: Some(text()),
                role: Some(text()),
                state: None,
                sort: UserSort::Email,
                reverse: true,
                limit: Some(1),
            }),
            r#"{"list_users":{"search":"text","role":"text","state":null,"sort":"email","reverse":true,"limit":1}}"#,
        ),
        (Request::ShowUser(text()), r#"{"show_user":"text"}"#),
        (
            Request::DisableUser { removal: removal(Some(text())), dry_run: true },
            r#"{"disable_user":{"removal":{"user":"text","transfer_to":"text"},"dry_run":true}}"#,
        ),
        (Request::PreviewDeletion(removal(None)), r#"{"preview_deletion":{"user":"text","transfer_to":null}}"#),
        (Request::DeleteUser(removal(Some(text()))), r#"{"delete_user":{"user":"text","transfer_to":"text"}}"#),
        (Request::EnableUser(text()), r#"{"enable_user":"text"}"#),
        (Request::SetEmail { user: text(), email: text() }, r#"{"set_email":{"user":"text","email":"text"}}"#),
        (
            Request::SetPassword { user: text(), password: secret("p") },
            r#"{"set_password":{"user":"text","password":"p"}}"#,
        ),
        (
            Request::CreateToken(NewToken {
                user: text(),
                name: text(),
                abilities: Some(vec![text()]),
                expires_in: Some(1),
                limits: LimitsRequest { ip_allowlist: vec![text()], requests_per_minute: Some(1), quota: Some(1) },
                description: Some(text()),
                metadata: [(text(), text())].into(),
                canary: true,
            }),
            r#"{"create_token":{"user":"text","name":"text","abilities":["text"],"expires_in":1,"limits":{"ip_allowlist":["text"],"requests_per_minute":1,"quota":1},"description":"text","metadata":{"text":"text"},"canary":true}}"#,
        ),
        (
            Request::ListTokens(TokenList {
                whose: Some(WhoseTokens::Environment(text())),
                filter: FilterTexts { state: Some(text()), ..FilterTexts::default() },
                search: Some(text()),
                expires_before: Some(Moment::Ahead(1)),
                unused_since: Some(Moment::At(-1)),
                sort: TokenSort::LastUsed,
                reverse: true,
                limit: Some(1),
            }),
            r#"{"list_tokens":{"whose":{"environment":"text"},"filter":{"owner":null,"environment":null,"service_account":null,"kind":null,"state":"text","name":null,"ability":null,"created_after":null,"created_before":null,"expires_after":null,"expires_before":null,"last_used_after":null,"last_used_before":null,"unused_for":null,"canary":null,"metadata":[]},"search":"text","expires_before":{"ahead":1},"unused_since":{"at":-1},"sort":"last_used","reverse":true,"limit":1}}"#,
        ),
        (Request::RevokeToken(text()), r#"{"revoke_token":"text"}"#),
        (Request::DisableToken(text()), r#"{"disable_token":"text"}"#),
        (Request::EnableToken(text()), r#"{"enable_token":"text"}"#),
        (
            Request::RevokeMatching(RevokeMatching {
                filter: FilterTexts { metadata: vec![(text(), text())], ..FilterTexts::default() },
                dry_run: true,
            }),
            r#"{"revoke_matching":{"filter":{"owner":null,"environment":null,"service_account":null,"kind":null,"state":null,"name":null,"ability":null,"created_after":null,"created_before":null,"expires_after":null,"expires_before":null,"last_used_after":null,"last_used_before":null,"unused_for":null,"canary":null,"metadata":[["text","text"]]},"dry_run":true}}"#,
        ),
        (Request::RevokeTokens(WhoseTokens::User(text())), r#"{"revoke_tokens":{"user":"text"}}"#),
        (
            Request::JudgeToken(JudgeToken {
                token: secret("t"),
                kinds: vec![text()],
                abilities: vec![text()],
                address: Some([127, 0, 0, 1].into()),
            }),
            r#"{"judge_token":{"token":"t","kinds":["text"],"abilities":["text"],"address":"127.0.0.1"}}"#,
        ),
    ];
    for (request, written) in requests {
        assert_eq!(serde_json::to_string(&request).unwrap(), written);
        let read: Request = serde_json::from_str(written).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), written);
        let shown = format!("{request:?}");
        assert!(!shown.contains("\"p\"") && !shown.contains("\"t\""), "a secret is shown: {shown}");
    }
    assert_eq!(PROTOCOL, 1);
}

#[test]
fn an_answer_in_chunks_is_complete_or_detected_as_incomplete() {
    let answer = b"{\"item\":{\"id\":\"1\",\"name\":\"a\"}}\n{\"item\":{\"id\":\"2\",\"name\":\"b\"}}\n\"done\"\n";
    for size in 1..answer.len() {
        let mut receiver = items::Receiver::new();
        let ended: Vec<bool> = answer.chunks(size).map(|chunk| receiver.add(chunk).unwrap()).collect();
        assert!(ended.last() == Some(&true) && !ended[..ended.len() - 1].contains(&true));
        let mut lines = Vec::new();
        let items = receiver.finish().unwrap().unwrap();
        let pushed = items.each_line(|line| {
            lines.push(line.to_owned());
            std::io::Result::Ok(())
        });
        pushed.unwrap();
        assert_eq!(lines, [r#"{"id":"1","name":"a"}"#, r#"{"id":"2","name":"b"}"#]);

        let mut receiver = items::Receiver::new();
        receiver.add(&answer[..size]).unwrap();
        assert!(size >= answer.len() || receiver.finish().is_none());
    }
    let mut endless = items::Receiver::new();
    let failed = (0..100).map(|_| endless.add(&[b'x'; 16 * 1024])).find(Result::is_err);
    assert!(failed.is_some(), "a line without an end is refused");
}

#[test]
fn a_relative_time_uses_the_clock_of_the_executing_side() {
    let now = crate::domain::time::Timestamp::from_unix(100);
    let resolved = [Moment::At(7), Moment::Ago(10), Moment::Ahead(10)].map(|moment| moment.resolve(now).unix());
    assert_eq!(resolved, [7, 90, 110]);
}
