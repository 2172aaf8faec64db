//! How a thread ends.
//!
//! A close is the last word about a file if its program meant it, and only the end of the program if
//! the kernel closes what a killed process had open. The kernel does that in the thread that ends,
//! which waits for the file system's answer meanwhile: so its entry in `/proc` is there and cannot be
//! another's when it is asked for. (Linux 6.3 and 6.4 alone close from a worker of the kernel, which
//! lives: torvalds/linux 5a8bee63b10f, taken back by 91ec6c85599b.)
//!
//! The kernel shows this field to whoever may trace the thread, and 0 to others (proc(5)): the driver
//! is privileged. `PF_SIGNALED` among the flags would not do: the kernel sets it in the one thread
//! that takes the signal, and not in the others of its process.

/// The bits of a wait status that hold the signal (wait(2), `WTERMSIG`).
const SIGNAL_BITS: u32 = 0x7f;

/// Position of the state among the fields behind the command's name: field 3.
const STATE: usize = 0;

/// Position of `exit_code` there: field 52.
const EXIT_CODE: usize = 49;

/// The signal that ends this thread, 0 if it lives or exits by itself; none if there is no such
/// thread in the pid namespace of our `/proc`.
#[must_use]
pub fn signal_of(thread: u32) -> Option<u32> {
    // Not to be found for an id that is none, as 0.
    parse(&std::fs::read(format!("/proc/{thread}/stat")).ok()?)
}

/// Reads a line as `12 (a name) S 1 …`, in which the name may hold whatever it likes.
fn parse(stat: &[u8]) -> Option<u32> {
    let behind_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let fields = std::str::from_utf8(&stat[behind_name..]).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.nth(STATE)?;
    let exit_code: u32 = fields.nth(EXIT_CODE - STATE - 1)?.parse().ok()?;
    // Of a stopped process the field has the signal that stopped it, and it may go on.
    let stopped = matches!(state, "T" | "t");
    Some(if stopped { 0 } else { exit_code & SIGNAL_BITS })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

    use super::*;

    /// A line of a thread with this name, state and exit code.
    fn line(name: &str, state: char, exit_code: &str) -> Vec<u8> {
        format!("7 ({name}) {state} {}{exit_code}\n", "0 ".repeat(48)).into_bytes()
    }

    fn shell(script: &str) -> (Child, Pid) {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        (child, pid)
    }

    /// Waits until a child has ended or stopped, and leaves it as it is.
    fn await_child(pid: Pid, change: WaitIdOptions) {
        waitid(WaitId::Pid(pid), change | WaitIdOptions::NOWAIT).unwrap();
    }

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        for name in ["sh", "a b", "tricky) Z 0 9", "((", "", "\u{fc}"] {
            assert_eq!(parse(&line(name, 'D', "9")), Some(9), "{name}");
        }
        let mut bytes = line("x", 'D', "15");
        bytes[3] = 0xff;
        assert_eq!(parse(&bytes), Some(15));
    }

    #[test]
    fn an_exit_by_itself_is_no_signal_and_a_core_is_one() {
        // exit(3); SIGSEGV that left a core.
        assert_eq!(parse(&line("x", 'Z', "768")), Some(0));
        assert_eq!(parse(&line("x", 'Z', "139")), Some(11));
    }

    #[test]
    fn a_thread_of_a_runtime_with_many_says_what_ends_its_process() {
        for name in [
            "G1 Young RemSet",
            "C2 CompilerThre",
            "http-nio-8080-(",
            "go: runtime",
        ] {
            assert_eq!(parse(&line(name, 'D', "9")), Some(9), "{name}");
            assert_eq!(parse(&line(name, 'S', "0")), Some(0), "{name}");
        }
    }

    #[test]
    fn what_is_no_such_line_says_nothing() {
        let short = line("x", 'S', "");
        for garbage in [&b""[..], b"7", b"7 (x", b"7 (x) S 1 2", &short, b") \xff"] {
            assert_eq!(parse(garbage), None, "{garbage:?}");
        }
        assert_eq!(parse(&line("x", 'S', "-1")), None);
    }

    #[test]
    fn processes_that_have_ended_say_how() {
        for (script, signal) in [
            ("kill -9 $$", 9),
            ("kill -15 $$", 15),
            ("exit 3", 0),
            ("trap 'exit 143' TERM; kill -15 $$", 0),
        ] {
            let (mut child, pid) = shell(script);
            await_child(pid, WaitIdOptions::EXITED);
            assert_eq!(signal_of(child.id()), Some(signal), "{script}");
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_living_thread_a_stopped_one_and_none_at_all() {
        // A test's thread is not the first of its process.
        for living in [rustix::thread::gettid(), rustix::process::getpid()] {
            let living = u32::try_from(living.as_raw_pid()).unwrap();
            assert_eq!(signal_of(living), Some(0));
        }
        for none in [0, u32::MAX] {
            assert_eq!(signal_of(none), None);
        }
        let (mut child, pid) = shell("kill -STOP $$");
        await_child(pid, WaitIdOptions::STOPPED);
        assert_eq!(signal_of(child.id()), Some(0));
        kill_process(pid, Signal::KILL).unwrap();
        child.wait().unwrap();
    }
}
