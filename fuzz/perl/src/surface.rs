//! Runs programs, and judges what perl's own code cannot: whether scalars are lost, or freed too early.

use std::cell::RefCell;
use std::path::Path;

use crate::perl::Perl;
use crate::program::Program;

/// A first run may leave something behind for good: a method in a cache, a longer pad of a sub that called itself. What
/// leaks does so each time.
const REPEATS: usize = 6;

pub struct Surface {
    perl: Perl,
    /// Reference counts of what programs are handed, as they are between programs.
    watched: RefCell<Vec<u32>>,
}

impl Surface {
    /// Needs `lib/` of the repository, and Surface.pm of this crate.
    pub fn new() -> Self {
        // Perl's hashes are in the same order each time; GSS-API is not set up here, whatever the machine has.
        for (name, value) in [("PERL_HASH_SEED", "0"), ("PERL_PERTURB_KEYS", "0"), ("KRB5_CONFIG", "/dev/null")] {
            std::env::set_var(name, value);
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let own = format!("-I{}", here.display());
        let module = format!("-I{}", here.join("../../lib").display());
        let perl = Perl::new(&[&own, &module, "-MSurface", "-e", "Surface::run()"]);
        perl.forge("Surface::forged", "Authen::SASL::Rust::Connection");
        perl.forge("Surface::forged", "Authen::SASL::Rust::Layer");
        let surface = Self { perl, watched: RefCell::default() };
        for _ in 0..2 {
            surface.once(&Program { tape: Vec::new(), texts: Vec::new() });
        }
        surface.watched.replace(surface.perl.reference_counts("Surface::watched"));
        surface
    }

    /// Panics where something must not be.
    pub fn judge(&self, program: &Program) {
        let mut before = self.perl.scalars();
        for repeat in 0..=REPEATS {
            self.once(program);
            if self.perl.text("Surface::torn").is_some() {
                self.watched.replace(self.perl.reference_counts("Surface::watched"));
                return;
            }
            let after = self.perl.scalars();
            if after <= before {
                break;
            }
            assert!(repeat < REPEATS, "each run leaves scalars behind, the last one {}", after - before);
            before = after;
        }
        let (now, then) = (self.perl.reference_counts("Surface::watched"), self.watched.borrow());
        let changed: Vec<_> = now.iter().zip(then.iter()).enumerate().filter(|(_, (now, then))| now != then).collect();
        assert!(changed.is_empty(), "reference counts in @Surface::watched: (index, (now, before)) {changed:?}");
    }

    fn once(&self, program: &Program) {
        self.perl.set("Surface::tape", &program.tape.concat());
        self.perl.set_list("Surface::texts", &program.texts);
        // A program leaves by `exit 0` alone: all else is a death of Surface.pm itself, which would then see nothing.
        let mut ended = self.perl.run();
        if ended == 0 && self.perl.text("Surface::unfinished").is_some() {
            ended = self.perl.run();
        }
        assert_eq!(ended, 0, "Surface.pm has died");
        if let Some(found) = self.perl.text("Surface::found") {
            panic!("{found}");
        }
    }
}

impl Default for Surface {
    fn default() -> Self {
        Self::new()
    }
}
