//! Git and curl with a repository behind the proxy. They send a credential only after a Basic challenge.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{
    application::{Application, Received},
    client::PACKAGES,
    proxies::Kind,
    support::programs::program,
    world::World,
};

/// The directory of this process's repositories, one for each world.
fn repositories() -> PathBuf {
    std::env::temp_dir().join(format!("patd-git-{}", std::process::id()))
}

/// A repository that is deleted when this is dropped.
struct Repository(PathBuf);

impl Drop for Repository {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        // Succeeds only for the last repository.
        let _ = fs::remove_dir(repositories());
    }
}

/// Git's own server, called by CGI (RFC 3875). The proxy's headers say which user pushes.
fn git_server(request: &Received) -> Vec<u8> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let only = |name: &str| request.all(name).first().copied().unwrap_or_default().to_owned();
    let mut command = git();
    command.arg("http-backend").env("GIT_PROJECT_ROOT", repositories()).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("REQUEST_METHOD", &request.method).env("PATH_INFO", path).env("QUERY_STRING", query);
    command.env("CONTENT_TYPE", only("Content-Type")).env("CONTENT_LENGTH", request.body.len().to_string());
    command.env("HTTP_CONTENT_ENCODING", only("Content-Encoding")).env("GIT_PROTOCOL", only("Git-Protocol"));
    command.env("REMOTE_USER", only("Remote-User")).env("REMOTE_ADDR", "127.0.0.1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(&request.body);
    let output = child.wait_with_output().unwrap().stdout;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (head, body) = (String::from_utf8_lossy(&output[..end]), &output[end + 4..]);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    let fields: String = head
        .lines()
        .filter(|line| !line.starts_with("Status:") && !line.starts_with("Content-Length:"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Git without the settings and passwords of the user who runs the tests.
fn git() -> Command {
    let mut command = Command::new(program("git"));
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
    for name in ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"] {
        command.env(name, "ada@example.com");
    }
    command
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    let ended = git().current_dir(directory).args(arguments).output().unwrap();
    assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    ended
}

pub fn git_and_curl_are_asked_for_a_token(kind: Kind) {
    let world = World::with(kind, Application::answering(git_server), &[]);
    let name = format!("{}.git", format!("{kind:?}").to_lowercase());
    let bare = Repository(repositories().join(&name));
    fs::create_dir_all(&bare.0).unwrap();
    run(&bare.0, &["init", "--quiet", "--bare", "--initial-branch=main"]);
    run(&bare.0, &["config", "http.receivepack", "true"]);

    let work = world.patd.place.path("work");
    fs::create_dir(&work).unwrap();
    let (reader, writer) = (world.patd.token(&["packages:read"]), world.patd.token(&["packages:*"]));
    let port = world.address.port();
    let resolved = format!("http.curloptResolve={PACKAGES}:{port}:127.0.0.1");
    let url = |pair: &str| format!("http://{pair}@{PACKAGES}:{port}/{name}");
    let remote = |arguments: &[&str]| {
        git().current_dir(&work).args(["-c", &resolved, "-c", "credential.helper="]).args(arguments).output().unwrap()
    };
    let messages = |ended: &Output| String::from_utf8_lossy(&ended.stderr).into_owned();

    // More than git sends without chunks.
    run(&work, &["init", "--quiet", "--initial-branch=main"]);
    let noise: Vec<u8> = (0..2_000_000_u64).map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
    fs::write(work.join("noise"), noise).unwrap();
    run(&work, &["add", "."]);
    run(&work, &["commit", "--quiet", "--message", "first"]);
    let refused = remote(&["push", &url(&format!("git:{}", reader.text)), "main"]);
    assert!(!refused.status.success() && messages(&refused).contains("403"), "{}", messages(&refused));
    let pushed = remote(&["push", &url(&format!("git:{}", writer.text)), "main"]);
    assert!(pushed.status.success(), "{}", messages(&pushed));
    for pair in [format!("git:{}", reader.text), format!("{}:x-oauth-basic", reader.text), format!("{}:", reader.text)]
    {
        let listed = remote(&["ls-remote", &url(&pair)]);
        assert!(listed.status.success(), "{pair}: {}", messages(&listed));
        assert!(String::from_utf8_lossy(&listed.stdout).contains("refs/heads/main"));
    }
    let cloned = remote(&["clone", "--quiet", &url(&format!("git:{}", reader.text)), "copy"]);
    assert!(cloned.status.success(), "{}", messages(&cloned));
    assert!(fs::read(work.join("copy/noise")).unwrap() == fs::read(work.join("noise")).unwrap());
    world.patd.revoke(&reader);
    let ended = remote(&["ls-remote", &url(&format!("git:{}", reader.text))]);
    assert!(!ended.status.success() && messages(&ended).contains("Authentication failed"), "{}", messages(&ended));

    let curl = |host: &str, path: &str| {
        let mut command = Command::new(program("curl"));
        command.args(["--silent", "--anyauth", "--output", "/dev/null", "--write-out", "%{http_code}"]);
        command.args(["--user", &format!("x:{}", writer.text), "--resolve", &format!("{host}:{port}:127.0.0.1")]);
        let ended = command.arg(format!("http://{host}:{port}{path}")).output().unwrap();
        String::from_utf8(ended.stdout).unwrap()
    };
    assert_eq!(curl(PACKAGES, &format!("/{name}/HEAD")), "200");
    assert_eq!(curl("application.example", "/me"), "401", "curl sends no credential after a Bearer challenge");
}
