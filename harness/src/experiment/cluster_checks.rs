//! Checks of what concerns real platforms: addresses, names, images, revisions, a user's own function.

use super::{
    Experiment, OwnFunction,
    file::{Checks, ExperimentError},
};
use crate::platforms::{PlatformKind, cluster::ClusterChoice, limits::is_dns_label};

/// Ports that Knative keeps for itself (serving, `pkg/networking/constants.go`).
const KNATIVE_PORTS: [u16; 6] = [8008, 8012, 8013, 8022, 9090, 9091];

/// Checks where the parts of a cluster are said to be.
///
/// # Errors
/// The first value that makes no sense, with what to write instead.
pub fn check_choice(choice: &ClusterChoice) -> Result<(), ExperimentError> {
    let mut list = Checks::default();
    choice_problems(&mut list, choice);
    list.first().map_or(Ok(()), |problem| Err(ExperimentError::Value { place: String::new(), problem }))
}

/// What a file may leave to the flags, and the whole experiment may not.
pub(super) fn missing(list: &mut Checks, e: &Experiment) {
    let compared = e.subjects.iter().any(|s| s.platform == PlatformKind::Endpoint);
    list.check(
        !compared || !e.cluster.endpoints.is_empty(),
        &["cluster", "endpoints"],
        "the platform endpoint needs at least one URL (--endpoint)",
    );
}

/// Everything of this page, for an experiment.
pub(super) fn problems(list: &mut Checks, e: &Experiment) {
    let compared = |kind: PlatformKind| e.subjects.iter().any(|s| s.platform == kind);
    choice_problems(list, &e.cluster);
    for platform in e.settings.keys() {
        let name = platform.name();
        list.check(
            compared(*platform),
            &["settings", name],
            &format!("{name} is not among the platforms; name it there or remove its settings"),
        );
    }
    if let Some(image) = &e.function.image
        && let Err(cause) = image.parse::<oci_client::Reference>()
    {
        list.check(
            false,
            &["function", "image"],
            &format!(
                "'{image}' is no image ({cause}); write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST"
            ),
        );
    }
    if let Some(own) = &e.function.own {
        own_problems(list, own, compared(PlatformKind::Knative));
    }
    revision_problems(list, e, compared(PlatformKind::Knative));
    super::storage::problems(list, e);
}

fn choice_problems(list: &mut Checks, choice: &ClusterChoice) {
    let urls =
        [("ingress", &choice.ingress), ("gateway", &choice.gateway), ("prometheus", &choice.prometheus)];
    for (key, url) in urls {
        if let Some(problem) = url.as_deref().and_then(url_problem) {
            list.check(false, &["cluster", key], &problem);
        }
    }
    if let Some(store) = &choice.object_store {
        super::storage::store_problems(list, store, url_problem);
    }
    for (i, url) in choice.endpoints.iter().enumerate() {
        if let Some(problem) = url_problem(url) {
            list.check(false, &["cluster", "endpoints", &i.to_string()], &problem);
        }
    }
    let names = [
        ("namespace", &choice.namespace),
        ("gateway-namespace", &choice.gateway_namespace),
        ("functions-namespace", &choice.functions_namespace),
    ];
    for (key, name) in names {
        let Some(name) = name else { continue };
        let problem = format!("'{name}' is no name of a namespace; use at most 63 of a-z, 0-9 and '-'");
        list.check(is_dns_label(name), &["cluster", key], &problem);
    }
}

/// What is wrong with an address. A login in it would end up in run folders.
fn url_problem(url: &str) -> Option<String> {
    let example = "write for example http://10.0.0.1:31080";
    let Ok(uri) = url.parse::<hyper::Uri>() else {
        return Some(format!("this is no URL; {example}"));
    };
    let authority = uri.authority().map_or("", |a| a.as_str());
    if authority.contains('@') {
        return Some(
            "the URL carries a user name or password, which would be written to the run's folder; \
             use --gateway-user and --gateway-password-file"
                .to_owned(),
        );
    }
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    (!is_web || authority.is_empty())
        .then(|| format!("'{url}' must begin with http:// or https:// and a host; {example}"))
}

fn own_problems(list: &mut Checks, own: &OwnFunction, on_knative: bool) {
    for (key, path) in [("path", &own.path), ("health-path", &own.health_path)] {
        list.check(
            path.starts_with('/') && path.parse::<hyper::Uri>().is_ok(),
            &["function", "own", key],
            &format!("'{path}' is no path; begin it with '/'"),
        );
    }
    list.check(
        hyper::Method::from_bytes(own.method.as_bytes()).is_ok(),
        &["function", "own", "method"],
        &format!("'{}' is no HTTP method; write for example POST", own.method),
    );
    list.check(own.port > 0, &["function", "own", "port"], "must be between 1 and 65535");
    list.check(
        !(on_knative && KNATIVE_PORTS.contains(&own.port)),
        &["function", "own", "port"],
        &format!("Knative keeps port {} for itself; let the container listen on another", own.port),
    );
}

