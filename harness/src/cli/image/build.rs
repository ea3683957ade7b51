//! What an image is built from, as flags say, and where it is written.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use models::{Manifest, Places, find_model};

use super::CliError;
use crate::{
    downloads,
    image::{
        Build, Credentials, Image, ModelFile, Program, RegistryOptions, base, build,
        output::{self, Format},
        reference::Reference,
    },
    runner::function_binary,
    workloads::{Kind, caption, grade},
};

/// Flags of a build.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct BuildArgs {
    /// Which program: the function, or the harness itself for load workers on a cluster (`--load-from cluster`)
    #[arg(long, value_name = "PROGRAM", value_enum, default_value = "function")]
    pub(super) of: Program,
    /// What to build on: an OCI layout folder, an image archive (.tar), or a registry's image [default: nothing]
    #[arg(long, value_name = "REF|PATH")]
    base: Option<String>,
    /// Fetch the base without TLS
    #[arg(long, requires = "base")]
    base_plain_http: bool,
    /// Model by its name in the manifest [default: the first that is found; see `harness models list`]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Put no model in
    #[arg(long, conflicts_with = "model")]
    no_model: bool,
    /// The workload that the function serves
    #[arg(long, value_name = "NAME", default_value = "classify")]
    workload: String,
    /// Folder with model files [env: MODELS_DIR]
    #[arg(long, value_name = "DIR")]
    models_dir: Option<PathBuf>,
    /// Download no model
    #[arg(long)]
    offline: bool,
    /// The program's binary [default: built from this workspace]
    #[arg(long, visible_alias = "binary", value_name = "FILE")]
    function_binary: Option<PathBuf>,
    /// Leave symbols in the binary: a much larger image, backtraces with names
    #[arg(long)]
    keep_symbols: bool,
    /// A label, for example org.opencontainers.image.revision=1a2b3c; may be repeated
    #[arg(long = "label", value_name = "K=V", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// An environment variable of the function; may be repeated
    #[arg(long = "env", value_name = "K=V", value_parser = pair)]
    env: Vec<(String, String)>,
}

impl BuildArgs {
    /// The flags' names, for those that exclude a build.
    pub(super) const NAMES: [&str; 12] = [
        "of",
        "base",
        "base_plain_http",
        "model",
        "no_model",
        "workload",
        "models_dir",
        "offline",
        "function_binary",
        "keep_symbols",
        "labels",
        "env",
    ];

    /// The image's name where nobody gives one.
    pub(super) fn usual_name(&self) -> String {
        let what = match self.of {
            Program::Function => &self.workload,
            Program::Harness => self.of.name(),
        };
        format!("{what}:latest")
    }

    /// Finds all parts, and builds.
    pub(super) async fn image(&self, say: &dyn Fn(&str)) -> Result<Image, CliError> {
        let created_s = source_date_epoch(std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())?;
        let tools = grade::needs_base(&self.workload).filter(|_| self.of == Program::Function);
        if let (Some((what, base)), None) = (tools, &self.base) {
            return Err(CliError::Usage(format!(
                "an image for {} needs {what}, and an empty base has none; build it on one that has it, for example \
                 --base {base}",
                self.workload
            )));
        }
        let kind = self.workload.parse::<Kind>().ok().filter(|_| self.of == Program::Function);
        // An unknown workload is the user's own; of ours two read a model.
        let needs_model = matches!(kind, None | Some(Kind::Classify | Kind::Caption));
        let has_model = self.of == Program::Function && !self.no_model && needs_model;
        let model = if has_model { Some(self.find_model(say)?) } else { None };
        let base = match &self.base {
            Some(name) => {
                let options =
                    RegistryOptions { plain_http: self.base_plain_http, credentials: Credentials::Stored };
                Some(base::load(name, architecture(), &options, say).await?)
            }
            None => None,
        };
        let given = self.function_binary.as_deref();
        let env: BTreeMap<_, _> = self.env.iter().cloned().collect();
        let features = kind.map_or(&[][..], |kind| kind.cargo_features(&env));
        let binary = function_binary::find_or_build_program(self.of.name(), given, features, say).await?;
        Ok(build(&Build {
            program: self.of,
            binary,
            keep_symbols: self.keep_symbols,
            model,
            workload: self.workload.clone(),
            env,
            labels: self.labels.iter().cloned().collect(),
            base,
            created_s,
        })?)
    }

