//! What a wrong name, flag or registry prints: one line each, before anything is built.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Registry, Setup, archive, harness, harness_with, installed, output_of};

#[test]
fn a_name_that_cannot_be_pushed_to_is_refused_before_anything_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let lines: Vec<_> = [
        &["image", "push", "classify:1"][..],
        &["image", "push", "localhost:5000/classify:not a tag"],
        &["image", "push", "localhost:5000/classify:1", "--username", "ann", "--password-stdin"],
        &["image", "build", "--no-model", "--function-binary", file],
        &["image", "build", "--no-model", "--function-binary", file, "--base", "./nowhere"],
        &["image", "build", "--no-model", "--function-binary", file, "--base", file],
        &["image", "build", "--model", "unknown", "--offline", "--function-binary", file],
        &["image", "build", "--workload", "grade-c", "--function-binary", file],
        &["image", "build", "--workload", "grade-python", "--function-binary", file],
    ]
    .into_iter()
    .map(|arguments| harness(arguments).error(file))
    .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    2 error: 'classify:1' is no image name: it names no registry; write REGISTRY/classify:1, for example ghcr.io/you/classify:1
    2 error: 'localhost:5000/classify:not a tag' is no image name: the tag 'not a tag' is not valid; a tag has up to 128 letters, digits, '_', '.' and '-', and begins with neither '.' nor '-'
    2 error: --password-stdin: there is no password on standard input; pipe it in
    1 error: REGISTRY is not a Linux program (no ELF header); name the program's binary, or leave --function-binary out to have it built
    2 error: there is no file or folder ./nowhere; name an OCI layout folder, an image archive (.tar), or a reference such as REGISTRY/NAME:TAG
    1 error: REGISTRY: it is no image archive: neither index.json (OCI) nor manifest.json (Docker) is in it
    2 error: no model named 'unknown'; there are: mobilenetv2-1.0-224, mobilenetv2-12, mobilenetv2-generated
    2 error: an image for grade-c needs a C compiler, and an empty base has none; build it on one that has it, for example --base gcc:14
    2 error: an image for grade-python needs python3, and an empty base has none; build it on one that has it, for example --base python:3.12-slim
    ");
}

#[test]
fn what_is_wrong_with_a_registry_is_said_in_one_line() {
    let test = "what_is_wrong_with_a_registry_is_said_in_one_line";
    let Some(registry) = Registry::start(test, &Setup::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (_, file) = archive(dir.path());
    let file = file.to_str().unwrap();
    // A port that was free a moment ago, with nobody behind it.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("localhost:{}", free.port());
    let (here, there) = (format!("{}/a:1", registry.host), format!("{nobody}/a:1"));
    let lines = [
        harness(&["image", "push", &there, "--from", file]).error(&nobody),
        harness(&["image", "push", &here, "--from", file]).error(&registry.host),
        harness(&["image", "digest", &here, "--plain-http"]).error(&registry.host),
        harness(&[
            "image",
            "push",
            &format!("{here}@sha256:{}", "0".repeat(64)),
            "--plain-http",
            "--from",
            file,
        ])
        .error(&registry.host),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    1 error: REGISTRY cannot be reached: Connection refused (os error 111); check its name, its port and that it runs
    1 error: REGISTRY speaks plain HTTP, not TLS; add --plain-http (for a base --base-plain-http) if nobody can listen on the way to it
    1 error: REGISTRY/a:1 is not in the registry; check name and tag, or send it with `harness image push`
    2 error: 'REGISTRY/a:1@sha256:0000000000000000000000000000000000000000000000000000000000000000' is no image name: a push goes to a tag; leave @sha256:0000000000000000000000000000000000000000000000000000000000000000 out, it follows from the image
    ");
}

/// An authority's certificate, and a certificate for `localhost` that it signed, with its key.
fn certificates(dir: &Path) -> [PathBuf; 3] {
    let path = |name: &str| dir.join(name).display().to_string();
    let (authority, authority_key) = (path("authority.pem"), path("authority-key.pem"));
    let (certificate, key, request, names) =
        (path("cert.pem"), path("key.pem"), path("request.pem"), path("names"));
    fs::write(&names, "subjectAltName=DNS:localhost\n").unwrap();
    let elliptic = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let own =
        ["-x509", "-days", "2", "-subj", "/CN=test authority", "-keyout", &authority_key, "-out", &authority];
    output_of("openssl", &[&elliptic[..], &own].concat());
    let ask = ["-subj", "/CN=localhost", "-keyout", &key, "-out", &request];
    output_of("openssl", &[&elliptic[..], &ask].concat());
    let sign = ["x509", "-req", "-days", "2", "-in", &request, "-CA", &authority, "-CAkey", &authority_key];
    output_of(
        "openssl",
        &[&sign[..], &["-CAcreateserial", "-extfile", &names, "-out", &certificate]].concat(),
    );
    [authority, certificate, key].map(PathBuf::from)
}

#[test]
fn tls_is_spoken_with_a_registry_whose_authority_is_named() {
    let test = "tls_is_spoken_with_a_registry_whose_authority_is_named";
    if !installed(test, "openssl") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [authority, certificate, key] = certificates(dir.path());
    let setup = Setup { tls: Some((&certificate, &key)), ..Setup::default() };
    let Some(registry) = Registry::start(test, &setup) else { return };
    let (image, file) = archive(dir.path());
    let to = format!("{}/team/classify:1", registry.host);
    let push = ["image", "push", &to, "--from", file.to_str().unwrap()];

    let trusted = harness_with(&push, &[("SSL_CERT_FILE", &authority)], "");
    assert_eq!(trusted.code, 0, "{}", trusted.err);
    assert!(trusted.out.contains(&image.digest));

    let lines = [harness(&push), harness(&[&push[..], &["--plain-http"]].concat())]
        .map(|ran| ran.error(&registry.host));
    insta::assert_snapshot!(lines.join("\n"), @r"
    1 error: the certificate of REGISTRY is not trusted: UnknownIssuer; name your own authority's file in SSL_CERT_FILE
    1 error: REGISTRY does not take plain HTTP, most likely it expects TLS; leave --plain-http out
    ");
}
