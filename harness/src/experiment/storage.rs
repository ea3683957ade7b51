//! Inputs in the request or by reference from an object storage, and where that storage is.

use serde::{Deserialize, Serialize};

use super::{Experiment, Site, file::Checks};
use crate::{platforms::PlatformKind, workloads::Kind};

/// How an input comes to the function, or a result leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// In the request, or in the answer alone
    #[default]
    Request,
    /// From the object storage by reference, or written back to it
    Storage,
}

/// The object storage of a cluster. Its credentials are not here: the function's come from a Secret,
/// the harness's own from its environment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ObjectStore {
    /// Its address as pods reach it: `http://minio.minio.svc:9000`.
    pub endpoint: String,
    /// Its address from this machine; none: the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_from_here: Option<String>,
    /// Region in signatures; none: `us-east-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Bucket that is there already; everything is put below `testbed/RUN/` in it.
    pub bucket: String,
    /// Name of the Secret with the keys `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` in the
    /// functions' namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl ObjectStore {
    /// The region in signatures.
    pub fn region(&self) -> &str {
        self.region.as_deref().unwrap_or("us-east-1")
    }

    /// Its address from this machine.
    pub fn from_here(&self) -> &str {
        self.endpoint_from_here.as_deref().unwrap_or(&self.endpoint)
    }
}

/// Everything of this page, for an experiment.
pub(super) fn problems(list: &mut Checks, e: &Experiment) {
    let function = &e.function;
    if function.inputs == Via::Request {
        list.check(
            function.results == Via::Request,
            &["function", "results"],
            "results are written back where inputs come by reference; set inputs = 'storage' too (--inputs storage)",
        );
        return;
    }
    list.check(
        function.own.is_none(),
        &["function", "inputs"],
        "the testbed's own function alone reads references; leave it out for a function of your own",
    );
    list.check(
        function.workload.parse() != Ok(Kind::Logger),
        &["function", "inputs"],
        "the logger takes events, which come in requests; leave inputs out",
    );
    if e.on == Site::Twin {
        return;
    }
    let Some(store) = &e.cluster.object_store else {
        list.check(
            false,
            &["function", "inputs"],
            "a cluster's object storage must be named: [cluster.object-store] with endpoint, bucket and secret \
             (--s3-endpoint, --s3-bucket, --s3-secret)",
        );
        return;
    };
    let needs_secret = e.subjects.iter().any(|s| s.platform != PlatformKind::Endpoint);
    list.check(
        store.secret.is_some() || !needs_secret,
        &["cluster", "object-store"],
        "secret is missing: name the Secret that holds AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the functions' \
         namespace (--s3-secret)",
    );
}

/// What is wrong with a cluster's object storage by itself; `url_problem` judges addresses.
pub(super) fn store_problems(
    list: &mut Checks,
    store: &ObjectStore,
    url_problem: fn(&str) -> Option<String>,
) {
    let mut say = |key: &str, problem: &str| list.check(false, &["cluster", "object-store", key], problem);
    let here = store.endpoint_from_here.as_deref();
    for (key, url) in [("endpoint", Some(store.endpoint.as_str())), ("endpoint-from-here", here)] {
        match url {
            Some(url) if url.contains('@') => {
                say(
                    key,
                    "the URL carries a login, which would be written to the run's folder; leave it out: keys come from the environment and the Secret",
                );
            }
            url => url.and_then(url_problem).into_iter().for_each(|problem| say(key, &problem)),
        }
    }
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    if !(3..=63).contains(&store.bucket.len()) || !store.bucket.bytes().all(fits) {
        say("bucket", &format!("'{}' is no bucket; use 3 to 63 of a-z, 0-9, '-' and '.'", store.bucket));
    }
    let is_name = |name: &str| !name.is_empty() && name.len() <= 253 && name.bytes().all(fits);
    if let Some(secret) = store.secret.as_deref().filter(|name| !is_name(name)) {
        say("secret", &format!("'{secret}' is no name of a Secret; use a-z, 0-9, '-' and '.'"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_makes_no_sense_is_named_with_its_place_and_the_remedy() {
        let files = [
            "[function]\nresults = 'storage'",
            "on = 'cluster'\n[function]\ninputs = 'storage'",
            "on = 'twin'\n[function]\ninputs = 'storage'\n[function.own]\npath = '/x'",
            "on = 'cluster'\n[function]\ninputs = 'storage'\n[cluster.object-store]\nendpoint = 'http://m:9000'\nbucket = 'inputs'",
            "[cluster.object-store]\nendpoint = 'm:9000'\nbucket = 'inputs'",
            "[cluster.object-store]\nendpoint = 'http://user:hush@m:9000'\nbucket = 'inputs'",
            "[cluster.object-store]\nendpoint = 'http://m:9000'\nbucket = 'My Bucket'",
            "[cluster.object-store]\nendpoint = 'http://m:9000'\nbucket = 'inputs'\nsecret = 'My_Secret'",
        ];
        let messages: Vec<String> =
            files.into_iter().map(|file| parse(file, "x.toml").unwrap_err().to_string()).collect();
        assert!(!messages.join("\n").contains("hush"));
        insta::assert_snapshot!(messages.join("\n"));
    }

    #[test]
    fn a_whole_object_store_is_accepted_and_reads_back() {
        let text = "
on = 'cluster'
[function]
inputs = 'storage'
results = 'storage'
[cluster.object-store]
endpoint = 'http://minio.minio.svc:9000'
endpoint-from-here = 'http://127.0.0.1:9000'
bucket = 'testbed'
secret = 's3'
";
        let e = parse(text, "x.toml").unwrap();
        let again = toml::to_string_pretty(&e).unwrap();
        assert_eq!(parse(&again, "x.toml").unwrap(), e, "{again}");
        let store = e.cluster.object_store.unwrap();
        assert_eq!((store.from_here(), store.region()), ("http://127.0.0.1:9000", "us-east-1"));
    }
}
