//! What was recorded in a test, and the checker that finds broken promises in it. All times are of one monotonic clock: that of
//! the test process, which sends all requests and receives all answers.

use std::{collections::BTreeMap, fmt, time::Duration};

/// The time since the test began.
pub type Moment = Duration;

/// What a check was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Accepted,
    /// 401, or a verdict that is not "valid".
    Refused,
    /// 503.
    Unavailable,
    /// No complete answer arrived.
    Unanswered,
    Unexpected(u16),
}

/// A check of a credential by a node.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    pub credential: usize,
    pub node: usize,
    /// Before the request was sent.
    pub start: Moment,
    /// After the whole answer was received.
    pub end: Moment,
    pub outcome: Outcome,
}

/// A credential, from the answer that created it to the change that ends it.
#[derive(Clone, Debug)]
pub struct Life {
    /// The change that ends it, as the report names it.
    pub change: &'static str,
    pub created: Moment,
    /// When the change was sent.
    pub sent: Option<Moment>,
    /// When its answer had arrived. Without one, or after an error, the change may or may not have been made.
    pub answered: Option<Moment>,
}

/// A time in which a node, or all nodes, may be unable to decide.
#[derive(Clone, Copy, Debug)]
pub struct Disturbance {
    /// `None` is all nodes.
    pub node: Option<usize>,
    pub start: Moment,
    /// When it was over, and the nodes had had the time to recover.
    pub end: Moment,
}

/// Everything that happened in a test.
#[derive(Default)]
pub struct History {
    /// A credential is an index into these.
    pub lives: Vec<Life>,
    pub checks: Vec<Check>,
    pub disturbances: Vec<Disturbance>,
}

/// A promise that was broken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub enum Fault {
    /// A check started after the answer of the change, and was accepted.
    AcceptedAfterItsEnd,
    /// A check ended before the change was sent, and was refused.
    RefusedWhileLive,
    /// No decision, although nothing was disturbed.
    UndecidedWithoutCause,
    /// Neither an acceptance, nor a refusal, nor 503.
    UnexpectedAnswer,
}

/// What the checker has counted.
#[derive(Default, Debug)]
pub struct Summary {
    pub lives: usize,
    pub answered: usize,
    pub checks: usize,
    pub accepted_before: usize,
    /// Checks between the sending of a change and its answer: any decision is right.
    pub during: usize,
    pub refused_after: usize,
    /// 503, or no answer, in a disturbance.
    pub undecided: usize,
    /// For each node, the credentials that it refused in a check that started after the answer.
    pub refused_by_node: BTreeMap<usize, usize>,
    /// How long the changes took to be answered, in order.
    pub durations: Vec<Duration>,
}

impl History {
    /// All faults, with the checks that show them.
    pub fn faults(&self) -> Vec<(Fault, Check)> {
        self.checks.iter().filter_map(|check| Some((self.fault(check)?, *check))).collect()
    }

    fn fault(&self, check: &Check) -> Option<Fault> {
        let life = &self.lives[check.credential];
        match check.outcome {
            Outcome::Accepted => is_after(check, life).then_some(Fault::AcceptedAfterItsEnd),
            Outcome::Refused => is_before(check, life).then_some(Fault::RefusedWhileLive),
            Outcome::Unavailable | Outcome::Unanswered => {
                (!self.is_disturbed(check)).then_some(Fault::UndecidedWithoutCause)
            }
            Outcome::Unexpected(_) => Some(Fault::UnexpectedAnswer),
        }
    }

    fn is_disturbed(&self, check: &Check) -> bool {
        self.disturbances.iter().any(|disturbance| {
            disturbance.node.is_none_or(|node| node == check.node)
                && check.start <= disturbance.end
                && disturbance.start <= check.end
        })
    }

    pub fn summary(&self) -> Summary {
        let mut summary = Summary { lives: self.lives.len(), checks: self.checks.len(), ..Summary::default() };
        let mut refusals = std::collections::BTreeSet::new();
        for check in &self.checks {
            let life = &self.lives[check.credential];
            match check.outcome {
                Outcome::Accepted if is_before(check, life) => summary.accepted_before += 1,
                Outcome::Refused if is_after(check, life) => {
                    summary.refused_after += 1;
                    refusals.insert((check.node, check.credential));
                }
                Outcome::Accepted | Outcome::Refused => summary.during += 1,
                Outcome::Unavailable | Outcome::Unanswered => summary.undecided += 1,
                Outcome::Unexpected(_) => {}
            }
        }
        for (node, _) in refusals {
            *summary.refused_by_node.entry(node).or_default() += 1;
        }
        summary.durations = self.lives.iter().filter_map(|life| Some(life.answered? - life.sent?)).collect();
        summary.durations.sort_unstable();
        summary.answered = summary.durations.len();
        summary
    }

    /// Panics if a promise was broken. Prints the summary otherwise.
    pub fn expect_no_fault(&self) -> Summary {
        let (faults, summary) = (self.faults(), self.summary());
        let mut counts = BTreeMap::<_, usize>::new();
        for (fault, check) in &faults {
            *counts.entry((fault, self.lives[check.credential].change)).or_default() += 1;
        }
        let shown: Vec<_> = faults.iter().take(10).map(|(_, check)| (check, &self.lives[check.credential])).collect();
        assert!(faults.is_empty(), "{counts:#?}\n{summary}\ndisturbances: {:?}\n{shown:#?}", self.disturbances);
        eprintln!("{summary}");
        summary
    }
}

/// Whether the check started after the answer of the change.
fn is_after(check: &Check, life: &Life) -> bool {
    life.answered.is_some_and(|answered| check.start >= answered)
}

