use dlf_wire::dataset::v1::Keys;
use dlf_wire::nodes::v1::{ProbeNfs, ProbeObjectStore};

use super::*;

fn probe(origin: Origin) -> TaskSpec {
    TaskSpec {
        dataset: "dlf-1".into(),
        namespace: "ns".into(),
        name: "test".into(),
        kind: task::Kind::ProbeObjectStore(ProbeObjectStore {
            origin: Some(origin),
            writes: false,
        }),
        key_version: "7".into(),
    }
}

fn origin() -> Origin {
    Origin {
        endpoint: "https://S3:9000/x".into(),
        bucket: "b".into(),
        ..Origin::default()
    }
}

#[test]
fn an_id_depends_on_everything_but_the_keys_themselves() {
    let spec = probe(origin());
    let keys = Keys {
        secret_access_key: "hush".into(),
        ..Keys::default()
    };
    assert_eq!(
        spec.id(),
        probe(Origin {
            keys: Some(keys),
            ..origin()
        })
        .id()
    );
    let others = [
        TaskSpec {
            key_version: "8".into(),
            ..spec.clone()
        },
        TaskSpec {
            dataset: "dlf-2".into(),
            ..spec.clone()
        },
        probe(Origin {
            bucket: "c".into(),
            ..origin()
        }),
        probe(Origin {
            bucket: String::new(),
            prefix: "b".into(),
            ..origin()
        }),
        TaskSpec {
            kind: task::Kind::ProbeNfs(ProbeNfs::default()),
            ..spec.clone()
        },
    ];
    for other in others {
        assert_ne!(spec.id(), other.id());
    }
}

#[test]
fn an_endpoint_is_its_host_and_port() {
    assert_eq!(probe(origin()).endpoint(), "s3:9000");
    assert_eq!(probe(Origin::default()).endpoint(), "");
}
