//! From binary, model and base to an image.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    Image, ImageError,
    base::Base,
    blob::{Blob, digest},
    config, document,
    document::Manifest,
    elf::Elf,
    layer::Files,
};

/// User and group of the process; a number, so that Kubernetes can see that it is not root.
const USER: &str = "65532:65532";
/// Label of an image: the workload that it serves.
pub(super) const WORKLOAD_LABEL: &str = "serverless-testbed.workload";
/// Where the model lies.
const MODELS_DIR: &str = "/models";
/// Names for the user, for programs that look it up.
pub(super) const PASSWD: &str =
    "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n";
pub(super) const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

/// Which of our programs an image holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Program {
    /// The function under test
    #[default]
    Function,
    /// The harness itself, for load workers on a cluster
    Harness,
}

impl Program {
    /// The package, and the program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Harness => "harness",
        }
    }

    /// Port that it listens on where everybody may reach it.
    fn port(self) -> Option<u16> {
        match self {
            Self::Function => Some(8080),
            Self::Harness => None,
        }
    }
}

/// What goes into an image.
#[derive(Debug, Clone, Default)]
pub struct Build {
    /// Which program `binary` is.
    pub program: Program,
    /// The program's binary; static, unless a base brings what it needs.
    pub binary: PathBuf,
    /// Leave symbols and debug information in: a much larger image, backtraces with names.
    pub keep_symbols: bool,
    /// The model, a layer of its own.
    pub model: Option<ModelFile>,
    /// The workload, as the function's `WORKLOAD` names it.
    pub workload: String,
    /// Further environment variables; they count more than ours.
    pub env: BTreeMap<String, String>,
    /// Further labels; they count more than ours.
    pub labels: BTreeMap<String, String>,
    /// What it stands on; nothing without one.
    pub base: Option<Base>,
    /// Time of all files and of the image, seconds since 1970: `SOURCE_DATE_EPOCH`, or 0.
    pub created_s: u64,
}

/// A model's file and what is known of it.
#[derive(Debug, Clone)]
pub struct ModelFile {
    /// Name in the manifest of models.
    pub name: String,
    /// The file, or the folder that holds `files`.
    pub path: PathBuf,
    /// Names of its files, where it has a folder of its own.
    pub files: Vec<String>,
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Licence, SPDX.
    pub licence: String,
}

/// Builds the image. It takes a second or two of CPU time, and the size of the image in memory.
///
/// # Errors
/// If a file cannot be read, or the binary does not fit the base.
pub fn build(spec: &Build) -> Result<Image, ImageError> {
    let (elf, program) = program(spec)?;
    let program_sha256 = models::sha256_hex(&program);
    let mut layers = vec![system(spec.base.is_none(), spec.created_s)?];
    if let Some(model) = &spec.model {
        layers.push(model_layer(model, spec.created_s)?);
    }
    let name = spec.program.name();
    layers.push(
        Files::default()
            .file(name, 0o755, program)
            .layer(spec.created_s, format!("the {name}'s binary"))
            .map_err(ImageError::file(&spec.binary))?,
    );

    let created = humantime::format_rfc3339_seconds(
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(spec.created_s),
    )
    .to_string();
    let base_config = spec.base.as_ref().map(|base| base.image.parsed_config()).transpose()?;
    if let (Some(config), Some(base)) = (&base_config, &spec.base)
        && (config.architecture != elf.architecture || config.os != "linux")
    {
        return Err(ImageError::Usage(format!(
            "the base {} is for {}/{}, the function's binary for linux/{}; take a base for the same kind of machine",
            base.name, config.os, config.architecture, elf.architecture
        )));
    }
    let config = config::on_base(
        base_config,
        config::Parts {
            architecture: elf.architecture,
            created: &created,
            env: &environment(spec),
            labels: labels(spec, &program_sha256),
            user: USER,
            entrypoint: &format!("/{name}"),
            port: spec.program.port(),
            layers: &layers,
        },
    );
    let mut all = spec.base.as_ref().map_or_else(Vec::new, |base| base.image.layers.clone());
    all.extend(layers);
    let scratch = spec.base.as_ref().map_or_else(Vec::new, |base| base.image.scratch.clone());
    Ok(assemble(&document::to_bytes(&config), all, elf.architecture, scratch))
}

/// An image of a configuration and layers: writes the manifest.
pub(super) fn assemble(
    config: &[u8],
    layers: Vec<super::Layer>,
    architecture: &str,
    scratch: Vec<std::sync::Arc<super::scratch::Scratch>>,
) -> Image {
    let config = Blob::new(config.to_vec());
    let manifest = document::to_bytes(&Manifest {
        schema_version: 2,
        media_type: document::MANIFEST.into(),
        config: config.descriptor(document::CONFIG),
        layers: layers.iter().map(|layer| layer.blob.descriptor(&layer.media_type)).collect(),
        annotations: BTreeMap::new(),
    });
    Image {
        digest: digest(&manifest),
        manifest: manifest.into(),
        config,
        layers,
        architecture: architecture.into(),
        scratch,
    }
}

