//! What opens give: a file of its own, or one that others have open, too.

use rustix::io::Errno;

use super::body::Body;
use super::rules::{Allowed, Answer, Outcomes, Seen, done, refused, result};
use super::step::{How, READ};
use super::world::{File, Node, World};

impl World {
    pub(crate) fn read_path(self, mount: usize, key: &str) -> Outcomes {
        let mut outcomes = Vec::new();
        for (opened, world) in self.open(mount, key, READ) {
            if opened != Allowed::Answer(Answer::Done) {
                outcomes.push((opened, world));
                continue;
            }
            let mut world = world;
            let Some(file) = world.files.pop() else {
                continue;
            };
            outcomes.extend(world.read(&file));
        }
        outcomes
    }

    pub(crate) fn open(self, mount: usize, key: &str, how: How) -> Outcomes {
        let open = |(seen, world): (Seen, Self)| -> Outcomes {
            match seen {
                Seen::Absent if how.create => vec![done(world.create(mount, key, how))],
                Seen::Nowhere | Seen::Absent => vec![refused(Errno::NOENT, world)],
                Seen::File(_) if how.exclusive => vec![refused(Errno::EXIST, world)],
                Seen::File(_) if how.truncate => {
                    vec![done(world.begin(mount, key, Body::new(false), how))]
                }
                Seen::File(inode) => vec![done(world.join_file(mount, inode, how))],
            }
        };
        self.seen_to_open(mount, key, how)
            .into_iter()
            .flat_map(open)
            .collect()
    }

    /// As [`Self::seen`]: who only reads has a file that is written as fresh as others, or as old as
    /// the look-up within the same open may be.
    fn seen_to_open(self, mount: usize, key: &str, how: How) -> Vec<(Seen, Self)> {
        if how.write || !self.fresh {
            return self.seen(mount, key);
        }
        let mut outcomes = Vec::new();
        for (seen, world) in self.seen(mount, key) {
            if let Seen::File(inode) = seen
                && let Node::Body(body) = &world.inodes[inode].node
                && let Some(version) = world.bodies[*body].version()
                && world.object(key) != Some(version)
            {
                let mut asked = world.clone();
                asked.superseded(mount, inode);
                outcomes.extend(asked.seen(mount, key));
            }
            outcomes.push((seen, world));
        }
        outcomes
    }

    /// A process opens a file, maps it, stores a byte, unmaps it and ends.
    pub(crate) fn store(self, mount: usize, key: &str, at: usize, byte: u8) -> Outcomes {
        let mut outcomes = Vec::new();
        let how = How {
            write: true,
            ..READ
        };
        for (opened, mut world) in self.open(mount, key, how) {
            let Some(mut file) = (opened == Allowed::Answer(Answer::Done))
                .then(|| world.files.pop())
                .flatten()
            else {
                outcomes.push((opened, world));
                continue;
            };
            if at >= world.content(file.inode).len() {
                // It ends by an error of its own, and has closed the file.
                let _ = world.flush(&mut file);
                world.releasing.push(file);
                outcomes.push(refused(Errno::INVAL, world));
                continue;
            }
            let body = world.body_of(&file);
            file.body = Some(body);
            if let Some(needed) = world.bodies[body].needs()
                && world.object(key) != Some(needed)
            {
                // The page cannot be had: the process is killed.
                let mut world = world.clone();
                world.superseded(mount, file.inode);
                let _ = world.flush(&mut file.clone());
                world.releasing.push(file.clone());
                outcomes.push(refused(Errno::FAULT, world));
            }
            if let Some(refusal) = world.bodies[body].broken {
                outcomes.push((Allowed::Answer(Answer::Refused(refusal)), world));
                continue;
            }
            world.bodies[body].store(at, byte);
            let answer = world.flush(&mut file);
            world.releasing.push(file);
            outcomes.push(result(answer, world));
        }
        outcomes
    }

    fn create(self, mount: usize, key: &str, how: How) -> Self {
        self.begin(mount, key, Body::new(how.exclusive), how)
    }

    /// A content of its own for the name.
    fn begin(mut self, mount: usize, key: &str, mut body: Body, how: How) -> Self {
        body.writers = 1;
        let body = self.body(body);
        let inode = self.inode(key, Node::Body(body));
        self.known(mount, key).inode = Some(inode);
        self.opened(mount, inode, how, Some(body))
    }

    fn join_file(mut self, mount: usize, inode: usize, how: How) -> Self {
        let body = match self.inodes[inode].node {
            Node::Body(body) if how.write => Some(body),
            _ => None,
        };
        if let Some(body) = body {
            self.bodies[body].writers += 1;
        }
        self.opened(mount, inode, how, body)
    }

    fn opened(mut self, mount: usize, inode: usize, how: How, body: Option<usize>) -> Self {
        self.files.push(File {
            mount,
            inode,
            write: how.write,
            append: how.append,
            body,
            closed: None,
        });
        self
    }
}
