//! The connections to one endpoint in an open loop: which are free, how many there may be.

/// Connections to one endpoint.
#[derive(Debug)]
pub(super) struct Pool {
    /// The policy's limit.
    most: Option<usize>,
    /// Requests that one connection carries at once.
    capacity: usize,
    /// Those with nothing to do; the latest last, since it is the least likely to have been closed
    /// for idleness. Used where a connection carries one request.
    idle: Vec<usize>,
    /// Connections and what they carry, where that may be several requests.
    loads: Vec<(usize, usize)>,
    open: usize,
}

impl Pool {
    /// No connections.
    pub(super) fn new(most: Option<u32>, capacity: usize) -> Self {
        Self { most: most.map(|most| most as usize), capacity, idle: Vec::new(), loads: Vec::new(), open: 0 }
    }

    /// A connection for a request, if one is free.
    pub(super) fn take(&mut self) -> Option<usize> {
        if self.capacity == 1 {
            return self.idle.pop();
        }
        // Several streams share a connection, so a pool is filled first, and then shared evenly.
        if self.open < self.most.unwrap_or(1) {
            return None;
        }
        let (line, load) = self.loads.iter_mut().min_by_key(|(_, load)| *load)?;
        if *load >= self.capacity {
            return None;
        }
        *load += 1;
        Some(*line)
    }

    /// Whether the policy allows another connection.
    pub(super) fn may_open(&self) -> bool {
        self.most.is_none_or(|most| self.open < most)
    }

    /// A connection was opened for a request.
    pub(super) fn opened(&mut self, line: usize) {
        self.open += 1;
        if self.capacity > 1 {
            self.loads.push((line, 1));
        }
    }

    /// A request on this connection ended, and the connection may carry another one.
    pub(super) fn free(&mut self, line: usize) {
        if self.capacity == 1 {
            self.idle.push(line);
        } else if let Some((_, load)) = self.loads.iter_mut().find(|(key, _)| *key == line) {
            *load = load.saturating_sub(1);
        }
    }

    /// A connection is gone.
    pub(super) fn gone(&mut self, line: usize) {
        self.open = self.open.saturating_sub(1);
        if let Some(at) = self.idle.iter().rposition(|&idle| idle == line) {
            self.idle.remove(at);
        }
        self.loads.retain(|(key, _)| *key != line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_used_last_is_used_first() {
        let mut pool = Pool::new(Some(2), 1);
        assert_eq!((pool.take(), pool.may_open()), (None, true));
        pool.opened(4);
        pool.opened(7);
        assert!(!pool.may_open());
        pool.free(4);
        pool.free(7);
        assert_eq!((pool.take(), pool.take(), pool.take()), (Some(7), Some(4), None));
        pool.free(4);
        pool.gone(4);
        assert_eq!((pool.take(), pool.may_open()), (None, true));
    }

    #[test]
    fn streams_are_spread_over_a_full_pool_up_to_their_capacity() {
        let mut pool = Pool::new(Some(2), 3);
        for line in [1, 2] {
            assert_eq!(pool.take(), None, "the pool is filled first");
            pool.opened(line);
        }
        let taken: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(taken.iter().filter(|&&line| line == 1).count(), 2);
        assert_eq!(taken.len(), 4, "two connections with three streams each, two of which were there");
        pool.free(2);
        assert_eq!(pool.take(), Some(2));
        pool.gone(1);
        assert!(pool.may_open());
    }

    #[test]
    fn without_a_limit_streams_share_one_connection_while_it_has_room() {
        let mut pool = Pool::new(None, 2);
        pool.opened(5);
        assert_eq!((pool.take(), pool.take(), pool.may_open()), (Some(5), None, true));
    }
}
