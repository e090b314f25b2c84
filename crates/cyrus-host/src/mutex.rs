//! The mutexes that plugins ask for.
//!
//! A plugin gets the address of a slot in our table. So other addresses can be refused without reading them: a file that is
//! not a copy (`loader.rs`) has libsasl2's mutexes in its statics if libsasl2 loads it later. A slot contains the id of the
//! process that has locked it. In the child of a fork, locks of the parent count as free.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::time::Duration;

/// The maximum number of mutexes. A plugin needs one or two.
const SLOTS: usize = 1024;
const FREE: u32 = u32::MAX;
const UNLOCKED: u32 = 0;

/// The target of a plugin's pointer.
struct Slot(AtomicU32);

static TABLE: [Slot; SLOTS] = [const { Slot(AtomicU32::new(FREE)) }; SLOTS];

fn slot(mutex: *const c_void) -> Option<&'static AtomicU32> {
    let at = mutex.addr().checked_sub(TABLE.as_ptr().addr())?;
    let index = at / size_of::<Slot>();
    if at % size_of::<Slot>() != 0 {
        return None;
    }
    TABLE.get(index).map(|slot| &slot.0).filter(|state| state.load(Relaxed) != FREE)
}

/// A new mutex; null if there are too many.
pub extern "C" fn mutex_alloc() -> *mut c_void {
    let taken = TABLE.iter().find(|slot| slot.0.compare_exchange(FREE, UNLOCKED, Acquire, Relaxed).is_ok());
    taken.map_or(ptr::null_mut(), |slot| ptr::from_ref(slot).cast_mut().cast())
}

/// Locks a mutex; -1 if it is not ours.
pub extern "C" fn mutex_lock(mutex: *mut c_void) -> c_int {
    let Some(state) = slot(mutex) else { return -1 };
    let process = std::process::id();
    let mut pause = Duration::from_micros(1);
    loop {
        match state.compare_exchange(UNLOCKED, process, Acquire, Relaxed) {
            Ok(_) => return 0,
            Err(FREE) => return -1,
            Err(owner) if owner != UNLOCKED && owner != process => {
                if state.compare_exchange(owner, process, Acquire, Relaxed).is_ok() {
                    return 0;
                }
            }
            Err(_) => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(1));
            }
        }
    }
}

/// Unlocks a mutex; -1 if it is not ours, or not locked.
pub extern "C" fn mutex_unlock(mutex: *mut c_void) -> c_int {
    let locked = slot(mutex).is_some_and(|state| state.swap(UNLOCKED, Release) != UNLOCKED);
    if locked {
        0
    } else {
        -1
    }
}

/// Frees a mutex; does nothing if it is not ours.
pub extern "C" fn mutex_free(mutex: *mut c_void) {
    if let Some(state) = slot(mutex) {
        state.store(FREE, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_are_looked_at() {
        let mutex = mutex_alloc();
        assert_eq!((mutex_lock(mutex), mutex_unlock(mutex), mutex_unlock(mutex)), (0, 0, -1));
        for stranger in [ptr::null_mut(), ptr::without_provenance_mut(1), mutex.wrapping_byte_add(1)] {
            assert_eq!((mutex_lock(stranger), mutex_unlock(stranger)), (-1, -1));
            mutex_free(stranger);
        }
        mutex_free(mutex);
        assert_eq!((mutex_lock(mutex), mutex_unlock(mutex)), (-1, -1));
    }

    #[test]
    fn one_thread_at_a_time() {
        let mutex = mutex_alloc().expose_provenance();
        let count = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mutex = ptr::with_exposed_provenance_mut(mutex);
                    for _ in 0..200 {
                        assert_eq!(mutex_lock(mutex), 0);
                        let before = count.load(Relaxed);
                        std::thread::yield_now();
                        count.store(before + 1, Relaxed);
                        assert_eq!(mutex_unlock(mutex), 0);
                    }
                });
            }
        });
        assert_eq!(count.load(Relaxed), 1600);
        mutex_free(ptr::with_exposed_provenance_mut(mutex));
    }

    #[test]
    fn what_another_process_has_locked_is_free() {
        let mutex = mutex_alloc();
        // As in the child after a fork: locked by the parent's process id.
        slot(mutex).unwrap().store(std::process::id() + 1, Relaxed);
        assert_eq!((mutex_lock(mutex), mutex_unlock(mutex)), (0, 0));
        mutex_free(mutex);
    }
}
