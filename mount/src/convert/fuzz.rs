//! Configurations that no driver sends: read or refused, and no key is shown.

use dlf_wire::dataset::v1::{FuseVolume, Keys as WireKeys, NetworkRules, Origin as WireOrigin};
use proptest::prelude::*;
use proptest::{collection::vec, option};

use super::*;

/// In every secret here, and in nothing else.
const MARK: &str = "SECRET";

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,9}",
        any::<String>(),
        "[a-z/.]".prop_map(|text| text.repeat(50_000)),
    ]
}

fn endpoints() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "https?://[a-z]{1,3}(:[0-9]{1,6})?/?",
        1 => "(https?|ftp)://(id:SECRET[a-z]{0,3}@)?[a-z.:\\[\\]?#%/]{0,9}",
        1 => texts(),
    ]
}

fn keys() -> impl Strategy<Value = WireKeys> {
    let secret = "SECRET[a-z]{0,9}[ \n\u{1}é]?";
    (texts(), secret, "|SECRET[a-z]{1,5}\n?").prop_map(|(id, secret, token)| WireKeys {
        access_key_id: id,
        secret_access_key: secret,
        session_token: token,
    })
}

fn origins() -> impl Strategy<Value = WireOrigin> {
    let pem = prop_oneof![
        4 => Just(String::new()),
        1 => texts(),
        1 => Just("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()),
    ];
    let bucket = prop_oneof![3 => "[a-z]{3,9}", 1 => texts()];
    let prefix = prop_oneof![3 => "([a-z]{1,3}/){0,2}", 1 => texts()];
    let region = prop_oneof![3 => "|us-east-1", 1 => texts()];
    let shards = (
        vec(endpoints(), 0..3),
        prop_oneof![Just(1 << 20), any::<u64>()],
    );
    let place = (endpoints(), bucket, prefix, region);
    (place, option::of(keys()), pem, shards).prop_map(
        |((endpoint, bucket, prefix, region), keys, ca_pem, (shards, shard_bytes))| WireOrigin {
            endpoint,
            bucket,
            prefix,
            region,
            keys,
            ca_pem,
            shards,
            shard_bytes,
        },
    )
}

fn networks() -> impl Strategy<Value = NetworkRules> {
    let rule = || prop_oneof![3 => "10\\.[0-9]{1,2}\\.0\\.0/16", 1 => "[0-9./:]{0,9}", 1 => any::<String>()];
    let socket = prop_oneof![3 => "10\\.0\\.0\\.[0-9]:[0-9]{1,5}", 1 => any::<String>()];
    (option::of(rule()), option::of(rule()), option::of(socket)).prop_map(
        |(allow, deny, socket)| NetworkRules {
            allow: allow.into_iter().collect(),
            deny: deny.into_iter().collect(),
            deny_sockets: socket.into_iter().collect(),
        },
    )
}

proptest! {
    #[test]
    fn a_configuration_is_used_or_refused_without_its_keys(
        origins in vec(origins(), 0..3),
        network in option::weighted(0.9, networks()),
        source_timeout_ms in prop_oneof![Just(0), any::<u64>(), Just(u64::MAX)],
    ) {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let volume = FuseVolume { origins, source_timeout_ms, ..FuseVolume::default() };
        if let Err(error) = store(&volume, network.as_ref()) {
            let text = error.to_string();
            prop_assert!(!text.is_empty());
            prop_assert!(!text.contains(MARK) && !format!("{error:?}").contains(MARK), "{text}");
        }
    }
}
