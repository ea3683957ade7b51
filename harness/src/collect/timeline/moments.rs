//! From objects as a watch tells them to moments. Pure: times come with the objects.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Moment, Phase, Source, answers::since};
use crate::{
    collect::clock::unix_ns,
    platforms::cluster::{follow::Change, pods::Pod},
};

/// Containers that are not the function's.
const SIDECARS: [&str; 3] = ["queue-proxy", "istio-proxy", "linkerd-proxy"];

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watched {
    /// The function's pods.
    Pods,
    /// Events of the namespace.
    Events,
    /// The object that the platform keeps for the function: Knative Service, PodAutoscaler,
    /// Deployment.
    Owner,
}

/// Collects moments of one deployment.
#[derive(Debug)]
pub struct Moments {
    started_unix_ns: u64,
    /// Name of the function: what the names of its objects begin with.
    name: String,
    /// Objects that were there before the deploy call, by uid.
    before: BTreeSet<String>,
    pods: BTreeMap<String, Seen>,
    conditions: BTreeMap<(String, String), String>,
    events: BTreeSet<(String, u64)>,
    moments: Vec<Moment>,
    /// Moments of events about pods that were not heard of yet, by the pod's uid.
    waiting: Vec<(String, Moment)>,
    /// Names of objects that were left out.
    pub(super) left_over: BTreeSet<String>,
}

/// What is known of a pod so far.
#[derive(Debug, Default)]
struct Seen {
    name: String,
    restarts: u32,
    is_gone: bool,
}

impl Moments {
    /// For a function that is deployed now; `before`: uids of what is there already.
    pub fn new(started_unix_ns: u64, name: &str, before: BTreeSet<String>) -> Self {
        Self {
            started_unix_ns,
            name: name.to_owned(),
            before,
            pods: BTreeMap::new(),
            conditions: BTreeMap::new(),
            events: BTreeSet::new(),
            moments: Vec::new(),
            waiting: Vec::new(),
            left_over: BTreeSet::new(),
        }
    }

    /// Takes one change, heard at `at_ns` since the deploy call.
    pub fn take(&mut self, watched: Watched, at_ns: i64, change: &Change) {
        match (watched, change) {
            (_, Change::Lost(_)) => {}
            (Watched::Pods, Change::Applied(pod)) => self.pod(at_ns, pod, false),
            (Watched::Pods, Change::Deleted(pod)) => self.pod(at_ns, pod, true),
            (Watched::Events, Change::Applied(event)) => self.event(at_ns, event),
            (Watched::Owner, Change::Applied(owner)) => self.owner(at_ns, owner),
            (Watched::Owner, Change::Deleted(owner)) => {
                let kind = owner["kind"].as_str().unwrap_or("object");
                self.tell(at_ns, None, Phase::Condition, format!("{kind} deleted"), Source::Watch);
            }
            // Events expire; that says nothing of the function.
            (Watched::Events, Change::Deleted(_)) => {}
        }
    }

    #[cfg(test)]
    pub(super) fn any_pods(&self) -> bool {
        !self.pods.is_empty()
    }

    /// Pods that are not gone yet.
    pub fn living(&self) -> impl Iterator<Item = &str> {
        self.pods.values().filter(|pod| !pod.is_gone).map(|pod| pod.name.as_str())
    }

    /// What was collected, unsorted; moments by the cluster's clock are not corrected yet.
    pub fn into_moments(self) -> Vec<Moment> {
        let pods = self.pods;
        let known = self.waiting.into_iter().filter_map(|(uid, moment)| {
            let replica = Some(pods.get(&uid)?.name.clone());
            Some(Moment { replica, ..moment })
        });
        let known: Vec<_> = known.collect();
        self.moments.into_iter().chain(known).collect()
    }

    fn tell(&mut self, at_ns: i64, replica: Option<&str>, phase: Phase, detail: String, source: Source) {
        let replica = replica.map(str::to_owned);
        self.moments.push(Moment { at_ns, replica, phase, detail, source });
    }

