use dlf_wire::nodes::v1::Failure;

/// Why a pod may not mount a dataset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// There is no such pod, or another one of that name.
    #[error("there is no pod {namespace}/{name} with uid {uid}")]
    NoSuchPod {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// The pod is elsewhere.
    #[error("pod {pod} is not on node {node}")]
    NotHere {
        /// The pod.
        pod: String,
        /// The node that asked.
        node: String,
    },
    /// The pod does not use the dataset's claim.
    #[error("pod {pod} mounts no claim {namespace}/{claim}")]
    NotMounted {
        /// The pod.
        pod: String,
        /// The claim's namespace.
        namespace: String,
        /// The claim's name, which is the dataset's.
        claim: String,
    },
    /// The pod's own labels or annotations do not say what it wants.
    #[error("pod {pod}: {error}")]
    Labels {
        /// The pod.
        pod: String,
        /// What is wrong with them.
        error: String,
    },
    /// The API server could not be asked.
    #[error("pod {pod} could not be looked up: {error}; the kubelet will try again")]
    Lookup {
        /// The pod.
        pod: String,
        /// What went wrong.
        error: String,
    },
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        let reason = match denial {
            Denial::NoSuchPod { .. } => "NoSuchPod",
            Denial::NotHere { .. } => "PodNotHere",
            Denial::NotMounted { .. } => "ClaimNotMounted",
            Denial::Labels { .. } => "BadLabels",
            Denial::Lookup { .. } => "PodLookupFailed",
        };
        Failure::new(reason, denial.to_string())
    }
}
