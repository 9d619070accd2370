//! The slots of open connections, and how those who connect share them.
//!
//! Guarantees that no more connections are open than may be, and that nobody takes the last quarter
//! of the slots while holding more than an equal share.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

/// Who opens connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    /// A host, by its address; with IPv6, the network of 64 bits that a host chooses addresses in.
    Host(IpAddr),
    /// A user of this machine, by the number that a Unix socket tells.
    User(u32),
}

/// The slots of all connections.
#[derive(Debug)]
pub(super) struct Slots {
    max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Nobody who holds none is listed.
    by_holder: HashMap<Holder, usize>,
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All slots are taken.
    All,
    /// Few are left, and the holder has its share.
    Share,
}

/// A slot among those of the server. Dropping the permit gives the slot back.
#[derive(Debug)]
pub(super) struct Permit {
    slots: Arc<Slots>,
    holder: Holder,
}

/// The slot of one connection, which the server and its worker count. Dropping the slot gives it
/// back.
#[derive(Debug)]
pub(super) struct Slot {
    _permit: Permit,
    /// The number of the worker's connections.
    open: Arc<AtomicUsize>,
}

impl Holder {
    pub(super) fn host(address: IpAddr) -> Self {
        const HOST_BITS: u32 = 64;
        Self::Host(match address.to_canonical() {
            IpAddr::V6(address) => {
                Ipv6Addr::from_bits(address.to_bits() >> HOST_BITS << HOST_BITS).into()
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl Slots {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            taken: Mutex::default(),
        })
    }

    /// How many slots are taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().all
    }

    /// Takes a slot.
    ///
    /// # Errors
    /// There is none for this holder.
    pub(super) fn take(self: &Arc<Self>, holder: Holder) -> Result<Permit, Full> {
        let mut taken = self.taken.lock();
        if taken.all >= self.max {
            return Err(Full::All);
        }
        let own = taken.by_holder.get(&holder).copied().unwrap_or(0);
        let holders = taken.by_holder.len() + usize::from(own == 0);
        let is_scarce = taken.all >= self.max - self.max / 4;
        if is_scarce && own > 0 && own >= self.max / holders {
            return Err(Full::Share);
        }
        taken.all += 1;
        taken.by_holder.insert(holder, own + 1);
        drop(taken);
        Ok(Permit {
            slots: self.clone(),
            holder,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock();
        taken.all -= 1;
        if let Some(own) = taken.by_holder.get_mut(&self.holder) {
            *own -= 1;
            if *own == 0 {
                taken.by_holder.remove(&self.holder);
            }
        }
    }
}

impl Slot {
    pub(super) fn new(permit: Permit, open: Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Relaxed);
        Self {
            _permit: permit,
            open,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(slots: &Arc<Slots>, holder: Holder) -> Vec<Permit> {
        std::iter::from_fn(|| slots.take(holder).ok()).collect()
    }

    #[test]
    fn holder_that_is_alone_may_have_every_slot() {
        let slots = Slots::new(100);
        let held = take_all(&slots, Holder::User(1));
        assert_eq!(held.len(), 100);
        assert_eq!(slots.take(Holder::User(2)).unwrap_err(), Full::All);
        drop(held);
        assert_eq!(slots.taken(), 0);
        assert!(slots.taken.lock().by_holder.is_empty());
    }

    #[test]
    fn last_quarter_is_for_those_who_hold_less_than_an_equal_share() {
        let slots = Slots::new(100);
        let _first = slots.take(Holder::User(1)).unwrap();
        let greedy = take_all(&slots, Holder::User(2));
        assert_eq!(greedy.len(), 74);
        assert_eq!(slots.take(Holder::User(2)).unwrap_err(), Full::Share);
        let others = take_all(&slots, Holder::User(3));
        assert_eq!(others.len(), 25);
        drop(others);
        // Below three quarters, everybody takes what is there.
        drop(greedy);
        assert_eq!(take_all(&slots, Holder::User(3)).len(), 74);
    }

    #[test]
    fn addresses_of_one_host_count_together() {
        let host = |address: &str| Holder::host(address.parse().unwrap());
        assert_eq!(host("2001:db8::1"), host("2001:db8::ffff:2"));
        assert_ne!(host("2001:db8::1"), host("2001:db8:0:1::1"));
        assert_eq!(host("::ffff:10.0.0.1"), host("10.0.0.1"));
        assert_ne!(host("10.0.0.1"), host("10.0.0.2"));
    }
}
