//! One leader among the replicas, by a Lease.
//!
//! Times are never compared between machines: a Lease counts as abandoned when *this* replica has
//! seen it unchanged for its whole duration, by its own monotonic clock. A leader that cannot renew
//! steps down before another can have seen that much. (The crate `kube-lease-manager`
//! compares wall clocks, and goes on leading while its renewals fail.)

mod candidate;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use self::candidate::{Candidate, Step};

/// Name of the Lease.
const LEASE: &str = "dlf-operator";
/// A leader that dies without releasing is replaced after this long.
/// Together with a look at the Lease and the takeover, its death delays nothing by more than 15 s.
const DURATION: Duration = Duration::from_secs(10);
/// How often a leader renews and the others look.
const INTERVAL: Duration = Duration::from_secs(2);
/// A question to the API server is given up after this long.
const REQUEST_DEADLINE: Duration = Duration::from_secs(2);
/// A leader whose last renewal began this long ago steps down. It looks once an interval and a
/// request deadline, so that it has stepped down before [`DURATION`] is over.
const RENEW_DEADLINE: Duration = Duration::from_millis(5_500);

/// Contends for the Lease, and says on the channel whether this replica leads, until `stop`
/// resolves; then hands the Lease over at once, so that the next leader need not wait.
pub async fn contend(
    client: Client,
    namespace: String,
    identity: String,
    leading: watch::Sender<bool>,
    stop: impl Future<Output = ()>,
) {
    let api = Api::namespaced(client, &namespace);
    let mut candidate = Candidate::new(identity);
    tokio::select! {
        () = contend_forever(&api, &mut candidate, &leading) => {}
        () = stop => {}
    }
    if leading.send_replace(false) {
        match timeout(REQUEST_DEADLINE, release(&api, &candidate.identity)).await {
            Ok(Ok(())) => info!("released the lease"),
            Ok(Err(error)) => warn!(%error, "the lease was not released and will run out"),
            Err(_) => warn!("the lease was not released in time and will run out"),
        }
    }
}

async fn contend_forever(
    api: &Api<Lease>,
    candidate: &mut Candidate,
    leading: &watch::Sender<bool>,
) {
    let mut renewed = Instant::now();
    loop {
        let began = Instant::now();
        let leads = match timeout(REQUEST_DEADLINE, attempt(api, candidate)).await {
            Ok(Ok(leads)) => {
                renewed = began;
                leads
            }
            failed => {
                warn!(cause = %cause(failed), "the lease could not be looked at");
                *leading.borrow() && renewed.elapsed() < RENEW_DEADLINE
            }
        };
        if leading.send_if_modified(|before| std::mem::replace(before, leads) != leads) {
            info!(leads, "leadership changed");
        }
        sleep(INTERVAL).await;
    }
}

fn cause<T>(failed: Result<Result<T, kube::Error>, tokio::time::error::Elapsed>) -> String {
    match failed {
        Ok(Err(error)) => error.to_string(),
        _ => "no answer in time".to_owned(),
    }
}

/// Looks at the Lease and takes or renews it where that is right; true when it is ours.
async fn attempt(api: &Api<Lease>, candidate: &mut Candidate) -> Result<bool, kube::Error> {
    let written = match api.get_opt(LEASE).await? {
        None => {
            api.create(&PostParams::default(), &candidate.claim(None))
                .await
        }
        Some(lease) => match candidate.step(&lease, Instant::now()) {
            Step::Wait => return Ok(false),
            Step::Claim => {
                let claim = candidate.claim(Some(&lease));
                api.replace(LEASE, &PostParams::default(), &claim).await
            }
        },
    };
    match written {
        Ok(_) => Ok(true),
        // Another was faster. A leader that sees this finds out whose it is at the next look.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

async fn release(api: &Api<Lease>, identity: &str) -> Result<(), kube::Error> {
    let Some(mut lease) = api.get_opt(LEASE).await? else {
        return Ok(());
    };
    if let Some(spec) = lease
        .spec
        .as_mut()
        .filter(|spec| spec.holder_identity.as_deref() == Some(identity))
    {
        spec.holder_identity = None;
        api.replace(LEASE, &PostParams::default(), &lease).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_steps_down_before_another_may_follow() {
        assert!(RENEW_DEADLINE + INTERVAL + REQUEST_DEADLINE < DURATION);
    }
}