/// The program, checked and without symbols.
fn program(spec: &Build) -> Result<(Elf, Vec<u8>), ImageError> {
    let wrong = |problem: String| ImageError::Binary { path: spec.binary.clone(), problem };
    let mut program = fs::read(&spec.binary).map_err(ImageError::file(&spec.binary))?;
    let elf = Elf::parse(&program).map_err(|problem| {
        wrong(format!(
            "{problem}; name the program's binary, or leave --function-binary out to have it built"
        ))
    })?;
    if elf.dynamic && spec.base.is_none() {
        return Err(wrong(
            "needs shared libraries, and an empty image has none; build it with \
             RUSTFLAGS='-C target-feature=+crt-static' and --target (function/README.md), or name a --base that has them"
                .into(),
        ));
    }
    if !spec.keep_symbols {
        elf.strip(&mut program);
    }
    Ok((elf, program))
}

/// `/tmp`, and on an empty base the names of the users. On a base its own files stay.
fn system(empty_base: bool, created_s: u64) -> Result<super::Layer, ImageError> {
    let files = Files::default().folder("tmp", 0o1777);
    let (files, holds) = if empty_base {
        let files =
            files.folder("etc", 0o755).file("etc/passwd", 0o644, PASSWD).file("etc/group", 0o644, GROUP);
        (files, "/tmp and the user's name")
    } else {
        (files, "/tmp")
    };
    files.layer(created_s, holds).map_err(ImageError::file("/tmp"))
}

fn model_layer(model: &ModelFile, created_s: u64) -> Result<super::Layer, ImageError> {
    let folder = MODELS_DIR.trim_start_matches('/');
    let name = file_name(&model.path)?;
    let mut layer = Files::default().folder(folder, 0o755);
    if model.files.is_empty() {
        layer = layer.file(&format!("{folder}/{name}"), 0o644, content(&model.path)?);
    } else {
        layer = layer.folder(&format!("{folder}/{name}"), 0o755);
        for file in &model.files {
            layer = layer.file(&format!("{folder}/{name}/{file}"), 0o644, content(&model.path.join(file))?);
        }
    }
    layer.layer(created_s, format!("model {}", model.name)).map_err(ImageError::file(&model.path))
}

fn content(path: &Path) -> Result<Bytes, ImageError> {
    Ok(Bytes::from(fs::read(path).map_err(ImageError::file(path))?))
}

fn file_name(path: &Path) -> Result<&str, ImageError> {
    path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        ImageError::Usage(format!("{}: a model's file name must be readable text", path.display()))
    })
}

fn environment(spec: &Build) -> BTreeMap<String, String> {
    // A numeric user has no home on most bases; compilers and browsers want one they can write to.
    let mut env = BTreeMap::from([("HOME".to_string(), "/tmp".to_string())]);
    if spec.program == Program::Function {
        env.insert("WORKLOAD".into(), spec.workload.clone());
    }
    if let Some(model) = &spec.model {
        env.insert("MODEL".into(), model.name.clone());
        env.insert("MODELS_DIR".into(), MODELS_DIR.into());
    }
    env.extend(spec.env.clone());
    env
}

/// The labels, after <https://github.com/opencontainers/image-spec/blob/main/annotations.md> and our own.
fn labels(spec: &Build, program_sha256: &str) -> BTreeMap<String, String> {
    let mut licences = BTreeSet::from([env!("CARGO_PKG_LICENSE").to_string()]);
    let (title, description) = match spec.program {
        Program::Function => {
            (format!("function: {}", spec.workload), "HTTP inference function of the serverless testbed")
        }
        Program::Harness => ("harness".to_owned(), "Load workers of the serverless testbed"),
    };
    let mut labels = BTreeMap::from([
        ("org.opencontainers.image.title".to_string(), title),
        ("org.opencontainers.image.description".into(), description.into()),
        ("org.opencontainers.image.version".into(), env!("CARGO_PKG_VERSION").into()),
        (format!("serverless-testbed.{}.sha256", spec.program.name()), program_sha256.into()),
    ]);
    if spec.program == Program::Function {
        labels.insert(WORKLOAD_LABEL.into(), spec.workload.clone());
    }
    if let Some(model) = &spec.model {
        licences.insert(model.licence.clone());
        labels.insert("serverless-testbed.model.name".into(), model.name.clone());
        labels.insert("serverless-testbed.model.sha256".into(), model.sha256.clone());
    }
    labels.insert(
        "org.opencontainers.image.licenses".into(),
        licences.into_iter().collect::<Vec<_>>().join(" AND "),
    );
    if let Some(base) = &spec.base {
        labels.insert("org.opencontainers.image.base.digest".into(), base.digest.clone());
        if let Some(reference) = &base.reference {
            labels.insert("org.opencontainers.image.base.name".into(), reference.clone());
        }
    }
    labels.extend(spec.labels.clone());
    labels
}
