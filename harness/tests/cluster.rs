//! The rules that every platform must keep to, on a real cluster. Opt-in:
//!
//! ```text
//! HARNESS_E2E=1 KUBECONFIG=... HARNESS_E2E_IMAGE=REGISTRY/function@sha256:... \
//!     cargo test -p harness --test cluster -- --nocapture
//! ```
//! `HARNESS_E2E_PLATFORMS` (comma-separated) restricts it; `HARNESS_E2E_HEALTH=/path` says that the
//! image is not the testbed's own function, and where it answers. Each test has a namespace of its
//! own and takes it away afterwards, also when it fails; one runs at a time, for want of CPU.

use std::{
    collections::BTreeMap,
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use harness::platforms::{
    AnyPlatform, Deployed, FunctionSpec, Ground, Image, Platform, PlatformError, PlatformKind, ReplicaBounds,
    RevisionShare,
    cluster::{
        Cluster, ClusterChoice, RunLabel,
        answer::{self, Answered, Wanted},
        api::Selection,
        effective, pods,
        resources::{DEPLOYMENTS, KNATIVE_SERVICES, NAMESPACES, NODES, PODS, SERVICES},
    },
    knative::Knative,
    setting,
};

/// One test at a time.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What the environment says.
#[derive(Debug, Clone)]
struct Wish {
    image: Image,
    kinds: Vec<PlatformKind>,
}

impl Wish {
    fn read() -> Result<Self, String> {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if var("HARNESS_E2E").as_deref() != Some("1") {
            return Err("HARNESS_E2E=1 is not set".to_owned());
        }
        let reference = var("HARNESS_E2E_IMAGE").ok_or("HARNESS_E2E_IMAGE names no image")?;
        let health = var("HARNESS_E2E_HEALTH");
        let image = Image {
            reference,
            port: 8080,
            is_ours: health.is_none(),
            health_path: health.unwrap_or_else(|| "/health".to_owned()),
        };
        let all = [PlatformKind::Knative, PlatformKind::OpenFaas, PlatformKind::Deployment];
        let names = var("HARNESS_E2E_PLATFORMS");
        let chosen = |kind: &PlatformKind| {
            names.as_ref().is_none_or(|names| names.split(',').any(|name| name.trim() == kind.name()))
        };
        Ok(Self { image, kinds: all.into_iter().filter(chosen).collect() })
    }
}

/// A cluster with a namespace for one test.
struct Site {
    cluster: Arc<Cluster>,
    image: Image,
    name: String,
}

impl Site {
    fn platform(&self, kind: PlatformKind) -> AnyPlatform {
        Ground::Cluster(self.cluster.clone()).platform(kind)
    }

    fn spec(&self, min: u32, max: u32) -> FunctionSpec {
        FunctionSpec {
            name: self.name.clone(),
            binary: PathBuf::new(),
            env: BTreeMap::new(),
            path: self.image.health_path.clone(),
            cpu_cores: 0.2,
            memory_mib: 256,
            container_concurrency: 0,
            replicas: ReplicaBounds { min, max },
            platform_settings: BTreeMap::new(),
            image: Some(self.image.clone()),
            revisions: Vec::new(),
            storage_secret: None,
            allow_public_grading: false,
        }
    }

    /// What carries the run's label, and every pod of the test's namespace.
    async fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        let labelled = Selection::labelled(self.cluster.run.selector());
        for resource in [PODS, SERVICES, DEPLOYMENTS, KNATIVE_SERVICES] {
            let listed = self.cluster.api.list(&resource, None, &labelled).await.unwrap();
            let names = listed.items.iter().filter_map(|item| item["metadata"]["name"].as_str());
            left.extend(names.map(|name| format!("{} {name}", resource.kind)));
        }
        let pods = pods::list(&self.cluster.api, self.cluster.namespace(), "").await.unwrap();
        left.extend(pods.into_iter().map(|pod| pod.name));
        left
    }
}

