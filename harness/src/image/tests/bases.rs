//! Bases of each kind: what is inherited, what is chosen, what is refused.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{contents, inputs, made, name};
use crate::image::{base::Base, output::Format, *};

/// A base of one layer with `etc/os-release`, as Docker archives have it: plain tar, `null`s, history of more
/// entries than layers.
fn docker_base(dir: &Path, architecture: &str) -> PathBuf {
    let mut layer = tar::Builder::new(Vec::new());
    layer.append(&layer::header("etc/os-release", 4, 0o644, 7).unwrap(), &b"ID=x"[..]).unwrap();
    let layer = layer.into_inner().unwrap();
    let config = serde_json::json!({
        "architecture": architecture, "os": "linux", "container_config": {"Cmd": ["x"]},
        "config": {"Env": ["PATH=/bin", "HOME=/root"], "Cmd": ["/bin/sh"], "Entrypoint": null, "WorkingDir": "/work",
                   "User": "root", "Labels": {"maintainer": "them", "org.opencontainers.image.title": "base"},
                   "Volumes": {"/data": {}}, "Healthcheck": {"Test": ["CMD", "x"]}, "ExposedPorts": {"80/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": [blob::digest(&layer)]},
        "history": [{"created_by": "ADD", "created": "2020-01-01T00:00:00Z"}, {"created_by": "CMD", "empty_layer": true}],
    });
    let list = r#"[{"Config":"config.json","RepoTags":null,"Layers":["one/layer.tar"]}]"#;
    let path = dir.join("base.tar");
    let mut tar = tar::Builder::new(fs::File::create(&path).unwrap());
    let config = config.to_string();
    let files =
        [("config.json", config.as_bytes()), ("two/layer.tar", &layer), ("manifest.json", list.as_bytes())];
    for (name, bytes) in files {
        tar.append(&layer::header(name, bytes.len() as u64, 0o644, 7).unwrap(), bytes).unwrap();
    }
    // Older versions of docker save link a layer that they wrote before.
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "one/layer.tar", "../two/layer.tar").unwrap();
    tar.finish().unwrap();
    path
}

fn on_base(dir: &Path, base: Base) -> Image {
    build(&Build { base: Some(base), ..inputs(dir, b"code") }).unwrap()
}

#[test]
fn a_bases_layers_environment_and_history_are_inherited_and_its_program_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let base = base::load_path(&docker_base(dir.path(), "amd64"), "amd64").unwrap();
    let image = on_base(dir.path(), base);
    let config: serde_json::Value = serde_json::from_slice(&image.config.read().unwrap()).unwrap();
    insta::assert_snapshot!(contents(&image) + &serde_json::to_string_pretty(&config).unwrap(), @r#"
    [base]
    -  644 etc/os-release
    [/tmp]
    d 1777 tmp/
    [model m]
    d  755 models/
    -  644 models/m.onnx
    [the function's binary]
    -  755 function
    {
      "architecture": "amd64",
      "config": {
        "Entrypoint": [
          "/function"
        ],
        "Env": [
          "PATH=/bin",
          "HOME=/tmp",
          "MODEL=m",
          "MODELS_DIR=/models",
          "WORKLOAD=classify"
        ],
        "ExposedPorts": {
          "8080/tcp": {}
        },
        "Labels": {
          "maintainer": "them",
          "org.opencontainers.image.base.digest": "sha256:87afb938c5ca537e7d743452426f7d03c15921fa8b0118daac7808d7fa96227d",
          "org.opencontainers.image.description": "HTTP inference function of the serverless testbed",
          "org.opencontainers.image.licenses": "Apache-2.0 AND CC-BY-4.0",
          "org.opencontainers.image.title": "function: classify",
          "org.opencontainers.image.version": "0.1.0",
          "serverless-testbed.function.sha256": "9872916ad26a108897a057e26e8b192b58d47c1280af753c129b64716c8d0120",
          "serverless-testbed.model.name": "m",
          "serverless-testbed.model.sha256": "1b7c792e8a50afe66e5f731cb98d7caed654e8ab89f8638ad0449bfdfdbd8ff5",
          "serverless-testbed.workload": "classify"
        },
        "User": "65532:65532",
        "Volumes": {
          "/data": {}
        },
        "WorkingDir": "/work"
      },
      "created": "1970-01-01T00:00:00Z",
      "history": [
        {
          "created": "2020-01-01T00:00:00Z",
          "created_by": "ADD"
        },
        {
          "created_by": "CMD",
          "empty_layer": true
        },
        {
          "created": "1970-01-01T00:00:00Z",
          "created_by": "harness image build: /tmp"
        },
        {
          "created": "1970-01-01T00:00:00Z",
          "created_by": "harness image build: model m"
        },
        {
          "created": "1970-01-01T00:00:00Z",
          "created_by": "harness image build: the function's binary"
        }
      ],
      "os": "linux",
      "rootfs": {
        "diff_ids": [
          "sha256:17664aae5bde21c6b9d3a802b965ea06741a828271419c01915d6742dc18e501",
          "sha256:9d305675743d286fd50db6aff1304219a7b21d9cc7447f0e06ebabc218f09ac1",
          "sha256:c404fdd8d72e185078d86249a42336877cb4672dc1b890967b678b4c7278fc91",
          "sha256:c405b551b0298717a15d67e5468a7515d244d84a98a9fb1f99180fef7061991f"
        ],
        "type": "layers"
      }
    }
    "#);
}

#[test]
fn a_base_gives_the_same_image_however_it_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let docker = base::load_path(&docker_base(dir.path(), "amd64"), "amd64").unwrap();
    let (folder, file) = (dir.path().join("layout"), dir.path().join("oci.tar"));
    output::layout(&docker.image, &name(), &folder).unwrap();
    output::archive(&docker.image, &name(), Format::Oci, &file).unwrap();
    let images = [&folder, &file].map(|path| {
        let base = base::load_path(path, "amd64").unwrap();
        assert_eq!(base.digest, docker.image.digest);
        on_base(dir.path(), base)
    });
    assert_eq!(images[0].digest, images[1].digest);
    assert_eq!(images[0].layers.len(), 4);
    // The Docker archive has no manifest, so it can only name its configuration as the base's digest.
    let from_docker = on_base(dir.path(), docker);
    assert_eq!(from_docker.layers[0].blob.digest, images[0].layers[0].blob.digest);
}

