//! The Gets that wait to be sent: bounded, and in the order in which they came.

use std::{collections::VecDeque, mem, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use crate::{Error, judged::SharedCredential, lookup::Lookup};

/// The most Gets that wait.
const MAX_WAITING: usize = 4096;
/// The most groups of Gets that wait. Each Get is compared with all of them.
const MAX_GROUPS: usize = 16;
/// The longest names that wait: longer ones aren't valid, and the server would refuse
/// the whole batch.
const MAX_NAMESPACE: usize = 63;
const MAX_KEY: usize = 1024;

/// The answer to a Get. A Get whose answer is dropped goes on by itself.
pub(super) type Answer = Result<Lookup<SharedCredential>, Error>;

/// A Get that waits to be sent.
pub(super) struct WaitingGet {
    pub(super) key: String,
    /// When its caller gives it up.
    pub(super) deadline: Instant,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Gets that may be in one message.
pub(super) struct Group {
    pub(super) namespace: String,
    pub(super) min_ttl: Option<Duration>,
    pub(super) gets: VecDeque<WaitingGet>,
}

/// The Gets that wait, by the namespace and the least lifetime that a message has.
#[derive(Default)]
pub(super) struct Queue {
    groups: VecDeque<Group>,
    waiting: usize,
}

impl Queue {
    /// Adds a Get. Returns where its answer will be; `None` if the Get has to go by
    /// itself, because there is no room or no batch could hold it.
    pub(super) fn push(
        &mut self,
        (namespace, key): (&str, &str),
        min_ttl: Option<Duration>,
        deadline: Instant,
    ) -> Option<oneshot::Receiver<Answer>> {
        let names_fit =
            (1..=MAX_NAMESPACE).contains(&namespace.len()) && (1..=MAX_KEY).contains(&key.len());
        if !names_fit || self.waiting >= MAX_WAITING {
            return None;
        }
        let gets = self.group(namespace, min_ttl)?;
        let (answer, receiver) = oneshot::channel();
        gets.push_back(WaitingGet {
            key: key.to_owned(),
            deadline,
            answer,
        });
        self.waiting += 1;
        Some(receiver)
    }

    fn group(
        &mut self,
        namespace: &str,
        min_ttl: Option<Duration>,
    ) -> Option<&mut VecDeque<WaitingGet>> {
        let found = self
            .groups
            .iter()
            .position(|group| group.namespace == namespace && group.min_ttl == min_ttl);
        if found.is_none() {
            if self.groups.len() >= MAX_GROUPS {
                return None;
            }
            self.groups.push_back(Group {
                namespace: namespace.to_owned(),
                min_ttl,
                gets: VecDeque::new(),
            });
        }
        let group = match found {
            Some(found) => self.groups.get_mut(found),
            None => self.groups.back_mut(),
        };
        group.map(|group| &mut group.gets)
    }

    /// Takes up to `most` Gets of one group. If the group has more, it is the last
    /// one's turn next.
    pub(super) fn take(&mut self, most: usize) -> Option<Group> {
        let mut group = self.groups.pop_front()?;
        if group.gets.len() > most {
            let rest = group.gets.split_off(most);
            self.groups.push_back(Group {
                namespace: group.namespace.clone(),
                min_ttl: group.min_ttl,
                gets: rest,
            });
        }
        self.waiting -= group.gets.len();
        Some(group)
    }

    /// How many Gets wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Takes everything out, for each Get to go on by itself.
    pub(super) fn clear(&mut self) -> Self {
        mem::take(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Receiver = oneshot::Receiver<Answer>;

    fn push(queue: &mut Queue, namespace: &str, key: &str) -> Option<Receiver> {
        queue.push((namespace, key), None, Instant::now())
    }

    fn keys(group: &Group) -> Vec<&str> {
        group.gets.iter().map(|get| &*get.key).collect()
    }

    #[test]
    fn no_more_gets_or_groups_wait_than_there_is_room_for() {
        let mut queue = Queue::default();
        for _ in 0..MAX_WAITING {
            assert!(push(&mut queue, "aws", "reader").is_some());
        }
        assert!(push(&mut queue, "aws", "reader").is_none());
        assert_eq!(queue.take(1000).unwrap().gets.len(), 1000);
        for _ in 0..1000 {
            assert!(push(&mut queue, "aws", "reader").is_some());
        }
        assert!(push(&mut queue, "aws", "reader").is_none());
        while queue.take(1000).is_some() {}
        assert_eq!(queue.len(), 0);

        for namespace in 0..MAX_GROUPS {
            assert!(push(&mut queue, &namespace.to_string(), "reader").is_some());
        }
        assert!(push(&mut queue, "another", "reader").is_none());
        assert!(push(&mut queue, "0", "reader").is_some());
    }

    #[test]
    fn names_that_no_batch_may_hold_do_not_wait() {
        let mut queue = Queue::default();
        let (namespace, key) = ("n".repeat(MAX_NAMESPACE), "k".repeat(MAX_KEY));
        assert!(push(&mut queue, &namespace, &key).is_some());
        for (namespace, key) in [
            ("", "reader"),
            ("aws", ""),
            (&*format!("{namespace}n"), "reader"),
            ("aws", &*format!("{key}k")),
        ] {
            assert!(push(&mut queue, namespace, key).is_none());
        }
    }

    #[test]
    fn groups_take_turns_and_gets_keep_their_order() {
        let mut queue = Queue::default();
        for key in ["a", "b", "c", "d", "e"] {
            push(&mut queue, "aws", key);
        }
        push(&mut queue, "oauth", "a");
        let mut taken = Vec::new();
        while let Some(group) = queue.take(2) {
            let keys = keys(&group).join(" ");
            taken.push(format!("{}: {keys}", group.namespace));
        }
        assert_eq!(taken, ["aws: a b", "oauth: a", "aws: c d", "aws: e"]);
    }
}
