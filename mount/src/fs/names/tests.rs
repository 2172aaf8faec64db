use std::cell::Cell;
use std::rc::Rc;

use super::*;
use crate::fs::listing::DirEntry;

/// A body that is nothing but its writers.
#[derive(Clone, Debug, Default)]
pub(super) struct Writers(Rc<Cell<u32>>);

impl Body for Writers {
    fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    fn writers(&self) -> u32 {
        self.0.get()
    }

    fn join(&self) {
        self.0.set(self.0.get() + 1);
    }

    fn leave(&self) {
        self.0.set(self.0.get() - 1);
    }
}

pub(super) type Table = Names<Writers>;

pub(super) fn version(etag: &str) -> Version {
    Version {
        etag: Arc::from(etag),
        size: 1,
        modified: SystemTime::UNIX_EPOCH,
    }
}

fn file(etag: &str) -> Node<Writers> {
    Node::File(version(etag))
}

fn table() -> (Table, Instant) {
    (Names::new(Instant::now()), Instant::now())
}

fn found(observed: Observed<Writers>) -> Entry<Writers> {
    match observed {
        Observed::Found(entry) => entry,
        other => panic!("{other:?}"),
    }
}

pub(super) fn path(names: &Table, ino: u64) -> Option<String> {
    names.key(ino).map(|key| key.path())
}

