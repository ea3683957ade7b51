//! Knative's activator: holds requests until a pod can take them, and picks that pod.
//!
//! After knative/serving `pkg/activator/net/{throttler,lb_policy}.go`. One activator stands for
//! however many a cluster runs.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::{Request, StatusCode, body::Incoming};
use tokio::sync::{Notify, oneshot};

use super::{
    http::{self, Answer},
    queue_proxy::QUEUE_FULL,
    replicas::{Backend, Ready},
};

/// Requests that may wait per revision (`breakerQueueDepth`).
const MAX_WAITING: usize = 10_000;

/// Holds and balances the requests of one revision.
#[derive(Debug)]
pub struct Activator {
    container_concurrency: u32,
    request_timeout: Duration,
    max_waiting: usize,
    /// Woken when a request meets no pod at all.
    poke: Arc<Notify>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pods: Vec<Pod>,
    waiting: VecDeque<oneshot::Sender<Lease>>,
    /// Where round robin goes on.
    next: usize,
}

#[derive(Debug)]
struct Pod {
    backend: Arc<Backend>,
    in_flight: u32,
}

/// A request's claim on a pod; dropping it lets the next request in.
#[derive(Debug)]
struct Lease {
    /// None once handed back.
    activator: Option<Arc<Activator>>,
    backend: Arc<Backend>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(activator) = self.activator.take() {
            activator.release(&self.backend);
        }
    }
}

