//! From arguments to a load that can be played; mistakes become one line that names the remedy.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{super::CliError, Args, ArrivalsArg, Output};
use crate::{
    analyse::window::{Pacing, Window},
    drive::{
        ConnectionPolicy, Endpoint, Load, Payload, Plan,
        shapes::{self, Extent, Files},
    },
    experiment::{Arrivals, LoadFromChoice, Site, Threshold},
    platforms::cluster::ClusterChoice,
    workloads::{
        JudgeSpec,
        payloads::{self, Payloads},
    },
};

/// The schedule is held in memory: 8 bytes a send, 800 MB of this many.
const MOST_REQUESTS: f64 = 100e6;

/// How long to measure when nothing was said.
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// Validated arguments.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) endpoint: Endpoint,
    /// How requests arrive.
    pub(super) arrivals: Arrivals,
    pub(super) duration: Option<Duration>,
    pub(super) requests: Option<u64>,
    pub(super) warmup: Duration,
    pub(super) output: Output,
    pub(super) save: Option<PathBuf>,
    pub(super) core: Option<usize>,
    pub(super) quiet: bool,
    pub(super) live: bool,
    pub(super) seed: u64,
    pub(super) thresholds: Vec<Threshold>,
    pub(super) load_from: LoadFromChoice,
    pub(super) cluster: ClusterChoice,
    timeout: Duration,
    method: hyper::Method,
    payloads: Payloads,
    expected: JudgeSpec,
    connections: ConnectionPolicy,
    /// What the shape replays.
    files: Files,
    /// Further endpoints.
    others: Vec<Endpoint>,
}

fn usage<T>(message: impl Into<String>) -> Result<T, CliError> {
    Err(CliError::Usage(message.into()))
}

impl Request {
    /// Checks the arguments.
    pub(super) fn new(args: Args) -> Result<Self, CliError> {
        let (arrivals, files) = how(&args)?;
        let warmup = args.warmup.unwrap_or_default();
        let duration = match (args.duration, args.requests) {
            (Some(Duration::ZERO), _) => return usage("--duration must be longer than 0s"),
            (_, Some(0)) => return usage("--requests must be at least 1"),
            (None, None) => Some(DEFAULT_DURATION),
            (duration, _) => duration,
        };
        if args.requests.is_some() && !warmup.is_zero() {
            return usage("--warmup goes with --duration, not with --requests; leave one of them out");
        }
        if let (Some(rate), Some(duration)) = (arrivals.peak_rate(), duration) {
            let planned = rate * (warmup + duration).as_secs_f64();
            if planned > MOST_REQUESTS && args.requests.is_none_or(|n| n as f64 > MOST_REQUESTS) {
                return usage("this plans more than 100 million requests; lower --rate or --duration");
            }
        }
        if args.timeout.is_zero() {
            return usage("--timeout must be longer than 0s");
        }
        let mut url = args.url;
        let mut expected = JudgeSpec::Status;
        let mut given = args.what.payloads(args.body.as_ref(), args.seed)?;
        if let Some(requests) = args.what.requests(args.seed)? {
            if names_no_path(&url) {
                url = format!("{}{}", url.trim_end_matches('/'), requests.path);
            }
            expected = requests.expected;
            given = Some(Payloads { payloads: requests.payloads.into(), weights: Arc::default() });
        }
        let method = args.method.unwrap_or_else(|| if given.is_some() { "POST" } else { "GET" }.into());
        let Ok(method) = hyper::Method::from_bytes(method.to_ascii_uppercase().as_bytes()) else {
            return usage(format!("--method '{method}' is not an HTTP method; write for example POST"));
        };
        if let Some(odd) =
            args.thresholds.iter().find(|t| t.is_ratio() || t.load.is_some() || t.subject.is_some())
        {
            return usage(format!(
                "--threshold '{odd}' speaks of comparisons, load points or subjects, and here is one load; write for \
                 example 'p99<500ms'"
            ));
        }
        let load_from = args.load_from.over(LoadFromChoice::default());
        load_from.check(Site::Cluster).map_err(|error| CliError::Usage(error.to_string()))?;
        let headers = args.headers.iter().map(|text| header(text)).collect::<Result<Vec<_>, _>>()?;
        let others =
            args.what.and.into_iter().map(|url| Endpoint { url, headers: headers.clone() }).collect();
        let payloads = match given {
            Some(payloads) => payloads,
            None => Payloads { payloads: Arc::new([payload(None)?]), weights: Arc::default() },
        };
        Ok(Self {
            endpoint: Endpoint { url, headers },
            arrivals,
            duration,
            requests: args.requests,
            warmup,
            output: args.output,
            save: args.save,
            core: args.core,
            quiet: args.quiet,
            live: !args.screen.no_live,
            seed: args.seed,
            thresholds: args.thresholds,
            load_from,
            cluster: ClusterChoice {
                context: args.context,
                namespace: args.namespace,
                ..ClusterChoice::default()
            },
            timeout: args.timeout,
            method,
            payloads,
            expected,
            connections: args.connection.over(ConnectionPolicy::default()),
            files,
            others,
        })
    }