fn etag(entry: &Entry<Writers>) -> &str {
    match &entry.node {
        Node::File(version) => &version.etag,
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_version_of_a_name_is_another_inode() {
    let (mut names, now) = table();
    let first = found(names.observe(ROOT, "a", Some(file("1")), now));
    assert_eq!(
        found(names.observe(ROOT, "a", Some(file("1")), now)).ino,
        first.ino
    );
    names.opened(first.ino, None);
    let second = found(names.observe(ROOT, "a", Some(file("2")), now));
    assert_ne!(first.ino, second.ino);
    assert_eq!(path(&names, first.ino).as_deref(), Some("a"));
    assert!(!names.get(first.ino).unwrap().named && second.named);

    names.forgot(first.ino, 2);
    assert!(names.get(first.ino).is_some(), "it is open");
    names.closed(first.ino);
    assert!(names.get(first.ino).is_none());
    assert_eq!(names.child(ROOT, "a").unwrap().ino, second.ino);
}

#[test]
fn a_removed_name_is_not_brought_back_by_a_listing_that_was_under_way() {
    let (mut names, asked) = table();
    found(names.observe(ROOT, "a", Some(file("1")), asked));
    names.removed(ROOT, "a", Instant::now());
    let listed = DirEntry {
        name: "a".into(),
        version: Some(version("1")),
    };
    assert!(names.listed(ROOT, &listed, asked).is_none());
    assert!(matches!(
        names.observe(ROOT, "a", Some(file("1")), asked),
        Observed::Outdated
    ));
    assert!(names.child(ROOT, "a").is_none());
    // Somebody made it anew.
    assert_eq!(
        etag(&names.listed(ROOT, &listed, Instant::now()).unwrap()),
        "1"
    );
}

#[test]
fn a_listing_that_a_change_overtook_is_not_kept() {
    let (mut names, begun) = table();
    let d = names.made_directory(ROOT, "d", begun).ino;
    let e = names.made_directory(ROOT, "e", begun).ino;
    let (of_d, of_e) = (names.begin_listing(d), names.begin_listing(e));
    names.removed(d, "a", Instant::now());
    names.keep_listing(d, Vec::new(), begun, of_d);
    names.keep_listing(e, Vec::new(), begun, of_e);
    assert!(names.listing(d, None).is_none());
    assert!(
        names.listing(e, None).is_some(),
        "another directory changed"
    );
}

#[test]
fn what_is_written_stays_whatever_the_source_has() {
    let (mut names, now) = table();
    let body = Writers::default();
    let made = names.created(ROOT, "a", body.clone(), now);
    names.opened(made.ino, Some(&body));
    for news in [Some(file("0")), None] {
        assert_eq!(
            found(names.observe(ROOT, "a", news, Instant::now())).ino,
            made.ino
        );
    }
    names.committed(made.ino, &body, &version("1"), now);
    body.leave();
    names.settled(made.ino, &body, Some(&version("1")), now);
    assert_eq!(etag(&names.child(ROOT, "a").unwrap()), "1");
}

#[test]
fn a_handle_that_is_opened_while_the_last_one_is_closed_goes_on_with_the_body() {
    let (mut names, now) = table();
    let body = Writers::default();
    let ino = names.created(ROOT, "a", body.clone(), now).ino;
    names.opened(ino, Some(&body));
    names.committed(ino, &body, &version("1"), now);
    body.leave();
    names.opened(ino, Some(&body));
    names.settled(ino, &body, Some(&version("1")), now);
    assert!(matches!(names.get(ino).unwrap().node, Node::Written(_)));
}

#[test]
fn a_file_that_others_have_open_is_begun_anew_through_another_inode() {
    let (mut names, now) = table();
    let old = found(names.observe(ROOT, "a", Some(file("1")), now)).ino;
    names.opened(old, None);
    assert!(!names.claims(old, 7, now), "the kernel is to look again");
    let new = found(names.known(ROOT, "a", None).unwrap()).ino;
    assert_ne!(old, new);
    // Somebody who reads comes first.
    assert!(names.is_shared(new, now));
    names.opened(new, None);
    assert!(names.claims(new, 7, now));
    assert!(!names.is_shared(new, now), "nobody else is awaited");
    let body = Writers::default();
    assert!(names.begun(new, body.clone()), "the reader has it open");
    names.opened(new, Some(&body));
    assert_eq!(names.child(ROOT, "a").unwrap().ino, new);
    assert_eq!(etag(&names.get(old).unwrap()), "1");
}

#[test]
fn two_who_begin_a_file_at_once_share_an_inode_whose_pages_belong_to_neither() {
    let (mut names, now) = table();
    let (one, two) = (Writers::default(), Writers::default());
    let first = names.created(ROOT, "a", one.clone(), now).ino;
    names.opened(first, Some(&one));
    assert!(!names.claims(first, 7, now) && !names.claims(first, 8, now));
    let ino = found(names.known(ROOT, "a", None).unwrap()).ino;
    assert!(names.claims(ino, 8, now) && !names.begun(ino, two.clone()));
    names.opened(ino, Some(&two));
    let three = Writers::default();
    assert!(names.claims(ino, 7, now), "it was made for both");
    assert!(names.begun(ino, three.clone()));
    names.opened(ino, Some(&three));
    names.committed(ino, &three, &version("3"), now);
    let fresh = names.child(ROOT, "a").unwrap();
    assert!(fresh.ino != ino, "its pages are of two bodies");
    assert_eq!(etag(&fresh), "3");
    three.leave();
    names.settled(ino, &three, Some(&version("3")), now);
    // The first closes last: the name is its.
    names.committed(first, &one, &version("1"), now);
    one.leave();
    names.settled(first, &one, Some(&version("1")), now);
    assert_eq!(etag(&names.child(ROOT, "a").unwrap()), "1");
    assert!(!names.get(ino).unwrap().named);
}

#[test]
fn what_could_not_be_written_leaves_the_name_to_the_source() {
    let (mut names, now) = table();
    let body = Writers::default();
    let ino = names.created(ROOT, "a", body.clone(), now).ino;
    names.opened(ino, Some(&body));
    names.superseded(ino);
    assert!(names.child(ROOT, "a").is_none());
    assert_eq!(
        path(&names, ino).as_deref(),
        Some("a"),
        "it may be tried again"
    );
    names.committed(ino, &body, &version("2"), now);
    assert_eq!(names.child(ROOT, "a").unwrap().ino, ino);
}

#[test]
fn a_directory_stays_until_it_is_removed() {
    let (mut names, now) = table();
    let d = found(names.observe(ROOT, "d", Some(Node::Directory), now)).ino;
    let a = found(names.observe(d, "a", Some(file("1")), now)).ino;
    names.removed(d, "a", Instant::now());
    names.forgot(a, 1);
    assert_eq!(found(names.observe(ROOT, "d", None, Instant::now())).ino, d);
    names.forgot(d, 10);
    assert!(
        names.child(ROOT, "d").is_some(),
        "the kernel has forgotten it"
    );
    assert_eq!(names.ours_in(ROOT).len(), 1);
    names.removed(ROOT, "d", Instant::now());
    assert!(names.child(ROOT, "d").is_none() && names.get(d).is_none());
}

#[test]
fn what_is_below_a_renamed_directory_moves_with_it() {
    let (mut names, now) = table();
    let a = names.made_directory(ROOT, "a", now).ino;
    let b = names.made_directory(a, "b", now).ino;
    let body = Writers::default();
    let c = names.created(b, "c", body.clone(), now).ino;
    names.opened(c, Some(&body));
    names.renamed((ROOT, "a"), (ROOT, "x"), None, now);
    assert_eq!(path(&names, c).as_deref(), Some("x/b/c"));
    assert_eq!(names.written_below(a).len(), 1);
    names.removed(b, "c", now);
    assert_eq!(path(&names, c), None);
    assert!(names.written_below(ROOT).is_empty());
}

#[test]
fn what_a_rename_replaces_never_appears_again() {
    let (mut names, now) = table();
    let body = Writers::default();
    let replaced = names.created(ROOT, "to", body.clone(), now).ino;
    names.opened(replaced, Some(&body));
    let moved = found(names.observe(ROOT, "from", Some(file("1")), now)).ino;
    names.renamed(
        (ROOT, "from"),
        (ROOT, "to"),
        Some(version("2")),
        Instant::now(),
    );
    assert_eq!(path(&names, replaced), None);
    names.committed(replaced, &body, &version("3"), now);
    let to = names.child(ROOT, "to").unwrap();
    assert_eq!((to.ino, etag(&to)), (moved, "2"));
    assert!(matches!(
        names.observe(ROOT, "from", Some(file("1")), now),
        Observed::Outdated
    ));
}
