//! Crews whose workers are tasks of this process, on lines of memory: all of it but processes.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::task::AbortHandle;

use super::{clock::SteadyClock, *};
use crate::{
    drive::{
        Endpoint, Judge, Judgement, Payload, Plan,
        answer::StatusJudge,
        null_target::{self, NullOptions, NullTarget},
        shapes::{self, Extent},
    },
    workloads::judge_of,
};

/// Workers that are tasks.
#[derive(Clone, Default)]
struct Tasks {
    /// How wrong the clock of each is, ms.
    ahead_ms: Vec<i64>,
    /// What each asks for, where it is not what the coordinator says.
    token: &'static str,
    running: Arc<Mutex<Vec<AbortHandle>>>,
}

struct NoFate;

impl Fate for NoFate {
    fn learn(&mut self) -> BoxFuture<'_, Option<String>> {
        std::future::ready(None).boxed()
    }
}

impl Workers for Tasks {
    fn open(&self, share: Share) -> BoxFuture<'_, Result<Line, String>> {
        let (here, there) = tokio::io::duplex(1 << 16);
        let ahead_ms = self.ahead_ms.get(share.index as usize).copied().unwrap_or(0);
        let worker = Worker::new(SteadyClock::read_ahead(ahead_ms), judge_of, Secret::new(self.token));
        let task = tokio::spawn(async move {
            let (input, output) = tokio::io::split(there);
            worker.serve(input, output).await
        });
        self.running.lock().unwrap().push(task.abort_handle());
        let (input, output) = tokio::io::split(here);
        let line = Line {
            input: Box::new(input),
            output: Box::new(output),
            place: format!("task {}", share.index),
            token: Secret::new(""),
            fate: Box::new(NoFate),
        };
        std::future::ready(Ok(line)).boxed()
    }
}

fn target() -> NullTarget {
    null_target::spawn(&NullOptions::default()).unwrap()
}

/// A load of several payloads on two endpoints.
fn load(url: &str, plan: Plan) -> Load {
    let payload = |size: usize| Payload {
        name: size.to_string(),
        content_type: "text/plain".into(),
        body: Bytes::from(vec![b'x'; size]),
    };
    let endpoints = ["/a", "/b"].map(|path| Endpoint { url: format!("{url}{path}"), headers: vec![] });
    Load {
        timeout: Duration::from_secs(5),
        drain: Duration::from_secs(5),
        seed: 11,
        ..Load::new(plan, endpoints.into(), (1..6).map(payload).collect(), Arc::new(StatusJudge))
    }
}

fn poisson(rate: f64, count: u64) -> Plan {
    Plan::open(shapes::poisson(rate, Extent::Count(count), 5))
}

fn closed(connections: u32, requests: u64) -> Plan {
    Plan::Closed { connections, think_time_ns: 0, duration_ns: None, requests: Some(requests) }
}

type Kept = Arc<Mutex<Vec<Record>>>;

fn keep(kept: &Kept) -> impl FnMut(&[Record]) -> Result<(), SinkError> + Send + 'static {
    let kept = Arc::clone(kept);
    move |rows: &[Record]| {
        kept.lock().unwrap().extend_from_slice(rows);
        Ok(())
    }
}

async fn played(from: &LoadFrom, load: Load) -> (GeneratorAudit, Vec<Record>) {
    let kept = Kept::default();
    let audit = from.play(load, PlayOptions::default(), keep(&kept), Interrupt::never()).await.unwrap();
    let mut records = std::mem::take(&mut *kept.lock().unwrap());
    records.sort_by_key(|record| record.call_id);
    (audit, records)
}

fn crew(count: u32, tasks: Tasks) -> LoadFrom {
    LoadFrom::Crew(Crew::new(count, Box::new(tasks)))
}

