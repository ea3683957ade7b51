//! Whether a stopped run may go on here: what it began with against what is there now. Pure.

use serde_json::Value;

use crate::reports::format;

/// What a difference means for figures that are put beside earlier ones.
enum Weight {
    /// They could not be compared; with the remedy.
    Refused(&'static str),
    /// They can, and the reader must know.
    Noticed,
}

use Weight::{Noticed, Refused};

const NEW_RUN: &str = "start a new run";
const SAME_FILES: &str = "put the first ones back, or start a new run";

/// A fact of `environment.json`, what people call it, and what a difference means.
const FACTS: [(&str, &str, Weight); 19] = [
    ("/harness/version", "version of the harness", Refused("use the first one, or start a new run")),
    ("/harness/sha256", "build of the harness", Noticed),
    (
        "/function/function_sha256",
        "function's binary",
        Refused("give the first one as --function-binary, or start a new run"),
    ),
    ("/function/image", "image", Refused(NEW_RUN)),
    ("/function/model/sha256", "model", Refused(SAME_FILES)),
    ("/function/pictures/files", "set of pictures", Refused(SAME_FILES)),
    ("/function/payloads", "set of payloads", Refused(SAME_FILES)),
    ("/machine/cpu_model", "machine's CPU", Refused("go on where it began, or start a new run")),
    (
        "/machine/cpus",
        "number of the machine's CPUs",
        Refused("give it as many as before, or start a new run"),
    ),
    ("/machine/memory_mib", "machine's memory (MiB)", Noticed),
    ("/machine/kernel", "kernel", Noticed),
    ("/machine/distribution", "distribution", Noticed),
    ("/machine/cpu_governor", "CPU governor", Noticed),
    ("/machine/clock_source", "clock source", Noticed),
    (
        "/cluster/context",
        "cluster's context",
        Refused("choose the first one (kubectl config use-context), or start a new run"),
    ),
    ("/cluster/kubernetes", "version of Kubernetes", Noticed),
    ("/cluster/nodes", "nodes of the cluster", Noticed),
    ("/cluster/knative", "installation of Knative", Noticed),
    ("/cluster/openfaas", "installation of OpenFaaS", Noticed),
];

/// Letters of a value that are shown.
const SHOWN: usize = 60;

/// What differs now from what a run began with, one sentence each, for its report.
///
/// # Errors
/// Everything that forbids to go on, in one line with its remedies.
pub fn differences(before: &Value, now: &Value) -> Result<Vec<String>, String> {
    let mut refused = Vec::new();
    let mut noticed = Vec::new();
    for (pointer, what, weight) in &FACTS {
        // What the first run did not know cannot be compared.
        let Some(first) = before.pointer(pointer).filter(|value| !value.is_null()) else { continue };
        let here = now.pointer(pointer).unwrap_or(&Value::Null);
        if first == here {
            continue;
        }
        let values = format!("{} then, {} now", shown(first), shown(here));
        match weight {
            Refused(remedy) => refused.push(format!("the {what} is another one ({values}); {remedy}")),
            Noticed => noticed.push(format!("The {what} is not the one that the run began with ({values}).")),
        }
    }
    if refused.is_empty() { Ok(noticed) } else { Err(refused.join("; ")) }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return format::NONE.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => return format::plural(items.len(), "entry").replace("entrys", "entries"),
        Value::Object(_) => return "a list of settings".to_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn environment() -> Value {
        json!({
            "harness": { "version": "0.1.0", "sha256": "aa" },
            "function": { "function_sha256": "bb", "image": null, "model": { "sha256": "cc" },
                "pictures": { "files": [{ "name": "a", "sha256": "dd" }] } },
            "machine": { "cpu_model": "X", "cpus": 2, "kernel": "6.1" },
            "cluster": null,
        })
    }

    #[test]
    fn the_same_environment_is_no_news() {
        assert_eq!(differences(&environment(), &environment()), Ok(Vec::new()));
    }

    #[test]
    fn another_kernel_or_build_is_told_in_the_report() {
        let mut now = environment();
        now["machine"]["kernel"] = json!("6.2");
        now["harness"]["sha256"] = json!("ab");
        let noticed = differences(&environment(), &now).unwrap();
        assert_eq!(
            noticed,
            [
                "The build of the harness is not the one that the run began with (aa then, ab now).",
                "The kernel is not the one that the run began with (6.1 then, 6.2 now)."
            ]
        );
    }

    #[test]
    fn whatever_would_mix_two_things_in_one_figure_is_refused_with_the_remedy() {
        for (pointer, remedy) in [
            ("/harness/version", "use the first one"),
            ("/function/function_sha256", "--function-binary"),
            ("/function/model/sha256", "start a new run"),
            ("/function/pictures/files/0/sha256", "start a new run"),
            ("/machine/cpu_model", "go on where it began"),
            ("/machine/cpus", "as many as before"),
        ] {
            let mut now = environment();
            *now.pointer_mut(pointer).unwrap() = json!("other");
            let refused = differences(&environment(), &now).unwrap_err();
            assert!(refused.contains(remedy) && refused.lines().count() == 1, "{pointer}: {refused}");
        }
    }

    #[test]
    fn another_cluster_or_image_is_refused_and_two_reasons_stand_in_one_line() {
        let cluster = json!({ "function": { "image": "r/f@sha256:1" }, "cluster": { "context": "lab" } });
        let now = json!({ "function": { "image": "r/f@sha256:2" }, "cluster": { "context": "home" } });
        let refused = differences(&cluster, &now).unwrap_err();
        assert!(refused.contains("r/f@sha256:1 then") && refused.contains("use-context"), "{refused}");
    }
}
