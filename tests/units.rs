//! The unit files, completions and manual pages: what systemd, shells and manual readers say of them.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/systemd");

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program} (tests/install): {error}"))
}

fn patd(arguments: &[&str]) -> String {
    let output = run(env!("CARGO_BIN_EXE_patd"), arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn unit(name: &str) -> String {
    fs::read_to_string(Path::new(UNITS).join(name)).unwrap()
}

#[test]
fn a_service_can_reach_little_of_the_machine() {
    for service in ["patd.service", "patd-backup.service"] {
        let file = format!("{UNITS}/{service}");
        // Exposure from 0 to 10, here in tenths.
        let output = run("systemd-analyze", &["security", "--offline=true", "--threshold=15", "--no-pager", &file]);
        assert!(output.status.success(), "{service}: {}", String::from_utf8_lossy(&output.stdout));
        let without = unit(service).replace("NoNewPrivileges=yes", "").replace("ProtectSystem=strict", "");
        let directory = tempfile::tempdir().unwrap();
        let open = directory.path().join(service);
        fs::write(&open, without.replace("PrivateUsers=yes", "").replace("RestrictNamespaces=yes", "")).unwrap();
        let open = open.to_str().unwrap();
        let output = run("systemd-analyze", &["security", "--offline=true", "--threshold=3", "--no-pager", open]);
        assert!(!output.status.success(), "the threshold is not looked at");
    }
}

#[test]
fn units_use_keys_that_systemd_knows_and_commands_that_exist() {
    for name in ["patd.service", "optional/patd.socket", "patd-backup.service", "patd-backup.timer"] {
        let output = run("systemd-analyze", &["verify", &format!("{UNITS}/{name}")]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        // The program, its manual and the other units are not installed where the tests run.
        let faults = text.lines().filter(|line| {
            !line.contains("/usr/bin/patd")
                && !line.contains("man patd")
                && !line.contains("service patd.service not loaded")
        });
        assert_eq!(faults.collect::<Vec<_>>(), Vec::<&str>::new(), "{name}");
        let unit = unit(name);
        let commands = unit.lines().filter_map(|line| line.split_once("=/usr/bin/patd ").map(|(_, command)| command));
        for line in commands {
            let words: Vec<&str> = line.split(' ').chain(["--help"]).collect();
            patd(&words);
        }
    }
}

#[test]
fn shells_accept_their_completions() {
    let directory = tempfile::tempdir().unwrap();
    let script = |shell: &str| {
        let path: PathBuf = directory.path().join(shell);
        fs::write(&path, patd(&["completions", shell])).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let completed = format!(
        "source {}; COMP_WORDS=(patd token cr); COMP_CWORD=2; _patd patd cr token; echo \"${{COMPREPLY[*]}}\"",
        script("bash")
    );
    let output = run("bash", &["--norc", "-c", &completed]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "create", "{output:?}");
    for shell in ["zsh", "fish"] {
        let output = run(shell, &["-n", &script(shell)]);
        assert!(output.status.success(), "{shell}: {output:?}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    patd(&["manual", directory.path().to_str().unwrap()]);
    let page = |name: &str| directory.path().join(format!("{name}.1"));
    for name in ["patd", "patd-serve", "patd-token", "patd-token-create", "patd-backup", "patd-restore", "patd-doctor"]
    {
        assert!(page(name).exists(), "{name}");
    }
    let pages: Vec<PathBuf> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() > 40, "{}", pages.len());
    for path in &pages {
        let output = run("mandoc", &["-T", "lint", "-W", "error", path.to_str().unwrap()]);
        assert!(output.status.success(), "{path:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
    let rendered = run("mandoc", &["-T", "utf8", page("patd-restore").to_str().unwrap()]);
    let text = String::from_utf8(rendered.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("without bringing revoked tokens back"), "{text}");
}
