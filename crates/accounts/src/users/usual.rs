//! The usual form of the users' verifiers, which the mock verifiers of unknown users imitate.

use authen_sasl_rust::crypto::hash::Hash;

/// The properties of a verifier that a peer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub hash: Hash,
    pub iterations: u32,
    pub salt_len: usize,
}

/// The shapes for unknown users: the most common ones of the known users.
#[derive(Debug, Default)]
pub(super) struct Usual {
    /// For SCRAM: one for each hash that some user has.
    of_hash: Vec<Shape>,
    /// For mechanisms that send passwords, which are compared with the user's first verifier.
    first: Option<Shape>,
}

impl Usual {
    /// Computes them from the shapes of each user's verifiers, in their order. Those of disabled users are left out.
    pub(super) fn of(users: &[Vec<Shape>]) -> Self {
        let first = users.iter().filter_map(|shapes| shapes.first().copied()).collect();
        let of = |hash| most_common(users.iter().flatten().copied().filter(|shape| shape.hash == hash).collect());
        Usual { of_hash: Hash::ALL.into_iter().filter_map(of).collect(), first: most_common(first) }
    }

    /// The most common shape for a hash or, without one, of first verifiers.
    pub(super) fn shape(&self, hash: Option<Hash>) -> Option<Shape> {
        hash.map_or(self.first, |hash| self.of_hash.iter().copied().find(|shape| shape.hash == hash))
    }
}

/// If two are equally common, the one with more iterations is used.
fn most_common(mut shapes: Vec<Shape>) -> Option<Shape> {
    shapes.sort_unstable_by_key(|shape| (shape.iterations, shape.salt_len, shape.hash.name()));
    shapes.chunk_by(Shape::eq).max_by_key(|same| same.len()).map(|same| same[0])
}
