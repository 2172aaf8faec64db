//! What mounts wrote and their sources do not have, for the operator.

use std::collections::HashMap;
use std::sync::PoisonError;

use dlf_wire::nodes::v1::{MountWrites, PodRef};
use dlf_wire::writes::v1::Writes;

use super::Volumes;

/// What each mount said last, by its id, with its dataset's handle.
#[derive(Debug, Default)]
pub(super) struct LastWrites(HashMap<String, (String, MountWrites)>);

impl LastWrites {
    /// `pods`: who uses the mount now.
    pub(super) fn put(&mut self, handle: &str, mount_id: &str, writes: Writes, pods: Vec<PodRef>) {
        let before = self.0.remove(mount_id).map(|(_, last)| last.pods);
        let last = MountWrites {
            mount_id: mount_id.to_owned(),
            writes: Some(writes),
            pods: before.filter(|_| pods.is_empty()).unwrap_or(pods),
        };
        self.0
            .insert(mount_id.to_owned(), (handle.to_owned(), last));
    }

    /// Who uses a mount, as long as somebody does: afterwards it is who used it last.
    pub(super) fn see_pods(&mut self, pods_of: impl Fn(&str) -> Vec<PodRef>) {
        for (id, (_, writes)) in &mut self.0 {
            let pods = pods_of(id);
            if !pods.is_empty() {
                writes.pods = pods;
            }
        }
    }

    /// Those of a dataset, in the order of their ids.
    pub(super) fn of(&self, handle: &str) -> Vec<MountWrites> {
        let mounts = self.0.values().filter(|(of, _)| of == handle);
        let mut mounts: Vec<MountWrites> = mounts.map(|(_, writes)| writes.clone()).collect();
        mounts.sort_by(|a, b| a.mount_id.cmp(&b.mount_id));
        mounts
    }

    /// As [`Self::of`], and forgets them.
    pub(super) fn take(&mut self, handle: &str) -> Vec<MountWrites> {
        let mounts = self.of(handle);
        self.0.retain(|_, (of, _)| of != handle);
        mounts
    }

    pub(super) fn keep(&mut self, mounted: impl Fn(&str) -> bool) {
        self.0.retain(|id, _| mounted(id));
    }
}

impl Volumes {
    /// Takes over what a mount's child tells of its writes.
    pub(super) fn wrote(&self, mount_id: &str, writes: Writes) {
        let Some(mount) = self.deps.state.mount(mount_id) else {
            return;
        };
        let pods = self.pods_of(mount_id);
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        totals.writes.put(mount.handle(), mount_id, writes, pods);
    }

    /// The pods whose volumes are binds of a mount.
    pub(super) fn pods_of(&self, mount_id: &str) -> Vec<PodRef> {
        let targets = self.deps.state.targets_of(mount_id).into_iter();
        let mut pods: Vec<PodRef> = targets.filter_map(|target| target.pod).collect();
        pods.sort_by(|a, b| a.uid.cmp(&b.uid));
        pods.dedup();
        pods
    }
}
