//! Which login is found for which registry.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// `base64("user:secret")`, `base64("<token>:tok")`, `base64("hub:h")`.
const USER: &str = "dXNlcjpzZWNyZXQ=";
const TOKEN: &str = "PHRva2VuPjp0b2s=";
const HUB: &str = "aHViOmg=";

/// Looks a registry up in a file of this content, with these helper programs.
fn look_up(content: &str, registry: &str, repository: &str, helpers: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    fs::write(&file, content).unwrap();
    for (name, script) in helpers {
        let path = dir.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut path = dir.path().as_os_str().to_os_string();
    path.push(":/usr/bin:/bin");
    let stores = Stores { only: None, files: vec![dir.path().join("none"), file], helpers: Some(path) };
    match stores.look_up(registry, repository) {
        Ok(None) => "none".into(),
        Ok(Some(login)) => match login.kind {
            LoginKind::Password { username, password } => format!("{username} {}", password.reveal()),
            LoginKind::IdentityToken(token) => format!("identity {}", token.reveal()),
            LoginKind::RegistryToken(token) => format!("bearer {}", token.reveal()),
        },
        Err(error) => error.to_string().replace(&dir.path().display().to_string(), "DIR"),
    }
}

#[test]
fn an_entry_is_found_under_each_way_of_writing_the_registry() {
    for (key, registry, found) in [
        ("localhost:5000", "localhost:5000", "user secret"),
        ("https://localhost:5000", "localhost:5000", "user secret"),
        ("http://localhost:5000/v2/", "localhost:5000", "user secret"),
        ("localhost:5000/team", "localhost:5000", "user secret"),
        ("localhost:5000/team/app", "localhost:5000", "user secret"),
        ("localhost:5000/te", "localhost:5000", "none"),
        ("localhost:5000/other", "localhost:5000", "none"),
        ("localhost:5001", "localhost:5000", "none"),
        ("localhost", "localhost:5000", "none"),
        ("https://index.docker.io/v1/", "docker.io", "user secret"),
        ("docker.io", "docker.io", "user secret"),
    ] {
        let content = format!(r#"{{"auths":{{"{key}":{{"auth":"{USER}"}}}}}}"#);
        assert_eq!(look_up(&content, registry, "team/app", &[]), found, "{key}");
    }
}

#[test]
fn each_form_of_an_entry_is_read() {
    for (entry, found) in [
        (format!(r#"{{"auth":"{USER}"}}"#), "user secret"),
        (r#"{"username":"u","password":"p:w"}"#.into(), "u p:w"),
        (format!(r#"{{"auth":"{USER}","identitytoken":"idt"}}"#), "identity idt"),
        (format!(r#"{{"auth":"{TOKEN}"}}"#), "identity tok"),
        (r#"{"registrytoken":"rt"}"#.into(), "bearer rt"),
        ("{}".into(), "none"),
    ] {
        let content = format!(r#"{{"auths":{{"r.example":{entry}}},"HttpHeaders":{{"a":"b"}}}}"#);
        assert_eq!(look_up(&content, "r.example", "a", &[]), found, "{entry}");
    }
}

#[test]
fn the_most_particular_entry_counts() {
    let content = format!(
        r#"{{"auths":{{"r.example":{{"auth":"{HUB}"}},"r.example/team":{{"auth":"{USER}"}},"r.example/team/x":{{}}}}}}"#
    );
    assert_eq!(look_up(&content, "r.example", "team/x", &[]), "user secret");
    assert_eq!(look_up(&content, "r.example", "other", &[]), "hub h");
}

#[test]
fn helpers_are_asked_before_and_after_the_entries() {
    let one = ("docker-credential-one", r#"read r; echo "{\"Username\":\"$1\",\"Secret\":\"for $r\"}""#);
    let two = ("docker-credential-two", r#"echo '{"Username":"<token>","Secret":"idt"}'"#);
    let content = format!(
        r#"{{"auths":{{"r.example":{{"auth":"{USER}"}},"s.example":{{}}}},"credHelpers":{{"h.example":"one"}},"credsStore":"two"}}"#
    );
    let ask = |registry| look_up(&content, registry, "a", &[one, two]);
    assert_eq!(ask("h.example"), "get for h.example");
    assert_eq!(ask("r.example"), "user secret");
    assert_eq!(ask("s.example"), "identity idt");
}

#[test]
fn a_helper_that_knows_nothing_is_no_error_and_one_that_fails_is() {
    let content = r#"{"credsStore":"x"}"#;
    let ask = |script| look_up(content, "r.example", "a", &[("docker-credential-x", script)]);
    assert_eq!(ask("echo credentials not found in native keychain; exit 1"), "none");
    insta::assert_snapshot!(
        [ask("echo topsecret; exit 3"), ask("echo topsecret"), look_up(content, "r.example", "a", &[]),
         look_up(r#"{"credsStore":"../../bin/sh"}"#, "r.example", "a", &[])].join("\n"),
        @r"
    credentials: docker-credential-x failed (exit status: 3); log in again with `docker login r.example`, or give --username and --password-stdin
    credentials: docker-credential-x gave no readable answer; log in again with `docker login r.example`, or give --username and --password-stdin
    credentials: docker-credential-x cannot be started (No such file or directory (os error 2)); log in again with `docker login r.example`, or give --username and --password-stdin
    credentials: docker-credential-../../bin/sh is no name of a helper; log in again with `docker login r.example`, or give --username and --password-stdin
    "
    );
}

#[test]
fn a_broken_file_is_named_and_not_quoted() {
    let lines = [
        look_up(r#"{"auths":{"r.example":{"auth":"topsecret"#, "r.example", "a", &[]),
        look_up(r#"{"auths":{"r.example":{"auth":"topsecret!"}}}"#, "r.example", "a", &[]),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    credentials: DIR/config.json cannot be read (line 1, column 40); log in again
    credentials: the entry for r.example in DIR/config.json cannot be read; log in again with `docker login r.example`
    ");
}

#[test]
fn a_named_file_counts_alone_and_must_be_there() {
    let stores = Stores { only: Some("/nonexistent/auth.json".into()), ..Stores::default() };
    assert!(stores.look_up("r.example", "a").unwrap_err().to_string().contains("REGISTRY_AUTH_FILE"));
}

#[test]
fn a_secret_is_not_shown_by_debug_either() {
    let given = Credentials::Given { username: "u".into(), password: Secret::new("topsecret") };
    let login = given.login(&Reference::parse("r.example/a").unwrap()).unwrap().unwrap();
    assert_eq!(login.who, "user u");
    assert!(!format!("{given:?} {login:?}").contains("topsecret"));
}
