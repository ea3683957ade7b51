//! The other end of goose: a process that does nothing else.

use std::{
    io::{BufRead, Read, Write},
    sync::{Arc, mpsc},
    time::Duration,
};

use bytes::Bytes;
use goose::{
    GooseAttack,
    config::GooseConfiguration,
    goose::{GooseMethod, GooseRequest, GooseUser, Scenario, Transaction, TransactionError},
    metrics::GooseMetrics,
};

use super::{
    Latency,
    protocol::{Config, End, Row, Summary},
};

/// Rows that are written at once.
const BATCH_ROWS: usize = 256;

/// What every user sends.
struct Request {
    path: String,
    method: GooseMethod,
    headers: Vec<(String, String)>,
    body: Bytes,
    rows: mpsc::Sender<Row>,
}

/// Reads its orders from standard input, runs goose, and writes what it says to standard output.
pub(super) fn serve() -> Result<(), String> {
    let (config, body) = orders()?;
    crate::crypto::choose_provider();
    // One core: one thread, the cheapest that tokio has. More: as `#[tokio::main]` does.
    let alone = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut runtime = if alone {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let runtime = runtime.enable_all().build().map_err(|error| error.to_string())?;
    let (rows, received) = mpsc::channel();
    let writer = std::thread::spawn(move || write(&received));
    let metrics = runtime.block_on(attack(&config, body, rows))?;
    drop(runtime);
    writer.join().map_err(|_| "the rows were not written".to_owned())?.map_err(|error| error.to_string())?;
    let summary = serde_json::to_string(&summary(&metrics)).map_err(|error| error.to_string())?;
    println!("harness-summary {summary}");
    Ok(())
}

/// The configuration and the body; what follows is the leash: when it ends, so does this process.
fn orders() -> Result<(Config, Bytes), String> {
    let mut input = std::io::BufReader::new(std::io::stdin());
    let mut line = String::new();
    input.read_line(&mut line).map_err(|error| error.to_string())?;
    let config: Config = serde_json::from_str(&line).map_err(|error| {
        format!("its configuration cannot be read ({error}); it is meant to be started by `harness load --driver goose`")
    })?;
    let mut body = vec![0; config.body_bytes];
    input.read_exact(&mut body).map_err(|error| error.to_string())?;
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut input, &mut std::io::sink());
        std::process::exit(1);
    });
    Ok((config, body.into()))
}

/// Runs goose to the end of its time.
async fn attack(config: &Config, body: Bytes, rows: mpsc::Sender<Row>) -> Result<GooseMetrics, String> {
    let uri: hyper::Uri =
        config.url.parse().map_err(|error| format!("the URL '{}' cannot be used: {error}", config.url))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(format!("the URL '{}' names no host; write http://HOST:PORT/PATH", config.url));
    };
    let arguments = [
        "--host",
        &format!("{scheme}://{authority}"),
        "--users",
        &config.users.to_string(),
        "--run-time",
        &config.duration.as_secs().to_string(),
        "--timeout",
        &config.timeout.as_secs().to_string(),
        // All users within a tenth of a second, and what they do meanwhile counts.
        "--increase-rate",
        &(config.users * 10).to_string(),
        "--no-reset-metrics",
        "--no-transaction-metrics",
        "--no-scenario-metrics",
        "--no-print-metrics",
        "--no-error-summary",
        "--no-telnet",
        "--no-gzip",
        "-qqq",
    ]
    .map(str::to_owned);
    let configuration =
        GooseConfiguration::parse_args_default(&arguments).map_err(|error| error.to_string())?;
    let request = Arc::new(Request {
        path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        method: method(&config.method)?,
        headers: config.headers.clone(),
        body,
        rows,
    });
    let transaction = Transaction::new(Arc::new(move |user| {
        let request = Arc::clone(&request);
        Box::pin(async move { request.send(user).await })
    }));
    let attack = GooseAttack::initialize_with_config(configuration)
        .map_err(|error| error.to_string())?
        .register_scenario(Scenario::new("load").register_transaction(transaction))
        .execute();
    // A future of 20 kB: not on the stack.
    Box::pin(attack).await.map_err(|error| error.to_string())
}

fn method(name: &str) -> Result<GooseMethod, String> {
    Ok(match name {
        "GET" => GooseMethod::Get,
        "POST" => GooseMethod::Post,
        "PUT" => GooseMethod::Put,
        "PATCH" => GooseMethod::Patch,
        "DELETE" => GooseMethod::Delete,
        "HEAD" => GooseMethod::Head,
        other => {
            return Err(format!("goose does not send {other}; use GET, POST, PUT, PATCH, DELETE or HEAD"));
        }
    })
}

impl Request {
    /// One turn of a user: a request, its answer read to the end so that the connection is used again.
    async fn send(&self, user: &mut GooseUser) -> Result<(), Box<TransactionError>> {
        let mut builder = user.get_request_builder(&self.method, &self.path)?;
        for (name, value) in &self.headers {
            builder = builder.header(name, value);
        }
        if !self.body.is_empty() {
            builder = builder.body(self.body.clone());
        }
        let request = GooseRequest::builder().set_request_builder(builder).build();
        let answered = user.request(request).await?;
        let metric = answered.request;
        let (end, body_bytes) = match answered.response {
            Ok(response) => match response.bytes().await {
                Ok(body) => (End::Answered, body.len()),
                Err(error) if error.is_timeout() => (End::TimedOut, 0),
                Err(_) => (End::Broken, 0),
            },
            Err(error) if error.is_timeout() => (End::TimedOut, 0),
            Err(_) => (End::Broken, 0),
        };
        let row = Row {
            elapsed_ms: metric.elapsed,
            response_us: metric.response_time_micros(),
            status: metric.status_code,
            user: u32::try_from(metric.user).unwrap_or(u32::MAX),
            body_bytes: u32::try_from(body_bytes).unwrap_or(u32::MAX),
            end,
        };
        // The writer lives until the last sender is gone.
        let _ = self.rows.send(row);
        Ok(())
    }
}

/// Writes rows until nobody sends any more; in batches, so that goose's own lines fit in between.
fn write(received: &mpsc::Receiver<Row>) -> std::io::Result<()> {
    let mut text = String::new();
    let mut held = 0;
    loop {
        let row = received.recv_timeout(Duration::from_millis(200));
        if let Ok(row) = row {
            text += &row.line();
            text.push('\n');
            held += 1;
        }
        if held >= BATCH_ROWS || (row.is_err() && held > 0) {
            std::io::stdout().lock().write_all(text.as_bytes())?;
            text.clear();
            held = 0;
        }
        if row == Err(mpsc::RecvTimeoutError::Disconnected) {
            return std::io::stdout().flush();
        }
    }
}

/// goose's own percentiles, from its own buckets.
fn summary(metrics: &GooseMetrics) -> Summary {
    // There is one name of requests only.
    let Some(all) = metrics.requests.values().next() else { return Summary::default() };
    let times = &all.raw_data;
    if times.counter == 0 {
        return Summary::default();
    }
    let at = |percent| Some(times.percentile_us(percent) as f64 / 1e3);
    Summary {
        requests: times.counter as u64,
        latency_ms: Latency {
            mean: Some(times.average_ms()),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: Some(times.maximum_time_us as f64 / 1e3),
        },
    }
}
