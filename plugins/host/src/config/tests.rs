use std::fs;

use super::*;

/// Every section and every key that there is.
pub(super) const WHOLE: &str = r#"[plugins.s3fs]
carrier = "builtin"
config = { tier = "nvme" }
[[route]]
match = { type = "COS", namespace = "ml-*", labels = { tier = "hot" } }
storage = "s3fs"
caching = "acme"
[[route]]
storage = "nfs"
[cache]
mode = "Off"
[network]
allow = ["10.0.0.0/8"]
deny = ["192.168.1.0/24", "2001:db8::/32"]
[[host_path]]
prefix = "/data"
namespaces = ["team-*"]
[[nfs_server]]
server = "*.example.com"
namespaces = ["*"]
[admission]
inline_keys = false
internal_writers = ["system:serviceaccount:a:b"]
[plugins.acme]
carrier = "isolated"
url = "https://acme:8443"
[plugins.third]
carrier = "external"
service_account = "system:serviceaccount:a:third"
[plugins.own]
carrier = "in-process"
path = "/plugins/own.so"
sha256 = "00"
"#;

/// Reads a file with this content and shows what is wrong with it.
pub(super) fn load(content: impl AsRef<[u8]>) -> Result<Config, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    let loaded = Config::load(Some(file.path()));
    let path = file.path().display().to_string();
    loaded.map_err(|error| {
        let text = error.to_string();
        let said = text.strip_prefix(&format!("{path}: "));
        said.map_or_else(|| panic!("no file in {text:?}"), str::to_owned)
    })
}

#[test]
fn no_file_gives_the_defaults() {
    assert_eq!(Config::load(None).unwrap(), Config::default());
}

#[test]
fn a_whole_file_is_understood() {
    let config = load(WHOLE).unwrap();
    assert_eq!(config.routes[0].storage.as_deref(), Some("s3fs"));
    assert_eq!(config.routes[0].caching.as_deref(), Some("acme"));
    assert_eq!(config.plugins["own"].carrier, Carrier::InProcess);
    assert!(config.host_path_rule("team-a", "/data/books").is_some());
    assert!(config.host_path_rule("team-a", "/database").is_none());
    assert!(config.host_path_rule("other", "/data").is_none());
    assert!(config.nfs_server_allowed("any", "nfs.example.com"));
    assert!(!config.nfs_server_allowed("any", "nfs.example.org"));
}

#[test]
fn an_error_names_the_key_and_what_was_expected() {
    let unknown = load("[cache]\nmodus = \"Off\"").unwrap_err();
    assert!(
        unknown.contains("modus") && unknown.contains("mode"),
        "{unknown}"
    );
    let wrong = load("[cache]\nmode = \"Sometimes\"").unwrap_err();
    assert!(
        wrong.contains("Sometimes") && wrong.contains("Advise"),
        "{wrong}"
    );
    let third = load("[network]\n\n[[route]]\nstorage = 3").unwrap_err();
    for (error, place) in [(&unknown, "line 2"), (&wrong, "line 2"), (&third, "line 4")] {
        assert!(error.contains(place), "{error}");
    }
    let nowhere = load("[plugins.acme]\ncarrier = \"isolated\"").unwrap_err();
    assert!(
        nowhere.contains("plugins.acme.url") && nowhere.contains("line 1"),
        "{nowhere}"
    );
    let named = load("[plugins.Acme]\ncarrier = \"builtin\"").unwrap_err();
    assert!(named.contains("lower-case"), "{named}");
    let syntax = load("[cache\nmode = 1").unwrap_err();
    assert!(syntax.contains("line 1"), "{syntax}");
    let prefix = load("[[host_path]]\nprefix = \"/\"\nnamespaces = [\"*\"]").unwrap_err();
    assert!(
        prefix.contains("host_path.prefix") && prefix.contains("line 2"),
        "{prefix}"
    );
}

#[test]
fn a_glob_stands_for_any_characters() {
    for (pattern, text, fits) in [
        ("*", "", true),
        ("a*", "a", true),
        ("a*c", "abc", true),
        ("a*c", "ab", false),
        ("*b*d*", "abcde", true),
        ("*b*b*", "abc", false),
        ("ab*ba", "aba", false),
        ("exact", "exactly", false),
    ] {
        assert_eq!(matches_glob(pattern, text), fits, "{pattern} {text}");
    }
}
