//! Time lines from recorded objects, and from a server that plays them.

use std::{collections::BTreeSet, fmt::Write, sync::Arc};

use serde_json::{Value, json};

use super::{answers::FirstAnswers, *};
use crate::{
    analyse::lives,
    collect::clock::unix_ns,
    platforms::{PlatformKind, cluster::follow::Change},
    record::{Outcome, Record},
    replay::{Exchange, Replay},
};

fn recorded(name: &str) -> Value {
    Exchange::recorded(&format!("timeline/{name}")).body
}

fn moments(start: &str, name: &str) -> Moments {
    Moments::new(unix_ns(start).unwrap(), name, BTreeSet::new())
}

/// A moment a line, as people would tell them.
fn told(moments: Moments) -> String {
    let mut all = moments.into_moments();
    all.sort_by_key(|m| (m.at_ns, m.phase));
    all.iter().fold(String::new(), |mut out, m| {
        let at_s = m.at_ns as f64 / 1e9;
        let pod = m.replica.as_deref().map_or("-", |pod| &pod[pod.len() - 5..]);
        let detail: String = m.detail.chars().take(60).collect();
        let line = format!("{at_s:.3} {pod} {} {} {detail}", m.source.title(), m.phase.title());
        _ = writeln!(out, "{}", line.trim_end());
        out
    })
}

