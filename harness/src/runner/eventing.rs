//! What a run with events needs beside its functions: a broker, a logger behind it, and the counts
//! of everybody on the way, before and after each cell.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};

use super::{RunError, prepare::Prepared};
use crate::{
    analyse::{
        events::{BrokerCounts, CellEvents, FunctionCounts},
        quantiles,
    },
    collect::event_counts::{self, ByReplica, Logged},
    drive::Endpoint,
    experiment::{Experiment, events},
    platforms::{
        Deployed, FunctionSpec, Ground, Platform, PlatformKind, ReplicaBounds,
        knative::eventing::ClusterBus,
        openfaas::gateway::http_client,
        twin::{
            Twin, TwinOptions,
            broker::{Broker, BrokerOptions, Trigger},
        },
    },
    workloads::{Kind, logger},
};

/// Variable of the function that names the sink.
const SINK: &str = "EVENT_SINK";
/// How long events may be on their way after a cell's last answer.
const SETTLES_WITHIN: Duration = Duration::from_secs(15);
/// Pause between two looks at them.
const LOOK: Duration = Duration::from_millis(100);

/// A broker and a logger that live as long as the run.
pub(super) struct Eventing {
    client: reqwest::Client,
    /// The logger's page.
    logged: Endpoint,
    bus: Bus,
}

enum Bus {
    Twin { logger: Box<tokio::sync::Mutex<Twin>>, broker: Mutex<Option<Broker>> },
    Cluster(Box<ClusterBus>),
}

/// How things stood before a cell.
pub(super) struct Before {
    mode: String,
    function: Result<ByReplica, String>,
    broker: Option<BrokerCounts>,
    logged: Result<Logged, String>,
    metrics: Endpoint,
    replicas: u32,
    /// Correct answers of the cell, counted while it runs.
    pub(super) answers: Arc<AtomicU64>,
}

impl Eventing {
    /// Starts both and points the functions at the broker; none where no events are wanted.
    pub(super) async fn start(
        experiment: &Experiment,
        ground: &Ground,
        prepared: &mut Prepared,
        say: &dyn Fn(&str),
    ) -> Result<Option<Self>, RunError> {
        let Some(choice) = &experiment.events else { return Ok(None) };
        let spec = logger_spec(&prepared.spec);
        say("starting the broker and the logger of events");
        let (bus, deployed, sink) = match ground {
            Ground::Urls(_) => {
                return Err(RunError::Usage("URLs that are there already have sinks of their own".into()));
            }
            Ground::Twin => {
                let mut logger = Twin::new(PlatformKind::Knative, TwinOptions::default());
                let deployed = logger.deploy(&spec).await?;
                let subscriber = deployed.endpoints.first().cloned().context("the logger has no endpoint")?;
                let all = Trigger { filter: BTreeMap::new(), subscriber };
                let broker = Broker::start(vec![all], BrokerOptions::default())
                    .context("the broker cannot be started")?;
                let sink = broker.url();
                (
                    Bus::Twin { logger: Box::new(logger.into()), broker: Mutex::new(Some(broker)) },
                    deployed,
                    sink,
                )
            }
            Ground::Cluster(cluster) => {
                let (bus, deployed) = ClusterBus::start(cluster, choice.broker_class, &spec).await?;
                let sink = bus.sink().to_owned();
                (Bus::Cluster(Box::new(bus)), deployed, sink)
            }
        };
        say(&format!("events go to {sink}, and from there to {}", logger::NAME));
        prepared.spec.env.insert(SINK.to_owned(), sink);
        prepared.spec.env.entry(events::MODE.to_owned()).or_insert_with(|| events::USUAL_MODE.to_owned());
        prepared.notices.extend(notices(ground));
        let endpoint = deployed.endpoints.first().context("the logger has no endpoint")?;
        Ok(Some(Self {
            client: http_client().map_err(|error| anyhow!(error))?,
            logged: event_counts::page(endpoint, &spec.path, "/events?last=0"),
            bus,
        }))
    }

    /// How things stand; to be called when nothing is sent.
    pub(super) async fn before(&self, spec: &FunctionSpec, deployed: &Deployed) -> Before {
        let endpoint = deployed.endpoints.first().cloned();
        let endpoint = endpoint.unwrap_or(Endpoint { url: String::new(), headers: Vec::new() });
        let metrics = event_counts::page(&endpoint, &spec.path, "/metrics");
        let replicas = spec.replicas.min.max(1);
        // What is on its way still is of an earlier cell or of the pilot.
        let function = self.settled(&metrics, replicas).await.0;
        self.take_times();
        Before {
            mode: spec.env.get(events::MODE).cloned().unwrap_or_default(),
            function,
            broker: self.broker(),
            logged: event_counts::of_logger(&self.client, &self.logged).await,
            metrics,
            replicas,
            answers: Arc::default(),
        }
    }

    /// What became of a cell's events, once they have had time to arrive.
    pub(super) async fn after(&self, before: Before) -> CellEvents {
        let mut remarks = Vec::new();
        let (function, settled) = self.settled(&before.metrics, before.replicas).await;
        if !settled {
            remarks.push(format!(
                "events were still on their way {} s after the cell",
                SETTLES_WITHIN.as_secs()
            ));
        }
        let function = difference(&before.function, &function, &mut remarks);
        let logged = event_counts::of_logger(&self.client, &self.logged).await;
        let logged = match (&before.logged, logged) {
            (Ok(earlier), Ok(now)) => Some((
                now.received.saturating_sub(earlier.received),
                now.duplicates.saturating_sub(earlier.duplicates),
            )),
            (Err(error), _) => {
                remarks.push(format!("the logger could not be asked: {error}"));
                None
            }
            (_, Err(error)) => {
                remarks.push(format!("the logger could not be asked: {error}"));
                None
            }
        };
        let broker = before.broker.zip(self.broker()).map(|(earlier, now)| now.since(&earlier));
        CellEvents {
            mode: before.mode,
            answers: before.answers.load(Ordering::Relaxed),
            function,
            broker,
            logged: logged.map(|(received, _)| received),
            duplicates: logged.map_or(0, |(_, duplicates)| duplicates),
            delivery_ms: quantiles::complete(self.take_times()),
            remarks,
        }
    }

