//! What is compared with what: platforms times variants, their labels, and the pairs of a verdict.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Experiment, FunctionChoice, Subject, Variant};
use crate::platforms::{PlatformKind, ReplicaBounds};

/// Gives each platform of a list a unique label: `knative`, and `knative-2` for a second one.
pub fn label_subjects(platforms: &[PlatformKind]) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = Vec::with_capacity(platforms.len());
    for &platform in platforms {
        let earlier = subjects.iter().filter(|s| s.platform == platform).count();
        let label = match earlier {
            0 => platform.name().to_string(),
            n => format!("{}-{}", platform.name(), n + 1),
        };
        subjects.push(Subject { label, platform, variant: None });
    }
    subjects
}

/// Every platform with every variant, variant by variant, so that those which are compared stand
/// side by side: `knative-1-core`, `openfaas-1-core`, `knative-2-cores`, ...
fn cross(platforms: &[PlatformKind], variants: &[Variant]) -> Vec<Subject> {
    let alone = label_subjects(platforms);
    if variants.is_empty() {
        return alone;
    }
    let with = |variant: &Variant, subject: &Subject| Subject {
        label: format!("{}-{}", subject.label, variant.name),
        platform: subject.platform,
        variant: Some(variant.name.clone()),
    };
    variants.iter().flat_map(|variant| alone.iter().map(move |subject| with(variant, subject))).collect()
}

/// The platforms behind subjects, each as often as it is compared with itself.
fn platforms_of(subjects: &[Subject]) -> Vec<PlatformKind> {
    let first = subjects.first().and_then(|s| s.variant.as_ref());
    subjects.iter().filter(|s| s.variant.as_ref() == first).map(|s| s.platform).collect()
}

impl Experiment {
    /// The platforms, each as often as it is compared with itself.
    pub fn platforms(&self) -> Vec<PlatformKind> {
        platforms_of(&self.subjects)
    }

    /// Compares these platforms, each with every variant of the experiment.
    pub fn set_platforms(&mut self, platforms: &[PlatformKind]) {
        self.subjects = cross(platforms, &self.variants);
    }

    /// Measures every platform with each of these variants; none: with the function as it is.
    pub fn set_variants(&mut self, variants: Vec<Variant>) {
        let platforms = self.platforms();
        self.variants = variants;
        self.set_platforms(&platforms);
    }

    /// The subject of this label.
    pub fn subject(&self, label: &str) -> Option<&Subject> {
        self.subjects.iter().find(|subject| subject.label == label)
    }

    /// The variant of a subject; none: the experiment's own function.
    pub fn variant_of(&self, subject: &Subject) -> Option<&Variant> {
        let name = subject.variant.as_ref()?;
        self.variants.iter().find(|variant| variant.name == *name)
    }

    /// The function as a subject gets it.
    pub fn function_of(&self, subject: &Subject) -> FunctionChoice {
        self.variant_of(subject).map_or_else(|| self.function.clone(), |v| v.over(&self.function))
    }

    /// The replicas of a subject.
    pub fn replicas_of(&self, subject: &Subject) -> ReplicaBounds {
        self.variant_of(subject).and_then(|v| v.replicas).unwrap_or(self.replicas)
    }

    /// Trials that were planned, also where the run ended before them.
    pub fn most_trials(&self) -> u32 {
        self.planned_trials.unwrap_or(self.trials)
    }

    /// The pairs that are compared, baseline first. Platforms are compared inside a variant, each
    /// with the first one; with one platform alone, its variants are compared with the first variant.
    /// Not all pairs: each further one costs power under the correction for their number.
    pub fn pairs(&self) -> Vec<(&Subject, &Subject)> {
        let groups: Vec<&[Subject]> = self.subjects.chunk_by(|a, b| a.variant == b.variant).collect();
        let one_platform = groups.iter().all(|group| group.len() == 1);
        let groups = if one_platform { vec![self.subjects.as_slice()] } else { groups };
        let sides = groups.into_iter().filter_map(|group| group.split_first());
        sides.flat_map(|(first, others)| others.iter().map(move |other| (first, other))).collect()
    }
}

