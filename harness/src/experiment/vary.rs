//! `KEY=VALUE,VALUE,...`: one thing that is varied, and the variants that several of them make.

use super::{
    Variant,
    variants::{LONGEST_NAME, MOST_VARIANTS},
};
use crate::platforms::ReplicaBounds;

/// One thing that is varied, with its values in the order of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Vary(Vec<Variant>);

/// Keys, as messages list them.
const KEYS: &str = "cpu-cores, memory-mib, container-concurrency, replicas, image, workload, env.NAME";

impl std::str::FromStr for Vary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("write KEY=VALUE,VALUE, for example cpu-cores=0.5,1,2; keys are {KEYS}");
        let (key, values) = text.split_once('=').ok_or_else(form)?;
        let values: Vec<&str> = values.split(',').map(str::trim).collect();
        if values.iter().any(|value| value.is_empty()) {
            return Err(form());
        }
        let mut variants = Vec::with_capacity(values.len());
        for (i, &value) in values.iter().enumerate() {
            if values[..i].contains(&value) {
                return Err(format!("{key} has the value {value} twice; leave one out"));
            }
            variants.push(one(key, value, i)?);
        }
        Ok(Self(variants))
    }
}

/// The variants that all combinations make, the first key slowest: `cores-1-replicas-2`.
///
/// # Errors
/// If a key is varied twice, or there are too many of them.
pub fn multiply(varied: &[Vary]) -> Result<Vec<Variant>, String> {
    let mut out = vec![Variant::default()];
    for (i, Vary(values)) in varied.iter().enumerate() {
        if varied[..i].iter().any(|Vary(other)| same_key(&other[0], &values[0])) {
            return Err(format!(
                "what {} stands for is varied twice; give all its values in one --vary",
                values[0].name
            ));
        }
        out = out.iter().flat_map(|left| values.iter().map(move |right| joined(left, right))).collect();
        if out.len() > MOST_VARIANTS {
            return Err(format!("this makes more than {MOST_VARIANTS} variants; vary less"));
        }
    }
    // Several keys and long images make names that are no names any more.
    for (i, variant) in out.iter_mut().enumerate() {
        if variant.name.len() > LONGEST_NAME {
            variant.name = format!("variant-{}", i + 1);
        }
    }
    Ok(if varied.is_empty() { Vec::new() } else { out })
}

fn same_key(a: &Variant, b: &Variant) -> bool {
    let of = |v: &Variant| {
        (
            v.cpu_cores.is_some(),
            v.memory_mib.is_some(),
            v.container_concurrency.is_some(),
            v.replicas.is_some(),
            (v.image.is_some(), v.workload.is_some(), v.env.keys().next().cloned()),
        )
    };
    of(a) == of(b)
}

fn joined(left: &Variant, right: &Variant) -> Variant {
    let name =
        if left.name.is_empty() { right.name.clone() } else { format!("{}-{}", left.name, right.name) };
    let env = left.env.iter().chain(&right.env).map(|(k, v)| (k.clone(), v.clone())).collect();
    Variant {
        name,
        workload: right.workload.clone().or_else(|| left.workload.clone()),
        image: right.image.clone().or_else(|| left.image.clone()),
        cpu_cores: right.cpu_cores.or(left.cpu_cores),
        memory_mib: right.memory_mib.or(left.memory_mib),
        container_concurrency: right.container_concurrency.or(left.container_concurrency),
        replicas: right.replicas.or(left.replicas),
        env,
    }
}

