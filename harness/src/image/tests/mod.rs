//! Images made of small files: same inputs, same digest; what is in them; how they are written.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use oci_spec::image as spec;

use super::{output::Format, reference::Reference, *};

mod bases;

/// Folder with a made-up program and model.
fn inputs(dir: &Path, code: &[u8]) -> Build {
    fs::create_dir_all(dir).unwrap();
    let binary = dir.join("function-built-here");
    fs::write(&binary, elf::sample(62, false, code, b"symbols")).unwrap();
    let model = dir.join("m.onnx");
    fs::write(&model, vec![3; 50_000]).unwrap();
    Build {
        binary,
        model: Some(ModelFile {
            files: Vec::new(),
            name: "m".into(),
            path: model,
            sha256: models::sha256_hex(&vec![3; 50_000]),
            licence: "CC-BY-4.0".into(),
        }),
        workload: "classify".into(),
        ..Build::default()
    }
}

fn made(dir: &Path) -> Image {
    build(&inputs(dir, b"code")).unwrap()
}

fn name() -> Reference {
    Reference::parse("classify:1").unwrap()
}

/// All entries of an image's layers: type, mode, path.
fn contents(image: &Image) -> String {
    let mut text = String::new();
    for layer in &image.layers {
        let _ = writeln!(text, "[{}]", layer.holds);
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(layer.blob.open().unwrap()));
        for entry in tar.entries().unwrap() {
            let entry = entry.unwrap();
            let kind = if entry.header().entry_type().is_dir() { 'd' } else { '-' };
            let _ = writeln!(
                text,
                "{kind} {:>4o} {}",
                entry.header().mode().unwrap(),
                entry.path().unwrap().display()
            );
        }
    }
    text
}

#[test]
fn the_same_inputs_give_the_same_digest_wherever_and_whenever_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let one = inputs(&dir.path().join("here"), b"code");
    let other = inputs(&dir.path().join("there/deeper"), b"code");
    let old = SystemTime::now() - Duration::from_secs(1_000_000);
    fs::File::options().write(true).open(&other.binary).unwrap().set_modified(old).unwrap();
    let (one, other) = (build(&one).unwrap(), build(&other).unwrap());
    assert_eq!(one.digest, other.digest);
    assert_eq!(one.manifest, other.manifest);
}

#[test]
fn each_input_changes_the_digest() {
    let dir = tempfile::tempdir().unwrap();
    let same = || inputs(dir.path(), b"code");
    let mut digests = vec![build(&same()).unwrap().digest];
    let mut changed: Vec<Build> = vec![
        Build { keep_symbols: true, ..same() },
        Build { env: BTreeMap::from([("A".into(), "1".into())]), ..same() },
        Build { labels: BTreeMap::from([("a".into(), "1".into())]), ..same() },
        Build { created_s: 1, ..same() },
        Build { workload: "other".into(), ..same() },
        Build { model: None, ..same() },
        Build { program: Program::Harness, ..same() },
        inputs(&dir.path().join("other"), b"cope"),
    ];
    let other_model = dir.path().join("other/other.onnx");
    fs::write(&other_model, vec![4; 50_000]).unwrap();
    changed.push(Build { model: same().model.map(|m| ModelFile { path: other_model, ..m }), ..same() });
    digests.extend(changed.iter().map(|spec| build(spec).unwrap().digest));
    let all = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), all);
}

#[test]
fn an_image_holds_system_model_and_program_in_layers_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(contents(&made(dir.path())), @r"
    [/tmp and the user's name]
    d  755 etc/
    -  644 etc/group
    -  644 etc/passwd
    d 1777 tmp/
    [model m]
    d  755 models/
    -  644 models/m.onnx
    [the function's binary]
    -  755 function
    ");
}

#[test]
fn an_image_of_the_harness_starts_the_harness_and_opens_no_port() {
    let dir = tempfile::tempdir().unwrap();
    let image =
        build(&Build { program: Program::Harness, model: None, ..inputs(dir.path(), b"code") }).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&image.config.read().unwrap()).unwrap();
    let config = &config["config"];
    assert_eq!(config["Entrypoint"], serde_json::json!(["/harness"]));
    assert_eq!(config["Env"], serde_json::json!(["HOME=/tmp"]));
    assert!(config["ExposedPorts"].as_object().is_none_or(serde_json::Map::is_empty), "{config:#}");
    assert_eq!(config["Labels"]["org.opencontainers.image.title"], "harness");
    assert!(contents(&image).ends_with("[the harness's binary]\n-  755 harness\n"));
}

#[test]
fn the_configuration_says_how_it_is_run_and_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let image = made(dir.path());
    let config: serde_json::Value = serde_json::from_slice(&image.config.read().unwrap()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&config).unwrap(), @r#"
    {
      "architecture": "amd64",
      "config": {
        "Entrypoint": [
          "/function"
        ],
        "Env": [
          "HOME=/tmp",
          "MODEL=m",
          "MODELS_DIR=/models",
          "WORKLOAD=classify"
        ],
        "ExposedPorts": {
          "8080/tcp": {}
        },
        "Labels": {
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
        "WorkingDir": "/"
      },
      "created": "1970-01-01T00:00:00Z",
      "history": [
        {
          "created": "1970-01-01T00:00:00Z",
          "created_by": "harness image build: /tmp and the user's name"
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
          "sha256:88c2203f3ca50d44d21f9df5411e084bc2c8127470e4e875b14a19d8cccb9072",
          "sha256:c404fdd8d72e185078d86249a42336877cb4672dc1b890967b678b4c7278fc91",
          "sha256:c405b551b0298717a15d67e5468a7515d244d84a98a9fb1f99180fef7061991f"
        ],
        "type": "layers"
      }
    }
    "#);
}

#[test]
fn another_implementation_of_the_specification_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let image = made(dir.path());
    output::layout(&image, &name(), &dir.path().join("layout")).unwrap();
    let index = spec::ImageIndex::from_file(dir.path().join("layout/index.json")).unwrap();
    assert_eq!(index.manifests()[0].digest().to_string(), image.digest);
    let manifest = spec::ImageManifest::from_reader(&image.manifest[..]).unwrap();
    assert_eq!(manifest.media_type(), &Some(spec::MediaType::ImageManifest));
    assert!(manifest.layers().iter().all(|l| l.media_type() == &spec::MediaType::ImageLayerGzip));
    let config = spec::ImageConfiguration::from_reader(&image.config.read().unwrap()[..]).unwrap();
    assert_eq!(config.rootfs().diff_ids().len(), manifest.layers().len());
    assert_eq!(config.config().clone().unwrap().user().as_deref(), Some("65532:65532"));
    spec::OciLayout::from_file(dir.path().join("layout/oci-layout")).unwrap();
}