    fn find_model(&self, say: &dyn Fn(&str)) -> Result<ModelFile, CliError> {
        let manifest = Manifest::builtin().map_err(anyhow::Error::from)?;
        let mut places = Places::from_env();
        if self.models_dir.is_some() {
            places.models_dir.clone_from(&self.models_dir);
        }
        places.download &= !self.offline;
        if self.workload == caption::NAME {
            let found = caption::model(self.model.as_deref(), &places, say)?;
            caption::notice_of(&found).iter().for_each(|notice| say(notice));
            return Ok(ModelFile {
                // A folder of the user's own is found by its path.
                name: if found.licence.is_some() { found.name } else { format!("/models/{}", found.name) },
                path: found.path,
                files: found.files,
                sha256: found.sha256,
                licence: found.licence.unwrap_or_else(|| "NOASSERTION".into()),
            });
        }
        let found = find_model(&manifest, self.model.as_deref(), &places, &mut downloads::lines(say))?;
        if found.model.generated {
            say("the model's weights are generated: its cost is right, its answers are meaningless");
        }
        Ok(ModelFile {
            name: found.model.name,
            path: found.path,
            files: Vec::new(),
            sha256: found.model.sha256,
            licence: found.model.licence,
        })
    }
}

/// This machine's architecture, as OCI names it: the function is built for it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Writes the image; gives the path and what is written there, in words.
pub(super) fn write(
    image: &Image,
    name: &Reference,
    format: Format,
    path: PathBuf,
) -> Result<(PathBuf, &'static str), CliError> {
    if is_archive(&path) {
        output::archive(image, name, format, &path)?;
        let kind = match format {
            Format::Oci => "OCI archive",
            Format::Docker => "Docker archive",
        };
        return Ok((path, kind));
    }
    if format == Format::Docker {
        return Err(CliError::Usage(format!(
            "--format docker writes an archive; let --output end in .tar, not {}",
            path.display()
        )));
    }
    if path.is_file() {
        return Err(CliError::Usage(format!(
            "--output {} is a file that does not end in .tar; name a folder or an archive",
            path.display()
        )));
    }
    output::layout(image, name, &path)?;
    Ok((path, "OCI layout"))
}

fn is_archive(path: &Path) -> bool {
    !path.is_dir() && path.extension().is_some_and(|extension| extension == "tar")
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write NAME=VALUE".into()),
    }
}

/// The time of files and image, seconds since 1970; see <https://reproducible-builds.org/specs/source-date-epoch/>.
fn source_date_epoch(value: Option<&str>) -> Result<u64, CliError> {
    // The last second that RFC 3339 can write.
    const LAST: u64 = 253_402_300_799;
    match value {
        None | Some("") => Ok(0),
        Some(text) => text.parse().ok().filter(|&s| s <= LAST).ok_or_else(|| {
            CliError::Usage(format!(
                "SOURCE_DATE_EPOCH is '{text}'; it takes seconds since 1970, or unset it"
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_1970_unless_the_environment_says_otherwise() {
        assert_eq!(source_date_epoch(None).unwrap(), 0);
        assert_eq!(source_date_epoch(Some("1700000000")).unwrap(), 1_700_000_000);
        for wrong in ["-1", "yesterday", "999999999999999"] {
            assert!(source_date_epoch(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: BuildArgs,
    }

    #[test]
    fn an_image_is_named_after_its_workload_or_its_program() {
        let name = |flags: &str| {
            let line: Line = clap::Parser::parse_from(["x"].into_iter().chain(flags.split_whitespace()));
            line.args.usual_name()
        };
        assert_eq!(name(""), "classify:latest");
        assert_eq!(name("--workload pdf"), "pdf:latest");
        assert_eq!(name("--of harness"), "harness:latest");
    }

    #[test]
    fn a_label_is_a_name_and_a_value_that_may_hold_equals_signs() {
        assert_eq!(pair("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }
}