    /// A phase of a pod that is told once by each source: when it was heard, and when it is said
    /// to have begun.
    fn once(&mut self, heard_ns: i64, pod: &str, phase: Phase, detail: &str, said: Option<i64>) {
        let told = self.moments.iter().any(|m| m.phase == phase && m.replica.as_deref() == Some(pod));
        if told {
            return;
        }
        self.tell(heard_ns, Some(pod), phase, detail.to_owned(), Source::Watch);
        if let Some(at_ns) = said {
            self.tell(at_ns, Some(pod), phase, detail.to_owned(), Source::Status);
        }
    }

    fn pod(&mut self, at_ns: i64, object: &Value, deleted: bool) {
        let pod = Pod::read(object);
        if self.before.contains(&pod.uid) {
            self.left_over.insert(pod.name);
            return;
        }
        let time = |value: &Value| value.as_str().and_then(|text| self.said(text));
        let (meta, status) = (&object["metadata"], &object["status"]);
        let requested = time(&meta["creationTimestamp"]);
        let condition = |name: &str| {
            let mut all = status["conditions"].as_array().into_iter().flatten();
            let found = all.find(|c| c["type"] == name && c["status"] == "True")?;
            Some(time(&found["lastTransitionTime"]))
        };
        let (scheduled, ready) = (condition("PodScheduled"), condition("Ready"));
        let function =
            status["containerStatuses"].as_array().into_iter().flatten().find(|c| is_function(&c["name"]));
        let started = function.and_then(|c| {
            // A container that crashes at once may be heard of only when it has ended.
            let states = [&c["state"]["running"], &c["state"]["terminated"], &c["lastState"]["terminated"]];
            let state = states.into_iter().find(|state| !state.is_null())?;
            // After a restart it speaks of the last start, not of the first.
            Some(if c["restartCount"] == 0 { time(&state["startedAt"]) } else { None })
        });
        let grace_ns = meta["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) * 1_000_000_000;
        let told_to_end = pod.terminating.then(|| time(&meta["deletionTimestamp"]).map(|at| at - grace_ns));
        let ended =
            pod.containers.iter().find(|c| !SIDECARS.contains(&&*c.name)).and_then(|c| c.ended.clone());

        let name = pod.name.as_str();
        self.once(at_ns, name, Phase::Requested, "", requested);
        if let Some(node) = &pod.node {
            self.once(at_ns, name, Phase::Scheduled, node, scheduled.flatten());
        }
        if let Some(at) = started {
            self.once(at_ns, name, Phase::Started, "", at);
        }
        if let Some(at) = ready {
            self.once(at_ns, name, Phase::Ready, "", at);
        }
        if let Some(at) = told_to_end {
            self.once(at_ns, name, Phase::Terminating, "", at);
        }
        let seen = self.pods.entry(pod.uid.clone()).or_default();
        seen.name.clone_from(&pod.name);
        seen.is_gone = deleted;
        let restarts = pod.restarts();
        let again = restarts.saturating_sub(seen.restarts);
        seen.restarts = restarts;
        if again > 0 {
            let why =
                ended.map(|(code, reason, _)| format!("exit code {code}, {reason}")).unwrap_or_default();
            self.tell(at_ns, Some(name), Phase::Restarted, why, Source::Watch);
        }
        if deleted {
            self.once(at_ns, name, Phase::Gone, "", None);
        }
    }

    /// Conditions of the function's own object, and how many replicas it wants.
    fn owner(&mut self, at_ns: i64, object: &Value) {
        let kind = object["kind"].as_str().unwrap_or("object").to_owned();
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let mut changed = Vec::new();
        let wanted = if kind == "PodAutoscaler" {
            &object["status"]["desiredScale"]
        } else {
            &object["spec"]["replicas"]
        };
        if let Some(wanted) = wanted.as_i64() {
            let noun = if wanted == 1 { "replica" } else { "replicas" };
            changed.push(("wanted".to_owned(), format!("{kind} wants {wanted} {noun}")));
        }
        for condition in object["status"]["conditions"].as_array().into_iter().flatten() {
            let text = |key: &str| condition[key].as_str().unwrap_or_default();
            let reason =
                if text("reason").is_empty() { String::new() } else { format!(" ({})", text("reason")) };
            changed.push((
                text("type").to_owned(),
                format!("{kind} {} {}{reason}", text("type"), text("status")),
            ));
        }
        for (key, words) in changed {
            let last = self.conditions.insert((uid.clone(), key), words.clone());
            if last.as_ref() != Some(&words) {
                self.tell(at_ns, None, Phase::Condition, words, Source::Watch);
            }
        }
    }

    fn event(&mut self, at_ns: i64, event: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let about = &event["involvedObject"];
        let (uid, kind, name) = (text(&about["uid"]), text(&about["kind"]), text(&about["name"]));
        let times = event["count"].as_u64().or(event["series"]["count"].as_u64()).unwrap_or(1);
        let ours =
            name == self.name || name.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with('-'));
        // An event that repeats is told once again for each doubling: a failing probe says little new.
        let is_new = times.is_power_of_two() && self.events.insert((text(&event["metadata"]["uid"]), times));
        if !ours || !is_new || self.before.contains(&uid) {
            return;
        }
        if self.before.contains(&text(&event["metadata"]["uid"])) && times == 1 {
            return;
        }
        let reason = text(&event["reason"]);
        let said = text(&event["message"]).split_whitespace().collect::<Vec<_>>().join(" ");
        let field = text(&about["fieldPath"]);
        let container = field.strip_prefix("spec.containers{").map(|rest| rest.trim_end_matches('}'));
        let is_function = container.is_none_or(|name| !SIDECARS.contains(&name));
        let phase = match reason.as_str() {
            "Scheduled" => Phase::Scheduled,
            "Pulled" if is_function => Phase::Pulled,
            "Pulling" if is_function => Phase::Event,
            _ if event["type"] == "Warning" => Phase::Event,
            _ => return,
        };
        let detail = match phase {
            Phase::Event if kind == "Pod" => format!("{reason}: {said}"),
            Phase::Event => format!("{kind} {name}: {reason}: {said}"),
            Phase::Scheduled => said.rsplit(' ').next().unwrap_or_default().to_owned(),
            _ => said,
        };
        let (source, stamp) = match event["eventTime"].as_str() {
            Some(fine) => (Source::FineEvent, self.said(fine)),
            None => {
                // An event that repeats: a phase begins with the first, trouble is told of the last.
                let keys = if phase == Phase::Event {
                    ["lastTimestamp", "firstTimestamp"]
                } else {
                    ["firstTimestamp", "lastTimestamp"]
                };
                let stamp = keys.iter().find_map(|key| event[*key].as_str());
                (Source::Event, stamp.and_then(|stamp| self.said(stamp)))
            }
        };
        let heard = (phase != Phase::Scheduled).then_some((Source::Watch, Some(at_ns)));
        for (source, at) in [Some((source, stamp)), heard].into_iter().flatten() {
            let Some(at_ns) = at else { continue };
            let moment = Moment { at_ns, replica: None, phase, detail: detail.clone(), source };
            if kind == "Pod" {
                // Its pod may be heard of later: the watches are not in step.
                self.waiting.push((uid.clone(), moment));
            } else {
                self.moments.push(moment);
            }
        }
    }

    /// A time stamp of the cluster, since the deploy call.
    fn said(&self, stamp: &str) -> Option<i64> {
        unix_ns(stamp).map(|at| since(self.started_unix_ns, at))
    }
}

fn is_function(container: &Value) -> bool {
    container.as_str().is_some_and(|name| !SIDECARS.contains(&name))
}
