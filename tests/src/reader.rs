//! A pod that reads one file in a loop, and remembers what failed.

use std::{thread, time::Duration};

use crate::{
    Bucket, Namespace, Node, Output, POD_WITHIN, dataset, kubectl, objects::delete, patience, pod,
};

/// Each round opens the file anew. What failed stands in /tmp/errors, the rounds that went well are
/// counted in /tmp/count, which is never seen half-written.
const LOOP: &str = "n=0; touch /tmp/errors; while true; do if cat /mnt/datasets/books/hello.txt > /tmp/got 2>> /tmp/errors; \
                    then n=$((n+1)); echo $n > /tmp/next; mv /tmp/next /tmp/count; else echo failed >> /tmp/errors; fi; \
                    sleep 0.05; done";

/// What is waited for in the pod is seen within this.
const SEEN_WITHIN: Duration = Duration::from_secs(30);

/// The pod, its namespace and its node.
#[derive(Debug)]
pub struct Reader {
    /// Where it runs; its pod is `loop`.
    pub namespace: Namespace,
    /// Its node.
    pub node: Node,
    /// What it reads: `hello.txt`.
    pub bucket: Bucket,
}

impl Reader {
    /// Of a bucket of the main S3 server.
    #[must_use]
    pub fn start(purpose: &str) -> Self {
        let bucket = Bucket::new(purpose);
        let manifest = dataset("books", &bucket.name, "");
        Self::of(purpose, bucket, &manifest)
    }

    /// Of this bucket, which the Dataset `books` of the manifest is.
    #[must_use]
    pub fn of(purpose: &str, bucket: Bucket, manifest: &str) -> Self {
        bucket.put("hello.txt", b"hello\n");
        let namespace = Namespace::new(purpose);
        let reader = pod("loop", "dataset.0.id: books", LOOP, "");
        let _ = namespace
            .apply(&format!("{manifest}---\n{reader}"))
            .expect_ok();
        namespace.wait_ready("loop", POD_WITHIN);
        let node = Node::of(&namespace, "loop");
        let reader = Self {
            namespace,
            node,
            bucket,
        };
        reader.goes_on();
        reader
    }

    /// Rounds so far.
    ///
    /// # Panics
    /// When the pod does not say.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        let count = self.namespace.exec("loop", "cat /tmp/count || echo 0");
        let count = count.expect_ok();
        let number = count.trim().parse();
        number.unwrap_or_else(|_| panic!("no number of rounds: {count:?}"))
    }

    /// Waits for some more rounds.
    ///
    /// # Panics
    /// When there are none within 30 s, times the patience factor: with what failed.
    pub fn goes_on(&self) {
        self.wait_in_pod(
            "count() { cat /tmp/count || echo 0; }; before=$(count); \
             look() { test $(count) -gt $((before + 3)); }; say() { count; cat /tmp/errors; }",
        );
    }

    /// Waits for a new open that is served, within 30 s, by another file system than `device`.
    ///
    /// # Panics
    /// When there is none: with what the last one says.
    pub fn is_served_anew(&self, device: &str) {
        self.wait_in_pod(&format!(
            "seen() {{ stat -c %d /mnt/datasets/books; }}; text() {{ cat /mnt/datasets/books/hello.txt; }}; \
             look() {{ now=$(seen) && test \"$(text)\" = hello && test $now != {device}; }} 2> /dev/null; \
             say() {{ seen; text; }}"
        ));
        self.goes_on();
    }

    /// Waits in the pod, in one command, until its shell's function `look` is true; if that is not in time,
    /// `say` tells why.
    fn wait_in_pod(&self, functions: &str) {
        let within = patience(SEEN_WITHIN).as_secs();
        // Seconds since the machine began, because tests of the clock set it.
        let script = format!(
            "{functions}; seconds() {{ read -r up _ < /proc/uptime; echo ${{up%.*}}; }}; \
             end=$(($(seconds) + {within})); \
             until look; do if test $(seconds) -gt $end; then say; exit 1; fi; sleep 0.1; done"
        );
        let waited = self.namespace.exec("loop", &script);
        assert!(waited.ok, "waited {within} s in the pod: {waited:?}");
    }

    /// What failed.
    #[must_use]
    pub fn errors(&self) -> String {
        self.namespace.exec("loop", "cat /tmp/errors").expect_ok()
    }

    /// Another pod on the same node reads the file.
    ///
    /// # Panics
    /// When it reads something else.
    pub fn another_reads(&self) {
        let more = format!("  nodeName: {}\n", self.node.name);
        let script = "cat /mnt/datasets/books/hello.txt";
        let log = self
            .namespace
            .run_pod("another", "dataset.0.id: books", script, &more);
        assert_eq!(log, "hello\n");
    }

    /// Runs kubectl on the pods of one of our components on the reader's node.
    #[must_use]
    pub fn of_its_node(&self, component: &str, arguments: &[&str]) -> Output {
        let label = format!("app.kubernetes.io/component={component}");
        let field = format!("spec.nodeName={}", self.node.name);
        let select = ["-n", "dlf-system", "-l", &label, "--field-selector", &field];
        kubectl(&[arguments, &select].concat())
    }

    /// The device number of the file system that the pod sees.
    #[must_use]
    pub fn device(&self) -> String {
        let number = self
            .namespace
            .exec("loop", "stat -c %d /mnt/datasets/books");
        number.expect_ok().trim().to_owned()
    }
}

impl Drop for Reader {
    /// The pod goes before its bucket does: a read of a bucket that is gone waits for the source's time-out, and
    /// no signal ends it meanwhile.
    fn drop(&mut self) {
        let deleted = delete("pod", &self.namespace.name, "loop");
        if deleted.is_ok() && !thread::panicking() {
            self.namespace.wait_gone("pod", "loop", POD_WITHIN);
        }
    }
}
