//! An operator that says anything, in any order, to a driver that has questions open.

use dlf_wire::dataset::v1::dataset_config::Volume;
use dlf_wire::dataset::v1::{FuseVolume, HostPathVolume, NfsVolume};
use dlf_wire::nodes::v1::to_node::Message as Down;
use dlf_wire::nodes::v1::{NodeWelcome, Refusal};
use proptest::prelude::*;
use proptest::{collection::vec, option};
use tokio::runtime::Builder;

use super::super::*;

/// Questions that are open when the operator begins to talk.
const OPEN: u64 = 4;

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-d]",
        1 => any::<String>(),
        1 => "\\.\\./x|/etc|a,b=c",
        1 => "[a-z]".prop_map(|text| text.repeat(20_000)),
    ]
}

fn requests() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 1..=OPEN, 1 => any::<u64>()]
}

fn datasets() -> impl Strategy<Value = DatasetConfig> {
    let volume = prop_oneof![
        texts().prop_map(|program| Volume::Fuse(FuseVolume {
            program,
            ..FuseVolume::default()
        })),
        texts().prop_map(|server| Volume::Nfs(NfsVolume {
            server,
            ..NfsVolume::default()
        })),
        texts().prop_map(|path| Volume::HostPath(HostPathVolume {
            path,
            ..HostPathVolume::default()
        })),
    ];
    (texts(), any::<u64>(), option::of(volume)).prop_map(|(volume_handle, version, volume)| {
        DatasetConfig {
            volume_handle,
            version,
            volume,
            ..DatasetConfig::default()
        }
    })
}

fn messages() -> impl Strategy<Value = Down> {
    let network = || {
        (vec(texts(), 0..3), vec(texts(), 0..3)).prop_map(|(allow, deny)| NetworkRules {
            allow,
            deny,
            ..NetworkRules::default()
        })
    };
    let failure =
        option::of((texts(), texts()).prop_map(|(reason, message)| Failure::new(reason, message)));
    let grant = (requests(), option::of(datasets()), texts(), any::<bool>());
    prop_oneof![
        3 => grant.prop_map(|(request, dataset, subpath, readonly)| Down::Grant(Grant { request, dataset, subpath, readonly })),
        3 => (requests(), failure).prop_map(|(request, failure)| Down::Refusal(Refusal { request, failure })),
        1 => option::of(network()).prop_map(|network| Down::Welcome(NodeWelcome { network, mounter: None })),
        2 => datasets().prop_map(Down::Dataset),
        1 => network().prop_map(Down::Network),
        1 => texts().prop_map(|revision| Down::Mounter(MounterWanted { revision })),
    ]
}

/// What a message means to the question of this number, if anything.
fn answers(message: &Down, number: u64) -> Option<bool> {
    match message {
        Down::Grant(grant) if grant.request == number => {
            let dataset = grant.dataset.as_ref();
            Some(dataset.is_some_and(|dataset| dataset.volume.is_some()))
        }
        Down::Refusal(refusal) if refusal.request == number => Some(false),
        _ => None,
    }
}

proptest! {
    #[test]
    fn each_question_has_its_first_answer_and_each_order_arrives(messages in vec(messages(), 0..40)) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dialer = Dialer::new("localhost:1", "ca", "token").unwrap();
            let (_operator, connection, mut orders) = Operator::new(dialer, "node".into());
            let needs = &connection.shared.needs;
            let mut open = Vec::new();
            for _ in 0..OPEN {
                open.push(needs.ask("a", PodRef::default()).unwrap());
            }
            let first = |number| messages.iter().find_map(|message| answers(message, number));
            let expected: Vec<_> = (1..=OPEN).map(first).collect();
            let ordered = messages.iter().filter(|message| {
                matches!(message, Down::Dataset(_) | Down::Network(_) | Down::Mounter(_))
            });
            let ordered = ordered.count();
            for message in messages.clone() {
                prop_assert!(connection.deliver(message).await.is_ok());
            }
            prop_assert_eq!(orders.len(), ordered);
            while orders.try_recv().is_ok() {}
            for ((need, answer), expected) in open.into_iter().zip(expected) {
                let waits = needs.unanswered().iter().any(|other| other.request == need.request);
                prop_assert_eq!(waits, expected.is_none());
                let Some(granted) = expected else { continue };
                let answer = answer.await;
                prop_assert_eq!(answer.is_ok(), granted);
                if let Err(error) = answer {
                    prop_assert!(!error.to_string().is_empty());
                }
            }
            prop_assert!(needs.unanswered().is_empty(), "who no longer waits leaves nothing");
            Ok(())
        })?;
    }
}
