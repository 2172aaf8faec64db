# shellcheck shell=bash
# The demo's data set: the same on every machine. Readings of weather stations as text, pictures
# as incompressible bytes, notes as many small files, and a program; about 30 MB.

# make_data DIR: once.
make_data() {
  local dir=$1
  [[ ! -e $dir/SHA256SUMS ]] || return 0
  rm -rf "$dir"
  mkdir -p "$dir"/{readings,pictures,notes}
  make_readings "$dir/readings"
  make_pictures "$dir/pictures"
  make_notes "$dir/notes"
  cp "$(dirname "${BASH_SOURCE[0]}")/means.awk" "$dir"
  (cd "$dir" && find readings pictures notes means.awk -type f | sort | xargs sha256sum >SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS)
}

# One file per month, a line per hour and station.
make_readings() {
  awk -v dir="$1" 'BEGIN {
    x = 42
    for (month = 1; month <= 12; month++) {
      file = sprintf("%s/2025-%02d.csv", dir, month)
      print "time,station,celsius" >file
      for (day = 1; day <= 28; day++) for (hour = 0; hour < 24; hour++) for (station = 1; station <= 60; station++) {
        x = (x * 16807) % 2147483647 # Park and Miller: exact in any awk
        printf "2025-%02d-%02dT%02d:00,station-%02d,%.1f\n", month, day, hour, station, station / 4 + x % 200 / 10 >file
      }
      close(file)
    }
  }'
}

make_pictures() {
  local i
  for i in 1 2 3 4; do
    openssl enc -aes-128-ctr -nosalt -K 0000000000000000000000000000000$i -iv 00000000000000000000000000000000 \
      -in /dev/zero 2>/dev/null | head -c 4000000 >"$1/picture-$i.raw" || true # enc ends by SIGPIPE
  done
}

make_notes() {
  local i
  for ((i = 1; i <= 60; i++)); do
    printf 'Station %02d was visited and found in order.\n' "$i" >"$1/station-$(printf %02d "$i").txt"
  done
}
