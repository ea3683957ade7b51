//! Where the load of `harness load` comes from.

use super::{super::CliError, request::Request};
use crate::{
    drive::{DriveError, Endpoint, GeneratorAudit, Load, PlayOptions, SinkError},
    experiment::LoadPlace,
    interrupt::Interrupt,
    platforms::cluster::{Cluster, RunLabel, namespace},
    record::Record,
    runner::load_from,
    screen::note,
};

/// Marks what this command makes on a cluster.
const RUN: &str = "harness-load";

/// Where it comes from, and the cluster that was needed for it.
pub(super) struct Source {
    source: load_from::Source,
    cluster: Option<Cluster>,
}

impl Source {
    /// Starts what has to be there.
    pub(super) async fn start(request: &Request) -> Result<Self, CliError> {
        let cluster = match request.load_from.place {
            LoadPlace::Here | LoadPlace::Local => None,
            LoadPlace::Cluster => {
                Some(Cluster::connect(request.cluster.clone(), None, RunLabel::new(RUN)).await?)
            }
        };
        let source = load_from::Source::start(&request.load_from, cluster.as_ref()).await;
        match source {
            Ok(source) => Ok(Self { source, cluster }),
            Err(error) => {
                leave(cluster.as_ref()).await;
                Err(error.into())
            }
        }
    }

    /// Refuses an endpoint that means something else there.
    pub(super) fn accepts(&self, endpoints: &[Endpoint]) -> Result<(), CliError> {
        self.source.accepts(endpoints).map_err(|error| CliError::Usage(error.to_string()))
    }

    /// Plays a load.
    pub(super) async fn play<S>(
        &self,
        load: Load,
        options: PlayOptions,
        sink: S,
        interrupt: Interrupt,
    ) -> Result<GeneratorAudit, DriveError>
    where
        S: FnMut(&[Record]) -> Result<(), SinkError> + Send + 'static,
    {
        self.source.from.play(load, options, sink, interrupt).await
    }

    /// Takes away what was started; what stays behind is said, and spoils no measurement.
    pub(super) async fn end(self) {
        if let Err(error) = self.source.end().await {
            note!("error: {error:#}");
        }
        leave(self.cluster.as_ref()).await;
    }
}

async fn leave(cluster: Option<&Cluster>) {
    if let Some(cluster) = cluster
        && let Err(error) = namespace::leave(&cluster.api, cluster.namespace(), &cluster.run).await
    {
        note!("error: the namespace stays behind, remove it with `harness clean`: {error}");
    }
}
