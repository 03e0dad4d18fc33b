//! What can happen in the model. The number is that of the node or of the revocation.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Tick,
    Begin(usize),
    CommitRenewal(usize),
    ReadChanges(usize),
    Apply(usize),
    Extend(usize),
    Acknowledge(usize),
    BeginLookUp(usize),
    ReadToken(usize),
    KeepToken(usize),
    LookIntoMemory(usize),
    Crash(usize),
    Fence(usize),
    Observe,
    Depart,
    Revoke(usize),
    Answer(usize),
    BackUp,
    Restore,
    Depose,
    SwitchOver(usize),
    SwitchBack(usize),
}
