//! What the leader keeps up for the installation as a whole: the mounter's revisions, the
//! addresses no dataset may point at, and what is known of nodes.

mod addresses;
mod mounter;
mod nodes;
mod template;

pub use addresses::keep_network_rules;
pub use mounter::keep_mounters;
pub use nodes::forget_gone_nodes;
pub use template::{Template, TemplateError};
