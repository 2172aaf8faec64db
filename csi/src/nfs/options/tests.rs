use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Options, OptionsError> {
    text.parse()
}

fn data(text: &str, version: &str) -> String {
    let server = IpAddr::from([10, 0, 0, 2]);
    parse(text)
        .unwrap()
        .data(version, server, Some(IpAddr::from([10, 0, 0, 9])))
}

#[test]
fn nothing_means_version_four_and_no_privilege() {
    let options = parse("").unwrap();
    assert_eq!(options.versions(), ["4.2", "4.1", "4.0"]);
    assert_eq!(options.flags(), MountFlags::NOSUID | MountFlags::NODEV);
    assert_eq!(
        data("", "4.2"),
        "vers=4.2,proto=tcp,addr=10.0.0.2,port=2049,clientaddr=10.0.0.9"
    );
}

#[test]
fn the_usual_options_reach_the_kernel() {
    let text = "vers=4.1, rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport,_netdev";
    assert_eq!(parse(text).unwrap().versions(), ["4.1"]);
    assert_eq!(
        data(text, "4.1"),
        "vers=4.1,proto=tcp,addr=10.0.0.2,port=2049,clientaddr=10.0.0.9,\
         rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport"
    );
}

#[test]
fn version_three_does_without_a_lock_daemon() {
    assert_eq!(
        data("nfsvers=3,lock", "3"),
        "vers=3,proto=tcp,addr=10.0.0.2,nolock,mountproto=tcp"
    );
}

#[test]
fn flags_are_flags_and_the_last_word_counts() {
    let options = parse("ro,noexec,noatime,exec").unwrap();
    assert!(
        options
            .flags()
            .contains(MountFlags::RDONLY | MountFlags::NOATIME)
    );
    assert_eq!(options.bind_flags(), MountFlags::RDONLY);
}

#[test]
fn what_could_lead_elsewhere_is_refused() {
    for text in [
        "addr=127.0.0.1",
        "mountaddr=169.254.169.254",
        "mounthost=a",
        "mountport=22",
        "clientaddr=10.0.0.1",
        "suid",
        "dev",
        "context=system_u:object_r:x",
        "remount",
        "bind",
        "sec=krb5",
        "proto=rdma",
        "vers=2",
        "rsize=big",
        "port=0",
        "port=70000",
        "soft=1",
        "lookupcache=a\\,addr",
        "fsc=/etc",
        "x\0y",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    assert_eq!(
        parse("vers=2").unwrap_err().to_string(),
        "the mount option \"vers\" has the value \"2\"; expected 3, 4, 4.0, 4.1 or 4.2"
    );
}

proptest! {
    #[test]
    fn whatever_passes_has_one_address_and_no_privilege(text in "[a-z0-9=,. _/:-]{0,60}") {
        if let Ok(options) = parse(&text) {
            let data = options.data("4.2", IpAddr::from([10, 0, 0, 2]), None);
            prop_assert_eq!(data.matches("addr=").count(), 1);
            prop_assert!(options.flags().contains(MountFlags::NOSUID | MountFlags::NODEV));
        }
    }
}
