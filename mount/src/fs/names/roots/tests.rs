use std::collections::BTreeMap;
use std::time::Duration;

use dlf_cache::Location;
use proptest::prelude::*;

use super::super::tests::{Table, Writers, path, version};
use super::*;
use crate::fs::names::ROOT;

fn roots(places: &[(&str, &str)]) -> Roots {
    let locate = |(path, prefix): &(&str, &str)| {
        let location = Location::new("bucket", *prefix).unwrap();
        ((*path).to_owned(), location)
    };
    Roots::new(places.iter().map(locate))
}

fn table(places: &[(&str, &str)]) -> Table {
    let mut names = Names::new(Instant::now());
    names.show(&roots(places), Instant::now());
    names
}

/// The inode at a path of the tree, if the table has it.
fn at(names: &Table, path: &str) -> Option<u64> {
    if path.is_empty() {
        return Some(names.top());
    }
    names.find_below(names.top(), path)
}

fn listed(names: &Table, path: &str) -> Vec<String> {
    let listing = names.listing(at(names, path).unwrap(), None).unwrap();
    let entries = listing.entries().iter();
    entries.map(|entry| entry.name.to_string()).collect()
}

fn prefix(names: &Table, ino: u64) -> Option<String> {
    names.root(ino).map(|root| root.prefix().to_owned())
}

/// A file that is being written, as the kernel has it open.
fn write(names: &mut Table, directory: u64, name: &str) -> (u64, Writers) {
    let body = Writers::default();
    let ino = names
        .created(directory, name, body.clone(), Instant::now())
        .ino;
    names.opened(ino, Some(&body));
    (ino, body)
}

fn close(names: &mut Table, (ino, body): (u64, Writers)) {
    body.leave();
    names.settled(ino, &body, Some(&version("1")), Instant::now());
    names.closed(ino);
    names.forgot(ino, u64::MAX);
}

#[test]
fn a_directory_that_leads_to_roots_has_them_and_nothing_else() {
    let mut names = table(&[("a/b", "1/"), ("a/c", "2/"), ("d", "3/")]);
    assert_eq!(listed(&names, ""), ["a", "d"]);
    assert_eq!(listed(&names, "a"), ["b", "c"]);
    let a = at(&names, "a").unwrap();
    assert!(names.leads(a) && names.leads(names.top()) && names.key(a).is_none());
    let asked = names.known(a, "x", Some(Duration::ZERO));
    assert!(matches!(asked, Some(Observed::Absent(_))), "{asked:?}");
    let from_source = names.observe(a, "x", Some(Node::Directory), Instant::now());
    assert!(
        matches!(from_source, Observed::Absent(_)),
        "{from_source:?}"
    );

    let b = at(&names, "a/b").unwrap();
    assert!(!names.leads(b) && names.listing(b, None).is_none());
    assert_eq!(names.prefix(b).unwrap().within(), "");
    let (file, _) = write(&mut names, b, "f");
    let key = names.key(file).unwrap();
    assert_eq!((key.within(), key.path()), ("f", "a/b/f".to_owned()));
    assert_eq!(prefix(&names, file).as_deref(), Some("1/"));
}

#[test]
fn a_root_that_stays_is_the_same_directory_and_one_that_is_elsewhere_another() {
    let mut names = table(&[("a/b", "1/"), ("a/c", "2/")]);
    let [a, b, c] = ["a", "a/b", "a/c"].map(|path| at(&names, path).unwrap());
    let changed = names.show(
        &roots(&[("a/b", "1/"), ("a/c", "3/"), ("e", "4/")]),
        Instant::now(),
    );
    assert_eq!(at(&names, "a/b"), Some(b));
    assert_ne!(at(&names, "a/c"), Some(c));
    let mut changed: Vec<_> = changed.iter().map(|(at, name)| (*at, &**name)).collect();
    changed.sort_unstable();
    assert_eq!(changed, [(ROOT + 1, "e"), (a, "c"), (a, "c")]);
    assert!(names.get(c).is_none(), "nobody has it open");
    assert!(
        names
            .show(
                &roots(&[("a/b", "1/"), ("a/c", "3/"), ("e", "4/")]),
                Instant::now()
            )
            .is_empty()
    );
}

#[test]
fn what_is_open_in_a_root_that_is_taken_away_stays_where_it_is() {
    let mut names = table(&[("a/b", "1/"), ("c", "2/")]);
    let b = at(&names, "a/b").unwrap();
    let file = write(&mut names, b, "f");
    names.show(&roots(&[("a/b", "9/")]), Instant::now());
    assert_eq!(listed(&names, ""), ["a"]);
    assert!(at(&names, "a/b/f").is_none(), "another has its name");
    assert_eq!(path(&names, file.0).as_deref(), Some("a/b/f"));
    assert_eq!(prefix(&names, file.0).as_deref(), Some("1/"));
    names.show(&roots(&[("a/b", "1/")]), Instant::now());
    assert_ne!(
        at(&names, "a/b"),
        Some(b),
        "one that comes later is another"
    );
    close(&mut names, file);
    assert!(names.get(b).is_none());
}

