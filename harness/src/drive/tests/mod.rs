//! The engine against targets that behave and targets that do not.
//!
//! Times are checked with wide margins: these tests run on busy machines.

mod http2;
mod misbehaving;
mod open_and_closed;
mod plans;
mod policy;
mod servers;
mod tls;

pub(super) use tls::and_test_authority;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{shapes::Extent, *};
use crate::{interrupt::Interrupt, record::Record};

/// A load of empty `GET`s; tests change what they are about.
fn load(url: &str, plan: Plan) -> Load {
    let payload = Payload { name: "empty".into(), content_type: String::new(), body: Bytes::new() };
    let endpoints = vec![Endpoint { url: url.into(), headers: vec![] }];
    Load {
        method: hyper::Method::GET,
        timeout: Duration::from_secs(5),
        drain: Duration::from_secs(5),
        seed: 1,
        ..Load::new(plan, endpoints, Arc::new([payload]), Arc::new(answer::StatusJudge))
    }
}

/// An open plan at a constant rate.
fn constant(rate: f64, count: u64) -> Plan {
    Plan::open(shapes::constant(rate, Extent::Count(count)))
}

/// A closed plan for so many requests.
fn closed(connections: u32, requests: u64) -> Plan {
    Plan::Closed { connections, think_time_ns: 0, duration_ns: None, requests: Some(requests) }
}

/// Plays a load; returns the audit and the records by call id.
async fn played(load: Load, interrupt: Interrupt) -> (GeneratorAudit, Vec<Record>) {
    let records: Arc<Mutex<Vec<Record>>> = Arc::default();
    let kept = Arc::clone(&records);
    let sink = move |batch: &[Record]| {
        kept.lock().unwrap().extend_from_slice(batch);
        Ok(())
    };
    let audit = play(load, PlayOptions::default(), sink, interrupt).await.unwrap();
    let mut records = std::mem::take(&mut *records.lock().unwrap());
    records.sort_by_key(|record| record.call_id);
    let ids: Vec<u64> = records.iter().map(|record| record.call_id).collect();
    assert_eq!(ids, (0..audit.sent).collect::<Vec<_>>(), "one record for each request that was sent");
    (audit, records)
}

async fn play_to_the_end(load: Load) -> (GeneratorAudit, Vec<Record>) {
    played(load, Interrupt::never()).await
}

fn outcomes(records: &[Record]) -> Vec<Outcome> {
    let mut outcomes: Vec<_> = records.iter().map(|record| record.outcome).collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    outcomes
}
