//! Places for processor work on large bodies, given to tenants in turns: one with much of it does
//! not hold up another's little. Knows nothing of the work.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

type TenantKey = [u8; 16];

#[derive(Default)]
struct Queue {
    free: usize,
    /// Who waits, tenant by tenant; no lane is empty.
    lanes: HashMap<TenantKey, VecDeque<oneshot::Sender<Place>>>,
    /// Tenants that wait, whose turn is next in front.
    turns: VecDeque<TenantKey>,
}

impl Queue {
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        let tenant = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&tenant)?;
        let waiting = lane.pop_front();
        if lane.is_empty() {
            self.lanes.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        waiting
    }
}

/// The places. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Benches(Arc<Mutex<Queue>>);

/// A place; the next tenant's when it is dropped.
pub(crate) struct Place(Benches);

impl Benches {
    pub(crate) fn new(places: usize) -> Self {
        let free = places.max(1);
        Self(Arc::new(Mutex::new(Queue {
            free,
            ..Queue::default()
        })))
    }

    /// A place for work of this tenant, when it is its turn.
    pub(crate) async fn place(&self, tenant: TenantKey) -> Place {
        let turn = {
            let mut queue = self.0.lock();
            if queue.free > 0 {
                queue.free -= 1;
                return Place(self.clone());
            }
            let (give, turn) = oneshot::channel();
            let queue = &mut *queue;
            let lane = queue.lanes.entry(tenant).or_default();
            if lane.is_empty() {
                queue.turns.push_back(tenant);
            }
            lane.push_back(give);
            turn
        };
        match turn.await {
            Ok(place) => place,
            // Those who wait are only ever dropped with a place in their hands.
            Err(_) => Place(Self::new(1)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waiting = {
            let mut queue = self.0.0.lock();
            let waiting = queue.next();
            if waiting.is_none() {
                queue.free += 1;
            }
            waiting
        };
        // Whoever went away gets a place too, and drops it at once for the next.
        if let Some(waiting) = waiting {
            let _ = waiting.send(Self(self.0.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Waiting<'b> = Pin<Box<dyn Future<Output = Place> + 'b>>;

    fn poll(waiting: &mut Waiting<'_>) -> Option<Place> {
        match waiting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(place) => Some(place),
            Poll::Pending => None,
        }
    }

    #[test]
    fn tenants_take_turns() {
        let benches = Benches::new(1);
        let mut first = pin!(benches.place([1; 16]));
        let Poll::Ready(held) = first.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("a free place");
        };
        let mut waiting: Vec<(u8, Waiting<'_>)> = [1, 1, 1, 2, 3, 3]
            .into_iter()
            .map(|t| (t, Box::pin(benches.place([t; 16])) as Waiting<'_>))
            .collect();
        for (_, w) in &mut waiting {
            assert!(poll(w).is_none());
        }
        // One of the third tenant's hangs up.
        let (tenant, gone) = waiting.pop().unwrap();
        assert_eq!(tenant, 3);
        drop(gone);
        let mut order = Vec::new();
        let mut held = Some(held);
        while held.take().is_some() {
            let next = waiting.iter_mut().enumerate().find_map(|(i, (t, w))| {
                let place = poll(w)?;
                Some((i, *t, place))
            });
            if let Some((i, tenant, place)) = next {
                drop(waiting.remove(i));
                order.push(tenant);
                held = Some(place);
            }
        }
        assert_eq!(order, [1, 2, 3, 1, 1]);
        assert_eq!(benches.0.lock().free, 1);
        assert!(benches.0.lock().lanes.is_empty());
    }
}