#[test]
fn a_mount_that_comes_to_have_roots_shows_another_directory() {
    let mut names: Table = Names::new(Instant::now());
    let file = write(&mut names, ROOT, "f");
    names.observe_absent(ROOT, "x", Instant::now(), None);
    let changed = names.show(&roots(&[("a", "1/")]), Instant::now());
    let top = names.top();
    assert!(top != ROOT && names.leads(top));
    for name in ["f", "x", "a"] {
        let told = changed
            .iter()
            .any(|(at, changed)| *at == top && &**changed == name);
        assert!(told, "{name}: {changed:?}");
    }
    assert_eq!(path(&names, file.0).as_deref(), Some("f"));
    assert!(names.root(file.0).unwrap().location().is_none());
    let listed = DirEntry {
        name: "late".into(),
        version: Some(version("1")),
    };
    let late = names.listed(ROOT, &listed, Instant::now()).unwrap();
    assert!(
        !names.lasts(&late),
        "the kernel would have it in the new one"
    );
    assert!(!names.observe_absent(ROOT, "y", Instant::now(), None));
    names.forgot(late.ino, 1);
    close(&mut names, file);
    assert!(names.get(ROOT).is_none(), "the kernel means the new one");
    let changed = names.show(&Roots::own(), Instant::now());
    assert!(changed.contains(&(names.top(), "a".into())), "{changed:?}");
    assert!(names.get(top).is_none() && names.listing(names.top(), None).is_none());
    assert_eq!(names.prefix(names.top()).unwrap().within(), "");
}

/// Roots that a mount may be told of, in any combination of those that lie apart.
const PATHS: [&str; 5] = ["a", "a/b", "a/c/d", "e", ""];

fn configurations() -> impl Strategy<Value = BTreeMap<&'static str, u8>> {
    let one = (prop::sample::select(&PATHS[..]), 0..2_u8);
    prop::collection::vec(one, 1..5).prop_map(|wanted| {
        let mut apart: BTreeMap<&str, u8> = BTreeMap::new();
        for (path, place) in wanted {
            let within = |one: &str, other: &str| {
                other.is_empty() || one == other || one.starts_with(&format!("{other}/"))
            };
            if !apart
                .keys()
                .any(|other| within(path, other) || within(other, path))
            {
                apart.insert(path, place);
            }
        }
        apart
    })
}

#[derive(Clone, Debug)]
enum Step {
    Show(BTreeMap<&'static str, u8>),
    ShowOwn,
    /// A file is made in one of the roots.
    Write(prop::sample::Index),
    Close(prop::sample::Index),
    /// The kernel asks for a root, and forgets it again.
    Look(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<prop::sample::Index>;
    prop_oneof![
        3 => configurations().prop_map(Step::Show),
        1 => Just(Step::ShowOwn),
        3 => any().prop_map(Step::Write),
        2 => any().prop_map(Step::Close),
        1 => any().prop_map(Step::Look),
    ]
}

/// An open file, the prefix it was opened in, and its path then.
type Open = ((u64, Writers), Option<String>, Option<String>);

proptest! {
    #[test]
    fn whatever_the_roots_become_the_tree_is_theirs_and_open_files_stay_where_they_are(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut names: Table = Names::new(Instant::now());
        let mut shown: BTreeMap<String, Option<String>> = BTreeMap::from([(String::new(), None)]);
        let mut open: Vec<Open> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::ShowOwn => {
                    names.show(&Roots::own(), Instant::now());
                    shown = BTreeMap::from([(String::new(), None)]);
                }
                Step::Show(wanted) => {
                    let places = wanted.iter();
                    let places: Vec<_> = places.map(|(path, place)| (*path, format!("{place}/"))).collect();
                    let given: Vec<_> = places.iter().map(|(path, prefix)| (*path, prefix.as_str())).collect();
                    names.show(&roots(&given), Instant::now());
                    let all = places.into_iter();
                    shown = all.map(|(path, prefix)| (path.to_owned(), Some(prefix))).collect();
                }
                Step::Write(which) => {
                    let (path_of_root, place) = shown.iter().nth(which.index(shown.len())).unwrap();
                    let root = at(&names, path_of_root).unwrap();
                    let file = write(&mut names, root, &format!("f{number}"));
                    let user = path(&names, file.0);
                    open.push((file, place.clone(), user));
                }
                Step::Close(which) if !open.is_empty() => {
                    let (file, ..) = open.swap_remove(which.index(open.len()));
                    close(&mut names, file);
                }
                Step::Close(_) => {}
                Step::Look(which) => {
                    let path_of_root = shown.keys().nth(which.index(shown.len())).unwrap();
                    if let Some((parent, name)) = split(path_of_root) {
                        let parent = at(&names, parent).unwrap();
                        let looked = names.known(parent, name, None);
                        let Some(Observed::Found(found)) = looked else {
                            return Err(TestCaseError::fail(format!("{looked:?}")));
                        };
                        names.forgot(found.ino, 1);
                    }
                }
            }
            for (path_of_root, place) in &shown {
                let root = at(&names, path_of_root).unwrap();
                let location = names.root(root).and_then(|root| root.location());
                prop_assert_eq!(location.map(|at| at.prefix()), place.as_deref());
                prop_assert_eq!(names.key(root).map(|key| key.within().is_empty()), Some(true));
            }
            for (file, place, user) in &open {
                let location = names.root(file.0).and_then(|root| root.location());
                prop_assert_eq!(location.map(|at| at.prefix()), place.as_deref());
                prop_assert_eq!(&path(&names, file.0), user);
            }
        }
        for (file, ..) in open {
            close(&mut names, file);
        }
        prop_assert_eq!(names.table.len(), names.attached.tree.len(), "nothing else is left");
        let named = names.current.len();
        prop_assert_eq!(named + 1, names.attached.tree.len());
    }
}