/// Whether the check ended before the change was sent.
fn is_before(check: &Check, life: &Life) -> bool {
    check.start >= life.created && life.sent.is_none_or(|sent| check.end <= sent)
}

impl Summary {
    /// The duration that this part of the changes did not exceed.
    pub fn quantile(&self, part: f64) -> Duration {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the length")]
        #[expect(clippy::cast_precision_loss, reason = "a few thousands")]
        let at = (self.durations.len() as f64 * part) as usize;
        self.durations.get(at.min(self.durations.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} changes, {} answered (p50 {:?}, p99 {:?}, longest {:?}); {} checks: {} accepted before, {} during, {} refused \
             after, {} undecided; credentials refused by each node: {:?}",
            self.lives,
            self.answered,
            self.quantile(0.5),
            self.quantile(0.99),
            self.quantile(1.0),
            self.checks,
            self.accepted_before,
            self.during,
            self.refused_after,
            self.undecided,
            self.refused_by_node,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment::from_millis(milliseconds)
    }

    /// A credential that is created at 10, whose change is sent at 100 and answered at 200, and one check.
    fn history(start: u64, end: u64, outcome: Outcome) -> History {
        let life = Life { change: "revoke", created: at(10), sent: Some(at(100)), answered: Some(at(200)) };
        let check = Check { credential: 0, node: 1, start: at(start), end: at(end), outcome };
        History { lives: vec![life], checks: vec![check], disturbances: Vec::new() }
    }

    fn faults(history: &History) -> Vec<Fault> {
        history.faults().into_iter().map(|(fault, _)| fault).collect()
    }

    #[test]
    fn an_acceptance_is_a_fault_only_in_a_check_that_started_after_the_answer() {
        for (start, end, expected) in [
            (20, 30, vec![]),
            (90, 110, vec![]),
            (199, 10_000, vec![]),
            (200, 201, vec![Fault::AcceptedAfterItsEnd]),
            (5_000, 5_001, vec![Fault::AcceptedAfterItsEnd]),
        ] {
            assert_eq!(faults(&history(start, end, Outcome::Accepted)), expected, "{start} to {end}");
        }
    }

    #[test]
    fn a_refusal_is_a_fault_only_in_a_check_that_ended_before_the_change_was_sent() {
        for (start, end, expected) in [
            (20, 30, vec![Fault::RefusedWhileLive]),
            (10, 100, vec![Fault::RefusedWhileLive]),
            (20, 101, vec![]),
            (150, 160, vec![]),
            (300, 310, vec![]),
        ] {
            assert_eq!(faults(&history(start, end, Outcome::Refused)), expected, "{start} to {end}");
        }
        // The change was never sent.
        let mut history = history(5_000, 5_001, Outcome::Refused);
        history.lives[0] = Life { sent: None, answered: None, ..history.lives[0].clone() };
        assert_eq!(faults(&history), [Fault::RefusedWhileLive]);
    }

    #[test]
    fn after_a_change_that_was_not_answered_any_decision_is_right() {
        for outcome in [Outcome::Accepted, Outcome::Refused] {
            let mut history = history(5_000, 5_001, outcome);
            history.lives[0].answered = None;
            assert_eq!(faults(&history), [], "{outcome:?}");
        }
    }

    #[test]
    fn no_decision_is_a_fault_outside_of_the_disturbances_of_its_node() {
        for outcome in [Outcome::Unavailable, Outcome::Unanswered] {
            let mut history = history(50, 60, outcome);
            let undecided = [Fault::UndecidedWithoutCause];
            assert_eq!(faults(&history), undecided);
            for (node, start, end, is_excused) in [
                (None, 0, 1_000, true),
                (Some(1), 0, 50, true),
                (Some(1), 60, 70, true),
                (Some(1), 0, 49, false),
                (Some(1), 61, 70, false),
                (Some(0), 0, 1_000, false),
            ] {
                history.disturbances = vec![Disturbance { node, start: at(start), end: at(end) }];
                assert_eq!(faults(&history).is_empty(), is_excused, "{node:?} from {start} to {end}");
            }
        }
    }

    #[test]
    fn a_disturbance_excuses_neither_a_wrong_decision_nor_an_unexpected_answer() {
        for (start, outcome, expected) in [
            (300, Outcome::Accepted, Fault::AcceptedAfterItsEnd),
            (20, Outcome::Refused, Fault::RefusedWhileLive),
            (20, Outcome::Unexpected(500), Fault::UnexpectedAnswer),
        ] {
            let mut history = history(start, start + 1, outcome);
            history.disturbances = vec![Disturbance { node: None, start: at(0), end: at(10_000) }];
            assert_eq!(faults(&history), [expected]);
        }
    }

    #[test]
    fn the_summary_counts_checks_before_during_and_after_and_each_node_once_for_a_credential() {
        let mut history = history(20, 30, Outcome::Accepted);
        let base = history.checks[0];
        let more =
            [(150, Outcome::Accepted), (200, Outcome::Refused), (210, Outcome::Refused), (220, Outcome::Unavailable)];
        history.checks.extend(more.map(|(start, outcome)| Check {
            start: at(start),
            end: at(start + 1),
            outcome,
            ..base
        }));
        let summary = history.summary();
        assert_eq!((summary.lives, summary.answered, summary.checks), (1, 1, 5));
        assert_eq!((summary.accepted_before, summary.during, summary.refused_after, summary.undecided), (1, 1, 2, 1));
        assert_eq!(summary.refused_by_node, BTreeMap::from([(1, 1)]));
        assert_eq!(summary.quantile(0.5), at(100));
    }
}
