//! An executor of few lines: tasks run on the generator's thread, between two looks at the sockets.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::stream::{FuturesUnordered, Stream};

type Task<T> = Pin<Box<dyn Future<Output = T>>>;

/// Tasks that each end with a `T`.
pub(super) struct Tasks<T> {
    running: FuturesUnordered<Task<T>>,
    spawner: Spawner<T>,
    woken: Arc<Woken>,
    waker: Waker,
}

/// Adds tasks, also from within tasks.
pub(super) struct Spawner<T> {
    new: Rc<RefCell<Vec<Task<T>>>>,
}

impl<T> Clone for Spawner<T> {
    fn clone(&self) -> Self {
        Self { new: Rc::clone(&self.new) }
    }
}

impl<T> Spawner<T> {
    /// Adds a task; it begins with the next turn.
    pub(super) fn spawn(&self, task: impl Future<Output = T> + 'static) {
        self.new.borrow_mut().push(Box::pin(task));
    }
}

/// Whether some task can go on.
#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl<T> Tasks<T> {
    /// No tasks.
    pub(super) fn new() -> Self {
        let woken = Arc::new(Woken::default());
        let spawner = Spawner { new: Rc::default() };
        Self { running: FuturesUnordered::new(), spawner, waker: Waker::from(Arc::clone(&woken)), woken }
    }

    /// A handle that adds tasks.
    pub(super) fn spawner(&self) -> Spawner<T> {
        self.spawner.clone()
    }

    /// Runs tasks until one ends; its result. None when all of them wait for something.
    pub(super) fn next(&mut self) -> Option<T> {
        loop {
            let new = std::mem::take(&mut *self.spawner.new.borrow_mut());
            let added = !new.is_empty();
            self.running.extend(new);
            if !self.woken.0.swap(false, Relaxed) && !added {
                return None;
            }
            let mut context = Context::from_waker(&self.waker);
            if let Poll::Ready(Some(result)) = Pin::new(&mut self.running).poll_next(&mut context) {
                // Others may be ready too: the set wakes only for what happens after this look.
                self.woken.0.store(true, Relaxed);
                return Some(result);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_run_when_they_are_woken_and_may_add_others() {
        let mut tasks = Tasks::new();
        let spawner = tasks.spawner();
        let (send, word) = tokio::sync::oneshot::channel();
        tasks.spawner().spawn(async move {
            let number: u32 = word.await.unwrap();
            spawner.spawn(async move { number + 1 });
            number
        });
        assert_eq!(tasks.next(), None, "nobody woke it");
        send.send(7).unwrap();
        assert_eq!((tasks.next(), tasks.next(), tasks.next()), (Some(7), Some(8), None));
    }

    #[test]
    fn a_crowd_of_tasks_is_run_to_the_last() {
        let mut tasks = Tasks::new();
        for number in 0..500u32 {
            tasks.spawner().spawn(async move {
                let mut turns = 0;
                std::future::poll_fn(|cx| {
                    turns += 1;
                    cx.waker().wake_by_ref();
                    if turns > 3 { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                number
            });
        }
        let mut ended: Vec<u32> = std::iter::from_fn(|| tasks.next()).collect();
        ended.sort_unstable();
        assert!(ended.into_iter().eq(0..500));
    }
}
