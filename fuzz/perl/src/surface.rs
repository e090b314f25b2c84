//! Runs programs, and checks what Perl code cannot: whether scalars leak or are freed too early.

use std::cell::RefCell;
use std::path::Path;

use crate::perl::Perl;
use crate::program::Program;

/// A first run may keep something permanently: a method in a cache, a longer pad of a recursive sub. A leak occurs in each run.
const REPEATS: usize = 6;

pub struct Surface {
    perl: Perl,
    /// The reference counts, between programs, of the values that all programs use.
    watched: RefCell<Vec<u32>>,
}

impl Surface {
    /// Needs `lib/` of the repository, and this crate's Surface.pm.
    pub fn new() -> Self {
        // For the same order of hashes in each run, and without the machine's GSS-API configuration.
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

    /// Runs a program, and panics if it leaks or breaks a rule.
    pub fn check(&self, program: &Program) {
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
        // A program may end early only by `exit 0`. Anything else means that Surface.pm itself has died, and checked nothing.
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