#[test]
fn a_program_that_cannot_start_in_the_image_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let with = |bytes: &[u8]| {
        let spec = inputs(dir.path(), b"code");
        fs::write(&spec.binary, bytes).unwrap();
        build(&spec).unwrap_err().to_string().replace(&dir.path().display().to_string(), "DIR")
    };
    let lines = [with(b"#!/bin/sh"), with(&elf::sample(62, true, b"", b""))];
    insta::assert_snapshot!(lines.join("\n"), @r"
    DIR/function-built-here is not a Linux program (no ELF header); name the program's binary, or leave --function-binary out to have it built
    DIR/function-built-here needs shared libraries, and an empty image has none; build it with RUSTFLAGS='-C target-feature=+crt-static' and --target (function/README.md), or name a --base that has them
    ");
}

#[test]
fn an_archive_has_sorted_entries_that_depend_on_the_image_alone() {
    let dir = tempfile::tempdir().unwrap();
    let image = made(dir.path());
    let list = |format: Format, file: &str| {
        let path = dir.path().join(file);
        output::archive(&image, &name(), format, &path).unwrap();
        let mut tar = tar::Archive::new(fs::File::open(&path).unwrap());
        let names = tar.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string());
        (names.collect::<Vec<_>>(), models::sha256_hex(&fs::read(&path).unwrap()))
    };
    let (names, first) = list(Format::Oci, "a.tar");
    assert!(names.is_sorted());
    assert_eq!(names.iter().filter(|n| n.starts_with("blobs/sha256/")).count(), image.layers.len() + 2);
    assert_eq!(names[names.len() - 3..], ["index.json", "manifest.json", "oci-layout"]);
    assert_eq!(list(Format::Oci, "b.tar").1, first);
    let (names, _) = list(Format::Docker, "c.tar");
    assert_eq!(names.last().unwrap(), "manifest.json");
    assert!(!names.contains(&"index.json".to_string()));
}

#[test]
fn what_was_written_is_read_back_with_the_same_digest() {
    let dir = tempfile::tempdir().unwrap();
    let image = made(dir.path());
    let (folder, file) = (dir.path().join("layout"), dir.path().join("image.tar"));
    output::layout(&image, &name(), &folder).unwrap();
    output::archive(&image, &name(), Format::Oci, &file).unwrap();
    for path in [&folder, &file] {
        let base = base::load_path(path, "amd64").unwrap();
        assert_eq!((&base.digest, &base.image.manifest), (&image.digest, &image.manifest));
        let sizes = |image: &Image| image.layers.iter().map(|l| l.uncompressed_bytes).collect::<Vec<_>>();
        assert_eq!(sizes(&base.image), sizes(&image));
    }
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let image = made(dir.path());
    let error = output::layout(&image, &name(), dir.path()).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("neither empty nor an OCI layout"));
}

#[test]
fn a_digest_can_be_asked_for_from_any_task() {
    fn is_send(_: &impl Send) {}
    is_send(&resolve_digest("r.example/a", &RegistryOptions::default()));
}

#[test]
fn the_dockerfile_makes_the_same_image() {
    let dockerfile =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../function/Dockerfile")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut spec = inputs(dir.path(), b"code");
    spec.model.as_mut().unwrap().licence = "Apache-2.0".into();
    let image = build(&spec).unwrap();
    let config = image.parsed_config().unwrap().config;
    let mut expected = vec![
        format!("USER {}", config.user.unwrap()),
        format!("WORKDIR {}", config.working_dir.unwrap()),
        format!("ENTRYPOINT [\"{}\"]", config.entrypoint[0]),
        "EXPOSE 8080".into(),
    ];
    expected.extend(config.env.iter().map(|pair| pair.replace("MODEL=m", "MODEL=${MODEL}")));
    // Digests of files are known to a program that reads them, not to a Dockerfile.
    let labels = config.labels.iter().filter(|(name, _)| !name.ends_with("sha256"));
    expected.extend(labels.map(|(name, value)| match name.as_str() {
        "serverless-testbed.model.name" => format!("{name}=\"${{MODEL}}\""),
        _ => format!("{name}=\"{value}\""),
    }));
    expected.extend([build::PASSWD, build::GROUP].map(|text| text.replace('\n', "\\n")));
    for text in expected {
        assert!(dockerfile.contains(&text), "function/Dockerfile lacks {text}");
    }
}
