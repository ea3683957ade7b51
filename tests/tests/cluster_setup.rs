//! The scripts of cluster-setup, by their own checks: lints, dry runs, the CloudLab profile, whole set-ups of
//! stand-in nodes (`python3 cluster-setup/check.py`).

use std::{path::Path, process::Command};

#[test]
fn scripts_and_manifests_of_cluster_setup_pass_their_checks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let check = root.join("cluster-setup/check.py");
    let done = match Command::new("python3").arg(&check).env("PYTHONDONTWRITEBYTECODE", "1").output() {
        Ok(done) => done,
        Err(error) => {
            eprintln!(
                "SKIPPED scripts_and_manifests_of_cluster_setup_pass_their_checks: no python3 ({error})"
            );
            return;
        }
    };
    let said = String::from_utf8_lossy(&done.stderr);
    for line in said.lines().filter(|line| line.starts_with("skipped: ")) {
        eprintln!("SKIPPED cluster-setup, {}", &line["skipped: ".len()..]);
    }
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stdout));
}
