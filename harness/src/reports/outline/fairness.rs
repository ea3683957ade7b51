//! The settings in force on every side, and which differences a platform forces.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, Row, Table, Tone};
use crate::{
    platforms::{PlatformKind, setting},
    reports::{Document, format},
};

/// Settings in the order in which they are read, and their titles.
const TITLES: [(&str, &str); 26] = [
    (setting::ON, "Where"),
    (setting::PLATFORM, "Platform"),
    (setting::IMAGE, "Image"),
    ("function_binary_sha256", "Function's binary (SHA-256)"),
    (setting::PULL_POLICY, "Image is pulled"),
    (setting::CPU, "CPU, cores"),
    (setting::MEMORY, "Memory, MiB"),
    (setting::CONCURRENCY, "Requests at once in a replica"),
    (setting::REPLICAS_MIN, "Replicas, at least"),
    (setting::REPLICAS_MAX, "Replicas, at most"),
    (setting::AUTOSCALER, "Autoscaler"),
    (setting::PATH, "Path"),
    (setting::BODIES, "Bodies sent"),
    (setting::GENERATOR, "Generator"),
    (setting::ENTRY, "Entry"),
    (setting::HOPS, "On the way"),
    (setting::SIDECARS, "Sidecars"),
    (setting::BURST, "Target burst capacity"),
    (setting::BALANCING, "Who chooses the replica"),
    (setting::QUEUEING, "Where requests wait"),
    (setting::TIMEOUT, "Time limit of a request"),
    (setting::PROBE, "Probe"),
    (setting::SHUTDOWN, "End of a replica"),
    (setting::NODES, "Nodes"),
    ("cores_of_data_plane_and_replicas", "Cores of data plane and replicas"),
    ("revisions", "Revisions"),
];

/// A setting that a platform leaves no choice in.
struct Forced {
    platform: PlatformKind,
    key: &'static str,
    /// What the value holds where it is forced; empty: whatever it is.
    holds: &'static str,
    why: &'static str,
}

const fn forced(platform: PlatformKind, key: &'static str, holds: &'static str, why: &'static str) -> Forced {
    Forced { platform, key, holds, why }
}

const KNATIVE: PlatformKind = PlatformKind::Knative;
const OPENFAAS: PlatformKind = PlatformKind::OpenFaas;

/// What each platform forces. OpenFaaS is its Community Edition, by its sources (faas-netes 0.18).
const FORCED: [Forced; 19] = [
    forced(KNATIVE, setting::ENTRY, "", "Knative routes by host name at its ingress"),
    forced(KNATIVE, setting::HOPS, "", "Knative's ingress, activator and queue-proxy are how it works"),
    forced(KNATIVE, setting::SIDECARS, "queue-proxy", "every Knative pod has a queue-proxy"),
    forced(KNATIVE, setting::BURST, "", "only Knative has it"),
    forced(KNATIVE, setting::BALANCING, "", "Knative's activator and ingress choose"),
    forced(KNATIVE, setting::QUEUEING, "", "Knative queues in activator and queue-proxy"),
    forced(KNATIVE, setting::AUTOSCALER, "KPA", "Knative scales by its own autoscaler"),
    forced(KNATIVE, setting::PROBE, "queue-proxy", "Knative probes through the queue-proxy"),
    forced(OPENFAAS, setting::ENTRY, "", "OpenFaaS routes by path at its gateway"),
    forced(OPENFAAS, setting::HOPS, "", "OpenFaaS' gateway and provider are how it works"),
    forced(OPENFAAS, setting::BALANCING, "", "OpenFaaS' provider picks a random pod"),
    forced(OPENFAAS, setting::QUEUEING, "", "OpenFaaS does not queue"),
    forced(OPENFAAS, setting::CONCURRENCY, "none", "OpenFaaS CE has no concurrency limit"),
    forced(OPENFAAS, setting::AUTOSCALER, "alert", "OpenFaaS CE scales by an alert rule"),
    forced(OPENFAAS, setting::REPLICAS_MAX, "5", "OpenFaaS CE allows at most 5 replicas"),
    forced(OPENFAAS, setting::REPLICAS_MIN, "1", "OpenFaaS CE does not scale to zero"),
    forced(OPENFAAS, setting::PULL_POLICY, "Always", "OpenFaaS CE always pulls"),
    forced(
        OPENFAAS,
        setting::PROBE,
        "/_/health",
        "OpenFaaS CE probes /_/health, first after 2 s, then every 2 s",
    ),
    forced(OPENFAAS, setting::SHUTDOWN, "", "OpenFaaS CE sets the grace period itself"),
];

