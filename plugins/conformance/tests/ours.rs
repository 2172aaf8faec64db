//! Our own plugins pass the suite that others' have to pass.

mod s3fs {
    use dlf_plugin_s3fs::S3fs;
    dlf_plugin_conformance::conformance!(S3fs: storage);
}

mod nfs {
    use dlf_plugin_nfs::Nfs;
    dlf_plugin_conformance::conformance!(Nfs: storage);
}

mod hostpath {
    use dlf_plugin_hostpath::HostPath;
    dlf_plugin_conformance::conformance!(HostPath: storage);
}
