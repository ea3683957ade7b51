//! Events from the answer to the logger, with the real binaries: everybody's counts agree.

use serde_json::Value;
use tests::{binary, harness, text};

#[test]
fn every_correct_answer_has_one_event_at_the_logger_in_both_modes_and_none_without() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = harness(folder.path());
    command.args(["compare", "--question", "events", "--on", "twin", "--workload", "null", "--trials", "1"]);
    command.args([
        "--duration",
        "1s",
        "--rate",
        "50",
        "--connections",
        "2",
        "--name",
        "run",
        "--output",
        "json",
    ]);
    command.arg("--function-binary").arg(binary("function"));
    let output = command.output().unwrap();
    let (stdout, stderr) = text(&output);
    // One trial of one second can bear no verdict: finished, but INVALID.
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let summary: Value = serde_json::from_str(&stdout).expect("--output json prints JSON alone");
    let subjects = serde_json::json!(["knative-off", "knative-background", "knative-inline"]);
    assert_eq!(summary["subjects"], subjects);
    let cells = summary["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 6);
    for cell in cells {
        let events = &cell["events"];
        let answers = events["answers"].as_u64().unwrap();
        assert!(answers > 20, "{cell:#}");
        let expected = if events["mode"] == "off" { 0 } else { answers };
        let function = &events["function"];
        let dropped: u64 =
            function["dropped"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        let logged = events["logged"].as_u64().unwrap() - events["duplicates"].as_u64().unwrap();
        assert_eq!(function["emitted"].as_u64(), Some(expected), "{events:#}");
        assert_eq!(logged + dropped, expected, "{events:#}");
        assert_eq!(events["broker"]["accepted"], function["delivered"], "{events:#}");
        if expected > 0 {
            assert!(events["delivery_ms"]["p50"].as_f64() > Some(0.0), "{events:#}");
        }
    }
    let page = std::fs::read_to_string(folder.path().join("runs/run/report.md")).unwrap();
    assert!(page.contains("## Events") && page.contains("At the logger"), "the section is missing");
}
