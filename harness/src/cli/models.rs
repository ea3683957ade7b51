//! `harness models`: list, fetch, verify and find models and pictures.

mod fetch;
mod list;
#[cfg(test)]
mod tests;
mod verify;

use crate::screen::{out, show};
use std::path::PathBuf;

use anyhow::Context;
use models::{Item, Kind, Manifest, Model, ModelFolder, Picture, PictureSet, Places};

use super::{CliError, Exit};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  harness models list                                 what there is, and where it lies
  harness models fetch                                a model and the photographs
  harness models fetch mobilenetv2-generated drawn --to /tmp/demo
                                                      random weights and drawn pictures, made here
  harness models verify --models-dir ~/models         compare every file with its sha256
  MODEL=$(harness models path mobilenetv2-12)         the file's path, for scripts

Files are looked for in the named directory, then in the cache ($XDG_CACHE_HOME/serverless-testbed
or ~/.cache/serverless-testbed).")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    places: PlaceArgs,
}

#[derive(Debug, clap::Args)]
struct PlaceArgs {
    /// Directory that holds models [env: MODELS_DIR].
    #[arg(long, global = true, value_name = "DIR")]
    models_dir: Option<PathBuf>,
    /// Directory that holds pictures [env: PICTURES_DIR].
    #[arg(long, global = true, value_name = "DIR")]
    pictures_dir: Option<PathBuf>,
    /// Download nothing.
    #[arg(long, global = true)]
    offline: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List models and picture sets: size, licence, and where they are.
    List {
        /// Text for people, or JSON for scripts.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Download (or make) models and picture sets that are not there yet.
    Fetch {
        /// Models and picture sets; without any: a model with real weights, and the photographs.
        names: Vec<String>,
        /// Put them into this directory instead of the cache.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
    /// Compare every file that is there with its size and sha256; exit code 1 if one differs.
    Verify,
    /// Print the path of a model's file, or of the directory of a picture set, and nothing else.
    Path {
        /// A model or picture set.
        name: String,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A table.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// An entry of the manifest.
#[derive(Debug, Clone, Copy)]
enum Entry<'a> {
    Model(&'a Model),
    /// A model of several files.
    Folder(&'a ModelFolder),
    Pictures(&'a PictureSet),
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, CliError> {
    let manifest = Manifest::builtin().context("this build is broken")?;
    let places = args.places.places();
    places.check_directory(Kind::Model)?;
    places.check_directory(Kind::Picture)?;
    match args.command {
        Command::List { output } => {
            let rows = list::rows(&manifest, &places);
            let text = match output {
                Output::Text => list::table(&rows),
                Output::Json => serde_json::to_string_pretty(&rows).context("cannot write JSON")? + "\n",
            };
            show!("{text}");
            Ok(Exit::Valid)
        }
        Command::Fetch { names, to } => {
            let entries = match &names[..] {
                [] => default_entries(&manifest, &places),
                names => names.iter().map(|name| entry(&manifest, name)).collect::<Result<_, _>>()?,
            };
            fetch::fetch(&entries, &places, to.as_deref())?;
            Ok(Exit::Valid)
        }
        Command::Verify => {
            let (report, all_right) = verify::verify(&manifest, &places);
            show!("{report}");
            Ok(if all_right { Exit::Valid } else { Exit::Failed })
        }
        Command::Path { name } => {
            out!("{}", fetch::path(entry(&manifest, &name)?, &places)?.display());
            Ok(Exit::Valid)
        }
    }
}

impl PlaceArgs {
    /// The environment's places; a flag counts more.
    fn places(self) -> Places {
        let places = Places::from_env();
        Places {
            models_dir: self.models_dir.or(places.models_dir),
            pictures_dir: self.pictures_dir.or(places.pictures_dir),
            download: !self.offline,
            ..places
        }
    }
}

impl<'a> Entry<'a> {
    /// All of them, models first.
    fn all(manifest: &'a Manifest) -> impl Iterator<Item = Self> {
        let models = manifest.models.iter().map(Self::Model);
        let models = models.chain(manifest.folders.iter().map(Self::Folder));
        models.chain(manifest.pictures.iter().map(Self::Pictures))
    }

    fn name(self) -> &'a str {
        match self {
            Self::Model(model) => &model.name,
            Self::Folder(folder) => &folder.name,
            Self::Pictures(set) => &set.name,
        }
    }

    /// Its files.
    fn items(self) -> Vec<Item<'a>> {
        match self {
            Self::Model(model) => vec![model.item()],
            Self::Folder(folder) => folder.items().collect(),
            Self::Pictures(set) => set.pictures.iter().map(Picture::item).collect(),
        }
    }

    /// Whether this program makes it.
    fn is_made(self) -> bool {
        match self {
            Self::Model(model) => model.generated,
            Self::Folder(folder) => folder.built_in,
            Self::Pictures(set) => set.drawn,
        }
    }

    /// What the user wants to know of a file's path: a model's file, or the directory of several files.
    fn place(self, path: PathBuf) -> PathBuf {
        match (self, path.parent()) {
            (Self::Pictures(_) | Self::Folder(_), Some(directory)) => directory.into(),
            _ => path,
        }
    }
}

/// The model or picture set of this name.
fn entry<'a>(manifest: &'a Manifest, name: &str) -> Result<Entry<'a>, CliError> {
    if let Ok(set) = manifest.picture_set(name) {
        return Ok(Entry::Pictures(set));
    }
    if let Ok(folder) = manifest.folder(name) {
        return Ok(Entry::Folder(folder));
    }
    manifest.model(name).map(Entry::Model).map_err(|_| {
        let models = manifest.models.iter().map(|model| &model.name);
        let models = models.chain(manifest.folders.iter().map(|folder| &folder.name));
        let known: Vec<_> = models.chain(manifest.pictures.iter().map(|set| &set.name)).cloned().collect();
        CliError::Usage(format!("no model or picture set named '{name}'; there are: {}", known.join(", ")))
    })
}

/// A model with real weights, one that is there before one that has a source, and the photographs.
fn default_entries<'a>(manifest: &'a Manifest, places: &Places) -> Vec<Entry<'a>> {
    let there = |model: &&Model| !model.generated && places.look_up(&model.item()).next().is_some();
    let model = manifest
        .models
        .iter()
        .find(there)
        .or_else(|| manifest.models.iter().find(|model| !model.urls.is_empty()))
        .map(Entry::Model);
    let pictures = manifest.pictures.iter().find(|set| !set.drawn).map(Entry::Pictures);
    model.into_iter().chain(pictures).collect()
}
