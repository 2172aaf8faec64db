use super::*;
use crate::plugin::{CacheTask, Warm};

const ENDPOINT: &str = "http://c-1.dlf-caches.svc:80";

fn plan() -> CachingPlan {
    CachingPlan {
        objects: good(),
        origins: vec![CacheOrigin::at(ENDPOINT)],
        ..CachingPlan::default()
    }
}

fn judged(plan: &CachingPlan) -> Result<(), String> {
    check(plan, &info(), &place(), &decision()).map_err(|error| error.message)
}

fn warm(paths: Vec<String>) -> CacheTask {
    CacheTask::Warm(Warm { paths })
}

#[test]
fn replicas_are_asked_how_they_do_where_they_answer_and_nowhere_else() {
    let asked = |url: &str| {
        judged(&CachingPlan {
            status_endpoints: vec![url.to_owned()],
            ..plan()
        })
    };
    for url in [
        "http://c-1.dlf-caches.svc:80/status",
        "http://c-1-0.c-1.dlf-caches.svc:80/a/b?c=d",
        ENDPOINT,
    ] {
        assert_eq!(asked(url), Ok(()), "{url}");
    }
    for url in [
        "http://c-1.dlf-caches.svc:81/status",
        "http://c-2.dlf-caches.svc:80/status",
        "http://c-1.kube-system.svc:80/",
        "https://c-1.dlf-caches.svc:80/",
        "http://169.254.169.254/latest",
        "http://user@c-1.dlf-caches.svc:80/",
        "http://c-1.dlf-caches.svc:80/a b",
        "",
    ] {
        assert!(asked(url).is_err(), "{url}");
    }
    let many = CachingPlan {
        status_endpoints: vec![ENDPOINT.to_owned(); 257],
        ..plan()
    };
    assert!(judged(&many).unwrap_err().contains("257 status endpoints"));
}

#[test]
fn a_cache_is_warmed_that_says_where_it_answers() {
    let tasks = vec![warm(vec!["train/".to_owned()])];
    assert_eq!(
        judged(&CachingPlan {
            tasks: tasks.clone(),
            ..plan()
        }),
        Ok(())
    );
    let nowhere = CachingPlan {
        tasks,
        origins: Vec::new(),
        ..plan()
    };
    assert!(judged(&nowhere).unwrap_err().contains("tasks[0] warms"));
}

#[test]
fn tasks_and_placements_have_bounds() {
    for (tasks, expected) in [
        (vec![warm(Vec::new()); 2], "2 tasks"),
        (vec![warm(vec![String::new(); 65])], "65 paths"),
        (vec![warm(vec!["x".repeat(1025)])], "1025 bytes"),
    ] {
        let refused = judged(&CachingPlan { tasks, ..plan() }).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
    let nodes = CachingPlan {
        placements: vec!["n".to_owned(); 65],
        ..plan()
    };
    assert!(judged(&nodes).unwrap_err().contains("65 nodes"));
    let odd = CachingPlan {
        placements: vec!["../n".to_owned()],
        ..plan()
    };
    assert!(judged(&odd).unwrap_err().contains("../n"));
}
