//! Which connections are open: at most so many. When one more comes, the one that has been idle
//! longest goes; when all are busy, the newcomer is let in only to be told so.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http_body::{Frame, SizeHint};
use tokio_util::sync::CancellationToken;

/// One in so many connections may be there only to be told that it is one too many.
const STANDING: usize = 8;
/// The turn of a connection that is busy.
const BUSY: u64 = 0;

/// All connections of a gateway.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    /// The last turn that was given out; later turns are larger.
    turn: u64,
    /// Who waits for a request, by turn, and how to ask them to leave.
    idle: BTreeMap<u64, CancellationToken>,
}

impl Connections {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one more in; `None`: there is not even room to tell it why not.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Seat> {
        let mut state = self.state();
        let is_full = state.open >= self.most;
        let gives_way = is_full.then(|| state.idle.pop_first()).flatten();
        let is_crowded = is_full && gives_way.is_none();
        if is_crowded && state.open >= self.most + self.most.div_ceil(STANDING) {
            return None;
        }
        match gives_way {
            // The newcomer is counted in its place.
            Some((_, leave)) => leave.cancel(),
            None => state.open += 1,
        }
        drop(state);
        let place = Place {
            is_crowded,
            connections: Arc::clone(self),
            leave: CancellationToken::new(),
            turn: AtomicU64::new(BUSY),
            was_busy: AtomicBool::new(false),
        };
        place.rest();
        Some(Seat(Arc::new(place)))
    }
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Place>);

#[derive(Debug)]
struct Place {
    /// It is one too many.
    is_crowded: bool,
    connections: Arc<Connections>,
    leave: CancellationToken,
    turn: AtomicU64,
    was_busy: AtomicBool,
}

impl Seat {
    /// Whether it is one too many.
    pub(crate) fn is_crowded(&self) -> bool {
        self.0.is_crowded
    }

    /// Busy until what is returned is dropped.
    pub(crate) fn busy(&self) -> Busy {
        let mut state = self.0.connections.state();
        let turn = self.0.turn.swap(BUSY, Ordering::Relaxed);
        state.idle.remove(&turn);
        self.0.was_busy.store(true, Ordering::Relaxed);
        Busy(Arc::clone(&self.0))
    }

    /// Whether no request runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.turn.load(Ordering::Relaxed) != BUSY
    }

    /// Whether no request ever ran.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.0.was_busy.load(Ordering::Relaxed)
    }

    /// Returns when it has to give way to another.
    pub(crate) async fn asked_to_leave(&self) {
        self.0.leave.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.0.connections.state();
        state.idle.remove(&self.0.turn.load(Ordering::Relaxed));
        // Whoever gave way is no longer counted.
        if !self.0.leave.is_cancelled() {
            state.open -= 1;
        }
    }
}

impl Place {
    fn rest(&self) {
        let mut state = self.connections.state();
        state.turn += 1;
        let turn = state.turn;
        self.turn.store(turn, Ordering::Relaxed);
        // One too many has no place to give.
        if !self.leave.is_cancelled() && !self.is_crowded {
            state.idle.insert(turn, self.leave.clone());
        }
    }
}

/// A request runs.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Place>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// An answer's body; its connection is busy as long as it lives.
#[derive(Debug)]
pub(crate) struct WhileBusy<B> {
    pub(crate) body: B,
    pub(crate) _busy: Busy,
}

impl<B: http_body::Body + Unpin> http_body::Body for WhileBusy<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_gives_way_and_the_busy_stay() {
        let all = Connections::new(2);
        let [first, second] = [(); 2].map(|()| all.enter().unwrap());
        let busy = first.busy();
        let third = all.enter().unwrap();
        assert!(second.0.leave.is_cancelled() && !first.0.leave.is_cancelled());
        assert!(!third.is_crowded() && second.is_idle() && !first.is_idle());
        let (_busy, third_busy) = (busy, third.busy());
        let fourth = all.enter().unwrap();
        assert!(fourth.is_crowded());
        assert!(all.enter().is_none(), "nobody stands behind the one who stands");
        drop((fourth, second));
        drop(third_busy);
        assert!(!all.enter().unwrap().is_crowded());
        assert!(third.0.leave.is_cancelled());
    }

    #[test]
    fn whoever_leaves_makes_room() {
        let all = Connections::new(1);
        let seat = all.enter().unwrap();
        let busy = seat.busy();
        drop((busy, seat));
        assert_eq!(all.state().open, 0);
        let seat = all.enter().unwrap();
        assert!(!seat.is_crowded() && all.state().idle.len() == 1);
    }
}
