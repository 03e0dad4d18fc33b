//! Runs a document: first its examples of the configuration, then its commands in one shell.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    markdown::{Document, Mark},
    output,
    ports::{DEFAULT, Ports},
    script::Script,
};

/// How long the commands of one document may take.
const DEADLINE: Duration = Duration::from_secs(180);

/// How often a document is run if other programs take its ports.
const ATTEMPTS: usize = 3;

const PRELUDE: &str = include_str!("prelude.sh");

/// The files of the repository that the commands may use. The commands get copies with replaced ports.
const FILES_FOR_COMMANDS: [&str; 2] = ["config.toml", "deploy"];

/// The mistakes in the commands and examples of a document, with lines.
pub fn mistakes(document: &Document) -> Vec<String> {
    let script = Script::of(document);
    let has_configuration = document.blocks().any(|block| block.language == "toml");
    if !script.has_commands && !has_configuration {
        return Vec::new();
    }
    for _ in 1..ATTEMPTS {
        let place = Place::new(document, &script);
        let mistakes = place.mistakes(document, &script);
        if !place.lost_a_port() {
            return mistakes;
        }
    }
    Place::new(document, &script).mistakes(document, &script)
}

/// A temporary directory: the commands run in `here`, and their output for the test is in `record`.
struct Place {
    directory: TempDir,
    ports: Ports,
}

