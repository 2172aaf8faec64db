# shellcheck shell=bash
# The long-running programs ("parts") of the cluster. A part's pid is recorded with its start time,
# so that a pid used anew by somebody else is never killed, and its command line, so that a fault
# test can start it again. All parts also live in one cgroup, so that what an unclean end left,
# children included, is found without guessing.

PARTS=$RUN/parts
LOGS=$RUN/log

# The directories of cgroup NAME: one per controller (v1) or one (v2, which we could not try).
cgroups_of() {
  local controller
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    printf '%s\n' "/sys/fs/cgroup/$1"
    return
  fi
  for controller in /sys/fs/cgroup/*/; do
    case $controller in
      */unified/) ;; # the v2 tree beside the v1 ones: nothing here uses it
      *) [[ ! -w ${controller}cgroup.procs ]] || printf '%s%s\n' "$controller" "$1" ;;
    esac
  done
}

# The one that is used to find processes.
tracking_cgroup() {
  if [[ -d /sys/fs/cgroup/pids ]]; then printf '/sys/fs/cgroup/pids/%s' "$1"; else printf '/sys/fs/cgroup/%s' "$1"; fi
}

# started_at PID: the start time in ticks since boot; fails for a zombie or no process. One whose first
# thread is a zombie goes on while it has others: they may still hold its sockets.
started_at() {
  local stat state fields threads began
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -r state fields <<<"${stat##*) }" # the name before it may hold anything
  read -r threads began < <(awk '{print $17, $19}' <<<"$fields")
  [[ $state != Z || $threads -gt 1 ]] || return 1
  printf '%s\n' "$began"
}

running() {
  local pid began
  read -r pid began 2>/dev/null <"$PARTS/$1.pid" || return 1
  [[ $(started_at "$pid") == "$began" ]]
}

# start PART COMMAND...: runs it detached from this script, its terminal and its locks.
start() {
  local part=$1 pid
  shift
  mkdir -p "$PARTS" "$LOGS" "$(tracking_cgroup dlf-cluster)"
  printf '%s\0' "$@" >"$PARTS/$part.command"
  (
    printf '%s\n' "$BASHPID" >"$(tracking_cgroup dlf-cluster)/cgroup.procs"
    unset DLF_LOCKS
    for fd in /proc/"$BASHPID"/fd/*; do
      fd=${fd##*/}
      ((fd <= 2)) || eval "exec $fd>&-"
    done
    exec setsid "$@" >>"$LOGS/$part.log" 2>&1 </dev/null
  ) &
  pid=$!
  printf '%s %s\n' "$pid" "$(started_at "$pid")" >"$PARTS/$part.pid"
}

# start_again PART: with the command line it had.
start_again() {
  local argv
  [[ -e $PARTS/$1.command ]] || die "no part called $1 was ever started (there are: $(parts))"
  mapfile -d '' -t argv <"$PARTS/$1.command"
  start "$1" "${argv[@]}"
}

# stop PART [SIGNAL] [SECONDS]: asks with SIGNAL, kills after SECONDS.
stop() {
  local part=$1 signal=${2:-TERM} seconds=${3:-10} pid
  running "$part" || return 0
  read -r pid _ <"$PARTS/$part.pid"
  kill "-$signal" "$pid" 2>/dev/null || true
  if ! wait_for "$seconds" "$part to end" stopped "$part"; then
    say "killing $part"
    kill -KILL "$pid" 2>/dev/null || true
    wait_for 10 "$part to die" stopped "$part"
  fi
}

stopped() { ! running "$1"; }

parts() {
  local file
  for file in "$PARTS"/*.pid; do
    [[ -e $file ]] || continue
    file=${file##*/}
    printf '%s ' "${file%.pid}"
  done
}

# kill_cgroup NAME: every process in it and below, until none is left.
kill_cgroup() {
  local dir
  dir=$(tracking_cgroup "$1")
  [[ -d $dir ]] || return 0
  wait_for 20 "the processes of cgroup $1 to die" cgroup_emptied "$dir"
}

cgroup_emptied() {
  local pids
  mapfile -t pids < <(find "$1" -name cgroup.procs -exec cat {} + 2>/dev/null)
  [[ ${#pids[@]} -gt 0 ]] || return 0
  kill -KILL "${pids[@]}" 2>/dev/null
  return 1
}

make_cgroup() {
  local dir file
  while read -r dir; do
    mkdir -p "$dir"
    for file in cpuset.cpus cpuset.mems; do # empty in a new v1 group: nothing could start there
      [[ ! -e $dir/$file || -e /sys/fs/cgroup/cgroup.controllers ]] || cat "$dir/../$file" >"$dir/$file"
    done
  done < <(cgroups_of "$1")
}

remove_cgroup() {
  local dir
  for dir in /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1"; do # the kubelet makes one in every tree
    [[ ! -d $dir ]] || wait_for 10 "cgroup $dir to go" cgroup_removed "$dir"
  done
}

cgroup_removed() {
  find "$1" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  [[ ! -d $1 ]]
}
