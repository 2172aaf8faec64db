//! What the leader keeps up for the installation as a whole: the mounter's revisions, and the
//! addresses no dataset may point at.

mod addresses;
mod mounter;
mod template;

pub use addresses::keep_network_rules;
pub use mounter::keep_mounters;
pub use template::{Template, TemplateError};
