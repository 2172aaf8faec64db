/// What is wrong with a configuration, before anything is dialled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A store without a place to ask.
    #[error("a store needs at least one origin")]
    NoOrigin,
    /// An endpoint that is no S3 server's address.
    #[error("endpoint {endpoint:?} cannot be used: {why}")]
    Endpoint {
        /// What was given, without what looks like keys.
        endpoint: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A bucket's name that would be another path: empty, dots, or with a `/`.
    #[error("{0:?} is not a bucket's name")]
    Bucket(String),
    /// A prefix that does not end in `/` would let a dataset see its neighbours.
    #[error("prefix {0:?} does not end in '/'")]
    Prefix(String),
    /// A region with characters that no region has.
    #[error("{0:?} is not a region's name")]
    Region(String),
    /// Keys that cannot travel in a header (the message does not show them).
    #[error("the access key or session token holds characters that keys do not have")]
    Keys,
    /// Keys as they come from a file with a line break at its end.
    #[error(
        "the access key, its secret or the session token begins or ends with white space, such as a line break: write it without"
    )]
    KeysInWhiteSpace,
    /// Servers of a cache that cannot be asked as they are.
    #[error("the shards of a cache cannot be used: {0}")]
    Shards(String),
    /// The source has one address: who writes there has to find all of it.
    #[error("the source has shards; only a cache before it may have some")]
    ShardedSource,
    /// The private CA is not PEM.
    #[error("the CA certificates cannot be read: {0}")]
    Ca(String),
}
