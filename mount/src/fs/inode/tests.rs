use proptest::prelude::*;

use super::*;

fn version(etag: &str) -> Node<()> {
    Node::File(Version {
        etag: Arc::from(etag),
        size: 1,
        modified: SystemTime::UNIX_EPOCH,
    })
}

fn table() -> Inodes<()> {
    Inodes::new(Instant::now())
}

#[test]
fn another_version_of_a_name_is_another_inode() {
    let (mut inodes, now) = (table(), Instant::now());
    let first = inodes.enter(ROOT, "a", version("1"), now);
    assert_eq!(inodes.enter(ROOT, "a", version("1"), now).ino, first.ino);
    inodes.open(first.ino);
    let second = inodes.enter(ROOT, "a", version("2"), now);
    assert_ne!(first.ino, second.ino);
    assert_eq!(inodes.path(first.ino).as_deref(), Some("a"));
    assert_eq!(inodes.child(ROOT, "a").unwrap().ino, second.ino);

    inodes.forget(first.ino, 2);
    assert!(inodes.get(first.ino).is_some(), "it is open");
    inodes.close(first.ino);
    assert!(inodes.get(first.ino).is_none());
    assert_eq!(inodes.child(ROOT, "a").unwrap().ino, second.ino);
}

#[test]
fn what_is_below_a_renamed_directory_moves_with_it() {
    let (mut inodes, now) = (table(), Instant::now());
    let a = inodes.enter(ROOT, "a", Node::Directory, now).ino;
    let b = inodes.enter(a, "b", Node::Directory, now).ino;
    let c = inodes.enter(b, "c", Node::Draft(()), now).ino;
    let x = inodes.enter(ROOT, "x", Node::Directory, now).ino;
    assert!(!inodes.drafts_below(a).is_empty() && inodes.drafts_below(x).is_empty());
    inodes.rename((a, "b"), (x, "y"));
    assert_eq!(inodes.path(c).as_deref(), Some("x/y/c"));
    assert_eq!(inodes.prefix(b).as_deref(), Some("x/y/"));
    assert!(!inodes.drafts_below(x).is_empty() && inodes.drafts_below(a).is_empty());
    assert!(inodes.child(a, "b").is_none());
}

#[test]
fn a_removed_name_has_no_path_and_frees_the_name() {
    let (mut inodes, now) = (table(), Instant::now());
    let old = inodes.enter(ROOT, "a", version("1"), now).ino;
    inodes.remove(ROOT, "a");
    assert_eq!(inodes.path(old), None);
    let new = inodes.enter(ROOT, "a", version("1"), now).ino;
    assert_ne!(old, new);
    inodes.forget(old, 1);
    assert_eq!(inodes.path(new).as_deref(), Some("a"));
}

#[test]
fn a_draft_hides_what_the_source_still_has() {
    let (mut inodes, now) = (table(), Instant::now());
    let draft = inodes.enter(ROOT, "a", Node::Draft(()), now);
    for found in [version("old"), Node::Draft(())] {
        let again = inodes.enter(ROOT, "a", found, now);
        assert_eq!(again.ino, draft.ino);
        assert_eq!(again.node, Node::Draft(()));
    }
}

#[test]
fn only_files_that_nobody_has_open_are_unused() {
    let (mut inodes, now) = (table(), Instant::now());
    let directory = inodes.enter(ROOT, "d", Node::Directory, now).ino;
    inodes.enter(ROOT, "draft", Node::Draft(()), now);
    let open = inodes.enter(directory, "open", version("1"), now).ino;
    inodes.open(open);
    inodes.enter(directory, "unused", version("1"), now);
    assert_eq!(inodes.unused(9), [(directory, Arc::from("unused"))]);
    inodes.close(open);
    assert_eq!(inodes.unused(9).len(), 2);
    assert_eq!(inodes.unused(1).len(), 1);
}

#[derive(Clone, Debug)]
enum Step {
    Enter(usize, u8, u8),
    Open(usize),
    Close(usize),
    Rename(usize, u8, usize, u8),
    Remove(usize, u8),
    Detach(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..8_usize, 0..4_u8, 0..4_u8).prop_map(|(p, n, k)| Step::Enter(p, n, k)),
        (0..8_usize).prop_map(Step::Open),
        (0..8_usize).prop_map(Step::Close),
        (0..8_usize, 0..4_u8, 0..8_usize, 0..4_u8)
            .prop_map(|(p, n, q, m)| Step::Rename(p, n, q, m)),
        (0..8_usize, 0..4_u8).prop_map(|(p, n)| Step::Remove(p, n)),
        (0..8_usize).prop_map(Step::Detach),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// Once the kernel has forgotten everything and every handle is closed, only the root is left:
    /// whatever happened before, nothing leaks and nothing is dropped while it is referred to.
    #[test]
    fn the_table_empties_when_all_is_forgotten(steps in steps()) {
        let (mut inodes, now) = (table(), Instant::now());
        let mut lookups: Vec<u64> = vec![];
        let mut handles: Vec<u64> = vec![];
        let pick = |lookups: &Vec<u64>, n: usize| {
            if lookups.is_empty() { ROOT } else { lookups[n % lookups.len()] }
        };
        for step in steps {
            match step {
                Step::Enter(parent, name, kind) => {
                    let node = match kind {
                        0 => Node::Directory,
                        1 => Node::Draft(()),
                        etag => version(&etag.to_string()),
                    };
                    let parent = pick(&lookups, parent);
                    lookups.push(inodes.enter(parent, &name.to_string(), node, now).ino);
                }
                Step::Open(n) => {
                    let ino = pick(&lookups, n);
                    inodes.open(ino);
                    handles.push(ino);
                }
                Step::Close(n) if !handles.is_empty() => {
                    inodes.close(handles.remove(n % handles.len()));
                }
                Step::Close(_) => {}
                Step::Rename(parent, name, to, new) => {
                    let (parent, to) = (pick(&lookups, parent), pick(&lookups, to));
                    let moved = inodes.child(parent, &name.to_string()).map(|entry| entry.ino);
                    // The kernel refuses to move a directory into itself.
                    let cycle = moved.is_some_and(|ino| ino == to || inodes.is_below(to, ino));
                    if !cycle && (parent, name) != (to, new) {
                        inodes.rename((parent, &name.to_string()), (to, &new.to_string()));
                    }
                }
                Step::Remove(parent, name) => {
                    inodes.remove(pick(&lookups, parent), &name.to_string());
                }
                Step::Detach(n) => inodes.detach(pick(&lookups, n)),
            }
            for ino in &lookups {
                prop_assert!(inodes.get(*ino).is_some());
            }
        }
        for ino in handles {
            inodes.close(ino);
        }
        for ino in lookups {
            inodes.forget(ino, 1);
        }
        prop_assert_eq!(inodes.len(), 1);
        prop_assert!(inodes.names.is_empty());
    }
}
