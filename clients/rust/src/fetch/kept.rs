//! What was fetched while the server was away, for those who ask until it is
//! back: without this, an outage of the cache would be one of the issuer too.
//!
//! Guarantees that nothing is found here for longer than it was kept for, nor
//! what was fetched before a revocation that this process asked for.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::sleep};

use crate::{Credential, Target, clock::BootInstant, judged::Unjudged};

/// The most that is kept, in credentials and in bytes of their values; beyond,
/// what would go first goes.
const MOST: usize = 4096;
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// What is over is given back no later than this after its end.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Kept {
    state: Mutex<State>,
    /// Entries, for those who needn't look.
    count: AtomicUsize,
}

type Name = (String, String);

#[derive(Default)]
struct State {
    entries: HashMap<Name, Entry>,
    /// Those, by the end of their time.
    ends: BTreeSet<(BootInstant, Name)>,
    bytes: usize,
    /// Goes up with each revocation.
    revocations: u64,
    is_swept: bool,
}

struct Entry {
    credential: Unjudged<Arc<Credential>>,
    until: BootInstant,
}

/// When a fetch began, in revocations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since(u64);

impl Kept {
    /// To be called before the fetch of what is to be kept.
    pub(super) fn begin(&self) -> Since {
        Since(self.state().revocations)
    }

    /// Keeps what was fetched, up to `until`.
    pub(super) fn keep(
        self: &Arc<Self>,
        (namespace, key): (&str, &str),
        credential: &Unjudged<Arc<Credential>>,
        since: Since,
        until: BootInstant,
    ) {
        let until = until.min(credential.seen().deadline);
        if until <= BootInstant::now() {
            return;
        }
        let mut state = self.state();
        if state.revocations != since.0 {
            return;
        }
        let name = (namespace.to_owned(), key.to_owned());
        state.remove(&name);
        state.insert(
            name,
            Entry {
                credential: credential.clone(),
                until,
            },
        );
        while state.entries.len() > MOST || state.bytes > MOST_BYTES {
            state.remove_first();
        }
        self.count.store(state.entries.len(), Ordering::Release);
        if !state.is_swept
            && let Ok(runtime) = Handle::try_current()
        {
            state.is_swept = true;
            runtime.spawn(sweep(Sweep(Arc::clone(self))));
        }
    }

    /// What is kept of a key.
    pub(super) fn get(&self, namespace: &str, key: &str) -> Option<Unjudged<Arc<Credential>>> {
        if self.is_empty() {
            return None;
        }
        let state = self.state();
        let entry = state.entries.get(&(namespace.to_owned(), key.to_owned()))?;
        (entry.until > BootInstant::now()).then(|| entry.credential.clone())
    }

    /// The server has answered for this key: it knows better.
    pub(super) fn forget(&self, namespace: &str, key: &str) {
        if !self.is_empty() {
            let mut state = self.state();
            state.remove(&(namespace.to_owned(), key.to_owned()));
            self.count.store(state.entries.len(), Ordering::Release);
        }
    }

    /// This process asks for a revocation, whatever comes of that. Nothing is
    /// known here of tags, and prefixes are rare: those void everything.
    pub(crate) fn revoke(&self, namespace: &str, target: &Target) {
        let mut state = self.state();
        state.revocations += 1;
        match target {
            Target::Key(key) | Target::KeyVersion(key, _) => {
                state.remove(&(namespace.to_owned(), key.clone()));
            }
            Target::KeyPrefix(_) | Target::Tag(_) | Target::All => {
                state.entries.clear();
                state.ends.clear();
                state.bytes = 0;
            }
        }
        self.count.store(state.entries.len(), Ordering::Release);
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Gives back what is over; answers whether anything is left.
    fn sweep(&self, now: BootInstant) -> bool {
        let mut state = self.state();
        while state.ends.first().is_some_and(|(until, _)| *until <= now) {
            state.remove_first();
        }
        self.count.store(state.entries.len(), Ordering::Release);
        state.is_swept = !state.entries.is_empty();
        state.is_swept
    }

    // Never held over an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn insert(&mut self, name: Name, entry: Entry) {
        self.bytes += entry.credential.seen().value.expose().len();
        self.ends.insert((entry.until, name.clone()));
        self.entries.insert(name, entry);
    }

    fn remove(&mut self, name: &Name) {
        if let Some(entry) = self.entries.remove(name) {
            self.bytes -= entry.credential.seen().value.expose().len();
            self.ends.remove(&(entry.until, name.clone()));
        }
    }

    fn remove_first(&mut self) {
        if let Some((_, name)) = self.ends.first().cloned() {
            self.remove(&name);
        }
    }
}

/// Whoever sweeps. If its runtime ends, the next one who keeps something begins
/// another.
struct Sweep(Arc<Kept>);

impl Drop for Sweep {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_swept = false;
    }
}

async fn sweep(sweep: Sweep) {
    loop {
        sleep(BETWEEN_SWEEPS).await;
        if !sweep.0.sweep(BootInstant::now()) {
            return;
        }
    }
}

// The names are keys.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    const SECOND: Duration = Duration::from_secs(1);

    fn credential(bytes: usize, left: Duration) -> Unjudged<Arc<Credential>> {
        let deadline = BootInstant::now().after(left);
        let value = Secret::new(vec![7; bytes]);
        Unjudged::new(Arc::new(Credential::until(value, deadline)))
    }

    fn keep(kept: &Arc<Kept>, key: &str, bytes: usize, since: Since) {
        let until = BootInstant::now().after(60 * SECOND);
        let credential = credential(bytes, 60 * SECOND);
        kept.keep(("aws", key), &credential, since, until);
    }

    #[test]
    fn nothing_is_kept_past_its_time_or_its_own_end() {
        let kept = Arc::<Kept>::default();
        let now = BootInstant::now();
        for (left, until) in [(60 * SECOND, now), (Duration::ZERO, now.after(60 * SECOND))] {
            kept.keep(("aws", "k"), &credential(1, left), kept.begin(), until);
            assert!(kept.get("aws", "k").is_none());
        }
        keep(&kept, "k", 1, kept.begin());
        assert!(kept.get("aws", "k").is_some() && kept.get("aw", "sk").is_none());
        assert!(kept.sweep(BootInstant::now()));
        assert!(!kept.sweep(BootInstant::now().after(61 * SECOND)));
        assert!(kept.is_empty() && kept.state().bytes == 0);
    }

    #[test]
    fn what_this_process_revoked_is_given_up_and_what_was_being_fetched_isnt_kept() {
        let key = || Target::Key("k".into());
        for (target, other) in [(key(), true), (Target::All, false)] {
            let kept = Arc::<Kept>::default();
            let since = kept.begin();
            keep(&kept, "k", 1, since);
            keep(&kept, "other", 1, since);
            kept.revoke("aws", &target);
            assert!(kept.get("aws", "k").is_none());
            assert_eq!(kept.get("aws", "other").is_some(), other);
            keep(&kept, "k", 1, since);
            assert!(kept.get("aws", "k").is_none());
        }
    }

    #[test]
    fn room_is_bounded_in_number_and_in_bytes() {
        let kept = Arc::<Kept>::default();
        for number in 0..MOST + 10 {
            keep(&kept, &number.to_string(), 1, kept.begin());
        }
        assert_eq!(kept.state().entries.len(), MOST);
        for number in 0..20 {
            keep(&kept, &number.to_string(), 1 << 20, kept.begin());
        }
        let state = kept.state();
        assert!(state.bytes <= MOST_BYTES);
        assert_eq!(state.entries.len(), state.ends.len());
    }
}