/// How a setting compares.
#[derive(Debug, PartialEq, Eq)]
enum Compared {
    Same,
    /// It is the same for all platforms of a variant: what the variants vary.
    Varied,
    /// Somebody chose it, here or at the platform's installation.
    Differs,
    /// Reasons, each said once.
    Forced(Vec<&'static str>),
}

/// One side's value of a setting; more than one where its trials disagree.
struct Side<'a> {
    platform: PlatformKind,
    variant: Option<&'a str>,
    values: Option<&'a BTreeSet<&'a str>>,
}

/// What the platform is differs by design, so it counts as no difference of settings.
fn compare(key: &str, sides: &[Side]) -> Compared {
    if sides.windows(2).all(|pair| pair[0].values == pair[1].values) {
        return Compared::Same;
    }
    // With one platform a variant there is nobody to be different from.
    let groups = || sides.chunk_by(|a, b| a.variant == b.variant);
    if groups().count() > 1
        && groups().all(|group| group.windows(2).all(|pair| pair[0].values == pair[1].values))
    {
        return Compared::Varied;
    }
    if key == setting::PLATFORM {
        return Compared::Forced(vec!["it is what is compared"]);
    }
    let mut reasons = Vec::new();
    for side in sides {
        let values = || side.values.into_iter().flatten();
        let forced = FORCED.iter().filter(|f| f.platform == side.platform && f.key == key);
        for forced in forced.filter(|f| values().any(|value| f.matches(value))) {
            if !reasons.contains(&forced.why) {
                reasons.push(forced.why);
            }
        }
    }
    if reasons.is_empty() { Compared::Differs } else { Compared::Forced(reasons) }
}

impl Forced {
    fn matches(&self, value: &str) -> bool {
        // A number is forced only where it is just that.
        if self.holds.bytes().all(|b| b.is_ascii_digit()) {
            return self.holds.is_empty() || value == self.holds;
        }
        value.contains(self.holds)
    }
}

/// The table; rows that differ are marked.
pub(super) fn table(document: &Document) -> Table {
    let subjects = &document.summary.subjects;
    let mut settings: Vec<BTreeMap<&str, BTreeSet<&str>>> = vec![BTreeMap::new(); subjects.len()];
    for data in document.cells {
        let Some(at) = subjects.iter().position(|subject| *subject == data.meta.cell.subject) else {
            continue;
        };
        for (key, value) in &data.meta.settings {
            settings[at].entry(key).or_default().insert(value);
        }
    }
    let side = |label: &str| {
        let found = document.experiment.subject(label);
        let platform = found.map_or(PlatformKind::Endpoint, |subject| subject.platform);
        (platform, found.and_then(|subject| subject.variant.as_deref()))
    };
    let keys: BTreeSet<&str> = settings.iter().flat_map(|side| side.keys().copied()).collect();
    let mut keys: Vec<&str> = keys.into_iter().collect();
    // Those without a title stand at the end, by name.
    keys.sort_by_key(|key| TITLES.iter().position(|(known, _)| known == key).unwrap_or(TITLES.len()));
    let rows = keys.into_iter().map(|key| {
        let sides: Vec<Side> = subjects
            .iter()
            .zip(&settings)
            .map(|(label, values)| {
                let (platform, variant) = side(label);
                Side { platform, variant, values: values.get(key) }
            })
            .collect();
        row(key, &sides)
    });
    let rows = rows.collect();
    let columns = std::iter::once("Setting").chain(subjects.iter().map(String::as_str)).chain(["Compared"]);
    let caption = "The effective settings of every side. A difference that a platform forces is part of the result: it \
                   is named as forced, with the reason, and not measured around. Any other was chosen, here or when \
                   the platform was installed.";
    Table { caption: caption.to_owned(), columns: columns.map(str::to_owned).collect(), rows, numeric: false }
}

