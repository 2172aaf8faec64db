//! Objects that a backup brought back: they carry the uid of a Dataset that is no more, and the names of
//! one that is.

use dlf_core::names::DRIVER;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::Api;

use super::{Ensured, ObjectKey, Owned, OwnedKind, Writer};

/// Whose an object is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The Dataset's uid.
    pub uid: String,
    /// Its namespace and name.
    pub dataset: (String, String),
    /// Uid of the Dataset of that name in the other group.
    pub twin: Option<String>,
}

impl Owner {
    /// Whether an object was made for an earlier Dataset of this name: no living one has its uid.
    pub(super) fn left_behind(&self, owned: &Owned) -> bool {
        owned.dataset == self.dataset
            && owned.dataset_uid != self.uid
            && self.twin.as_ref() != Some(&owned.dataset_uid)
    }
}

/// Takes away what an earlier Dataset left, so that it is made anew. Labels can be forged, and a claim
/// may hold data: only one that holds none is taken.
pub(super) async fn replace(
    writer: &Writer,
    key: &ObjectKey,
    owned: &Owned,
) -> Result<Ensured, kube::Error> {
    if owned.terminating {
        return Ok(Ensured::Terminating);
    }
    if key.kind == OwnedKind::Claim {
        let claims: Api<PersistentVolumeClaim> =
            Api::namespaced(writer.client.clone(), &key.namespace);
        let volumes: Api<PersistentVolume> = Api::all(writer.client.clone());
        let Some(claim) = claims.get_opt(&key.name).await? else {
            return Ok(Ensured::Terminating);
        };
        let volume = match volume_of(&claim) {
            Some(name) => volumes.get_opt(name).await?,
            None => None,
        };
        if !holds_nothing(&claim, volume.as_ref()) {
            return Ok(Ensured::Foreign);
        }
        if let Some(name) = volume.and_then(|volume| volume.metadata.name) {
            // Nobody else's any more, and of another name than the one that is made.
            let volume = ObjectKey {
                kind: OwnedKind::Volume,
                namespace: String::new(),
                name,
            };
            writer.remove(&volume, &owned.dataset_uid).await?;
        }
    }
    writer.delete(key, owned.uid.clone()).await?;
    Ok(Ensured::Terminating)
}

fn volume_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    let spec = claim.spec.as_ref()?;
    spec.volume_name.as_deref()
}

/// Whether no data goes with a claim: its volume is lost, or of our driver, which keeps data elsewhere.
fn holds_nothing(claim: &PersistentVolumeClaim, volume: Option<&PersistentVolume>) -> bool {
    let phase = claim
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let driver = || {
        let source = volume?.spec.as_ref()?.csi.as_ref()?;
        Some(source.driver.as_str())
    };
    phase == Some("Lost")
        || driver() == Some(DRIVER)
        || (volume.is_none() && volume_of(claim).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn claim(volume: &Value, phase: &str) -> PersistentVolumeClaim {
        let claim = json!({ "spec": { "volumeName": volume }, "status": { "phase": phase } });
        serde_json::from_value(claim).unwrap()
    }

    fn volume(driver: &str) -> PersistentVolume {
        let csi = json!({ "driver": driver, "volumeHandle": "h" });
        serde_json::from_value(json!({ "spec": { "csi": csi } })).unwrap()
    }

    #[test]
    fn a_claim_that_may_hold_data_is_left_alone() {
        let (named, unnamed) = (json!("dlf-1"), Value::Null);
        let (ours, others) = (volume(DRIVER), volume("ebs.csi.aws.com"));
        for (claim, volume, expected) in [
            (claim(&named, "Lost"), None, true),
            (claim(&named, "Bound"), Some(&ours), true),
            (claim(&named, "Pending"), None, true),
            (claim(&named, "Bound"), Some(&others), false),
            (claim(&unnamed, "Pending"), None, false),
        ] {
            assert_eq!(
                holds_nothing(&claim, volume),
                expected,
                "{claim:?} {volume:?}"
            );
        }
    }
}
