//! What every division keeps, and who has how much in the end.

use proptest::prelude::*;

use super::*;

/// What the chart gives a mounter.
const LIMIT: u64 = 2048 * MIB;

/// Tells everybody who is due, as children that have nothing in use.
fn settle(shares: &mut Shares) {
    for _ in 0..3 {
        for due in shares.due() {
            shares.taken(due, 0);
        }
    }
    assert!(shares.is_settled() && shares.due().is_empty());
}

fn enter(shares: &mut Shares) -> Option<u64> {
    let id = shares.enter(Kind::Adjustable)?;
    shares.serves(id);
    Some(id)
}

fn budgets(shares: &Shares) -> Vec<u64> {
    let budgets = shares.children.keys().filter_map(|id| shares.budget(*id));
    budgets.map(|budget| budget / MIB).collect()
}

#[test]
fn a_few_children_have_as_much_as_helps_and_more_share_what_there_is() {
    let mut shares = Shares::of(LIMIT);
    for _ in 0..5 {
        enter(&mut shares).unwrap();
        settle(&mut shares);
    }
    assert_eq!(budgets(&shares), [256; 5]);
    for _ in 0..5 {
        enter(&mut shares).unwrap();
        settle(&mut shares);
    }
    let each = budgets(&shares);
    assert!(each.iter().all(|budget| *budget == each[0]), "{each:?}");
    assert!((100..150).contains(&each[0]), "{each:?}");
}

#[test]
fn who_goes_leaves_its_share_to_the_others() {
    let mut shares = Shares::of(512 * MIB);
    let ids = [(); 4].map(|()| {
        let id = enter(&mut shares).unwrap();
        settle(&mut shares);
        id
    });
    let before = budgets(&shares)[0];
    for id in &ids[1..] {
        shares.leave(*id);
    }
    settle(&mut shares);
    assert_eq!(budgets(&shares).len(), 1);
    assert!(budgets(&shares)[0] > 2 * before);
}

#[test]
fn a_place_is_kept_so_that_a_new_child_need_not_wait() {
    let mut shares = Shares::of(600 * MIB);
    let first = enter(&mut shares).unwrap();
    settle(&mut shares);
    let had = shares.budget(first).unwrap();
    let second = enter(&mut shares).unwrap();
    let third = enter(&mut shares).unwrap();
    let small = shares.budget(second);
    assert_eq!(shares.budget(third), Some(BUDGET_MIN));
    // The first gives back in its own time, and what it still has is nobody else's.
    let due = shares.due();
    assert_eq!(due.iter().map(|due| due.id).collect::<Vec<_>>(), [first]);
    shares.taken(due[0], had);
    assert!(!shares.is_settled());
    assert!(shares.due().iter().all(|due| due.id == first));
    settle(&mut shares);
    assert!(shares.budget(second) > small);
    assert_eq!(shares.budget(first), shares.budget(second));
}

#[test]
fn there_are_as_many_children_as_fit_with_the_least_and_no_more() {
    let mut shares = Shares::of(LIMIT);
    let mut count = 0;
    while enter(&mut shares).is_some() {
        settle(&mut shares);
        count += 1;
    }
    let fit = (LIMIT - MOUNTER_BYTES) / Kind::Adjustable.bytes_min();
    assert_eq!(count, fit);
    assert!(budgets(&shares).iter().all(|budget| *budget == 16));
}

#[test]
fn a_child_that_has_not_begun_is_told_nothing() {
    let mut shares = Shares::of(512 * MIB);
    let starting = shares.enter(Kind::Adjustable).unwrap();
    enter(&mut shares).unwrap();
    assert!(shares.due().iter().all(|due| due.id != starting));
    shares.serves(starting);
    assert!(shares.due().iter().any(|due| due.id == starting));
}

#[derive(Clone, Debug)]
enum Event {
    Enter(bool),
    Leave(usize),
    /// Everybody who is due is told, and has so much in use.
    Tell(u64),
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => any::<bool>().prop_map(Event::Enter),
        1 => (0..64_usize).prop_map(Event::Leave),
        3 => (0..300 * MIB).prop_map(Event::Tell),
    ]
}

proptest! {
    /// Whoever comes, goes or gives back in whichever order.
    #[test]
    fn what_all_may_have_together_stays_below_the_limit(
        limit in 0..4096_u64,
        events in prop::collection::vec(events(), 1..80),
    ) {
        let mut shares = Shares::of(limit * MIB);
        for event in events {
            match event {
                Event::Enter(adjustable) => {
                    let kind = if adjustable { Kind::Adjustable } else { Kind::Fixed };
                    if let Some(id) = shares.enter(kind) {
                        shares.serves(id);
                    }
                }
                Event::Leave(which) => {
                    let mut ids = shares.children.keys().copied();
                    if let Some(id) = ids.nth(which % shares.count().max(1)) {
                        shares.leave(id);
                    }
                }
                Event::Tell(in_use) => {
                    for due in shares.due() {
                        // A child takes no more than it had.
                        let had = shares.budget(due.id).unwrap_or(0);
                        shares.taken(due, in_use.min(had));
                    }
                }
            }
            let taken: u64 = shares.children.values().map(|share| share.bytes()).sum();
            prop_assert!(taken == 0 || taken + MOUNTER_BYTES <= limit * MIB, "{shares:?}");
        }
    }
}