    /// What the player plays. Answers are awaited until their own deadline.
    pub(super) fn load(&self) -> Load {
        let mut endpoints = vec![self.endpoint.clone()];
        endpoints.extend(self.others.iter().cloned());
        Load {
            method: self.method.clone(),
            timeout: self.timeout,
            drain: self.timeout,
            seed: self.seed,
            connections: self.connections,
            weights: Arc::clone(&self.payloads.weights),
            lockstep: self.arrivals.is_lockstep(),
            ..Load::new(self.plan(), endpoints, Arc::clone(&self.payloads.payloads), self.expected.judge())
        }
    }

    fn plan(&self) -> Plan {
        let window = self.duration.map(|duration| self.warmup + duration);
        let counted = |extent: Extent| match self.arrivals {
            Arrivals::Constant { rate } => Some(shapes::constant(rate, extent)),
            Arrivals::Poisson { rate } => Some(shapes::poisson(rate, extent, self.seed)),
            _ => None,
        };
        if let Some(mut send_times_ns) = self.requests.and_then(|count| counted(Extent::Count(count))) {
            if let Some(window) = window {
                let end = send_times_ns.partition_point(|&at| u128::from(at) < window.as_nanos());
                send_times_ns.truncate(end);
            }
            return Plan::open(send_times_ns);
        }
        let length = window.unwrap_or(DEFAULT_DURATION);
        match shapes::plan(&self.arrivals, &self.files, length, self.seed) {
            Plan::Closed { connections, think_time_ns, .. } => Plan::Closed {
                connections,
                think_time_ns,
                duration_ns: window.map(|window| window.as_nanos() as u64),
                requests: self.requests,
            },
            open @ Plan::Open { .. } => open,
        }
    }

    /// The interval that counts; without a duration its end is known when the load has ended.
    pub(super) fn window(&self) -> Window {
        let pacing = Pacing::from(&self.arrivals);
        let end_ns =
            self.duration.map_or(u64::MAX, |duration| Window::first(self.warmup + duration, pacing).end_ns);
        Window { start_ns: self.warmup.as_nanos() as u64, end_ns, pacing }
    }
}

/// Whether nothing follows the host.
pub(in crate::cli) fn names_no_path(url: &str) -> bool {
    url.parse::<hyper::Uri>().is_ok_and(|uri| uri.path() == "/" && uri.query().is_none())
}

/// Open or closed, and how.
fn how(args: &Args) -> Result<(Arrivals, Files), CliError> {
    if let Some(shape) = args.what.shape()? {
        return Ok(shape);
    }
    let arrivals = match (args.rate, args.connections) {
        (None, None) => {
            return usage(
                "say how requests arrive: --rate N (open loop), --connections N (closed loop), or --shape",
            );
        }
        (Some(_), Some(_)) => {
            return usage(
                "--rate (open loop) and --connections (closed loop) exclude each other; leave one of them out",
            );
        }
        (Some(rate), None) => {
            if !rate.is_finite() || rate <= 0.0 {
                return usage("--rate must be a number above 0, in requests a second");
            }
            if args.think_time.is_some() {
                return usage("--think-time goes with --connections; leave it out with --rate");
            }
            match args.arrivals {
                Some(ArrivalsArg::Poisson) => Arrivals::Poisson { rate },
                Some(ArrivalsArg::Constant) | None => Arrivals::Constant { rate },
            }
        }
        (None, Some(connections)) => {
            if connections == 0 {
                return usage("--connections must be at least 1");
            }
            if args.arrivals.is_some() {
                return usage("--arrivals goes with --rate; leave it out with --connections");
            }
            Arrivals::Closed { connections, think_time: args.think_time.unwrap_or_default() }
        }
    };
    Ok((arrivals, Files::default()))
}

fn header(text: &str) -> Result<(String, String), CliError> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().into(), value.trim().into())),
        // The text is not repeated: a header may be a secret.
        _ => usage("a --header has no name or no colon; write --header 'Name: value'"),
    }
}