/// What is the same whoever sends: id, intended time, payload, endpoint, bytes.
fn plan_of(records: &[Record]) -> Vec<(u64, u64, u16, u16, u32)> {
    records.iter().map(|r| (r.call_id, r.scheduled_ns, r.payload, r.endpoint, r.bytes_sent)).collect()
}

#[tokio::test]
async fn three_workers_send_what_one_generator_sends_at_the_same_intended_times() {
    let target = target();
    let (_, alone) = played(&LoadFrom::Here, load(&target.url(), poisson(500.0, 200))).await;
    for count in [1, 3] {
        let (audit, together) =
            played(&crew(count, Tasks::default()), load(&target.url(), poisson(500.0, 200))).await;
        assert_eq!(plan_of(&together), plan_of(&alone), "{count} workers");
        assert_eq!((audit.planned, audit.sent, audit.unfinished), (200, 200, 0));
        assert_eq!((audit.threads, audit.workers.len()), (count, count as usize));
        assert_eq!(audit.workers.iter().map(|w| w.records).sum::<u64>(), 200);
        assert!(audit.workers.iter().all(|w| w.lost.is_none() && w.cpu_share.is_some()), "{audit:?}");
        let connections: BTreeSet<(u64, u32)> =
            together.iter().map(|r| (r.call_id % u64::from(count), r.connection)).collect();
        let numbers: BTreeSet<u32> = connections.iter().map(|(_, connection)| *connection).collect();
        assert_eq!(connections.len(), numbers.len(), "a connection belongs to one worker");
    }
}

#[tokio::test]
async fn a_closed_loop_is_divided_by_connections_and_its_calls_have_ids_of_their_own() {
    let target = target();
    let (audit, records) = played(&crew(3, Tasks::default()), load(&target.url(), closed(4, 100))).await;
    let ids: BTreeSet<u64> = records.iter().map(|r| r.call_id).collect();
    assert_eq!((audit.sent, records.len(), ids.len()), (100, 100, 100));
    // One generator would give each of these ids the same payload.
    let (_, alone) = played(&LoadFrom::Here, load(&target.url(), closed(1, 300))).await;
    assert!(records.iter().all(|r| r.payload == alone[r.call_id as usize].payload));
}

#[tokio::test]
async fn more_workers_than_calls_leave_some_without_work() {
    let target = target();
    let (audit, records) = played(&crew(5, Tasks::default()), load(&target.url(), poisson(100.0, 3))).await;
    assert_eq!((audit.planned, audit.sent, records.len()), (3, 3, 3));
    assert!(audit.workers.iter().all(|worker| worker.lost.is_none()));
}

#[tokio::test]
async fn clocks_that_are_off_are_reported_and_do_not_move_the_load() {
    let target = target();
    let tasks = Tasks { ahead_ms: vec![0, 3000, -7000], ..Tasks::default() };
    let (audit, records) = played(&crew(3, tasks), load(&target.url(), poisson(200.0, 90))).await;
    for (worker, expected_ms) in audit.workers.iter().zip([0.0, 3000.0, -7000.0]) {
        // The clocks themselves were read one after the other.
        assert!((worker.clock_offset_ms - expected_ms).abs() < 100.0, "{worker:?}");
        assert!(worker.clock_error_ms < 100.0 && worker.clock_drift_ms.is_some(), "{worker:?}");
    }
    assert_eq!(records.len(), 90);
    for share in Share::all(3) {
        let mut late_ns: Vec<u64> =
            records.iter().filter(|r| share.owns(r.call_id)).map(Record::lateness_ns).collect();
        late_ns.sort_unstable();
        let median_ms = late_ns[late_ns.len() / 2] as f64 / 1e6;
        assert!(median_ms < 500.0, "{}: sent {median_ms} ms after its time", share.name());
    }
}