impl Place {
    fn new(document: &Document, script: &Script) -> Self {
        let texts = document.blocks().flat_map(|block| &block.text).map(String::as_str);
        let ports = Ports::for_all(texts.chain(script.text.lines()));
        let place = Self { directory: TempDir::new().unwrap(), ports };
        for name in ["here", "bin", "record", "tmp"] {
            fs::create_dir(place.path(name)).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_patd"), place.path("bin/patd")).unwrap();
        for name in FILES_FOR_COMMANDS {
            place.copy(Path::new(name), &place.path("here").join(name));
        }
        place
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn copy(&self, from: &Path, to: &Path) {
        if from.is_dir() {
            fs::create_dir(to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let name = entry.unwrap().file_name();
                self.copy(&from.join(&name), &to.join(&name));
            }
        } else {
            fs::write(to, self.ports.replace(&fs::read_to_string(from).unwrap())).unwrap();
        }
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = env::var("PATH").unwrap_or_default();
        command
            .current_dir(self.path("here"))
            .env_clear()
            .env("PATH", format!("{}:{path}:/usr/sbin", self.path("bin").display()))
            .env("HOME", self.path("tmp"))
            .env("TMPDIR", self.path("tmp"))
            .env("LANG", "C.UTF-8")
            .env("RECORD", self.path("record"))
            .env("REPOSITORY", env!("CARGO_MANIFEST_DIR"))
            .env("USUAL_PORT", self.ports.of(DEFAULT).to_string())
            .env("PATD__SERVER__BIND", format!("127.0.0.1:{}", self.ports.of(DEFAULT)))
            .env("PATD__SERVER__WORKERS", "2")
            .env("PATD__PASSWORDS__MEMORY_KIB", "8")
            .env("PATD__PASSWORDS__ITERATIONS", "1")
            .envs(
                ["PATD_TEST_POSTGRES", "PATD_POSTGRES_BIN"]
                    .into_iter()
                    .filter_map(|name| Some((name, env::var(name).ok()?))),
            )
            .stdin(Stdio::null());
        command
    }

    fn mistakes(&self, document: &Document, script: &Script) -> Vec<String> {
        let mut mistakes = self.configurations(document);
        if script.has_commands {
            match self.run(&script.text) {
                Err(failure) => mistakes.push(format!("{}{failure}", document.path)),
                Ok(()) => mistakes.extend(self.failed_expectations(document, script)),
            }
        }
        mistakes
    }

    /// The mistakes in the examples of the configuration. Examples with a name are kept for the commands.
    fn configurations(&self, document: &Document) -> Vec<String> {
        let mut mistakes = Vec::new();
        for block in document.blocks() {
            let name = match &block.mark {
                Mark::File(name) => name,
                Mark::None if block.language == "toml" => "example.toml",
                _ => continue,
            };
            let file = self.path("here").join(name);
            fs::write(&file, self.ports.replace(&(block.text.join("\n") + "\n"))).unwrap();
            // `patd dev --seed` checks its file itself.
            if block.language == "toml" && name != "seed.toml" {
                let checked =
                    self.command(env!("CARGO_BIN_EXE_patd")).args(["config", "check", name]).output().unwrap();
                if !checked.status.success() {
                    mistakes.push(format!("{}:{}: {}", document.path, block.line, output_text(&checked)));
                }
            }
            if name == "example.toml" {
                fs::remove_file(file).unwrap();
            }
        }
        mistakes
    }

    /// Runs the script. An error begins with the line.
    fn run(&self, script: &str) -> Result<(), String> {
        fs::write(self.path("prelude.sh"), PRELUDE).unwrap();
        fs::write(self.path("script.sh"), self.ports.replace(script)).unwrap();
        let mut command = self.command("bash");
        command
            .args(["--noprofile", "--norc", "-c", "source \"$0\"; source \"$1\"; finish"])
            .args([self.path("prelude.sh"), self.path("script.sh")])
            .stdout(fs::File::create(self.path("record/stdout")).unwrap())
            .stderr(fs::File::create(self.path("record/stderr")).unwrap())
            // The script and all its child processes can then be killed together.
            .process_group(0);
        let group = Group(command.spawn().unwrap());
        let has_ended = group.wait();
        if has_ended && self.record("done").is_some() {
            return Ok(());
        }
        let line = self.record("failed").unwrap_or_default();
        let part = self.record("part").unwrap_or_default();
        let what = if has_ended { "a command failed" } else { "the commands took too long" };
        let mut failure = format!(":{}: {what}", if has_ended { line.trim() } else { part.trim() });
        for name in [&*format!("{}.out", part.trim()), &*format!("{}.err", part.trim()), "stderr", "server.err"] {
            if let Some(text) = self.record(name).filter(|text| !text.trim().is_empty()) {
                failure += &format!("\n{name}: {}", self.restore(&text));
            }
        }
        Err(failure)
    }

    fn record(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("record").join(name)).ok()
    }

    /// The output with the paths and ports of the document.
    fn restore(&self, printed: &str) -> String {
        self.ports.restore(printed).replace(self.path("tmp").to_str().unwrap(), "/tmp")
    }

    /// Whether another program took one of the free ports before it was used.
    fn lost_a_port(&self) -> bool {
        let mut records = fs::read_dir(self.path("record")).unwrap().map(|entry| entry.unwrap().file_name());
        records.any(|name| {
            let text = self.record(name.to_str().unwrap()).unwrap_or_default();
            text.contains("another program already listens there") || text.contains("ddress already in use")
        })
    }

    fn failed_expectations(&self, document: &Document, script: &Script) -> Vec<String> {
        let mut mistakes = self.unexpected_statuses(script);
        for (printed_by, shown_by) in &script.outputs {
            let shown = document.blocks().find(|block| block.line == *shown_by).unwrap();
            let printed = self.record(&format!("{printed_by}.out")).unwrap_or_default();
            let mistake = output::mistake(&shown.language, &shown.text.join("\n"), &self.restore(&printed));
            mistakes.extend(mistake.map(|mistake| format!("{shown_by}: {mistake}")));
        }
        mistakes.into_iter().map(|mistake| format!("{}:{mistake}", document.path)).collect()
    }

    /// A comment refers to the last request before it. A request without a comment must succeed.
    fn unexpected_statuses(&self, script: &Script) -> Vec<String> {
        let requests = self.record("requests").unwrap_or_default();
        let requests: Vec<(usize, u16)> = requests
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(line, status)| (line.parse().unwrap(), status.parse().unwrap_or(0)))
            .collect();
        let refers_to = |comment: usize, line: usize| {
            line <= comment && !requests.iter().any(|(other, _)| line < *other && *other <= comment)
        };
        let mut mistakes = Vec::new();
        for (line, status) in &requests {
            let expected = script.statuses.iter().find(|(comment, _)| refers_to(*comment, *line));
            match expected {
                Some((_, expected)) if expected == status => {}
                Some((_, expected)) => mistakes.push(format!("{line}: answered with {status} instead of {expected}")),
                None if (1..400).contains(status) => {}
                None => mistakes.push(format!("{line}: answered with {status}")),
            }
        }
        for (comment, _) in &script.statuses {
            if !requests.iter().any(|(line, _)| refers_to(*comment, *line)) {
                mistakes.push(format!("{comment}: the comment names a status, but no request was made"));
            }
        }
        mistakes
    }
}

