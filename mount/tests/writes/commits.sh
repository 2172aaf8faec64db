# shellcheck shell=sh
# Two commits in a new repository. Says their subjects, and what git would still commit.
set -e
export HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1
git -c init.defaultBranch=main init -q repository
cd repository
commit() {
  git add .
  git -c user.name=a -c user.email=a@example.org -c gc.auto=0 commit -qm "$1"
}
head -c 3000000 /dev/urandom >big
echo one >text
commit first
echo two >>text
commit second
git fsck --strict --no-progress
git log --format=%s
git status --porcelain