#[test]
fn a_pod_that_started_tells_its_phases_by_status_and_events() {
    let mut moments = moments("2026-11-20T23:55:43Z", "rec-hello");
    // Events may be heard of before their pod.
    for event in recorded("events")["items"].as_array().unwrap() {
        moments.take(Watched::Events, 900_000_000, &Change::Applied(event.clone()));
    }
    for pod in recorded("pods-of-revision")["items"].as_array().unwrap() {
        moments.take(Watched::Pods, 11_500_000_000, &Change::Applied(pod.clone()));
    }
    assert_eq!(moments.living().count(), 1);
    insta::assert_snapshot!(told(moments), @r#"
    0.000 wd8tf status requested
    0.000 wd8tf status scheduled bench-node
    0.000 wd8tf event image there Container image "10.200.0.1:5000/benchfn@sha256:d284a4522643
    0.000 wd8tf status started
    0.437 wd8tf event scheduled bench-node
    0.900 wd8tf watch image there Container image "10.200.0.1:5000/benchfn@sha256:d284a4522643
    11.000 wd8tf status ready
    11.500 wd8tf watch requested
    11.500 wd8tf watch scheduled bench-node
    11.500 wd8tf watch started
    11.500 wd8tf watch ready
    "#);
}

#[test]
fn a_pod_that_ends_was_told_so_a_grace_period_before_its_deletion_time() {
    let mut moments = moments("2026-11-20T23:56:57Z", "rec-hello");
    let mut at_ns = 0;
    for event in recorded("pods-watch-delete").as_array().unwrap() {
        at_ns += 100_000_000;
        let pod = event["object"].clone();
        let change = if event["type"] == "DELETED" { Change::Deleted(pod) } else { Change::Applied(pod) };
        moments.take(Watched::Pods, at_ns, &change);
    }
    assert_eq!(moments.living().count(), 0);
    insta::assert_snapshot!(told(moments), @r#"
    0.000 59pnn status requested
    0.000 59pnn status scheduled bench-node
    0.000 59pnn status started
    0.100 59pnn watch requested
    0.100 59pnn watch scheduled bench-node
    0.100 59pnn watch started
    0.100 59pnn watch told to end
    0.500 59pnn watch gone
    62.000 59pnn status told to end
    "#);
}

#[test]
fn a_container_that_crashes_is_told_of_with_its_exit_code() {
    let mut moments = moments("2026-11-20T23:49:11Z", "rec-crash");
    for pod in recorded("rec-crash-pods")["items"].as_array().unwrap() {
        moments.take(Watched::Pods, 30_000_000_000, &Change::Applied(pod.clone()));
    }
    for event in recorded("events")["items"].as_array().unwrap() {
        moments.take(Watched::Events, 31_000_000_000, &Change::Applied(event.clone()));
    }
    insta::assert_snapshot!(told(moments), @r#"
    1.000 sxvnn status requested
    1.000 sxvnn status scheduled bench-node
    1.000 sxvnn event image there Container image "10.200.0.1:5000/benchfn@sha256:d284a4522643
    1.194 sxvnn event scheduled bench-node
    30.000 sxvnn watch requested
    30.000 sxvnn watch scheduled bench-node
    30.000 sxvnn watch started
    30.000 sxvnn watch restarted exit code 3, Error
    31.000 sxvnn watch image there Container image "10.200.0.1:5000/benchfn@sha256:d284a4522643
    31.000 - watch event Route rec-crash: InternalError: failed to remove route annot
    31.000 sxvnn watch event BackOff: Back-off restarting failed container user-container
    45.000 sxvnn event event BackOff: Back-off restarting failed container user-container
    79.000 - event event Route rec-crash: InternalError: failed to remove route annot
    "#);
}

#[test]
fn conditions_of_the_service_and_wishes_of_the_autoscaler_are_told_when_they_change() {
    let mut moments = moments("2026-11-20T23:55:43Z", "rec-hello");
    let mut at_ns = 0;
    for name in ["ksvc-watch-create-to-ready", "podautoscaler-watch-from-zero"] {
        for event in recorded(name).as_array().unwrap() {
            at_ns += 100_000_000;
            moments.take(Watched::Owner, at_ns, &Change::Applied(event["object"].clone()));
        }
    }
    insta::assert_snapshot!(told(moments), @r#"
    0.200 - watch condition Service ConfigurationsReady Unknown (OutOfDate)
    0.200 - watch condition Service Ready Unknown (OutOfDate)
    0.200 - watch condition Service RoutesReady Unknown (OutOfDate)
    0.300 - watch condition Service ConfigurationsReady Unknown
    0.300 - watch condition Service Ready Unknown (RevisionMissing)
    0.300 - watch condition Service RoutesReady Unknown (RevisionMissing)
    0.400 - watch condition Service ConfigurationsReady True
    0.500 - watch condition Service Ready Unknown (IngressNotConfigured)
    0.500 - watch condition Service RoutesReady Unknown (IngressNotConfigured)
    0.600 - watch condition Service Ready Unknown (Uninitialized)
    0.600 - watch condition Service RoutesReady Unknown (Uninitialized)
    0.700 - watch condition Service Ready True
    0.700 - watch condition Service RoutesReady True
    0.800 - watch condition PodAutoscaler wants 1 replica
    0.800 - watch condition PodAutoscaler Active Unknown (Queued)
    0.800 - watch condition PodAutoscaler Ready Unknown (Queued)
    0.800 - watch condition PodAutoscaler SKSReady Unknown (NotReady)
    0.800 - watch condition PodAutoscaler ScaleTargetInitialized True
    0.900 - watch condition PodAutoscaler Active True
    0.900 - watch condition PodAutoscaler Ready Unknown (NotReady)
    "#);
}

#[test]
fn what_was_there_before_the_deploy_call_is_left_out() {
    let pods = recorded("pods-of-revision");
    let pod = &pods["items"][0];
    let before = BTreeSet::from([pod["metadata"]["uid"].as_str().unwrap().to_owned()]);
    let mut moments = Moments::new(unix_ns("2026-11-20T23:55:43Z").unwrap(), "rec-hello", before);
    moments.take(Watched::Pods, 0, &Change::Applied(pod.clone()));
    moments.take(Watched::Events, 0, &Change::Applied(recorded("events")["items"][0].clone()));
    assert_eq!(moments.left_over.len(), 1);
    assert!(moments.into_moments().is_empty());
}

fn record(done_ms: u64, instance: Option<&str>) -> Record {
    Record {
        call_id: 0,
        scheduled_ns: 0,
        sent_ns: 0,
        connected_ns: None,
        first_byte_ns: None,
        done_ns: done_ms * 1_000_000,
        status: 200,
        outcome: Outcome::Ok,
        bytes_sent: 0,
        bytes_received: 0,
        payload: 0,
        endpoint: 0,
        connection: 0,
        instance: instance.map(Arc::from),
        cold: false,
        server: None,
    }
}

#[test]
fn the_first_of_an_instances_answers_is_taken_whatever_their_order() {
    let mut answers = FirstAnswers::default();
    answers.load_begins("t01-knative-open", 5_000_000_000);
    let rows = [
        record(700, Some("pod-a/b2")),
        record(300, Some("pod-a/b1")),
        record(5, None),
        record(9, Some("/b")),
    ];
    answers.take(5_000_000_000, &rows);
    let found = answers.moments(1_000_000_000);
    let told: Vec<_> = found.iter().map(|m| (m.at_ns / 1_000_000, m.replica.as_deref(), m.phase)).collect();
    assert_eq!(told, [(4300, Some("pod-a"), Phase::FirstAnswer), (4000, None, Phase::Load)]);
}

fn target() -> Target {
    Target {
        kind: PlatformKind::Knative,
        namespace: "default".to_owned(),
        name: "rec-hello".to_owned(),
        pods: "serving.knative.dev/service=rec-hello".to_owned(),
    }
}

const PODS: &str = "/api/v1/namespaces/default/pods";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const KSVCS: &str = "/apis/serving.knative.dev/v1/namespaces/default/services";
const SCALERS: &str = "/apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/default/podautoscalers";

fn list(path: &str, version: &str, items: &[Value]) -> Exchange {
    Exchange::new("GET", path, 200, json!({ "metadata": { "resourceVersion": version }, "items": items }))
}

fn watch(path: &str, events: Value) -> Exchange {
    Exchange { watch: true, ..Exchange::new("GET", path, 200, events) }
}

/// A quiet cluster; pods come from `pods`.
async fn server(pods: Vec<Exchange>) -> Replay {
    let mut version = Exchange::new("GET", "/version", 200, json!({}));
    version.headers.push(("date".to_owned(), "Fri, 20 Nov 2026 23:56:57 GMT".to_owned()));
    let quiet = [KSVCS, SCALERS].map(|path| [list(path, "1", &[]), watch(path, json!([]))]);
    let forbidden = Exchange::new(
        "GET",
        EVENTS,
        403,
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": "Failure", "message": "events is forbidden", "reason": "Forbidden", "code": 403 }),
    );
    Replay::start(pods.into_iter().chain(quiet.into_iter().flatten()).chain([forbidden, version])).await
}

#[tokio::test]
async fn a_recorder_hears_a_pods_end_over_a_version_that_is_too_old_and_names_its_gaps() {
    let deletion = recorded("pods-watch-delete");
    let (first, last) = (&deletion[0]["object"], &deletion[4]["object"]);
    let too_old = json!([{ "type": "ERROR", "object": { "kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": "Failure", "message": "too old resource version", "reason": "Expired", "code": 410 } }]);
    let server = server(vec![
        // What was there before, then what the watch begins with, then the list after the 410.
        list(PODS, "1", &[]),
        list(PODS, "2", std::slice::from_ref(first)),
        list(PODS, "3", std::slice::from_ref(first)),
        watch(PODS, too_old),
        watch(PODS, json!([{ "type": "DELETED", "object": last }])),
    ])
    .await;
    let recorder = Recorder::start(&server.api(), &target()).await;
    let heard = tokio::time::timeout(std::time::Duration::from_secs(5), recorder.heard_of_the_end());
    heard.await.expect("the pod's end is played at once");
    let mut answers = FirstAnswers::default();
    answers.deployed_at(recorder.started_unix_ns() + 1_000_000);
    let timeline = recorder.finish(&answers).await;
    let pod = first["metadata"]["name"].as_str().unwrap();
    let of_pod: Vec<_> = timeline
        .moments
        .iter()
        .filter(|m| m.replica.as_deref() == Some(pod) && m.source == Source::Watch)
        .map(|m| m.phase)
        .collect();
    let expected = [Phase::Requested, Phase::Scheduled, Phase::Started, Phase::Terminating, Phase::Gone];
    assert_eq!(of_pod, expected, "{timeline:#?}");
    let [events, lost] = timeline.gaps.as_slice() else { panic!("{:?}", timeline.gaps) };
    assert!(events.starts_with("events could not be watched: not allowed"), "{events}");
    assert!(lost.starts_with("the watch on pods was lost") && lost.contains("410"), "{lost}");
    assert!(timeline.clock.is_some());
    assert_eq!(lives::phases(&timeline).len(), 1);
}

#[tokio::test]
async fn a_time_line_goes_to_the_run_folder_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let run = crate::store::RunFolder::create(folder.path(), "r").unwrap();
    assert!(run.read_timelines().0.is_empty());
    let moment = Moment {
        at_ns: -5,
        replica: Some("a".to_owned()),
        phase: Phase::Pulled,
        detail: "x".to_owned(),
        source: Source::FineEvent,
    };
    let timeline = Timeline { started_unix_ns: 7, moments: vec![moment], ..Timeline::default() };
    run.write_timeline("t01-knative", &timeline).unwrap();
    run.write_file("deployments/t02-knative.json", b"{ torn").unwrap();
    let (read, damage) = run.read_timelines();
    assert_eq!(read.get("t01-knative"), Some(&timeline));
    assert_eq!((read.len(), damage.len()), (1, 1));
    assert!(damage[0].contains("t02-knative.json"));
}

/// On a real cluster, opt-in: a Knative Service is made and deleted, its life recorded and printed.
/// `HARNESS_E2E=1 HARNESS_E2E_IMAGE=REF cargo test -p harness --lib -- --ignored --nocapture real_cluster`.
#[tokio::test]
#[ignore = "needs a cluster with Knative, and an image"]
async fn the_life_of_a_replica_on_a_real_cluster() {
    use std::time::Duration;

    use crate::platforms::cluster::{Cluster, ClusterChoice, RunLabel, pods, resources::KNATIVE_SERVICES};
    if std::env::var_os("HARNESS_E2E").is_none() {
        return;
    }
    let image = std::env::var("HARNESS_E2E_IMAGE").expect("HARNESS_E2E_IMAGE names an image");
    let choice = ClusterChoice { namespace: Some("default".to_owned()), ..ClusterChoice::default() };
    let run = RunLabel::new("watchdoc-life");
    let labels = run.labels();
    let cluster = Cluster::connect(choice, None, run).await.unwrap();
    let name = "watchdoc-life";
    let target = Target::of(&cluster, PlatformKind::Knative, name).unwrap();
    let recorder = Recorder::start(&cluster.api, &target).await;
    let service = json!({
        "apiVersion": "serving.knative.dev/v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "default", "labels": labels },
        "spec": { "template": { "spec": { "containers": [{
            "image": image,
            "readinessProbe": { "httpGet": { "path": "/" }, "periodSeconds": 1 },
            "resources": { "requests": { "cpu": "50m" }, "limits": { "cpu": "1" } },
        }] } } },
    });
    cluster.api.apply(&KNATIVE_SERVICES, Some("default"), &service).await.unwrap();
    let ready = tokio::time::timeout(Duration::from_mins(1), async {
        loop {
            let found = cluster.api.get(&KNATIVE_SERVICES, Some("default"), name).await.unwrap().unwrap();
            let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
            if conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let ready = ready.await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
    cluster.api.delete(&KNATIVE_SERVICES, Some("default"), name).await.unwrap();
    let left =
        pods::wait_until_gone(&cluster.api, "default", &target.pods, Duration::from_mins(6)).await.unwrap();
    let mut answers = FirstAnswers::default();
    answers.deployed_at(now);
    let timeline = recorder.finish(&answers).await;
    for m in &timeline.moments {
        let at_s = m.at_ns as f64 / 1e9;
        println!("{at_s:8.3} {:?} {:?} {:?} {}", m.source, m.phase, m.replica, m.detail);
    }
    println!("clock {:?}\ngaps {:#?}", timeline.clock.map(ClockOffset::words), timeline.gaps);
    for life in lives::phases(&timeline) {
        println!("{} {:?} {:?}", life.replica, life.start, life.stages());
    }
    println!("{:#}", crate::collect::versions::versions(&cluster).await);
    assert!(ready.is_ok(), "the Service became ready");
    assert!(left.is_empty(), "{left:?}");
    let lives = lives::phases(&timeline);
    assert!(
        !lives.is_empty() && lives.iter().all(|life| life.phases.contains_key(&Phase::Gone)),
        "{lives:?}"
    );
}
