//! The rules of a token's life, told again as simply as they can be.

use super::IDLE;

/// A token as the rules have it, told without looking at the program.
#[derive(Clone, Debug)]
pub struct Modelled {
    pub family: usize,
    /// The first of those that are in the same hands.
    pub lineage: usize,
    pub is_disabled: bool,
    pub rotated_from: Option<usize>,
    pub rotates: bool,
    pub expires_at: Option<i64>,
    pub last_use: i64,
    pub is_used: bool,
    pub is_revoked: bool,
    /// That it ended, if it did, because of rotation.
    pub is_rotated_away: bool,
    pub grace: Option<(i64, bool)>,
}

#[derive(Default)]
pub struct Model {
    pub tokens: Vec<Modelled>,
    pub owner_disabled: bool,
    /// Whether each session is open.
    pub sessions: Vec<bool>,
    /// The latest time that any clock told.
    pub now: i64,
}

impl Model {
    /// Whether nothing of the token itself speaks against it.
    pub fn lasts(&self, at: usize) -> bool {
        let token = &self.tokens[at];
        !token.is_revoked
            && token.expires_at.is_none_or(|end| self.now < end)
            && token.grace.is_none_or(|(end, _)| self.now < end)
            && self.now < token.last_use + IDLE
    }

    pub fn accepts(&self, at: usize) -> bool {
        self.lasts(at) && !self.tokens[at].is_disabled && !self.owner_disabled
    }

    /// An accepted use.
    pub fn used(&mut self, at: usize) {
        self.tokens[at].last_use = self.now;
        self.tokens[at].is_used = true;
        if let Some(before) = self.tokens[at].rotated_from
            && self.tokens[before].grace.is_some_and(|(_, on_first_use)| on_first_use)
        {
            self.replaced(before);
        }
    }

    pub fn replaced(&mut self, at: usize) {
        let token = &mut self.tokens[at];
        if !token.is_revoked {
            (token.is_revoked, token.is_rotated_away) = (true, true);
        }
    }

    /// Whether its secret, which is refused, has given way to another.
    pub fn is_reuse(&self, at: usize) -> bool {
        let token = &self.tokens[at];
        let is_past = |end| self.now >= end;
        let by_time = token.grace.is_some_and(|(end, _)| is_past(end) || token.expires_at.is_some_and(is_past));
        token.is_rotated_away || !token.is_revoked && by_time
    }

    pub fn revoke_family(&mut self, family: usize) {
        self.tokens.iter_mut().filter(|token| token.family == family).for_each(|token| token.is_revoked = true);
    }

    /// What a revocation, a report or a disabling of a token changes: it and the later ones in the same hands, as far as
    /// they are not revoked. `None` where that is nothing.
    pub fn reaches(&self, at: usize) -> Option<Vec<usize>> {
        let lineage = self.tokens[at].lineage;
        let reached = (at..self.tokens.len()).filter(|later| self.tokens[*later].lineage == lineage);
        let reached: Vec<usize> = reached.filter(|later| !self.tokens[*later].is_revoked).collect();
        (!reached.is_empty()).then_some(reached)
    }

    pub fn successors(&self, of: usize) -> impl Iterator<Item = usize> {
        (0..self.tokens.len()).filter(move |at| self.tokens[*at].rotated_from == Some(of))
    }

    /// Whether a successor gives way to no other: it was used, or somebody ended it, and that must not be undone.
    fn stays(&self, successor: usize) -> bool {
        let token = &self.tokens[successor];
        token.is_used || token.is_disabled || token.is_revoked && !token.is_rotated_away
    }

    /// Whether a rotation is made; the end of the successor.
    pub fn rotate(
        &mut self,
        at: usize,
        grace: u64,
        on_first_use: bool,
        replace: bool,
        end: Option<i64>,
    ) -> Option<Option<i64>> {
        let bound = match self.tokens[at].grace {
            None => self.tokens[at].expires_at,
            Some(_) if !replace || self.successors(at).any(|successor| self.stays(successor)) => return None,
            Some(_) => self.tokens[self.successors(at).last().unwrap()].expires_at,
        };
        if end.is_some_and(|end| bound.is_some_and(|bound| end > bound)) {
            return None;
        }
        if self.tokens[at].grace.is_some() {
            let unused: Vec<usize> = self.successors(at).collect();
            unused.into_iter().for_each(|successor| self.replaced(successor));
        } else {
            if let Some(before) = self.tokens[at].rotated_from {
                self.replaced(before);
            }
            match grace {
                0 => self.replaced(at),
                grace => self.tokens[at].grace = Some((self.now + i64::try_from(grace).unwrap(), on_first_use)),
            }
        }
        Some(end.or(bound))
    }
}
