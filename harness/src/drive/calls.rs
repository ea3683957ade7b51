//! What each call of a plan is: a pure function of the load and the call's number.

use super::{
    Assigned, Load, Plan, Share,
    draws::{Choice, WeightedChoice},
};

/// One planned request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    /// Position in the whole plan.
    pub(super) id: u64,
    /// Intended send time.
    pub(super) scheduled_ns: u64,
    /// Index into the endpoints.
    pub(super) endpoint: usize,
    /// Index into the payloads.
    pub(super) payload: usize,
}

/// Which endpoint and payload each call gets.
#[derive(Debug)]
pub(super) struct Calls {
    endpoint: Choice,
    payload: Payloads,
    assigned: Vec<Assigned>,
    share: Share,
}

#[derive(Debug)]
enum Payloads {
    Even(Choice),
    Weighted(WeightedChoice),
}

impl Calls {
    /// The calls of a load. Takes the plan's assignments out of it; they may be many.
    pub(super) fn of_load(load: &mut Load) -> Self {
        let payload = if load.weights.is_empty() {
            Payloads::Even(Choice::new(load.seed, b"payload", load.payloads.len()))
        } else {
            Payloads::Weighted(WeightedChoice::new(load.seed, b"payload", &load.weights))
        };
        let assigned = match &mut load.plan {
            Plan::Open { assigned, .. } => std::mem::take(assigned),
            Plan::Closed { .. } => Vec::new(),
        };
        Self {
            endpoint: Choice::new(load.seed, b"endpoint", load.endpoints.len()),
            payload,
            assigned,
            share: load.share,
        }
    }

    /// The call with this number in the plan; its id is that in the plan which this one is a share of,
    /// and so are its draws.
    pub(super) fn of(&self, number: u64, scheduled_ns: u64) -> Call {
        let fixed = usize::try_from(number).ok().and_then(|number| self.assigned.get(number));
        let fixed = fixed.copied().unwrap_or_default();
        let id = self.share.call_id(number);
        let endpoint = fixed.endpoint.map_or_else(|| self.endpoint.of(id), usize::from);
        let payload = fixed.payload.map_or_else(
            || match &self.payload {
                Payloads::Even(choice) => choice.of(id),
                Payloads::Weighted(choice) => choice.of(id),
            },
            usize::from,
        );
        Call { id, scheduled_ns, endpoint, payload }
    }
}

/// What is wrong with a load's weights and assignments, if something is.
pub(super) fn problem(load: &Load) -> Option<String> {
    let weights = &load.weights;
    if !weights.is_empty() && weights.len() != load.payloads.len() {
        let (given, needed) = (weights.len(), load.payloads.len());
        return Some(format!("it has {given} weights for {needed} payloads; give one for each, or none"));
    }
    let total: f64 = weights.iter().sum();
    let usable = weights.iter().all(|weight| *weight >= 0.0) && total > 0.0 && total.is_finite();
    if !weights.is_empty() && !usable {
        return Some("its weights are not usable; give numbers from 0 up, at least one above 0".into());
    }
    let Plan::Open { send_times_ns, assigned } = &load.plan else { return None };
    if !assigned.is_empty() && assigned.len() != send_times_ns.len() {
        let (given, needed) = (assigned.len(), send_times_ns.len());
        return Some(format!("it assigns {given} of {needed} sends; assign each one, or none"));
    }
    let within = |index: Option<u16>, length: usize| index.is_none_or(|index| usize::from(index) < length);
    let stray = assigned.iter().position(|fixed| {
        !within(fixed.endpoint, load.endpoints.len()) || !within(fixed.payload, load.payloads.len())
    })?;
    Some(format!(
        "send {stray} is assigned to an endpoint or payload that the load does not have ({} and {} of them)",
        load.endpoints.len(),
        load.payloads.len()
    ))
}