fn row(key: &str, sides: &[Side]) -> Row {
    let title = TITLES.iter().find(|(known, _)| *known == key).map_or(key, |(_, title)| title);
    let value = |side: &Side| {
        // Trials should agree; where they do not, all values are shown.
        let values = side.values.map(|values| values.iter().copied().collect::<Vec<_>>().join(" | "));
        Entry::from(values.unwrap_or_else(|| format::NONE.to_owned()))
    };
    let (compared, tone) = match compare(key, sides) {
        Compared::Same => (Entry::from("same"), Tone::Plain),
        Compared::Varied => (Entry::from("differs, as varied"), Tone::Plain),
        Compared::Differs => (Entry::from("differs"), Tone::Marked),
        Compared::Forced(reasons) => (Entry::with("differs, forced", reasons.join("; ")), Tone::Marked),
    };
    let entries = std::iter::once(Entry::from(title)).chain(sides.iter().map(value)).chain([compared]);
    Row { entries: entries.collect(), tone }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(key: &str, knative: &str, openfaas: &str) -> Compared {
        let (a, b) = (BTreeSet::from([knative]), BTreeSet::from([openfaas]));
        let side = |platform, values| Side { platform, variant: None, values: Some(values) };
        compare(key, &[side(KNATIVE, &a), side(OPENFAAS, &b)])
    }

    #[test]
    fn what_variants_vary_is_told_from_what_differs_inside_one() {
        let values: Vec<BTreeSet<&str>> = ["1", "1", "2", "2"].map(|v| BTreeSet::from([v])).into();
        let sides = |order: [usize; 4]| {
            let side = |i: usize| Side {
                platform: if i % 2 == 0 { KNATIVE } else { OPENFAAS },
                variant: Some(["small", "large"][i / 2]),
                values: Some(&values[order[i]]),
            };
            [side(0), side(1), side(2), side(3)]
        };
        assert_eq!(compare(setting::CPU, &sides([0, 1, 2, 3])), Compared::Varied);
        assert_eq!(compare(setting::CPU, &sides([0, 2, 1, 3])), Compared::Differs);
        assert_eq!(compare(setting::CPU, &sides([0, 0, 1, 1])), Compared::Same);
        let same_platform = [0, 2].map(|i| {
            let [a, b, c, d] = sides([0, 1, 2, 3]);
            [a, b, c, d].into_iter().nth(i).unwrap()
        });
        assert_eq!(compare(setting::CPU, &same_platform), Compared::Varied, "variants of one platform");
    }

    #[test]
    fn what_a_platform_forces_is_told_from_what_was_chosen() {
        assert_eq!(compared(setting::CPU, "1", "2"), Compared::Differs);
        assert_eq!(compared(setting::CPU, "1", "1"), Compared::Same);
        let five = Compared::Forced(vec!["OpenFaaS CE allows at most 5 replicas"]);
        assert_eq!(compared(setting::REPLICAS_MAX, "20", "5"), five);
        assert_eq!(compared(setting::REPLICAS_MAX, "20", "3"), Compared::Differs, "3 was chosen");
        assert_eq!(compared(setting::PULL_POLICY, "IfNotPresent", "IfNotPresent"), Compared::Same);
        let pulls = Compared::Forced(vec!["OpenFaaS CE always pulls"]);
        assert_eq!(compared(setting::PULL_POLICY, "IfNotPresent", "Always"), pulls);
        assert!(matches!(compared(setting::HOPS, "a", "b"), Compared::Forced(reasons) if reasons.len() == 2));
    }

    #[test]
    fn every_setting_of_a_cluster_has_a_title_and_every_forced_one_is_a_setting() {
        let titled = |key: &str| TITLES.iter().any(|(known, _)| *known == key);
        assert!(setting::ON_CLUSTER.iter().all(|key| titled(key)));
        assert!(FORCED.iter().all(|forced| titled(forced.key)));
    }
}
