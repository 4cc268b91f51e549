//! Plans which messages are hashed alone, which side by side, and in which order.

use std::cmp::Reverse;
use std::collections::VecDeque;

use crate::sha256::Plan;

/// The messages left, each part in the order in which it is started.
#[derive(Debug, PartialEq)]
pub(super) struct Work {
    /// Messages that are hashed alone, and their sizes.
    alone: VecDeque<(usize, u64)>,
    /// The first messages of each worker's lanes, dealt so that no worker gets all the large ones.
    hands: VecDeque<VecDeque<usize>>,
    /// The messages for lanes that become free, the largest first.
    pub(super) rest: VecDeque<usize>,
    /// Number of messages hashed side by side.
    pub(super) lanes: usize,
}

impl Work {
    /// Divide messages of these sizes. `plan` is called only if messages are hashed side by side, because it
    /// takes time.
    pub(super) fn divide<'p>(sizes: &[u64], workers: usize, plan: impl Fn() -> &'p Plan) -> Self {
        let mut order: Vec<_> = (0..sizes.len()).collect();
        order.sort_by_key(|&index| Reverse(sizes[index]));
        let mut rest = VecDeque::from(order);
        let mut alone = VecDeque::new();
        let mut bytes = sizes.iter().copied().fold(0, u64::saturating_add);
        while let Some(&largest) = rest.front() {
            let idle = workers - alone.len();
            let others = bytes.saturating_sub(sizes[largest]);
            let goes_alone = rest.len() <= idle
                || (idle > 1 && outlasts(sizes[largest], others, rest.len() - 1, idle - 1, plan()));
            if !goes_alone {
                break;
            }
            rest.pop_front();
            alone.push_back((largest, sizes[largest]));
            bytes = others;
        }

        let mut hands = vec![VecDeque::new(); workers - alone.len()];
        let mut lanes = 1;
        if !hands.is_empty() && !rest.is_empty() {
            lanes = rest.len().div_ceil(hands.len()).min(plan().lanes());
            let dealt = rest.len().min(lanes * hands.len());
            let workers = hands.len();
            for (turn, index) in rest.drain(..dealt).enumerate() {
                let (round, place) = (turn / workers, turn % workers);
                hands[if round % 2 == 0 { place } else { workers - 1 - place }].push_back(index);
            }
        }
        hands.retain(|hand| !hand.is_empty());
        Self { alone, hands: hands.into(), rest, lanes }
    }

    pub(super) fn take(&mut self) -> Option<Task> {
        if let Some((index, size)) = self.alone.pop_front() {
            return Some(Task::Alone { index, size });
        }
        if let Some(hand) = self.hands.pop_front() {
            return Some(Task::SideBySide(hand));
        }
        self.rest.pop_front().map(|index| Task::SideBySide(VecDeque::from([index])))
    }
}

pub(super) enum Task {
    Alone {
        index: usize,
        size: u64,
    },
    /// These, then messages from the rest.
    SideBySide(VecDeque<usize>),
}

/// Whether hashing one message alone takes longer than hashing `count` others, `bytes` in all, by the workers.
fn outlasts(size: u64, bytes: u64, count: usize, workers: usize, plan: &Plan) -> bool {
    let cost = plan.relative_cost(count.div_ceil(workers).min(plan.lanes()));
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let (size, others) = (size as f64, bytes as f64 * cost / workers as f64);
    size > others
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256::Kernel;

    const MIB: u64 = 1 << 20;

    /// Divide by the plan of a processor that hashes eight messages in the time of four single ones.
    fn divide(sizes: &[u64], workers: usize) -> Work {
        let plan = Plan::cheapest(&[(Kernel::Single, 1, 1.0), (Kernel::ShaNi, 8, 4.0)]);
        Work::divide(sizes, workers, || &plan)
    }

    /// The indices of all parts.
    fn indices(work: &Work) -> Vec<usize> {
        let alone = work.alone.iter().map(|&(index, _)| index);
        let mut all: Vec<_> = alone
            .chain(work.hands.iter().flatten().copied())
            .chain(work.rest.iter().copied())
            .collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn every_message_has_one_place() {
        for count in [0, 1, 2, 3, 7, 16, 33, 100, 1000] {
            for workers in [1, 2, 3, 8] {
                let sizes: Vec<_> = (0..count).map(|i| (i * 7919) % 1000 * MIB).collect();
                let workers = workers.min(sizes.len());

                let work = divide(&sizes, workers);

                assert_eq!(indices(&work), (0..sizes.len()).collect::<Vec<_>>());
                assert!(work.alone.len() + work.hands.len() <= workers);
                assert!(work.hands.iter().all(|hand| hand.len() <= work.lanes));
            }
        }
    }

    #[test]
    fn as_many_messages_as_workers_are_each_alone() {
        let work = divide(&[5 * MIB, 9 * MIB], 2);

        assert_eq!(work.alone, [(1, 9 * MIB), (0, 5 * MIB)]);
        assert!(work.hands.is_empty() && work.rest.is_empty());
    }

    #[test]
    fn a_message_that_outlasts_all_others_is_alone() {
        let mut sizes = vec![MIB; 100];
        sizes[40] = 1000 * MIB;

        let work = divide(&sizes, 2);

        assert_eq!(work.alone, [(40, 1000 * MIB)]);
        assert_eq!(work.hands.len(), 1);
    }

    #[test]
    fn with_one_worker_all_are_side_by_side() {
        let mut sizes = vec![MIB; 100];
        sizes[40] = 1000 * MIB;

        let work = divide(&sizes, 1);

        assert!(work.alone.is_empty());
        assert_eq!(work.hands[0][0], 40);
    }

    #[test]
    fn large_messages_are_dealt_to_all_workers() {
        let sizes: Vec<_> = (1..=8).map(|size| size * MIB).collect();

        let work = divide(&sizes, 2);

        let loads: Vec<u64> =
            work.hands.iter().map(|hand| hand.iter().map(|&index| sizes[index]).sum()).collect();
        assert_eq!(work.hands.len(), 2);
        assert_eq!(loads[0], loads[1]);
    }

    #[test]
    fn work_is_taken_until_nothing_is_left() {
        let mut work = divide(&[MIB; 200], 2);

        while let Some(task) = work.take() {
            assert!(matches!(task, Task::SideBySide(hand) if !hand.is_empty()));
        }

        assert_eq!(indices(&work), []);
    }
}
