//! A pod's container: a mount namespace that gets its volume's mounts and gives none.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) struct Consumer {
    process: Child,
    volume: PathBuf,
}

impl Consumer {
    /// Mounts `target` at `volume` as a runtime does with `HostToContainer`.
    pub(crate) fn start(target: &Path, volume: PathBuf) -> Self {
        let script = r#"mount --rbind "$0" "$1" && mount --make-rslave "$1" && echo ready && exec sleep 600"#;
        let mut process = Command::new("unshare")
            .args(["--mount", "--propagation", "slave", "sh", "-c", script])
            .args([target, &volume])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        Self { process, volume }
    }

    /// A path as this container sees it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let volume = self.volume.strip_prefix("/").unwrap();
        let root = format!("/proc/{}/root", self.process.id());
        Path::new(&root).join(volume).join(name)
    }

    pub(crate) fn read(&self, name: &str) -> std::io::Result<String> {
        std::fs::read_to_string(self.path(name))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
