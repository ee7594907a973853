# Runs a command as the container does: no network, nothing writable but /tmp and the task's output, and a user whom the
# system does not know. Usage: unshare --mount --net bash confined.sh TASK COMMAND...
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/in /mnt/out
mount --bind "$1/in" /mnt/in
mount -o remount,bind,ro /mnt/in
mount --bind "$1/out" /mnt/out
while read -r _ place _; do
    case $place in /mnt* | /proc* | /sys* | /dev*) ;; *) mount -o remount,bind,ro "$place" || exit 99 ;; esac
done < /proc/self/mounts
mount -t tmpfs -o mode=1777 tmpfs /tmp
cd /tmp
export HOME=/tmp USER=medseg LOGNAME=medseg TMPDIR=/tmp XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/matplotlib
export MEDSEG_HOME=/opt/medseg/home PYTHONDONTWRITEBYTECODE=1 MERCURE_IN_DIR=/mnt/in MERCURE_OUT_DIR=/mnt/out
if touch /mnt/in/x /var/x 2> /dev/null; then exit 98; fi
shift
exec setpriv --reuid 12345 --regid 12345 --clear-groups --no-new-privs --bounding-set=-all "$@"
