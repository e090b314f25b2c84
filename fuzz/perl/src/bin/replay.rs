//! Runs the files given as arguments without libFuzzer, then frees perl: for valgrind.

use arbitrary::{Arbitrary, Unstructured};
use fuzz_perl::program::Program;
use fuzz_perl::surface::Surface;

fn main() {
    // A destructor that is left by exit leaks scalars, which would be reported at the end.
    std::env::set_var("SURFACE_WHOLE", "1");
    let surface = Surface::new();
    let mut count = 0;
    for path in std::env::args_os().skip(1) {
        let bytes = std::fs::read(&path).expect("the file can be read");
        if let Ok(program) = Program::arbitrary(&mut Unstructured::new(&bytes)) {
            surface.check(&program);
            count += 1;
        }
    }
    drop(surface);
    println!("replay: {count} programs");
}
