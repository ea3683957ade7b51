//! Finds the function's binary, or the harness's own as a static one, and builds it where there is a
//! workspace to build it from.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, bail};
use tokio::process::Command;

/// The function's binary: the one given, else built from the workspace that this harness was
/// built from, else the one beside this harness.
///
/// What is built is the static binary that an image would hold. An up-to-date build takes well
/// under a second. `features` are cargo's that the workload needs (`Kind::cargo_features`). `say` gets
/// a line before anything that takes long.
///
/// # Errors
/// If there is neither a binary nor a workspace, the build fails, or the binary lacks a feature.
pub async fn find_or_build(
    given: Option<&Path>,
    features: &[&str],
    say: &dyn Fn(&str),
) -> anyhow::Result<PathBuf> {
    find_or_build_program("function", given, features, say).await
}

/// The same for any program of the workspace, by its name.
///
/// # Errors
/// If there is neither a binary nor a workspace, the build fails, or the binary lacks a feature.
pub async fn find_or_build_program(
    program: &str,
    given: Option<&Path>,
    features: &[&str],
    say: &dyn Fn(&str),
) -> anyhow::Result<PathBuf> {
    if let Some(path) = given {
        if !path.is_file() {
            bail!(
                "there is no {program} binary at {}; leave --function-binary out to have it built",
                path.display()
            );
        }
        check_features(path, features)?;
        return Ok(path.canonicalize()?);
    }
    let harness = std::env::current_exe().context("cannot find this program's own file")?;
    if let Some(workspace) = workspace_around(&harness) {
        return build(&workspace, program, features, say).await;
    }
    let beside = harness.with_file_name(program);
    if beside.is_file() {
        check_features(&beside, features)?;
        return Ok(beside);
    }
    bail!(
        "no {program} binary beside {} and no workspace to build it from; name it with --function-binary",
        harness.display()
    )
}

/// Refuses a function without the features that its workload needs. Each leaves a mark in the program.
fn check_features(path: &Path, features: &[&str]) -> anyhow::Result<()> {
    if features.is_empty() {
        return Ok(());
    }
    let program = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    for feature in features {
        let mark = format!("function-has-feature:{feature}");
        if memchr::memmem::find(&program, mark.as_bytes()).is_none() {
            bail!(
                "{} was built without the feature {feature}, which the workload needs; build it with --features \
                 function/{feature}, or leave --function-binary out to have it built",
                path.display()
            );
        }
    }
    Ok(())
}

/// The nearest folder above a file that holds the function's sources.
fn workspace_around(file: &Path) -> Option<PathBuf> {
    file.ancestors().find(|dir| dir.join("function/Cargo.toml").is_file()).map(Path::to_path_buf).or_else(
        || {
            let here = std::env::current_dir().ok()?;
            here.ancestors().find(|dir| dir.join("function/Cargo.toml").is_file()).map(Path::to_path_buf)
        },
    )
}

async fn build(
    workspace: &Path,
    program: &str,
    features: &[&str],
    say: &dyn Fn(&str),
) -> anyhow::Result<PathBuf> {
    let target = host_triple().await?;
    say(&format!("building the {program} (release, static); some minutes the first time"));
    let mut command = Command::new(cargo());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_cargo_run) {
            command.env_remove(name);
        }
    }
    let output = command
        .args(["build", "--release", "--package", program, "--target", &target])
        .args(["--features", &features.join(",")])
        .args(["--message-format", "json-render-diagnostics"])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(workspace)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("cannot start cargo to build it; name a binary with --function-binary")?;
    if !output.status.success() {
        bail!("building the {program} failed ({}); see cargo's messages above", output.status);
    }
    executable(&String::from_utf8_lossy(&output.stdout), program)
        .with_context(|| format!("cargo built no executable named '{program}'"))
}

/// Whether `cargo run` sets this variable for the program that it runs. Build scripts of
/// dependencies watch some of them: passed on, they would have those crates built anew each time
/// that the harness is started in the other way.
fn is_of_cargo_run(name: &str) -> bool {
    const EXACT: [&str; 6] = [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_MANIFEST_LINKS",
        "CARGO_CRATE_NAME",
        "CARGO_BIN_NAME",
        "OUT_DIR",
    ];
    name.starts_with("CARGO_PKG_") || EXACT.contains(&name)
}

/// The path of the executable in cargo's JSON messages.
fn executable(messages: &str, program: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == program)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

async fn host_triple() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().await.context("cannot start rustc")?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_string))
        .context("rustc -vV names no host")
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_read_from_cargos_messages() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"function","kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"name":"function","kind":["bin"]},"executable":"/t/release/function"}
"#;
        assert_eq!(executable(messages, "function"), Some("/t/release/function".into()));
        assert_eq!(executable(messages, "harness"), None);
        assert_eq!(executable("not json", "function"), None);
    }

    #[test]
    fn a_program_without_a_needed_feature_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("function");
        std::fs::write(&program, b"\x7fELF function-has-feature:pdf-native\0").unwrap();
        assert!(check_features(&program, &["pdf-native"]).is_ok());
        let error = check_features(&program, &["pdf-native", "other"]).unwrap_err().to_string();
        assert!(error.contains("--features function/other") && !error.contains('\n'), "{error}");
        assert!(check_features(Path::new("/no/such"), &[]).is_ok(), "nothing is needed");
    }

    #[test]
    fn what_cargo_run_sets_is_not_passed_on_and_what_the_user_sets_is() {
        assert!(is_of_cargo_run("CARGO_MANIFEST_DIR") && is_of_cargo_run("CARGO_PKG_NAME"));
        assert!(!is_of_cargo_run("CARGO_HOME") && !is_of_cargo_run("CARGO_TARGET_DIR"));
    }

    #[test]
    fn a_workspace_is_found_from_a_file_inside_its_target_folder() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("function")).unwrap();
        std::fs::write(dir.path().join("function/Cargo.toml"), "").unwrap();
        let exe = dir.path().join("target/release/harness");
        assert_eq!(workspace_around(&exe).as_deref(), Some(dir.path()));
    }
}
