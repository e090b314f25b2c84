//! What most users' verifiers look like: unknown users must look the same.

use authen_sasl_rust::crypto::hash::Hash;

/// What a peer sees of a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub hash: Hash,
    pub iterations: u32,
    pub salt_len: usize,
}

/// The shapes that unknown users get: those that are most common among the known ones.
#[derive(Debug, Default)]
pub(super) struct Usual {
    /// For SCRAM, for each hash that anybody has.
    of_hash: Vec<Shape>,
    /// For mechanisms that carry passwords, which are compared with the user's first verifier.
    first: Option<Shape>,
}

impl Usual {
    /// From the shapes of each user's keys, in the order of the keys. Disabled keys are not among them.
    pub(super) fn of(users: &[Vec<Shape>]) -> Self {
        let first = users.iter().filter_map(|shapes| shapes.first().copied()).collect();
        let of = |hash| most_common(users.iter().flatten().copied().filter(|shape| shape.hash == hash).collect());
        Usual { of_hash: Hash::ALL.into_iter().filter_map(of).collect(), first: most_common(first) }
    }

    /// The most common shape for a hash, or, without one, of first keys.
    pub(super) fn shape(&self, hash: Option<Hash>) -> Option<Shape> {
        hash.map_or(self.first, |hash| self.of_hash.iter().copied().find(|shape| shape.hash == hash))
    }
}

/// Of two that are as common, the one of more iterations.
fn most_common(mut shapes: Vec<Shape>) -> Option<Shape> {
    shapes.sort_unstable_by_key(|shape| (shape.iterations, shape.salt_len, shape.hash.name()));
    shapes.chunk_by(Shape::eq).max_by_key(|same| same.len()).map(|same| same[0])
}