/// One value of a key. `position` tells images apart, whose names end in digests and tags.
fn one(key: &str, value: &str, position: usize) -> Result<Variant, String> {
    let named = |word: &str| Variant { name: format!("{word}-{}", fit(value)), ..Variant::default() };
    let bad = |example: &str| format!("'{value}' is no value for {key}; write for example {key}={example}");
    let whole = |example: &str| value.parse::<u32>().map_err(|_| bad(example));
    Ok(match key {
        "cpu-cores" => {
            let cores = value.parse::<f64>().ok().filter(|c| c.is_finite() && *c > 0.0);
            Variant { cpu_cores: Some(cores.ok_or_else(|| bad("0.5,1,2"))?), ..named("cores") }
        }
        "memory-mib" => Variant { memory_mib: Some(whole("256,512")?), ..named("memory") },
        "container-concurrency" => {
            Variant { container_concurrency: Some(whole("1,10")?), ..named("concurrency") }
        }
        "replicas" => {
            Variant { replicas: Some(bounds(value).ok_or_else(|| bad("1,2,1-5"))?), ..named("replicas") }
        }
        "image" => Variant {
            name: format!("image-{}", position + 1),
            image: Some(value.to_owned()),
            ..Variant::default()
        },
        "workload" => Variant { workload: Some(value.to_owned()), ..named("workload") },
        _ => match key.strip_prefix("env.").filter(|name| !name.is_empty()) {
            Some(name) => Variant { env: [(name.to_owned(), value.to_owned())].into(), ..named(&fit(name)) },
            None => return Err(format!("'{key}' cannot be varied; keys are {KEYS}")),
        },
    })
}

/// `3` pins the number, `1-5` is a range.
fn bounds(text: &str) -> Option<ReplicaBounds> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    let (min, max) = (min.parse().ok()?, max.parse().ok()?);
    (max >= 1 && min <= max).then_some(ReplicaBounds { min, max })
}

/// The text as a part of a DNS label.
fn fit(text: &str) -> String {
    let letters = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let label: String = letters.collect();
    label.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variants(varied: &[&str]) -> Result<Vec<Variant>, String> {
        let varied: Result<Vec<Vary>, String> = varied.iter().map(|text| text.parse()).collect();
        multiply(&varied?)
    }

    fn names(varied: &[&str]) -> Vec<String> {
        variants(varied).unwrap().into_iter().map(|v| v.name).collect()
    }

    #[test]
    fn names_are_made_from_key_and_value() {
        assert_eq!(names(&["cpu-cores=0.5,1"]), ["cores-0-5", "cores-1"]);
        assert_eq!(names(&["replicas=2,1-5"]), ["replicas-2", "replicas-1-5"]);
        assert_eq!(names(&["image=r.example:5000/f:1,r.example:5000/f:2"]), ["image-1", "image-2"]);
        assert_eq!(names(&["env.INFERENCE_THREADS=1"]), ["inference-threads-1"]);
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn several_multiply_and_each_variant_has_both_values() {
        let made = variants(&["replicas=1,2", "container-concurrency=1,10"]).unwrap();
        let names: Vec<_> = made.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "replicas-1-concurrency-1",
                "replicas-1-concurrency-10",
                "replicas-2-concurrency-1",
                "replicas-2-concurrency-10"
            ]
        );
        assert_eq!((made[3].replicas.unwrap().max, made[3].container_concurrency), (2, Some(10)));
    }

    #[test]
    fn a_name_that_would_be_too_long_becomes_a_number() {
        let made = names(&["cpu-cores=0.03125,0.25", "container-concurrency=100", "memory-mib=1024"]);
        assert_eq!(made, ["variant-1", "cores-0-25-concurrency-100-memory-1024"]);
    }

    #[test]
    fn what_cannot_be_varied_is_refused_with_what_can() {
        let message = |varied: &[&str]| variants(varied).unwrap_err();
        assert!(message(&["cpu=1"]).contains("keys are cpu-cores, memory-mib"));
        assert!(message(&["cpu-cores"]).contains("write KEY=VALUE,VALUE"));
        assert!(message(&["cpu-cores=1,,2"]).contains("write KEY=VALUE,VALUE"));
        assert!(message(&["cpu-cores=-1"]).contains("cpu-cores=0.5,1,2"));
        assert!(message(&["replicas=5-1"]).contains("replicas=1,2,1-5"));
        assert!(message(&["replicas=1,1"]).contains("twice"));
        assert!(message(&["replicas=1", "replicas=2"]).contains("in one --vary"));
        let many = format!("memory-mib={}", (64..165).map(|n| n.to_string()).collect::<Vec<_>>().join(","));
        assert!(message(&[&many]).contains("more than 100"));
    }
}