/// Runs a rule on every platform, each in a namespace of its own, which is taken away whatever
/// happens.
async fn on_each<F: Future<Output = ()> + Send + 'static>(
    test: &str,
    only: Option<PlatformKind>,
    rule: impl Fn(Arc<Site>, PlatformKind) -> F,
) {
    let wish = match Wish::read() {
        Ok(wish) => wish,
        Err(why) => return println!("skipped: {test}: {why}"),
    };
    let _turn = TURN.lock().await;
    for kind in wish.kinds.iter().copied().filter(|kind| only.is_none_or(|only| only == *kind)) {
        let name = format!("e2e-{test}-{}", kind.name());
        let run = format!("{name}-{}", std::process::id());
        let choice = ClusterChoice { namespace: Some(run.clone()), ..ClusterChoice::default() };
        let cluster = Cluster::connect(choice, None, RunLabel::new(&run)).await.unwrap();
        let site = Arc::new(Site { cluster: Arc::new(cluster), image: wish.image.clone(), name });
        println!("{test} on {}", kind.name());
        let outcome = tokio::spawn(rule(site.clone(), kind)).await;
        site.cluster.api.delete(&NAMESPACES, None, &run).await.unwrap();
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic.into_panic());
        }
    }
}

async fn call(deployed: &Deployed, site: &Site) -> Answered {
    let endpoint = &deployed.endpoints[0];
    let wanted = Wanted { url: &endpoint.url, headers: &endpoint.headers, is_ours: site.image.is_ours };
    answer::get(wanted).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_function_answers_and_its_settings_have_the_same_keys() {
    on_each("answers", None, async |site, kind| {
        let mut platform = site.platform(kind);
        let deployed = platform.deploy(&site.spec(1, 1)).await.unwrap();
        println!("  ready after {:.2?}", deployed.ready_after);
        let answer = call(&deployed, &site).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let keys: Vec<&str> = deployed.settings.keys().map(String::as_str).collect();
        for key in setting::ON_CLUSTER {
            assert!(keys.contains(&key), "{key} is missing: {keys:?}");
            assert!(!deployed.settings[key].is_empty(), "{key} is empty");
        }
        for (key, value) in &deployed.settings {
            println!("  {key}: {value}");
        }
        let pods = deployed.pods.unwrap();
        let found = pods::list(&site.cluster.api, &pods.namespace, &pods.selector).await.unwrap();
        assert_eq!(found.iter().filter(|pod| !pod.terminating).count(), 1);
        if let Some(instance) = answer.instance {
            assert!(found.iter().any(|pod| pod.name == instance), "{instance} is none of {found:?}");
        }
        let started = Instant::now();
        platform.remove().await.unwrap();
        println!("  removed within {:.1?}", started.elapsed());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pinned_replicas_are_two_and_removal_leaves_nothing() {
    on_each("pinned", None, async |site, kind| {
        let mut platform = site.platform(kind);
        let deployed = platform.deploy(&site.spec(2, 2)).await.unwrap();
        println!("  ready after {:.2?}", deployed.ready_after);
        let limit = Instant::now() + Duration::from_secs(10);
        loop {
            let sample = platform.observe().await.unwrap();
            if (sample.ready, sample.desired) == (2, 2) {
                break;
            }
            assert!(Instant::now() < limit, "{sample:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let started = Instant::now();
        platform.remove().await.unwrap();
        println!("  removed within {:.1?}", started.elapsed());
        assert_eq!(site.left().await, Vec::<String>::new());
        platform.remove().await.unwrap();
        // Anew, also inside the platform's window of deletion.
        platform.deploy(&site.spec(1, 1)).await.unwrap();
        platform.remove().await.unwrap();
        assert_eq!(site.left().await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_is_reported_within_seconds() {
    on_each("bad-image", None, async |site, kind| {
        let mut platform = site.platform(kind);
        let mut spec = site.spec(1, 1);
        let image = spec.image.as_mut().unwrap();
        let repository = image.reference.split('@').next().unwrap();
        image.reference = format!("{repository}@sha256:{}", "0".repeat(64));
        let started = Instant::now();
        let error = platform.deploy(&spec).await.unwrap_err();
        println!("  after {:.1?}: {error}", started.elapsed());
        assert!(started.elapsed() < Duration::from_secs(30));
        assert!(matches!(error, PlatformError::NotReady { .. }), "{error}");
        assert!(error.to_string().to_lowercase().contains("image"), "{error}");
        let started = Instant::now();
        platform.remove().await.unwrap();
        println!("  removed within {:.1?}", started.elapsed());
        assert_eq!(site.left().await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_ends_at_once_is_reported_with_its_exit_code() {
    on_each("crash", None, async |site, kind| {
        if !site.image.is_ours {
            return println!("  skipped: only our own function is known to end so");
        }
        let mut platform = site.platform(kind);
        let mut spec = site.spec(1, 1);
        spec.env.insert("WORKLOAD".to_owned(), "nonsense".to_owned());
        let started = Instant::now();
        let error = platform.deploy(&spec).await.unwrap_err();
        println!("  after {:.1?}: {error}", started.elapsed());
        assert!(error.to_string().contains("exit code 2"), "{error}");
        platform.remove().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_path_that_is_not_there_is_reported_by_its_status() {
    on_each("probe", None, async |site, kind| {
        if kind == PlatformKind::OpenFaas {
            return println!("  skipped: OpenFaaS chooses its probe itself");
        }
        let mut platform = site.platform(kind);
        let mut spec = site.spec(1, 1);
        spec.image.as_mut().unwrap().health_path = "/not-there".to_owned();
        let started = Instant::now();
        let error = platform.deploy(&spec).await.unwrap_err();
        println!("  after {:.1?}: {error}", started.elapsed());
        assert!(error.to_string().contains("404"), "{error}");
        assert!(started.elapsed() < Duration::from_secs(45));
        platform.remove().await.unwrap();
    })
    .await;
}

/// The first deployment is deleted behind the platform's back; while its pod ends, the node has no
/// room for the second.
#[tokio::test(flavor = "multi_thread")]
async fn cpu_that_leaving_pods_still_hold_is_waited_for() {
    on_each("leaving", Some(PlatformKind::Knative), async |site, _| {
        let nodes = site.cluster.api.list(&NODES, None, &Selection::default()).await.unwrap();
        if nodes.items.len() > 1 {
            return println!("  skipped: it needs a cluster of one node");
        }
        let cores = nodes.items[0]["status"]["allocatable"]["cpu"].as_str().and_then(effective::cores);
        let mut spec = site.spec(1, 1);
        spec.cpu_cores = cores.unwrap() * 0.52;
        let mut first = Knative::new(site.cluster.clone());
        first.deploy(&spec).await.unwrap();
        let namespace = Some(site.cluster.namespace());
        assert!(site.cluster.api.delete(&KNATIVE_SERVICES, namespace, &site.name).await.unwrap());
        let mut second = Knative::new(site.cluster.clone());
        spec.name = format!("{}-second", site.name);
        let deployed = second.deploy(&spec).await.unwrap();
        println!("  ready after {:.1?}", deployed.ready_after);
        second.remove().await.unwrap();
        assert_eq!(site.left().await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_a_canary_are_attributed_to_their_revisions() {
    on_each("canary", Some(PlatformKind::Knative), async |site, _| {
        if !site.image.is_ours {
            return println!("  skipped: the image does not name its instance");
        }
        let share =
            |name: &str, percent| RevisionShare { name: name.to_owned(), percent, env: BTreeMap::new() };
        let spec =
            FunctionSpec { revisions: vec![share("stable", 90), share("canary", 10)], ..site.spec(1, 1) };
        let mut knative = Knative::new(site.cluster.clone());
        let deployed = knative.deploy(&spec).await.unwrap();
        println!("  ready after {:.2?}", deployed.ready_after);
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..300 {
            let instance = call(&deployed, &site).await.instance.unwrap();
            *counts.entry(knative.revision_of(&instance).unwrap()).or_default() += 1;
        }
        println!("  {counts:?}");
        let canary = counts[&format!("{}-canary", site.name)];
        // 300 calls, 10 %: 30, and 5.2 is one standard deviation of the binomial.
        assert!((10..=50).contains(&canary), "{counts:?}");
        assert_eq!(counts.len(), 2);
        knative.remove().await.unwrap();
        assert_eq!(site.left().await, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_goes_to_zero_and_a_new_process_answers_after_it() {
    on_each("zero", Some(PlatformKind::Knative), async |site, kind| {
        let mut platform = site.platform(kind);
        let mut spec = site.spec(0, 1);
        spec.platform_settings.insert("window".to_owned(), "6s".to_owned());
        let deployed = platform.deploy(&spec).await.unwrap();
        let before = call(&deployed, &site).await;
        let proof = platform.wait_for_zero(Duration::from_mins(4)).await.unwrap();
        println!("  zero after {:.1?}: {}; gone: {:?}", proof.waited, proof.autoscaler, proof.gone);
        assert_eq!(platform.observe().await.unwrap().ready, 0);
        let started = Instant::now();
        let after = call(&deployed, &site).await;
        println!("  cold start {:.0?}", started.elapsed());
        assert_eq!(after.status, 200);
        if site.image.is_ours {
            assert_ne!(before.boot_id, after.boot_id, "a new process");
        }
        platform.remove().await.unwrap();
    })
    .await;
}
