//! Temporary keys, as a real server issues them: without their session token it does not know them.

use dlf_tests::{
    Bucket, DATASETS, NAMED_WITHIN, Namespace, Reader, SecondS3, contains, dataset_with_secret,
    kubectl_with, on_our_own_cluster, s3_at, settings, unique,
};
use serde_json::json;

/// Has the second server issue keys (`tests/cluster/lib/s3.sh` gives it the role).
const ASSUME: &str = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::role/dlf-session&RoleSessionName=test";

/// Keys for an hour.
struct Issued {
    id: String,
    secret: String,
    token: String,
}

impl Issued {
    fn by(second: &SecondS3) -> Self {
        let said = s3_at(&second.endpoint, "POST", "", ASSUME.as_bytes()).unwrap();
        let said = String::from_utf8(said).unwrap();
        let of = |tag: &str| {
            let (_, value) = said.split_once(&format!("<{tag}>")).unwrap();
            value.split('<').next().unwrap().to_owned()
        };
        Self {
            id: of("AccessKeyId"),
            secret: of("SecretAccessKey"),
            token: of("SessionToken"),
        }
    }

    /// A Secret with them under these names.
    fn under(&self, names: [&str; 3]) -> String {
        let [id, secret, token] = names;
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "mine" },
            "stringData": { id: self.id, secret: self.secret, token: self.token },
        })
        .to_string()
    }
}

const OURS: [&str; 3] = ["accessKeyID", "secretAccessKey", "sessionToken"];
const OF_TOOLS: [&str; 3] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// Puts a Secret in the place of the one of its name, with nothing of what stood in it.
fn replace(namespace: &Namespace, secret: &str) {
    let _ = kubectl_with(&["-n", &namespace.name, "replace", "-f", "-"], secret).expect_ok();
}

#[test]
fn temporary_keys_are_used_with_their_token_and_a_new_secret_heals_those_that_are_over() {
    if !on_our_own_cluster("it starts a server that issues keys") {
        return;
    }
    let second = SecondS3::start();
    let bucket = Bucket::at(&second.endpoint, &unique("temporary"));
    let first = Issued::by(&second);
    let dataset = dataset_with_secret("books", &bucket.name, "mine")
        .replace(&settings().get("S3_ENDPOINT"), &second.endpoint);
    // Each open asks the source.
    let manifests = format!(
        "{}\n---\n{dataset}  cache: {{revalidate: 0s}}\n",
        first.under(OURS)
    );
    let reader = Reader::of("temporary", bucket, &manifests);
    let namespace = &reader.namespace;
    let labels = "dataset.0.id: books, dataset.0.useas: configmap";
    let script = "echo \"$DATASET_0_SESSION_TOKEN $books_sessionToken\"";
    let token = &first.token;
    let seen = namespace.run_pod("environment", labels, script, "");
    assert!(
        seen == format!("{token} {token}\n"),
        "another token, or none"
    );

    let next = Issued::by(&second);
    let over = Issued {
        id: next.id.clone(),
        secret: next.secret.clone(),
        token: token.clone(),
    };
    replace(namespace, &over.under(OF_TOOLS));
    let kind = format!("{DATASETS}/books");
    let rejected = |reason: &str, message: &str| {
        contains(message, token).unwrap_err();
        contains(reason, "KeysRejected")
    };
    namespace.await_condition(&kind, "SourceReachable", "False", NAMED_WITHIN, rejected);
    replace(namespace, &next.under(OF_TOOLS));
    let _ = namespace.wait_condition(&kind, "SourceReachable", "True", NAMED_WITHIN);
    reader.goes_on();
    reader.another_reads();
    // While the server that its mount has used is there.
    drop(reader);
}