#[tokio::test]
async fn a_worker_that_is_lost_is_named_and_what_the_others_measured_is_kept() {
    let target = target();
    let tasks = Tasks::default();
    let running = Arc::clone(&tasks.running);
    let kept = Kept::default();
    let (mut seen, mut inner) = (0, keep(&kept));
    let sink = move |rows: &[Record]| {
        seen += rows.len();
        if seen >= 60 {
            running.lock().unwrap()[1].abort();
        }
        inner(rows)
    };
    let load = load(&target.url(), poisson(300.0, 450));
    let audit = crew(3, tasks).play(load, PlayOptions::default(), sink, Interrupt::never()).await.unwrap();
    let lost: Vec<u32> = audit.workers.iter().filter(|w| w.lost.is_some()).map(|w| w.number).collect();
    assert_eq!(lost, [2]);
    assert_eq!(audit.planned, 450, "what was planned and not measured counts");
    let records = kept.lock().unwrap();
    assert_eq!(records.len() as u64, audit.sent);
    for share in [Share { index: 0, of: 3 }, Share { index: 2, of: 3 }] {
        assert_eq!(records.iter().filter(|r| share.owns(r.call_id)).count(), 150);
    }
    assert!(audit.workers[1].records < 150);
}

#[tokio::test]
async fn an_interrupt_reaches_all_workers() {
    let target = target();
    let (raise, interrupt) = Interrupt::new();
    let sink = move |_: &[Record]| {
        raise.raise();
        Ok(())
    };
    let long = load(&target.url(), poisson(100.0, 100_000));
    let audit = crew(2, Tasks::default()).play(long, PlayOptions::default(), sink, interrupt).await.unwrap();
    assert!(audit.interrupted && audit.sent < 10_000, "{audit:?}");
    assert!(audit.workers.iter().all(|worker| worker.lost.is_none()), "{audit:?}");
}

#[tokio::test]
async fn what_no_worker_can_play_is_an_error_that_says_why() {
    struct Oracle;
    impl Judge for Oracle {
        fn judge(&self, payload: usize, status: u16, headers: &hyper::HeaderMap, body: &[u8]) -> Judgement {
            StatusJudge.judge(payload, status, headers, body)
        }
    }
    let target = target();
    let good = || load(&target.url(), poisson(100.0, 10));
    let nowhere = Endpoint { url: "http://no-such-host.invalid/".into(), headers: vec![] };
    let stranger = Tasks { token: "another", ..Tasks::default() };
    let mut messages = Vec::new();
    for (load, tasks) in [
        (Load { judge: Arc::new(Oracle), ..good() }, Tasks::default()),
        (Load { plan: Plan::open(Vec::new()), ..good() }, Tasks::default()),
        (Load { endpoints: vec![nowhere], ..good() }, Tasks::default()),
        (good(), stranger),
    ] {
        let kept = Kept::default();
        let crew = crew(2, tasks);
        let error =
            crew.play(load, PlayOptions::default(), keep(&kept), Interrupt::never()).await.unwrap_err();
        let message = error.to_string();
        messages.push(message.split(" (failed to lookup").next().unwrap().replace("worker 2", "worker 1"));
    }
    insta::assert_snapshot!(messages.join("\n").replace("task 1", "task 0"), @r"
    this load cannot be given to workers: its answers are judged by what cannot be written down; drive it from here
    this load cannot be played: its schedule is empty; choose a rate above zero and a longer time
    no worker could play the load: worker 1 of 2: the host 'no-such-host.invalid' was not found
    worker 1 of 2 (task 0) did not take its part of the load: the token is not this worker's
    ");
}

#[tokio::test]
async fn nobody_else_is_served() {
    let worker = Worker::new(SteadyClock::read(), judge_of, Secret::new("token"));
    for greeting in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"", b"m\0\0\0\x02{}", b"m\xff\xff\xff\xff"] {
        let mut answer = Vec::new();
        assert_eq!(worker.serve(greeting, &mut answer).await.unwrap(), Served::Stranger);
        assert!(!String::from_utf8_lossy(&answer).contains("welcome"), "{answer:?}");
    }
}
