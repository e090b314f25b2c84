//! An allocator that counts.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with accounts for each thread.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static TOTAL: Cell<usize> = const { Cell::new(0) };
}

fn took(bytes: usize) {
    HELD.set(HELD.get() + bytes as isize);
    PEAK.set(PEAK.get().max(HELD.get()));
    TOTAL.set(TOTAL.get() + bytes);
}

// SAFETY: every call goes to the system's allocator as it came; the accounts are plain numbers, which need no
// memory of their own and have no destructors.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's contract is that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: the caller's contract is that of the system's allocator.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // As if it had moved: then both are there for a moment.
        took(size);
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: the caller's contract is that of the system's allocator.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` gives, the most memory that was held during it, and all that was taken, in bytes.
pub fn measured<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let held = HELD.get();
    PEAK.set(held);
    TOTAL.set(0);
    let result = work();
    (result, (PEAK.get() - held) as usize, TOTAL.get())
}
