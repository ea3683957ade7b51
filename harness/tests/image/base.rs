//! A base from a registry.

use std::{fs, path::Path};

use harness::image::{
    Build, Image, RegistryOptions, base, blob::digest, build, document::ImageConfig, push,
    reference::Reference,
};

use super::{Registry, Setup, empty_program, harness, parts};

/// A Docker archive of one uncompressed layer with one file.
fn docker_archive(dir: &Path) -> std::path::PathBuf {
    let entry = |tar: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    let mut layer = tar::Builder::new(Vec::new());
    entry(&mut layer, "etc/os-release", b"ID=tiny\n");
    let layer = layer.into_inner().unwrap();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = format!(
        r#"{{"architecture":"{architecture}","os":"linux","config":{{"Env":["PATH=/bin","CC=tcc"],"Cmd":["sh"]}},
            "rootfs":{{"type":"layers","diff_ids":["{}"]}},"history":[{{"created_by":"COPY etc"}}]}}"#,
        digest(&layer)
    );
    let mut tar = tar::Builder::new(Vec::new());
    entry(&mut tar, "c.json", config.as_bytes());
    entry(&mut tar, "l/layer.tar", &layer);
    entry(
        &mut tar,
        "manifest.json",
        br#"[{"Config":"c.json","RepoTags":["tiny:1"],"Layers":["l/layer.tar"]}]"#,
    );
    let path = dir.join("tiny.tar");
    fs::write(&path, tar.into_inner().unwrap()).unwrap();
    path
}

fn config(image: &Image) -> ImageConfig {
    image.parsed_config().unwrap()
}

#[tokio::test]
async fn a_base_is_built_on_whether_it_comes_from_a_registry_or_from_a_file() {
    let test = "a_base_is_built_on_whether_it_comes_from_a_registry_or_from_a_file";
    let Some(registry) = Registry::start(test, &Setup::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let options = RegistryOptions { plain_http: true, ..RegistryOptions::default() };
    let file = docker_archive(dir.path());
    let name = format!("{}/bases/tiny:1", registry.host);
    let from_file = base::load_path(&file, "amd64").unwrap();
    let pushed = push(&from_file.image, &Reference::parse(&name).unwrap(), &options, &|_| {}).await.unwrap();

    let from_registry = base::load(&name, "amd64", &options, &|_| {}).await.unwrap();
    assert_eq!(from_registry.digest, pushed.digest);
    assert_eq!(from_registry.image.layers[0].blob.digest, from_file.image.layers[0].blob.digest);

    let image = build(&Build { base: Some(from_registry), ..parts(dir.path(), &empty_program()) }).unwrap();
    let config = config(&image);
    assert_eq!(config.rootfs.diff_ids.len(), 4);
    assert_eq!(config.rootfs.diff_ids[0], from_file.image.layers[0].diff_id);
    assert_eq!(config.config.env[..2], ["PATH=/bin", "CC=tcc"]);
    assert_eq!(config.history[0].created_by.as_deref(), Some("COPY etc"));
    assert_eq!(config.config.labels["org.opencontainers.image.base.digest"], pushed.digest);
    assert_eq!(config.config.labels["org.opencontainers.image.base.name"], name);

    // The base's layer is in the same registry, but in another repository: all four must arrive.
    let to = Reference::parse(&format!("{}/team/on-tiny:1", registry.host)).unwrap();
    let sent = push(&image, &to, &options, &|_| {}).await.unwrap();
    assert_eq!((sent.sent_blobs, sent.digest.as_str()), (5, image.digest.as_str()));
}

#[test]
fn the_command_line_builds_on_a_registrys_base_with_the_same_digest_each_time() {
    let test = "the_command_line_builds_on_a_registrys_base_with_the_same_digest_each_time";
    let Some(registry) = Registry::start(test, &Setup::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("program"), empty_program()).unwrap();
    let file = docker_archive(dir.path());
    let name = format!("{}/bases/tiny:1", registry.host);
    let pushed = harness(&["image", "push", &name, "--plain-http", "--from", file.to_str().unwrap()]);
    assert_eq!(pushed.code, 0, "{}", pushed.err);
    let digests = ["a.tar", "b"].map(|output| {
        let built = harness(&[
            "image",
            "build",
            "--base",
            &name,
            "--base-plain-http",
            "--function-binary",
            &path("program"),
            "--no-model",
            "--output",
            &path(output),
            "--print",
            "json",
            "--quiet",
        ]);
        assert_eq!(built.code, 0, "{}", built.err);
        let built: serde_json::Value = serde_json::from_str(&built.out).unwrap();
        assert_eq!(built["layers"].as_array().unwrap().len(), 3);
        built["digest"].as_str().unwrap().to_string()
    });
    assert_eq!(digests[0], digests[1]);
    for output in ["a.tar", "b"] {
        assert_eq!(base::load_path(&dir.path().join(output), "amd64").unwrap().digest, digests[0]);
    }
}