    /// Waits until nothing is on its way; what the replicas count then, and whether it came so far.
    async fn settled(&self, metrics: &Endpoint, replicas: u32) -> (Result<ByReplica, String>, bool) {
        let began = Instant::now();
        let mut earlier = None;
        loop {
            let function = event_counts::of_function(&self.client, metrics, replicas).await;
            let logged = event_counts::of_logger(&self.client, &self.logged).await.ok();
            let open: u64 = function.iter().flatten().map(|(_, counts)| counts.open()).sum();
            let queued = self.broker().map_or(0, |broker| broker.queued);
            // On a cluster the broker does not tell: two looks at the logger have to agree.
            let is_still = earlier == Some(logged);
            if open == 0 && queued == 0 && is_still {
                return (function, true);
            }
            if began.elapsed() > SETTLES_WITHIN {
                return (function, false);
            }
            earlier = Some(logged);
            tokio::time::sleep(LOOK).await;
        }
    }

    fn broker(&self) -> Option<BrokerCounts> {
        match &self.bus {
            Bus::Twin { broker, .. } => {
                broker.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Broker::counts)
            }
            Bus::Cluster(_) => None,
        }
    }

    fn take_times(&self) -> Vec<f64> {
        match &self.bus {
            Bus::Twin { broker, .. } => {
                let broker = broker.lock().unwrap_or_else(PoisonError::into_inner);
                broker.as_ref().map(Broker::take_times_ms).unwrap_or_default()
            }
            Bus::Cluster(_) => Vec::new(),
        }
    }

    /// Takes both away again; safe to repeat.
    ///
    /// # Errors
    /// In words, if something stays behind.
    pub(super) async fn stop(&self) -> Result<(), String> {
        match &self.bus {
            Bus::Twin { logger, broker } => {
                drop(broker.lock().unwrap_or_else(PoisonError::into_inner).take());
                logger.lock().await.remove().await.map_err(|error| error.to_string())
            }
            Bus::Cluster(bus) => bus.stop().await.map_err(|error| error.to_string()),
        }
    }
}

/// The same binary or image, as a logger.
fn logger_spec(function: &FunctionSpec) -> FunctionSpec {
    FunctionSpec {
        name: "event-logger".to_owned(),
        env: [("WORKLOAD", logger::NAME), ("INFERENCE_THREADS", "1"), ("QUEUE_LIMIT", "10000")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        path: "/predict".to_owned(),
        cpu_cores: 1.0,
        memory_mib: Kind::Logger.usual_memory_mib(),
        container_concurrency: 0,
        replicas: ReplicaBounds { min: 1, max: 1 },
        platform_settings: BTreeMap::new(),
        revisions: Vec::new(),
        ..function.clone()
    }
}

fn notices(ground: &Ground) -> Option<String> {
    match ground {
        Ground::Twin => Some(
            "Broker and logger of events run on the cores of the functions: what they take is a part of what \
             emitting costs here, and is elsewhere on a cluster."
                .to_owned(),
        ),
        _ => None,
    }
}

/// What all replicas counted between two looks.
fn difference(
    earlier: &Result<ByReplica, String>,
    now: &Result<ByReplica, String>,
    remarks: &mut Vec<String>,
) -> Option<FunctionCounts> {
    let (earlier, now) = match (earlier, now) {
        (Ok(earlier), Ok(now)) => (earlier, now),
        (Err(error), _) | (_, Err(error)) => {
            remarks.push(format!("the functions' counters could not be read: {error}"));
            return None;
        }
    };
    let gone = earlier.keys().filter(|boot| !now.contains_key(*boot)).count();
    if gone > 0 {
        remarks.push(format!("{gone} replicas ended meanwhile or did not answer; their counts are missing"));
    }
    let mut sum = FunctionCounts::default();
    let nothing = FunctionCounts::default();
    for (boot, counts) in now {
        sum.add(&counts.since(earlier.get(boot).unwrap_or(&nothing)));
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(emitted: u64) -> FunctionCounts {
        FunctionCounts { emitted, delivered: emitted, ..FunctionCounts::default() }
    }

    #[test]
    fn replicas_that_came_or_went_are_told_apart_by_their_boot_ids() {
        let looks = |replicas: &[(&str, u64)]| -> Result<ByReplica, String> {
            Ok(replicas.iter().map(|(boot, n)| ((*boot).to_owned(), counts(*n))).collect())
        };
        let mut remarks = Vec::new();
        let sum = difference(&looks(&[("a", 5), ("gone", 9)]), &looks(&[("a", 8), ("new", 2)]), &mut remarks);
        assert_eq!(sum.unwrap().emitted, 5);
        assert_eq!(remarks.len(), 1);
        assert!(remarks[0].starts_with("1 replicas ended"), "{remarks:?}");
        assert_eq!(difference(&Err("x".into()), &looks(&[]), &mut remarks), None);
    }
}
