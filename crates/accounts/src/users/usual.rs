//! The usual forms of the users' verifiers, which the mock verifiers of unknown users imitate.

use authen_sasl_rust::crypto::hash::Hash;

/// The properties of a verifier that a peer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub hash: Hash,
    pub iterations: u32,
    pub salt_len: usize,
}

/// The shapes for unknown users: those of the known users.
///
/// While users move to other verifiers, their shapes differ. A shape that no unknown user has would tell who is known. Therefore as
/// large a part of the unknown users has a shape as of the known ones.
#[derive(Debug, Default)]
pub(super) struct Usual {
    /// For SCRAM: one for each hash that some user has.
    of_hash: Vec<(Hash, Shapes)>,
    /// For mechanisms that send passwords, which are compared with the user's first verifier.
    first: Shapes,
}

/// Different shapes, and how many users have each or one before it. The most expensive is the first: a name that moves to it
/// while more and more users do stays there.
#[derive(Debug, Default)]
pub(super) struct Shapes(Vec<(Shape, usize)>);

impl Usual {
    /// Computes them from the shapes of each user's verifiers, in their order. Those of disabled users are left out.
    pub(super) fn of(users: &[Vec<Shape>]) -> Self {
        let first = users.iter().filter_map(|shapes| shapes.first().copied()).collect();
        let of = |hash| Shapes::of(users.iter().flatten().copied().filter(|shape| shape.hash == hash).collect());
        let of_hash = Hash::ALL.into_iter().map(|hash| (hash, of(hash))).filter(|(_, shapes)| !shapes.0.is_empty());
        Usual { of_hash: of_hash.collect(), first: Shapes::of(first) }
    }

    /// The shapes for a hash or, without one, of first verifiers. `None` if there are none.
    pub(super) fn shapes(&self, hash: Option<Hash>) -> Option<&Shapes> {
        let shapes = match hash {
            None => Some(&self.first),
            Some(hash) => self.of_hash.iter().find(|(of, _)| *of == hash).map(|(_, shapes)| shapes),
        };
        shapes.filter(|shapes| !shapes.0.is_empty())
    }
}

impl Shapes {
    fn of(mut shapes: Vec<Shape>) -> Self {
        shapes.sort_unstable_by_key(|shape| std::cmp::Reverse((shape.iterations, shape.salt_len, shape.hash.name())));
        let mut count = 0;
        let counted = shapes.chunk_by(Shape::eq).map(|same| {
            count += same.len();
            (same[0], count)
        });
        Shapes(counted.collect())
    }

    /// The shape of a name. `fraction`, of 2^64, is called if there is a choice; it depends on the name alone.
    pub(super) fn pick(&self, fraction: impl FnOnce() -> u64) -> Option<Shape> {
        let (last, all) = *self.0.last()?;
        if self.0.len() == 1 {
            return Some(last);
        }
        let at = ((u128::from(fraction()) * all as u128) >> 64) as usize;
        self.0.iter().find(|(_, count)| at < *count).map(|(shape, _)| *shape)
    }
}
