use serde_json::json;

use super::*;

fn status(user: &str, audience: &str, extra: &serde_json::Value) -> TokenReviewStatus {
    serde_json::from_value(json!({
        "authenticated": true,
        "audiences": [audience],
        "user": { "username": user, "extra": extra },
    }))
    .unwrap()
}

fn bound() -> serde_json::Value {
    json!({ NODE_NAME: ["node-a"], POD_NAME: ["dlf-csi-x"] })
}

#[test]
fn our_two_programs_are_known_by_their_accounts() {
    for (account, program) in [
        ("dlf-csi", Program::Driver),
        ("dlf-worker", Program::Worker),
    ] {
        let user = format!("system:serviceaccount:dlf-system:{account}");
        let found = judge(&status(&user, TOKEN_AUDIENCE, &bound()), "dlf-system").unwrap();
        assert_eq!(
            found,
            (program, "node-a".to_owned(), "dlf-csi-x".to_owned())
        );
    }
}

#[test]
fn what_can_be_no_token_is_refused_unasked() {
    assert!(check("eyJhbGciOiJSUzI1NiJ9.e30.c2ln").is_ok());
    for (token, why) in [
        (String::new(), "none"),
        ("x".repeat(TOKEN_BYTES_MAX + 1), "longer"),
    ] {
        let refused = check(&token).unwrap_err();
        assert!(matches!(&refused, IdentityError::Invalid(found) if found.contains(why)));
    }
}

#[test]
fn nobody_else_is_let_in() {
    let driver = "system:serviceaccount:dlf-system:dlf-csi";
    let judge = |status: &TokenReviewStatus| judge(status, "dlf-system").unwrap_err();
    let account = |user| judge(&status(user, TOKEN_AUDIENCE, &bound()));
    for user in [
        "system:serviceaccount:other:dlf-csi",
        "system:serviceaccount:dlf-system-2:dlf-csi",
        "system:serviceaccount:dlf-system:dlf-csi-2",
        "dlf-system:dlf-csi",
        "system:node:node-a",
    ] {
        assert!(matches!(account(user), IdentityError::Account(found) if found == user));
    }
    let other_audience = status(driver, "https://kubernetes.default.svc", &bound());
    assert!(matches!(judge(&other_audience), IdentityError::Audience));
    let no_audience = TokenReviewStatus {
        audiences: None,
        ..other_audience
    };
    assert!(matches!(judge(&no_audience), IdentityError::Audience));
    for extra in [
        json!({}),
        json!({ NODE_NAME: ["a", "b"], POD_NAME: ["p"] }),
        json!({ NODE_NAME: ["a"] }),
    ] {
        assert!(matches!(
            judge(&status(driver, TOKEN_AUDIENCE, &extra)),
            IdentityError::Unbound
        ));
    }
    assert!(matches!(
        judge(&TokenReviewStatus::default()),
        IdentityError::Invalid(_)
    ));
}

#[test]
fn a_token_counts_as_long_as_it_says_within_bounds() {
    let now = UNIX_EPOCH + Duration::from_secs(1000);
    let token = |claims: &serde_json::Value| {
        format!(
            "e30.{}.sig",
            BASE64_URL_SAFE_NO_PAD.encode(claims.to_string())
        )
    };
    let lifetime = |token: &str| lifetime(token, now).as_secs();
    assert_eq!(lifetime(&token(&json!({ "exp": 1600, "aud": ["x"] }))), 600);
    assert_eq!(lifetime(&token(&json!({ "exp": 1060 }))), 60);
    let expired_by_our_clock = token(&json!({ "exp": 900, "iat": 100 }));
    assert_eq!(lifetime(&expired_by_our_clock), LIFETIME_DOUBTED.as_secs());
    let made_later_by_our_clock = token(&json!({ "exp": 4900, "iat": 4000 }));
    assert_eq!(lifetime(&made_later_by_our_clock), 900);
    assert_eq!(
        lifetime(&token(&json!({ "exp": u64::MAX }))),
        LIFETIME_MAX.as_secs()
    );
    for odd in ["", "opaque", "a.b.c", &token(&json!({}))] {
        assert_eq!(lifetime(odd), LIFETIME_DEFAULT.as_secs());
    }
}
