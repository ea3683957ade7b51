//! What reaches the registry, in skopeo's judgement.

use super::{Registry, Setup, archive, harness, installed, output_of};

#[test]
fn a_pushed_image_has_the_digest_that_was_built_and_is_not_sent_twice() {
    let test = "a_pushed_image_has_the_digest_that_was_built_and_is_not_sent_twice";
    let Some(registry) = Registry::start(test, &Setup::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let (image, file) = archive(dir.path());
    let push = |tag: &str| {
        let to = format!("{}/team/classify:{tag}", registry.host);
        harness(&["image", "push", &to, "--plain-http", "--from", file.to_str().unwrap()])
    };
    let pinned = format!("{}/team/classify@{}", registry.host, image.digest);

    let first = push("1");
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(first.err.matches("sent   ").count(), 4, "{}", first.err);
    assert!(first.out.contains(&format!("\n{pinned}\n")), "{}", first.out);

    let second = push("2");
    assert_eq!((second.code, second.err.matches("there  ").count()), (0, 4), "{}", second.err);
    assert!(!second.err.contains("sent   "), "{}", second.err);

    for tag in ["1", "2"] {
        let name = format!("{}/team/classify:{tag}", registry.host);
        assert_eq!(harness(&["image", "digest", &name, "--plain-http"]).out, format!("{pinned}\n"));
    }

    if installed(test, "skopeo") {
        let name = format!("docker://{}/team/classify:1", registry.host);
        let digest =
            output_of("skopeo", &["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &name]);
        assert_eq!(digest.trim(), image.digest);
        // A copy reads every blob and compares it with its digest and the layers with the configuration.
        let copy = format!("oci:{}/copy:1", dir.path().display());
        output_of("skopeo", &["--insecure-policy", "copy", "--src-tls-verify=false", &name, &copy]);
        let digest = output_of("skopeo", &["inspect", "--format", "{{.Digest}}", &copy]);
        assert_eq!(digest.trim(), image.digest);
    }
}

#[test]
fn an_image_is_sent_by_skopeo_as_by_us() {
    let test = "an_image_is_sent_by_skopeo_as_by_us";
    let Some(registry) = Registry::start(test, &Setup::default()) else { return };
    if !installed(test, "skopeo") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (image, file) = archive(dir.path());
    let name = format!("{}/by/skopeo:1", registry.host);
    let (from, to) = (format!("oci-archive:{}", file.display()), format!("docker://{name}"));
    output_of("skopeo", &["--insecure-policy", "copy", "--dest-tls-verify=false", &from, &to]);
    let resolved = harness(&["image", "digest", &name, "--plain-http", "--print", "json"]);
    let resolved: serde_json::Value = serde_json::from_str(&resolved.out).unwrap();
    assert_eq!(resolved["digest"], image.digest.as_str());

    // From Docker's list in the same archive it can be read, too; no manifest is in that one.
    let docker = format!("docker-archive:{}", file.display());
    let labels = output_of("skopeo", &["inspect", "--format", "{{.Labels}}", &docker]);
    assert!(labels.contains("serverless-testbed.model.name:m"), "{labels}");
}