impl Serialize for Experiment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The derived one: with `remote = "Self"` it is a function of the type, and comes first.
        Self::serialize(self, serializer)
    }
}

/// A file holds platforms and variants; the subjects follow from both.
impl<'de> Deserialize<'de> for Experiment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut experiment = Self::deserialize(deserializer)?;
        experiment.set_platforms(&experiment.platforms());
        Ok(experiment)
    }
}

/// Subjects as a list of platform names.
pub(super) mod names {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{PlatformKind, Subject, label_subjects, platforms_of};

    pub fn serialize<S: Serializer>(subjects: &[Subject], serializer: S) -> Result<S::Ok, S::Error> {
        platforms_of(subjects).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Subject>, D::Error> {
        Ok(label_subjects(&Vec::<PlatformKind>::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::parse;

    const TWO_VARIANTS: &str = "
[[variants]]
name = '1-core'
cpu-cores = 1.0
[[variants]]
name = '2-cores'
cpu-cores = 2.0
replicas = { min = 2, max = 2 }
";

    fn labels(e: &Experiment) -> Vec<&str> {
        e.subjects.iter().map(|s| s.label.as_str()).collect()
    }

    fn pairs(e: &Experiment) -> Vec<String> {
        e.pairs().into_iter().map(|(a, b)| format!("{} / {}", b.label, a.label)).collect()
    }

    #[test]
    fn every_platform_meets_every_variant_and_is_compared_inside_it() {
        let e = parse(TWO_VARIANTS, "x").unwrap();
        assert_eq!(labels(&e), ["knative-1-core", "openfaas-1-core", "knative-2-cores", "openfaas-2-cores"]);
        assert_eq!(pairs(&e), ["openfaas-1-core / knative-1-core", "openfaas-2-cores / knative-2-cores"]);
        let second = &e.subjects[3];
        assert!((e.function_of(second).cpu_cores - 2.0).abs() < 1e-9 && e.replicas_of(second).max == 2);
        assert_eq!(e.replicas_of(&e.subjects[0]).max, 1, "what a variant leaves out stays");
    }

    #[test]
    fn variants_of_one_platform_are_compared_with_the_first_variant() {
        let mut e = parse(TWO_VARIANTS, "x").unwrap();
        e.set_platforms(&[PlatformKind::OpenFaas]);
        assert_eq!(pairs(&e), ["openfaas-2-cores / openfaas-1-core"]);
    }

    #[test]
    fn without_variants_platforms_are_compared_with_the_first_one() {
        let mut e = Experiment::default();
        assert_eq!(pairs(&e), ["openfaas / knative"]);
        e.set_platforms(&[PlatformKind::Knative; 3]);
        assert_eq!(pairs(&e), ["knative-2 / knative", "knative-3 / knative"]);
        e.set_platforms(&[PlatformKind::Knative]);
        assert!(e.pairs().is_empty());
    }

    #[test]
    fn an_experiment_with_variants_reads_back_as_itself() {
        for platforms in ["", "platforms = ['knative', 'knative']"] {
            let e = parse(&format!("{platforms}{TWO_VARIANTS}"), "x").unwrap();
            let text = toml::to_string_pretty(&e).unwrap();
            assert_eq!(parse(&text, "x").unwrap(), e, "{text}");
        }
    }

    #[test]
    fn new_variants_take_the_place_of_the_old_ones() {
        let mut e = parse(TWO_VARIANTS, "x").unwrap();
        e.set_variants(vec![Variant { name: "small".into(), ..Variant::default() }]);
        assert_eq!(labels(&e), ["knative-small", "openfaas-small"]);
        e.set_variants(Vec::new());
        assert_eq!(labels(&e), ["knative", "openfaas"]);
    }
}
