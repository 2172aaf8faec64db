//! A pod that writes to files that it holds open, whatever happens to DLF meanwhile.

use std::fmt::Write;

use dlf_tests::{Namespace, POD_WITHIN, PROGRAMS, Reader, eventually, pod, put_program};

/// What `programs/keeper.go` writes in one round to each of the two files that are not its log.
const BLOCK: usize = 64 << 10;

/// Blocks of its file that is written in no order.
const BLOCKS: usize = 1024;

/// Rounds from one version of its file that is replaced to the next.
const REPLACED_EVERY: usize = 10;

/// Beside a reader, on its node and of its Dataset.
pub(crate) struct Writers<'a> {
    reader: &'a Reader,
}

impl<'a> Writers<'a> {
    /// Starts the pod, and waits for its first rounds.
    pub(crate) fn beside(reader: &'a Reader) -> Self {
        put_program(&reader.bucket, "keeper.go");
        let script = format!(
            "cd /mnt/datasets/books; cp {PROGRAMS}/keeper /tmp; chmod 755 /tmp/keeper; exec /tmp/keeper /tmp/end"
        );
        let node = format!("  nodeName: {}\n", reader.node.name);
        let writers = pod("writers", "dataset.0.id: books", &script, &node);
        let _ = reader.namespace.apply(&writers).expect_ok();
        reader.namespace.wait_ready("writers", POD_WITHIN);
        let writers = Self { reader };
        writers.go_on();
        writers
    }

    fn namespace(&self) -> &Namespace {
        &self.reader.namespace
    }

    /// Rounds so far, as the reader's pod sees them in the log, which nobody has closed.
    fn rounds(&self) -> u64 {
        let lines = "wc -l < /mnt/datasets/books/log || echo 0";
        let lines = self.namespace().exec("loop", lines).expect_ok();
        lines.trim().parse().unwrap()
    }

    /// Waits for some more rounds.
    pub(crate) fn go_on(&self) {
        let before = self.rounds();
        eventually("more rounds of the writers", POD_WITHIN, || {
            let now = self.rounds();
            if now > before + 3 {
                Ok(())
            } else {
                let log = self.namespace().kubectl(&["logs", "writers"]);
                Err(format!("{before}, {now}; the pod's log: {log:?}"))
            }
        });
    }

    /// Has the program close its files. The bucket then has all of each.
    pub(crate) fn end(self) {
        let namespace = self.namespace();
        let _ = namespace.exec("writers", "touch /tmp/end").expect_ok();
        namespace.wait_phase("writers", "Succeeded", POD_WITHIN);
        let said = namespace.kubectl(&["logs", "writers"]).expect_ok();
        let rounds: usize = said.trim().parse().unwrap();
        let mut log = String::new();
        for round in 0..rounds {
            let _ = writeln!(log, "{round}");
        }
        self.holds("log", log.as_bytes());
        self.holds("large", &blocks(rounds));
        self.holds("scattered", &blocks(BLOCKS));
        let last = (rounds - 1) / REPLACED_EVERY * REPLACED_EVERY;
        self.holds("whole", format!("{last}\n").as_bytes());
    }

    fn holds(&self, key: &str, expected: &[u8]) {
        let found = self.reader.bucket.get(key).unwrap();
        let length = found.len();
        assert!(
            found == expected,
            "{key} has {length} bytes, not {} or others",
            expected.len()
        );
    }
}

/// Blocks of which each is filled with its number.
fn blocks(count: usize) -> Vec<u8> {
    let numbers = (0..=u8::MAX).cycle().take(count);
    numbers.flat_map(|number| vec![number; BLOCK]).collect()
}
