//! Host paths.

use std::os::unix::fs::symlink;

use dlf_wire::nodes::v1::Grant;
use dlf_wire::nodes::v1::from_node::Message as Up;
use tonic::Code;

use crate::consumer::Consumer;
use crate::csi::{host_path, request};
use crate::node::layers;
use crate::node_or_skip;

#[tokio::test(flavor = "multi_thread")]
async fn a_host_path_is_the_nodes_own_directory() {
    let node = node_or_skip!("a_host_path_is_the_nodes_own_directory");
    let data = node.host.join("srv/data");
    std::fs::create_dir(data.join("models")).unwrap();
    std::fs::write(data.join("models/one"), "1").unwrap();
    node.operator.grant(host_path("dlf-1", "models", false));
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(target.join("one")).unwrap(), "1");
    std::fs::write(target.join("two"), "2").unwrap();
    assert!(data.join("models/two").exists());
    node.unpublish("dlf-1", &target).await.unwrap();
    assert!(!target.exists() && data.join("models/two").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn create_new_makes_it_and_read_only_keeps_it() {
    let node = node_or_skip!("create_new_makes_it_and_read_only_keeps_it");
    let mut dataset = host_path("dlf-1", "new/deep", true);
    dataset.readonly = true;
    node.operator.grant(dataset);
    let target = node.target("pod-1");
    node.publish(request("dlf-1", "pod-1", &target))
        .await
        .unwrap();
    std::fs::write(node.host.join("srv/data/new/deep/file"), "x").unwrap();
    let consumer = Consumer::start(&target, node.scratch("volume"));
    assert_eq!(consumer.read("file").unwrap(), "x");
    let error = std::fs::write(consumer.path("file"), "y").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subpath_that_has_to_be_made_is_told_of_and_one_that_is_there_is_not() {
    let node =
        node_or_skip!("a_subpath_that_has_to_be_made_is_told_of_and_one_that_is_there_is_not");
    std::fs::create_dir(node.host.join("srv/data/models")).unwrap();
    node.operator.grant_as(Grant {
        dataset: Some(host_path("dlf-1", "models", false)),
        subpath: "train/2024".into(),
        ..Grant::default()
    });
    for pod in ["pod-1", "pod-2"] {
        let target = node.target(pod);
        node.publish(request("dlf-1", pod, &target)).await.unwrap();
        std::fs::write(target.join(pod), "x").unwrap();
        assert!(
            node.host
                .join("srv/data/models/train/2024")
                .join(pod)
                .exists()
        );
        if pod == "pod-1" {
            let made = node.operator.hear("Made", |up| match up {
                Up::Made(made) => made.pod.clone(),
                _ => None,
            });
            assert_eq!(made.await.name, "pod-1");
        }
        node.unpublish("dlf-1", &target).await.unwrap();
    }
    let again = |up: &Up| matches!(up, Up::Made(made) if made.pod.as_ref().is_some_and(|pod| pod.name == "pod-2"));
    assert!(!node.operator.heard().iter().any(again));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbolic_link_leads_nowhere() {
    let node = node_or_skip!("a_symbolic_link_leads_nowhere");
    let secret = node.scratch("secret");
    std::fs::write(secret.join("key"), "secret").unwrap();
    symlink(&secret, node.host.join("srv/data/out")).unwrap();
    for (number, path) in ["out", "out/deeper", "../../../scratch/secret"]
        .into_iter()
        .enumerate()
    {
        let handle = format!("dlf-{number}");
        node.operator.grant(host_path(&handle, path, number == 1));
        let target = node.target(&handle);
        let status = node
            .publish(request(&handle, "pod", &target))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
        assert!(
            status.message().contains("symbolic link"),
            "{}",
            status.message()
        );
        assert_eq!(layers(&target), 0);
    }
    assert_eq!(std::fs::read_dir(&secret).unwrap().count(), 1);
}