impl Activator {
    /// An activator without pods.
    pub fn new(container_concurrency: u32, request_timeout: Duration, poke: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            container_concurrency,
            request_timeout,
            max_waiting: MAX_WAITING,
            poke,
            state: Mutex::default(),
        })
    }

    /// Takes over the list of pods that can answer, and serves who waits.
    pub fn set_pods(self: &Arc<Self>, ready: &Ready) {
        let mut state = self.state();
        let mut before = std::mem::take(&mut state.pods);
        state.pods = ready
            .iter()
            .map(|backend| {
                let known = before.iter().position(|pod| Arc::ptr_eq(&pod.backend, backend));
                match known {
                    Some(index) => before.swap_remove(index),
                    None => Pod { backend: Arc::clone(backend), in_flight: 0 },
                }
            })
            .collect();
        self.serve_waiting(&mut state);
    }

    /// Answers one request.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let work = async {
            let Some(lease) = self.lease().await else {
                return http::go_error(StatusCode::SERVICE_UNAVAILABLE, QUEUE_FULL);
            };
            let mut request = http::forwardable(request);
            http::set(request.headers_mut(), "k-proxy-request", "activator");
            match lease.backend.upstream.send(request).await {
                Ok(mut response) => {
                    http::strip_connection_headers(response.headers_mut());
                    response.map(|body| http::guarded(body, lease))
                }
                Err(error) => http::go_error(StatusCode::BAD_GATEWAY, &error.to_string()),
            }
        };
        let timely = tokio::time::timeout(self.request_timeout, work).await;
        Ok(timely.unwrap_or_else(|_| http::text(StatusCode::GATEWAY_TIMEOUT, "activator request timeout")))
    }

    /// Waits for a pod; none if too many wait already.
    async fn lease(self: &Arc<Self>) -> Option<Lease> {
        let turn = {
            let mut state = self.state();
            if let Some(lease) = self.pick(&mut state) {
                return Some(lease);
            }
            if state.waiting.len() >= self.max_waiting {
                state.waiting.retain(|waiter| !waiter.is_closed());
                if state.waiting.len() >= self.max_waiting {
                    return None;
                }
            }
            if state.pods.is_empty() {
                self.poke.notify_one();
            }
            let (waiter, turn) = oneshot::channel();
            state.waiting.push_back(waiter);
            turn
        };
        turn.await.ok()
    }

    fn release(self: &Arc<Self>, backend: &Arc<Backend>) {
        let mut state = self.state();
        if let Some(pod) = state.pods.iter_mut().find(|pod| Arc::ptr_eq(&pod.backend, backend)) {
            pod.in_flight -= 1;
        }
        self.serve_waiting(&mut state);
    }

    fn serve_waiting(self: &Arc<Self>, state: &mut State) {
        while let Some(waiter) = state.waiting.pop_front() {
            if waiter.is_closed() {
                continue;
            }
            let Some(lease) = self.pick(state) else {
                state.waiting.push_front(waiter);
                return;
            };
            if let Err(mut lease) = waiter.send(lease) {
                // Gave up just now. Undone by hand, because the lock is held here.
                lease.activator = None;
                if let Some(pod) = state.pods.iter_mut().find(|p| Arc::ptr_eq(&p.backend, &lease.backend)) {
                    pod.in_flight -= 1;
                }
            }
        }
    }

    fn pick(self: &Arc<Self>, state: &mut State) -> Option<Lease> {
        let loads: Vec<u32> = state.pods.iter().map(|pod| pod.in_flight).collect();
        let chosen = choose(self.container_concurrency, &loads, &mut state.next, rand::random_range)?;
        let pod = &mut state.pods[chosen];
        pod.in_flight += 1;
        Some(Lease { activator: Some(Arc::clone(self)), backend: Arc::clone(&pod.backend) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The activator's balancing: the index of the pod for the next request, given what each pod works
/// on. Without a limit the better of two random pods; at a limit of 1 to 3 the first free pod;
/// above that the next free pod in turn. None if no pod is free.
fn choose(
    container_concurrency: u32,
    loads: &[u32],
    next: &mut usize,
    mut draw: impl FnMut(std::ops::Range<usize>) -> usize,
) -> Option<usize> {
    let free = |&index: &usize| loads[index] < container_concurrency;
    match (container_concurrency, loads.len()) {
        (_, 0) => None,
        (0, 1) => Some(0),
        (0, pods) => {
            let first = draw(0..pods);
            // A different one: drawn among the others.
            let second = (first + 1 + draw(0..pods - 1)) % pods;
            Some(if loads[second] < loads[first] { second } else { first })
        }
        (1..=3, pods) => (0..pods).find(free),
        (_, pods) => {
            let chosen = (0..pods).map(|step| (*next + step) % pods).find(free)?;
            *next = (chosen + 1) % pods;
            Some(chosen)
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::platforms::twin::plane::replicas::tests::backends;

    fn activator(container_concurrency: u32, max_waiting: usize) -> Arc<Activator> {
        Arc::new(Activator {
            container_concurrency,
            request_timeout: Duration::from_mins(5),
            max_waiting,
            poke: Arc::default(),
            state: Mutex::default(),
        })
    }

    #[test]
    fn without_a_limit_the_better_of_two_random_pods_is_chosen() {
        let mut draws = [1, 0].into_iter();
        // First draw: pod 1; second: the pod after it, pod 2, which has less to do.
        assert_eq!(choose(0, &[9, 5, 4], &mut 0, |_| draws.next().unwrap()), Some(2));
        let mut draws = [1, 1].into_iter();
        assert_eq!(choose(0, &[9, 5, 4], &mut 0, |_| draws.next().unwrap()), Some(1), "of 1 and 0");
    }

    #[test]
    fn at_a_limit_of_one_to_three_the_first_free_pod_is_chosen() {
        let never = |_| unreachable!();
        assert_eq!(choose(1, &[1, 0, 0], &mut 0, never), Some(1));
        assert_eq!(choose(3, &[2, 0, 0], &mut 2, never), Some(0));
        assert_eq!(choose(3, &[3, 3, 3], &mut 0, never), None);
    }

    #[test]
    fn above_a_limit_of_three_pods_take_turns_and_full_ones_are_passed_over() {
        let mut next = 0;
        let mut turn = |loads: &[u32]| choose(4, loads, &mut next, |_| unreachable!());
        assert_eq!([turn(&[0, 0, 0]), turn(&[0, 0, 0]), turn(&[0, 0, 0])], [Some(0), Some(1), Some(2)]);
        assert_eq!([turn(&[4, 0, 0]), turn(&[4, 4, 4])], [Some(1), None]);
    }

    #[test]
    fn requests_wait_for_a_pod_in_order_and_the_one_too_many_is_refused() {
        let activator = activator(1, 3);
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(activator.lease())).collect();
        assert!(waiting.iter_mut().all(|turn| turn.now_or_never().is_none()));
        assert!(matches!(activator.lease().now_or_never(), Some(None)), "the fourth is refused");
        assert!(activator.poke.notified().now_or_never().is_some(), "no pods: the autoscaler is told");

        activator.set_pods(&backends(1));
        let first = waiting.remove(0).now_or_never().flatten().expect("the first is served");
        assert!(waiting[0].as_mut().now_or_never().is_none(), "the pod takes one at a time");
        drop(first);
        assert!(waiting.remove(0).now_or_never().flatten().is_some(), "then the second");
    }

    #[test]
    fn who_gave_up_is_passed_over_and_makes_room() {
        let activator = activator(1, 2);
        let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(activator.lease())).collect();
        assert!(waiting.iter_mut().all(|turn| turn.now_or_never().is_none()));
        drop(waiting.remove(0));
        let mut third = Box::pin(activator.lease());
        assert!(third.as_mut().now_or_never().is_none(), "waits instead of being refused");
        activator.set_pods(&backends(1));
        let second = waiting.remove(0).now_or_never().flatten().expect("the second is served");
        drop(second);
        assert!(third.now_or_never().flatten().is_some());
    }
}
