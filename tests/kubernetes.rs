//! The manifests of Kubernetes: what its schemas and patd say of them.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]
#![expect(unreachable_pub, reason = "a test binary has no outside")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

#[path = "support/programs.rs"]
#[expect(dead_code, reason = "a part of it is used")]
mod programs;

/// The releases whose schemas the manifests must fit: the oldest that is maintained, and a later one.
const RELEASES: [&str; 2] = ["1.31", "1.34"];

fn manifests() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes");
    let found: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    found
}

fn validate(release: &str, file: &Path) -> Output {
    let mut command = Command::new(programs::program("kubernetes-validate"));
    command.args(["--strict", "--kubernetes-version", release]).arg(file).output().unwrap()
}

#[test]
fn manifests_fit_the_schemas() {
    for release in RELEASES {
        for manifest in manifests() {
            let output = validate(release, &manifest);
            assert!(output.status.success(), "{}: {output:?}", manifest.display());
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let wrong = directory.path().join("wrong.yaml");
    fs::write(&wrong, fs::read_to_string(&manifests()[0]).unwrap().replace("podSelector:", "podSelecter:")).unwrap();
    assert!(!validate(RELEASES[0], &wrong).status.success(), "a wrong key is accepted");
}

#[test]
fn their_configuration_is_valid() {
    for manifest in manifests() {
        let text = fs::read_to_string(&manifest).unwrap();
        let (_, rest) = text.split_once("  patd.toml: |\n").unwrap();
        let lines = rest.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
        let configuration: String = lines.map(|line| format!("{}\n", line.trim_start())).collect();
        assert!(configuration.contains("[server]") && configuration.contains("[metrics]"), "{configuration}");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("patd.toml");
        fs::write(&file, configuration).unwrap();
        let checked = Command::new(env!("CARGO_BIN_EXE_patd")).args(["config", "check"]).arg(&file).output().unwrap();
        assert!(checked.status.success(), "{}: {checked:?}", manifest.display());
    }
}

#[test]
fn containers_may_do_little() {
    for manifest in manifests() {
        let text = fs::read_to_string(&manifest).unwrap();
        for line in [
            "automountServiceAccountToken: false",
            "runAsNonRoot: true",
            "allowPrivilegeEscalation: false",
            "readOnlyRootFilesystem: true",
            "capabilities: { drop: [ALL] }",
            "seccompProfile: { type: RuntimeDefault }",
            "kind: NetworkPolicy",
        ] {
            assert!(text.contains(line), "{}: {line}", manifest.display());
        }
    }
}
