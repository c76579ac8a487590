//! Waiting for something to become true. The only place where this crate sleeps.

use std::{
    fmt::Display,
    io,
    panic::Location,
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Polls `condition` until it holds.
///
/// # Errors
/// After `timeout`, naming what was waited for, how often it was looked at, and where.
#[track_caller]
pub fn wait_until(what: impl Display, timeout: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    wait_for(what, timeout, || if condition() { Ok(()) } else { Err("not so yet") })
}

/// Polls `attempt` until it gives a value.
///
/// # Errors
/// After `timeout`, as [`wait_until`], with the error of the last attempt.
#[track_caller]
pub fn wait_for<T, E: Display>(
    what: impl Display,
    timeout: Duration,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T> {
    let caller = Location::caller();
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    for attempts in 1_u64.. {
        let error = match attempt() {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            bail!(
                "waited {:.1} s for {what}, looked {attempts} times, last: {error:#} ({caller})",
                start.elapsed().as_secs_f64()
            );
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "polls what has no event to wait for; the caller says what it is"
        )]
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    unreachable!("the loop has no end but its returns")
}

/// Waits for the end of a process. `try_wait` is that of the process.
#[track_caller]
pub(crate) fn wait_for_exit(
    what: impl Display,
    timeout: Duration,
    mut try_wait: impl FnMut() -> io::Result<Option<ExitStatus>>,
) -> Result<ExitStatus> {
    wait_for(what, timeout, || try_wait()?.ok_or_else(|| io::Error::other("it still runs")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_value_as_soon_as_there_is_one() {
        let mut left = 3;
        let value = wait_for("the third look", Duration::from_secs(5), || {
            left -= 1;
            if left == 0 { Ok("here") } else { Err("not here") }
        });
        assert_eq!(value.unwrap(), "here");
    }

    #[test]
    fn says_what_it_waited_for_and_what_the_last_look_gave() {
        let error =
            wait_for("the moon", Duration::from_millis(3), || Err::<(), _>("only clouds")).unwrap_err().to_string();
        assert!(error.contains("the moon") && error.contains("only clouds") && error.contains("wait.rs"), "{error}");
    }

    #[test]
    fn looks_at_least_once() {
        assert!(wait_until("now", Duration::ZERO, || true).is_ok());
    }
}
