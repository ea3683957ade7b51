//! What one cell is about, made once and then only read: targets, requests, clock, judge.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::{HeaderMap, Method, header::CONTENT_TYPE, header::HeaderValue};

use super::{
    ConnectionPolicy, Judge, Load, Payload, Protocol,
    calls::{Call, Calls},
    client::Template,
    target::Target,
};
use crate::record::{Outcome, Record};

/// Nanoseconds since the start of the cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// The start.
    pub(super) zero: Instant,
}

impl Clock {
    /// Now; 0 before the start.
    pub(super) fn now_ns(self) -> u64 {
        Instant::now().saturating_duration_since(self.zero).as_nanos() as u64
    }

    /// The instant of a time.
    pub(super) fn at(self, ns: u64) -> Instant {
        self.zero + Duration::from_nanos(ns)
    }
}

/// A cell's constants.
pub(super) struct Job {
    pub(super) clock: Clock,
    pub(super) targets: Vec<Target>,
    pub(super) method: Method,
    pub(super) payloads: Arc<[Payload]>,
    pub(super) timeout: Duration,
    pub(super) judge: Arc<dyn Judge>,
    pub(super) connections: ConnectionPolicy,
    pub(super) lockstep: bool,
    pub(super) calls: Calls,
    /// Request headers by endpoint and payload.
    headers: Vec<HeaderMap>,
    /// Request bytes by endpoint and payload.
    templates: Vec<Template>,
}

impl Job {
    /// The job of a load, with its clock running from `clock.zero`. Takes the plan's assignments.
    pub(super) fn new(load: &mut Load, targets: Vec<Target>, clock: Clock) -> Self {
        let pairs = targets.len() * load.payloads.len();
        let (mut headers, mut templates) = (Vec::with_capacity(pairs), Vec::with_capacity(pairs));
        for target in &targets {
            for payload in load.payloads.iter() {
                let mut own = target.headers.clone();
                if let Ok(media_type) = HeaderValue::from_str(&payload.content_type)
                    && !media_type.is_empty()
                    && !own.contains_key(CONTENT_TYPE)
                {
                    own.insert(CONTENT_TYPE, media_type);
                }
                let reuse = load.connections.reuse;
                templates.push(Template::new(&load.method, target, &own, &payload.body, reuse));
                headers.push(own);
            }
        }
        Self {
            clock,
            targets,
            method: load.method.clone(),
            payloads: Arc::clone(&load.payloads),
            timeout: load.timeout,
            judge: Arc::clone(&load.judge),
            connections: load.connections,
            lockstep: load.lockstep,
            calls: Calls::of_load(load),
            headers,
            templates,
        }
    }

    /// Headers of a request.
    pub(super) fn headers(&self, endpoint: usize, payload: usize) -> &HeaderMap {
        &self.headers[endpoint * self.payloads.len() + payload]
    }

    /// Bytes of a request.
    pub(super) fn template(&self, endpoint: usize, payload: usize) -> &Template {
        &self.templates[endpoint * self.payloads.len() + payload]
    }

    /// Whether connections to this endpoint carry several requests at once.
    pub(super) fn is_multiplexed(&self) -> bool {
        self.connections.protocol == Protocol::Http2
    }

    /// The row of a call as far as it is known when it is sent.
    pub(super) fn record(&self, call: Call, sent_ns: u64) -> Record {
        Record {
            call_id: call.id,
            scheduled_ns: call.scheduled_ns,
            sent_ns,
            connected_ns: None,
            first_byte_ns: None,
            done_ns: sent_ns,
            status: 0,
            outcome: Outcome::Timeout,
            bytes_sent: u32::try_from(self.payloads[call.payload].body.len()).unwrap_or(u32::MAX),
            bytes_received: 0,
            payload: u16::try_from(call.payload).unwrap_or(u16::MAX),
            endpoint: u16::try_from(call.endpoint).unwrap_or(u16::MAX),
            connection: 0,
            instance: None,
            cold: false,
            server: None,
        }
    }
}