fn revision_problems(list: &mut Checks, e: &Experiment, on_knative: bool) {
    if e.revisions.is_empty() {
        return;
    }
    list.check(
        on_knative,
        &["revisions"],
        "of the platforms only knative splits traffic between revisions; add it or remove them",
    );
    let sum: u32 = e.revisions.iter().map(|r| u32::from(r.percent)).sum();
    list.check(sum == 100, &["revisions"], &format!("their shares add up to {sum} %; make it 100"));
    for (i, revision) in e.revisions.iter().enumerate() {
        let place = ["revisions", &i.to_string(), "name"];
        list.check(
            is_dns_label(&revision.name),
            &place,
            &format!("'{}' is no name; use a-z, 0-9 and '-', beginning with a letter", revision.name),
        );
        let twice = e.revisions[..i].iter().any(|other| other.name == revision.name);
        list.check(!twice, &place, &format!("'{}' is there twice", revision.name));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, testing::message};

    #[test]
    fn urls_of_the_endpoint_may_come_from_flags_after_the_file() {
        let experiment = parse("platforms = ['endpoint']", "x.toml").unwrap();
        let message = super::super::validate(&experiment).unwrap_err().to_string();
        assert!(message.contains("--endpoint"), "{message}");
    }

    #[test]
    fn what_makes_no_sense_on_a_cluster_is_named_with_its_place_and_the_remedy() {
        let files = [
            "[cluster]\ngateway = '10.0.0.1:8080'",
            "[cluster]\nprometheus = 'ftp://h/'",
            "[cluster]\ngateway = 'http://admin:secret@h:8080'",
            "[cluster]\nnamespace = 'My_Space'",
            "[cluster]\nendpoints = ['http://a/', 'nonsense']",
            "platforms = ['knative']\n[settings.openfaas]\nx = '1'",
            "[function]\nimage = 'HTTP://no image'",
            "[function.own]\npath = 'predict'",
            "[function.own]\nmethod = 'PO ST'",
            "platforms = ['knative']\n[function.own]\nport = 9090",
            "[[revisions]]\nname = 'a'\npercent = 10\n[[revisions]]\nname = 'b'\npercent = 80",
            "[[revisions]]\nname = 'a'\npercent = 10\n[[revisions]]\nname = 'a'\npercent = 90",
            "platforms = ['openfaas']\n[[revisions]]\nname = 'a'\npercent = 100",
        ];
        let messages: Vec<String> = files.into_iter().map(message).collect();
        assert!(!messages[2].contains("secret"), "{}", messages[2]);
        insta::assert_snapshot!(messages.join("\n"), @r"
        x.toml:2:11: cluster.gateway: '10.0.0.1:8080' must begin with http:// or https:// and a host; write for example http://10.0.0.1:31080
        x.toml:2:14: cluster.prometheus: 'ftp://h/' must begin with http:// or https:// and a host; write for example http://10.0.0.1:31080
        x.toml:2:11: cluster.gateway: the URL carries a user name or password, which would be written to the run's folder; use --gateway-user and --gateway-password-file
        x.toml:2:13: cluster.namespace: 'My_Space' is no name of a namespace; use at most 63 of a-z, 0-9 and '-'
        x.toml:2:27: cluster.endpoints.1: 'nonsense' must begin with http:// or https:// and a host; write for example http://10.0.0.1:31080
        x.toml:2:1: settings.openfaas: openfaas is not among the platforms; name it there or remove its settings
        x.toml:2:9: function.image: 'HTTP://no image' is no image (invalid reference format); write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST
        x.toml:2:8: function.own.path: 'predict' is no path; begin it with '/'
        x.toml:2:10: function.own.method: 'PO ST' is no HTTP method; write for example POST
        x.toml:3:8: function.own.port: Knative keeps port 9090 for itself; let the container listen on another
        x.toml:1:1: revisions: their shares add up to 90 %; make it 100
        x.toml:5:8: revisions.1.name: 'a' is there twice
        x.toml:2:1: revisions: of the platforms only knative splits traffic between revisions; add it or remove them
        ");
    }

    #[test]
    fn a_whole_file_for_a_cluster_is_accepted() {
        let text = "
platforms = ['knative', 'openfaas', 'deployment', 'endpoint']
[function]
image = 'registry.example:5000/team/function@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
[function.own]
path = '/run?x=1'
[cluster]
ingress = 'https://example.org'
endpoints = ['http://[::1]:8080/predict?top=5']
[settings.knative]
window = '30s'
[[revisions]]
name = 'stable'
percent = 90
[[revisions]]
name = 'canary'
percent = 10
";
        parse(text, "x.toml").unwrap();
    }
}
