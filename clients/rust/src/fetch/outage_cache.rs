//! The credentials that were fetched while the server was unreachable, for callers
//! who ask until it is back: without them, an outage of the cache would be one of
//! the issuer too.
//!
//! Guarantees that no credential is found here for longer than it was to be stored,
//! nor after a revocation that this process asked for.

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

use crate::{clock::BootInstant, invalidate::Target, judged::SharedCredential, name::Name};

/// The most credentials, and the most bytes of their values. Beyond, the credential
/// goes whose time ends first.
const MAX_ENTRIES: usize = 4096;
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The longest time between the end of an entry's time and its removal.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct OutageCache {
    state: Mutex<OutageCacheState>,
    /// The number of entries, so that calls on an empty cache take no lock.
    count: AtomicUsize,
}

#[derive(Default)]
struct OutageCacheState {
    entries: HashMap<Name, OutageEntry>,
    /// The names of the entries, by the end of their time.
    ends: BTreeSet<(BootInstant, Name)>,
    bytes: usize,
    /// Counts the revocations that this process asked for.
    revocations: u64,
    is_swept: bool,
}

struct OutageEntry {
    credential: SharedCredential,
    /// When its fetch began.
    start: BootInstant,
    until: BootInstant,
}

/// How many revocations this process had asked for when a fetch began.
#[derive(Clone, Copy, Debug)]
pub(super) struct RevocationCount(u64);

impl OutageCache {
    /// The count of revocations, to be read before a fetch begins.
    pub(super) fn revocations(&self) -> RevocationCount {
        RevocationCount(self.state().revocations)
    }

    /// Stores the credential of a fetch that began at `start`, for `keep` from then.
    /// Nothing is stored if a revocation came in between.
    pub(super) fn insert(
        self: &Arc<Self>,
        (namespace, key): (&str, &str),
        credential: &SharedCredential,
        (start, revocations): (BootInstant, RevocationCount),
        keep: Duration,
    ) {
        let until = start.after(keep).min(credential.seen().deadline);
        if until <= BootInstant::now() {
            return;
        }
        let mut state = self.state();
        if state.revocations != revocations.0 {
            return;
        }
        let name = (namespace.to_owned(), key.to_owned());
        state.remove(&name);
        state.insert(
            name,
            OutageEntry {
                credential: credential.clone(),
                start,
                until,
            },
        );
        while state.entries.len() > MAX_ENTRIES || state.bytes > MAX_BYTES {
            state.remove_first();
        }
        self.count.store(state.entries.len(), Ordering::Release);
        if !state.is_swept
            && let Ok(runtime) = Handle::try_current()
        {
            state.is_swept = true;
            runtime.spawn(sweep(Sweeper(Arc::clone(self))));
        }
    }

    /// The credential of a key, for a caller who would have stored it for `keep`.
    pub(super) fn get(
        &self,
        namespace: &str,
        key: &str,
        keep: Duration,
    ) -> Option<SharedCredential> {
        if self.is_empty() {
            return None;
        }
        let state = self.state();
        let entry = state.entries.get(&(namespace.to_owned(), key.to_owned()))?;
        let until = entry.until.min(entry.start.after(keep));
        (until > BootInstant::now()).then(|| entry.credential.clone())
    }

    /// Removes a key's credential: the server has answered for this key.
    pub(super) fn remove(&self, namespace: &str, key: &str) {
        if !self.is_empty() {
            let mut state = self.state();
            state.remove(&(namespace.to_owned(), key.to_owned()));
            self.count.store(state.entries.len(), Ordering::Release);
        }
    }

    /// Applies a revocation that this process asks for, whatever its result. A tag
    /// or a prefix removes every credential: tags aren't known here, and prefixes are
    /// rare.
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

    /// Removes the entries whose time has ended. Returns whether any are left.
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
    fn state(&self) -> MutexGuard<'_, OutageCacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutageCacheState {
    fn insert(&mut self, name: Name, entry: OutageEntry) {
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

/// The task that sweeps. If its runtime ends, the next insertion begins another.
struct Sweeper(Arc<OutageCache>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_swept = false;
    }
}

async fn sweep(sweeper: Sweeper) {
    loop {
        sleep(SWEEP_INTERVAL).await;
        if !sweeper.0.sweep(BootInstant::now()) {
            return;
        }
    }
}

// The names are keys.
impl fmt::Debug for OutageCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutageCache").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credential, Secret, judged::Unjudged};

    const SECOND: Duration = Duration::from_secs(1);

    fn credential(bytes: usize, left: Duration) -> SharedCredential {
        let deadline = BootInstant::now().after(left);
        let value = Secret::new(vec![7; bytes]);
        Unjudged::new(Arc::new(Credential::until(value, deadline)))
    }

    const MINUTE: Duration = Duration::from_secs(60);

    fn insert(cache: &Arc<OutageCache>, key: &str, bytes: usize, revocations: RevocationCount) {
        let credential = credential(bytes, MINUTE);
        let start = (BootInstant::now(), revocations);
        cache.insert(("aws", key), &credential, start, MINUTE);
    }

    fn is_cached(cache: &OutageCache, key: &str) -> bool {
        cache.get("aws", key, MINUTE).is_some()
    }

    #[test]
    fn nothing_is_cached_past_its_time_or_its_own_end() {
        let cache = Arc::<OutageCache>::default();
        let now = BootInstant::now();
        for (left, time) in [(MINUTE, Duration::ZERO), (Duration::ZERO, MINUTE)] {
            let start = (now, cache.revocations());
            cache.insert(("aws", "k"), &credential(1, left), start, time);
            assert!(!is_cached(&cache, "k"));
        }
        insert(&cache, "k", 1, cache.revocations());
        assert!(is_cached(&cache, "k") && cache.get("aw", "sk", MINUTE).is_none());
        // A caller who would have stored it for less doesn't get it.
        assert!(cache.get("aws", "k", Duration::ZERO).is_none());
        assert!(cache.sweep(BootInstant::now()));
        assert!(!cache.sweep(BootInstant::now().after(MINUTE + SECOND)));
        assert!(cache.is_empty() && cache.state().bytes == 0);
    }

    #[test]
    fn what_this_process_revoked_is_given_up_and_what_was_being_fetched_isnt_kept() {
        let key = || Target::Key("k".into());
        for (target, other) in [(key(), true), (Target::All, false)] {
            let cache = Arc::<OutageCache>::default();
            let revocations = cache.revocations();
            insert(&cache, "k", 1, revocations);
            insert(&cache, "other", 1, revocations);
            cache.revoke("aws", &target);
            assert!(!is_cached(&cache, "k"));
            assert_eq!(is_cached(&cache, "other"), other);
            insert(&cache, "k", 1, revocations);
            assert!(!is_cached(&cache, "k"));
        }
    }

    #[test]
    fn room_is_bounded_in_number_and_in_bytes() {
        let cache = Arc::<OutageCache>::default();
        for number in 0..MAX_ENTRIES + 10 {
            insert(&cache, &number.to_string(), 1, cache.revocations());
        }
        assert_eq!(cache.state().entries.len(), MAX_ENTRIES);
        for number in 0..20 {
            insert(&cache, &number.to_string(), 1 << 20, cache.revocations());
        }
        let state = cache.state();
        assert!(state.bytes <= MAX_BYTES);
        assert_eq!(state.entries.len(), state.ends.len());
    }
}
