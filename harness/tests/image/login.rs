//! A registry that asks who is there.

use std::{fs, path::Path};

use super::{Registry, Setup, archive, harness, harness_with};

/// `base64("ann:right")` and `base64("ann:topsecret")`.
const RIGHT: &str = "YW5uOnJpZ2h0";
const WRONG: &str = "YW5uOnRvcHNlY3JldA==";

fn login_file(dir: &Path, name: &str, registry: &str, auth: &str) {
    fs::write(dir.join(name), format!(r#"{{"auths":{{"{registry}":{{"auth":"{auth}"}}}}}}"#)).unwrap();
}

#[test]
fn each_way_of_logging_in_works_and_each_failure_is_one_line_without_the_password() {
    let test = "each_way_of_logging_in_works_and_each_failure_is_one_line_without_the_password";
    let Some(registry) = Registry::start(test, &Setup { htpasswd: true, ..Setup::default() }) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (image, file) = archive(dir.path());
    let to = format!("{}/team/classify:1", registry.host);
    let push = ["image", "push", &to, "--plain-http", "--from", file.to_str().unwrap()];
    let flags = [&push[..], &["--username", "ann", "--password-stdin"]].concat();
    let digest = ["image", "digest", &to, "--plain-http"];
    for (name, auth) in [("right.json", RIGHT), ("wrong.json", WRONG)] {
        login_file(dir.path(), name, &registry.host, auth);
    }
    login_file(dir.path(), "config.json", &registry.host, RIGHT);
    let (right, wrong) = (dir.path().join("right.json"), dir.path().join("wrong.json"));

    let refused = [
        harness(&push),
        harness(&digest),
        harness_with(&flags, &[], "topsecret\n"),
        harness_with(&push, &[("REGISTRY_AUTH_FILE", &wrong)], ""),
        harness_with(&digest, &[("REGISTRY_AUTH_FILE", &wrong)], ""),
    ];
    for ran in &refused {
        assert!(!format!("{ran:?}").contains("topsecret"), "{ran:?}");
        assert!(!format!("{ran:?}").contains(WRONG), "{ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    }
    let lines: Vec<_> = refused
        .iter()
        .map(|ran| ran.error(&registry.host).replace(&dir.path().display().to_string(), "DIR"))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    1 error: REGISTRY refused to take team/classify: no credentials for it were found; log in with `docker login REGISTRY` (or podman), or give --username and --password-stdin
    1 error: REGISTRY refused to show team/classify: no credentials for it were found; log in with `docker login REGISTRY` (or podman), or give --username and --password-stdin
    1 error: REGISTRY refused to take team/classify for user ann: wrong name or password, or no right to this repository; log in again with `docker login REGISTRY`, or give --username and --password-stdin
    1 error: REGISTRY refused to take team/classify for user ann (of DIR/wrong.json): wrong name or password, or no right to this repository; log in again with `docker login REGISTRY`, or give --username and --password-stdin
    1 error: REGISTRY refused to show team/classify for user ann (of DIR/wrong.json): wrong name or password, or no right to this repository; log in again with `docker login REGISTRY`, or give --username and --password-stdin
    ");

    for ran in [
        harness_with(&flags, &[], "right\n"),
        harness_with(&push, &[("REGISTRY_AUTH_FILE", &right)], ""),
        harness_with(&push, &[("DOCKER_CONFIG", dir.path())], ""),
        harness_with(&digest, &[("DOCKER_CONFIG", dir.path())], ""),
    ] {
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains(&image.digest), "{ran:?}");
    }
}
