# shellcheck shell=bash
# NFS for tests: nfs-ganesha in user space, version 4 over TCP (3 would need a rpcbind on every address).

NFS_DIR=$RUN/nfs
NFS_EXPORT=/share

ganesha_config() {
  local plugins
  plugins=$(dirname "$(find /usr/lib -name libfsalvfs.so -print -quit)")
  cat <<CONF
NFS_CORE_PARAM { Protocols = 4; Bind_addr = $SERVERS_IP; NFS_Port = 2049; Enable_NLM = false; Enable_RQUOTA = false;
  Enable_UDP = false; Plugins_Dir = $plugins; NSM_Use_Caller_Name = false; mount_path_pseudo = false; fsid_device = true; }
NFSV4 { Graceless = true; Grace_Period = 5; Lease_Lifetime = 5; Only_Numeric_Owners = true;
  RecoveryBackend = fs; RecoveryRoot = $NFS_DIR/recovery; Minor_Versions = 0, 1, 2; }
EXPORT { Export_Id = 1; Path = $NFS_DIR/export; Pseudo = $NFS_EXPORT; Access_Type = RW; Squash = No_Root_Squash;
  SecType = sys; Protocols = 4; Transports = TCP; FSAL { Name = VFS; } }
LOG { Default_Log_Level = EVENT; }
CONF
}

start_nfs() {
  mkdir -p "$NFS_DIR/export" "$NFS_DIR/recovery"
  chmod 0777 "$NFS_DIR/export"
  ganesha_config >"$NFS_DIR/ganesha.conf"
  start nfs ganesha.nfsd -F -f "$NFS_DIR/ganesha.conf" -L "$LOGS/ganesha.log" -p "$NFS_DIR/ganesha.pid" -N NIV_EVENT
}

nfs_answers() { timeout 3 nfs-ls "nfs://$SERVERS_IP$NFS_EXPORT?version=4"; }

wait_for_nfs() { wait_for 20 "the NFS server (see $LOGS/ganesha.log)" nfs_answers; }