fn output_text(ended: &Output) -> String {
    String::from_utf8_lossy(&[&*ended.stdout, &*ended.stderr].concat()).into_owned()
}

/// A process with its child processes. All are killed when this is dropped.
struct Group(Child);

impl Group {
    /// Waits until the process ends. Returns whether it ended in time.
    fn wait(mut self) -> bool {
        let end = Instant::now() + DEADLINE;
        while self.0.try_wait().unwrap().is_none() {
            if Instant::now() > end {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes_of(text: &str) -> String {
        mistakes(&Document::parse("x.md", text)).join("\n")
    }

    #[test]
    fn a_correct_document_has_no_mistakes() {
        let text = "<!-- test: patd dev -->\n```sh\ncurl \"$PATD_URL/livez\"\ncurl -X POST \\\n  \"$PATD_URL/api/user\" # 405\n\
                    patd config check no.toml # exit 6\nX=1\n```\n```sh\ntest $X = 1; cargo run --release -- --version\n```\n\
                    ```text output\npatd …\n```\n```toml\n[server]\nbind = \"127.0.0.1:8080\"\n```\n";
        assert_eq!(mistakes_of(text), "");
    }

    #[test]
    fn each_mistake_is_reported_with_its_line() {
        for (text, expected) in [
            ("```sh\ntrue\nfalse\n```\n", "x.md:3: a command failed"),
            ("```sh\nX=$(false)\n```\n", "x.md:2: a command failed"),
            ("```sh\ntrue | false | true\n```\n", "x.md:2: a command failed"),
            ("```sh\nno-such-command\n```\n", "x.md:2: a command failed"),
            ("```sh\nsudo true\n```\n", "x.md:2: a command failed"),
            ("```sh\ntests/run --no-such-option\n```\n", "x.md:2: a command failed"),
            ("```sh\ncargo test --test nothing\n```\n", "x.md:2: a command failed"),
            ("```sh\ntrue # exit 1\n```\n", "x.md:2: a command failed"),
            ("```sh\nif\n```\n", "syntax error"),
            ("```sh\necho one\n```\n```text output\ntwo\n```\n", "x.md:4: the document shows\ntwo\n"),
            ("<!-- test: patd dev -->\n\n```sh\ncurl $PATD_URL/no\n```\n", "x.md:4: answered with 404"),
            (
                "<!-- test: patd dev -->\n```sh\ncurl $PATD_URL/no # 403\n```\n",
                "x.md:3: answered with 404 instead of 403",
            ),
            ("```sh\ntrue # 403\n```\n", "x.md:2: the comment names a status"),
            ("```toml\n[sever]\n```\n", "x.md:1: "),
        ] {
            let mistakes = mistakes_of(text);
            assert!(mistakes.contains(expected), "{text}: {mistakes}");
        }
    }

    #[test]
    fn a_document_is_run_again_if_a_port_was_taken() {
        let directory = TempDir::new().unwrap();
        let marker = directory.path().join("marker");
        let text =
            format!("```sh\nif mkdir {}; then echo 'Address already in use'; false; fi\n```\n", marker.display());
        assert_eq!(mistakes_of(&text), "");
        assert_ne!(mistakes_of("```sh\necho 'Address already in use'; false\n```\n"), "");
    }
}