#[test]
fn a_base_for_another_machine_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let base = base::load_path(&docker_base(dir.path(), "arm64"), "amd64").unwrap();
    let error = build(&Build { base: Some(base), ..inputs(dir.path(), b"code") }).unwrap_err();
    assert!(
        error.to_string().contains("is for linux/arm64, the function's binary for linux/amd64"),
        "{error}"
    );
}

#[test]
fn a_damaged_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("layout");
    let image = made(&dir.path().join("in"));
    output::layout(&image, &name(), &folder).unwrap();
    let path = |digest: &str| folder.join(digest.replace("sha256:", "blobs/sha256/"));
    let layer = path(&image.layers[1].blob.digest);
    let mut bytes = fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&layer, bytes).unwrap();
    base::load_path(&folder, "amd64").unwrap_err();
    fs::remove_file(&layer).unwrap();
    assert!(base::load_path(&folder, "amd64").unwrap_err().to_string().contains("is missing"));
    assert!(base::load_path(dir.path(), "amd64").unwrap_err().to_string().contains("no OCI layout"));
}

#[test]
fn an_index_for_several_machines_gives_the_right_one() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("layout");
    let amd64 = made(&dir.path().join("a"));
    let spec = inputs(&dir.path().join("b"), b"code");
    fs::write(&spec.binary, elf::sample(183, false, b"code", b"")).unwrap();
    let arm64 = build(&spec).unwrap();
    // Two images, then an index of both as the only entry of the layout's index.
    output::layout(&amd64, &name(), &folder).unwrap();
    let first = fs::read_to_string(folder.join("index.json")).unwrap();
    output::layout(&arm64, &name(), &folder).unwrap();
    let second = fs::read_to_string(folder.join("index.json")).unwrap();
    let parse = |text: &str| serde_json::from_str::<document::Index>(text).unwrap();
    let (mut both, second) = (parse(&first), parse(&second));
    both.manifests.extend(second.manifests.clone());
    let nested = Blob::new(document::to_bytes(&both));
    fs::write(folder.join(nested.digest.replace("sha256:", "blobs/sha256/")), nested.read().unwrap())
        .unwrap();
    let outer = document::Index { manifests: vec![nested.descriptor(document::INDEX)], ..both };
    fs::write(folder.join("index.json"), document::to_bytes(&outer)).unwrap();
    for (architecture, image) in [("amd64", &amd64), ("arm64", &arm64)] {
        assert_eq!(base::load_path(&folder, architecture).unwrap().digest, image.digest);
    }
    assert!(base::load_path(&folder, "riscv64").unwrap_err().to_string().contains("linux/riscv64"));
}
