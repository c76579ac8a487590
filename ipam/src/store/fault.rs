//! Where a kill can come between two changes of the store.

/// Stands before every change. In tests the process can be made to "die" here, by a panic that nothing in the store
/// catches or cleans up after, as nothing would after SIGKILL.
#[inline]
pub(super) fn point() {
    #[cfg(test)]
    test::burn();
}

#[cfg(test)]
pub(super) mod test {
    use std::{
        cell::Cell,
        panic::{self, AssertUnwindSafe},
    };

    thread_local! {
        static FUEL: Cell<Option<u32>> = const { Cell::new(None) };
    }

    struct Killed;

    pub(super) fn burn() {
        match FUEL.get() {
            None => {}
            Some(0) => panic::resume_unwind(Box::new(Killed)),
            Some(left) => FUEL.set(Some(left - 1)),
        }
    }

    /// Runs `work` and kills it before its change number `fuel`, counted from zero. `None` if it was killed.
    pub(crate) fn kill_after<T>(fuel: u32, work: impl FnOnce() -> T) -> Option<T> {
        FUEL.set(Some(fuel));
        let outcome = panic::catch_unwind(AssertUnwindSafe(work));
        FUEL.set(None);
        match outcome {
            Ok(value) => Some(value),
            Err(cause) if cause.is::<Killed>() => None,
            Err(cause) => panic::resume_unwind(cause),
        }
    }
}