/// The body with its media type by the file's extension; a `Content-Type` header goes before it.
pub(in crate::cli) fn payload(body: Option<&Path>) -> Result<Payload, CliError> {
    let Some(path) = body else {
        return Ok(Payload { name: "empty".into(), content_type: String::new(), body: bytes::Bytes::new() });
    };
    payloads::file(path).map_err(|error| {
        CliError::Usage(format!("--body {} cannot be read ({error}); name a readable file", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn request(flags: &str) -> Result<Request, String> {
        let words = ["load", "http://127.0.0.1:1/"].into_iter().chain(flags.split_whitespace());
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        Request::new(line.args).map_err(|error| error.to_string())
    }

    #[test]
    fn mistakes_are_one_line_with_the_remedy() {
        let messages: Vec<String> = [
            "",
            "--rate 5 --connections 2",
            "--rate 0",
            "--rate NaN",
            "--connections 0",
            "--connections 2 --arrivals poisson",
            "--rate 5 --think-time 1s",
            "--rate 5 --requests 0",
            "--rate 5 --duration 0s",
            "--rate 5 --requests 9 --warmup 1s",
            "--rate 5000000 --duration 1h",
            "--rate 5 --header nonsense",
            "--rate 5 --method PO:ST",
            "--rate 5 --timeout 0s",
            "--rate 5 --body /no/such/file",
        ]
        .into_iter()
        .map(|flags| format!("[{flags}]\n  {}", request(flags).unwrap_err()))
        .collect();
        insta::assert_snapshot!(messages.join("\n"), @r"
        []
          say how requests arrive: --rate N (open loop), --connections N (closed loop), or --shape
        [--rate 5 --connections 2]
          --rate (open loop) and --connections (closed loop) exclude each other; leave one of them out
        [--rate 0]
          --rate must be a number above 0, in requests a second
        [--rate NaN]
          --rate must be a number above 0, in requests a second
        [--connections 0]
          --connections must be at least 1
        [--connections 2 --arrivals poisson]
          --arrivals goes with --rate; leave it out with --connections
        [--rate 5 --think-time 1s]
          --think-time goes with --connections; leave it out with --rate
        [--rate 5 --requests 0]
          --requests must be at least 1
        [--rate 5 --duration 0s]
          --duration must be longer than 0s
        [--rate 5 --requests 9 --warmup 1s]
          --warmup goes with --duration, not with --requests; leave one of them out
        [--rate 5000000 --duration 1h]
          this plans more than 100 million requests; lower --rate or --duration
        [--rate 5 --header nonsense]
          a --header has no name or no colon; write --header 'Name: value'
        [--rate 5 --method PO:ST]
          --method 'PO:ST' is not an HTTP method; write for example POST
        [--rate 5 --timeout 0s]
          --timeout must be longer than 0s
        [--rate 5 --body /no/such/file]
          --body: /no/such/file cannot be read (No such file or directory (os error 2)); name a readable file or folder
        ");
    }

    #[test]
    fn flags_become_the_plan_they_describe() {
        let sends = |flags: &str| match request(flags).unwrap().load().plan {
            Plan::Open { send_times_ns, .. } => send_times_ns.len(),
            Plan::Closed { .. } => panic!("not an open plan"),
        };
        assert_eq!(sends("--rate 5"), 50, "10 s unless something else is said");
        assert_eq!(sends("--rate 5 --duration 2s --warmup 1s"), 15);
        assert_eq!(sends("--rate 5 --requests 7 --arrivals poisson"), 7);
        assert_eq!(sends("--rate 5 --requests 70 --duration 2s"), 10);
        assert_eq!(
            request("--connections 3 --duration 2s --requests 9 --think-time 5ms").unwrap().load().plan,
            Plan::Closed {
                connections: 3,
                think_time_ns: 5_000_000,
                duration_ns: Some(2_000_000_000),
                requests: Some(9)
            }
        );
    }

    #[test]
    fn shapes_further_endpoints_and_bodies_reach_the_load() {
        let words = ["load", "http://127.0.0.1:1/", "--shape", "kind = 'ramp', from = 0, to = 20"];
        let more = ["--and", "http://127.0.0.1:2/", "--sizes", "10,20", "--pool", "3", "--duration", "2s"];
        let line = Line::try_parse_from(words.into_iter().chain(more)).unwrap();
        let load = Request::new(line.args).unwrap().load();
        assert!(matches!(&load.plan, Plan::Open { send_times_ns, .. } if send_times_ns.len() == 20));
        assert_eq!(
            load.endpoints.iter().map(|e| e.url.as_str()).collect::<Vec<_>>(),
            ["http://127.0.0.1:1/", "http://127.0.0.1:2/"]
        );
        assert_eq!(load.payloads.iter().map(|p| p.body.len()).collect::<Vec<_>>(), [10, 20]);
        assert_eq!((load.method, load.connections.pool), (hyper::Method::POST, Some(3)));
    }

    #[test]
    fn a_body_makes_a_post_of_its_media_type() {
        let file = tempfile::Builder::new().suffix(".jpg").tempfile().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        let load = request(&format!("--rate 5 --body {}", file.path().display())).unwrap().load();
        assert_eq!(load.method, hyper::Method::POST);
        assert_eq!(
            (load.payloads[0].content_type.as_str(), &load.payloads[0].body[..]),
            ("image/jpeg", &b"abc"[..])
        );
        assert_eq!(request("--rate 5").unwrap().load().method, hyper::Method::GET);
    }
}
