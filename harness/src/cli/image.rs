//! `harness image`: the function as an OCI image, without a Docker daemon.

mod build;
mod show;

use std::path::PathBuf;

use super::{CliError, Exit, experiment_args::Output};
use crate::{
    image::{
        Credentials, ImageError, RegistryOptions, Secret, base, output::Format, push, reference::Reference,
        resolve_digest,
    },
    interrupt::Interrupt,
    screen::{note, out, show},
};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  harness image build --output classify.tar            for `podman load -i` and `ctr images import`
  harness image build --output layout/ --model mobilenetv2-12
  harness image build --base python-base.tar --output classify.tar
  harness image push ghcr.io/you/classify:1            build and send it; login as `docker login` stored it
  harness image push localhost:5000/classify:1 --plain-http --from classify.tar
  harness image digest ghcr.io/you/classify:1          what `compare --image` is given

The same inputs give the same digest. SOURCE_DATE_EPOCH sets the time of files and image (default: 1970).")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Build the image and write it as an OCI layout folder or an archive.
    #[command(after_help = "\
Examples:
  harness image build --output classify.tar
  harness image build --output layout/ --label org.opencontainers.image.revision=$(git rev-parse HEAD)
  harness image build --base debian:12 --output classify.tar
  harness image build                                  only print digest and sizes")]
    Build {
        #[command(flatten)]
        build: build::BuildArgs,
        /// Where to write it: an archive if it ends in .tar, else an OCI layout folder; without it nothing is written
        #[arg(long, value_name = "DIR|FILE")]
        output: Option<PathBuf>,
        /// Name in the archive [default: the workload's, with the tag latest]
        #[arg(long, value_name = "NAME:TAG")]
        name: Option<String>,
        /// What an archive is written for
        #[arg(long, value_enum, default_value = "oci")]
        format: Format,
        #[command(flatten)]
        show: ShowArgs,
    },
    /// Send the image to a registry and print the reference with its digest.
    #[command(after_help = "\
Examples:
  harness image push ghcr.io/you/classify:1
  harness image push localhost:5000/classify:1 --plain-http
  harness image push ghcr.io/you/classify:1 --username you --password-stdin < token
  harness image push ghcr.io/you/classify:1 --from classify.tar

Credentials: --username, else $REGISTRY_AUTH_FILE, podman's auth.json, Docker's config.json and its helpers.")]
    Push {
        /// Where to send it
        #[arg(value_name = "REGISTRY/NAME:TAG")]
        to: String,
        /// Send this layout folder or archive instead of building
        #[arg(long, value_name = "DIR|FILE", conflicts_with_all = build::BuildArgs::NAMES)]
        from: Option<PathBuf>,
        #[command(flatten)]
        build: build::BuildArgs,
        #[command(flatten)]
        registry: RegistryArgs,
        #[command(flatten)]
        show: ShowArgs,
    },
    /// Ask a registry for the digest behind a tag.
    Digest {
        /// The image
        #[arg(value_name = "REGISTRY/NAME:TAG")]
        reference: String,
        #[command(flatten)]
        registry: RegistryArgs,
        #[command(flatten)]
        show: ShowArgs,
    },
}

/// How the registry is talked to.
#[derive(Debug, clap::Args)]
struct RegistryArgs {
    /// Talk to the registry without TLS
    #[arg(long)]
    plain_http: bool,
    /// User name [default: what `docker login` or `podman login` stored]
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    username: Option<String>,
    /// Read the password from standard input, its first line
    #[arg(long, requires = "username")]
    password_stdin: bool,
}

/// What is printed.
#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// What is printed at the end
    #[arg(long, value_enum, default_value = "text", value_name = "FORM")]
    print: Output,
    /// No progress, only the result
    #[arg(long, short)]
    quiet: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, CliError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(anyhow::Error::from)?;
    runtime.block_on(async {
        let interrupt = Interrupt::on_signals().map_err(anyhow::Error::from)?;
        tokio::select! {
            done = start(args.command) => done,
            () = interrupt.raised() => Err(CliError::Failed(anyhow::anyhow!("interrupted"))),
        }
    })
}

async fn start(command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Build { build, output, name, format, show } => {
            let name = Reference::parse(&name.unwrap_or_else(|| build.usual_name()))?;
            if name.digest().is_some() {
                return Err(CliError::Usage(
                    "--name takes NAME:TAG; the digest follows from the image".into(),
                ));
            }
            let image = build.image(&|line| show.say(line)).await?;
            let written = output.map(|path| build::write(&image, &name, format, path)).transpose()?;
            let result = show::Built::new(&image, &name, written);
            show.print(&result, &result.text());
        }
        Command::Push { to, from, build, registry, show } => {
            // Before minutes go into a build.
            let to = Reference::parse_with_registry(&to)?;
            let options = registry.options()?;
            let say = |line: &str| show.say(line);
            let of = build.of;
            let image = match from {
                Some(path) => base::load_path(&path, build::architecture())?.image,
                None => build.image(&say).await?,
            };
            let pushed = push(&image, &to, &options, &say).await?;
            show.print(&pushed, &show::pushed(&pushed, of));
        }
        Command::Digest { reference, registry, show } => {
            let resolved = resolve_digest(&reference, &registry.options()?).await?;
            show.print(&resolved, &format!("{}\n", resolved.reference));
        }
    }
    Ok(Exit::Valid)
}

impl RegistryArgs {
    /// Reads the password, if it is to be read.
    fn options(&self) -> Result<RegistryOptions, CliError> {
        let credentials = match &self.username {
            None => Credentials::Stored,
            Some(username) => {
                let mut line = String::new();
                std::io::stdin().read_line(&mut line).map_err(anyhow::Error::from)?;
                let password = line.trim_end_matches(['\r', '\n']);
                if password.is_empty() {
                    return Err(CliError::Usage(
                        "--password-stdin: there is no password on standard input; pipe it in".into(),
                    ));
                }
                Credentials::Given { username: username.clone(), password: Secret::new(password) }
            }
        };
        Ok(RegistryOptions { plain_http: self.plain_http, credentials })
    }
}

impl ShowArgs {
    fn say(&self, line: &str) {
        if !self.quiet {
            note!("{line}");
        }
    }

    fn print(&self, result: &impl serde::Serialize, text: &str) {
        match self.print {
            Output::Text => show!("{text}"),
            Output::Json => out!("{}", super::json(result)),
        }
    }
}

impl From<ImageError> for CliError {
    fn from(error: ImageError) -> Self {
        if error.is_usage() { Self::Usage(error.to_string()) } else { Self::Failed(error.into()) }
    }
}
