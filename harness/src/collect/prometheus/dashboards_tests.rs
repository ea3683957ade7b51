//! Grafana's dashboards against a real Prometheus that serves the recorded block.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::tests::Server;

/// Seconds of the recording.
const RECORDED: (i64, i64) = (1_795_221_310, 1_795_221_728);

/// Series that were not recorded: kube-state-metrics was not there, and the recorded function was not ours; nothing
/// failed, and no revision had a concurrency limit.
const NOT_RECORDED: [&str; 5] = [
    "kube_deployment_status_replicas_ready",
    "function_",
    "code!~\"2..\"",
    "kn_serving_queue_depth",
    "process_start_time_seconds",
];

fn dashboards() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../grafana/dashboards");
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap())
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// An expression as Grafana sends it with everything selected.
fn filled_in(expression: &str) -> String {
    expression.replace("$__rate_interval", "30s").replace("$namespace", ".*").replace("$function", ".*")
}

#[test]
fn panels_have_places_of_their_own_and_take_the_chosen_datasource() {
    let all = dashboards();
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["comparison", "function", "knative", "openfaas"]);
    for (name, dashboard) in &all {
        let mut taken = std::collections::BTreeSet::new();
        let mut ids = std::collections::BTreeSet::new();
        for panel in list(dashboard, "panels") {
            let title = &panel["title"];
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}, {title}: an id is there twice");
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{name}, {title}: wider than the page");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{name}, {title}: on top of another panel");
                }
            }
            for target in list(panel, "targets") {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{name}, {title}");
            }
        }
        let spans = &dashboard["annotations"]["list"][0]["target"];
        assert_eq!(spans["tags"], serde_json::json!([crate::annotate::TESTBED, "$run"]), "{name}");
        assert_eq!(spans["matchAny"], false, "{name}: both tags, or every run's spans are shown");
        let variables = list(&dashboard["templating"], "list");
        assert!(variables.iter().any(|variable| variable["name"] == "run"), "{name}");
    }
}

#[tokio::test]
async fn every_expression_returns_data_on_the_recording_or_is_known_not_to_be_in_it() {
    let Some(server) = Server::start().await else { return };
    let client: prometheus_http_query::Client = server.url.parse().unwrap();
    let (mut asked, mut with_data) = (0, 0);
    for (name, dashboard) in dashboards() {
        let panels = list(&dashboard, "panels");
        for (panel, target) in panels.iter().flat_map(|p| list(p, "targets").iter().map(move |t| (p, t))) {
            let expression = target["expr"].as_str().unwrap();
            let about = format!("{name}, {}: {expression}", panel["title"]);
            let answer = client
                .query_range(filled_in(expression), RECORDED.0, RECORDED.1, 5.0)
                .get()
                .await
                .unwrap_or_else(|error| panic!("{about}: {error}"));
            let has_data = answer.data().as_matrix().is_some_and(|series| !series.is_empty());
            let excused = NOT_RECORDED.iter().any(|part| expression.contains(part));
            assert!(has_data || excused, "{about}: no data");
            asked += 1;
            with_data += u32::from(has_data);
        }
    }
    assert!(asked > 50 && with_data > 35, "{asked} expressions, {with_data} with data");
}

#[test]
fn the_dashboards_are_as_their_script_writes_them() {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../grafana/make_dashboards.py");
    let Ok(done) = std::process::Command::new("python3").arg(script).arg("--check").output() else {
        eprintln!("skipped: `python3` is not installed (apt-get install python3)");
        return;
    };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
