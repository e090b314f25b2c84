//! Runs the files that are given as arguments, without libFuzzer, and then frees perl: for valgrind.

use arbitrary::{Arbitrary, Unstructured};
use fuzz_perl::program::Program;
use fuzz_perl::surface::Surface;

fn main() {
    // A destructor that is left by exit loses scalars of perl's, and the end would report them.
    std::env::set_var("SURFACE_WHOLE", "1");
    let surface = Surface::new();
    let mut count = 0;
    for path in std::env::args_os().skip(1) {
        let bytes = std::fs::read(&path).expect("the file can be read");
        if let Ok(program) = Program::arbitrary(&mut Unstructured::new(&bytes)) {
            surface.judge(&program);
            count += 1;
        }
    }
    drop(surface);
    println!("replay: {count} programs");
}
