/** What a probe asks: one script of standard tools, each answer a line NAME=VALUE. What a machine does not know is left out. */
import { sh } from './supervisor/sh.js'

/** Answers with the machine's time alone, for a second look at its clock. */
export const CLOCK_SCRIPT = 'date +%s.%N\n'

/** Runs below `attempts/` with the supervisor's functions. GPUs are asked of nvidia-smi by named fields, never by its table for people. */
export const PROBE_SCRIPT = sh`
m_field() { printf '%s=%s\n' "$1" "$2"; }
m_climb() {
  m_p=$2
  while :; do
    m_y=
    [ -z "$5" ] || read -r m_y <"$1$m_p/$5"
    read -r m_x <"$1$m_p/$4" && m_field "$3" "$m_x $m_y"
    [ -n "$m_p" ] || break
    m_p=\${m_p%/*}
  done 2>/dev/null
}
m_field clock "$(date +%s.%N)"
m_field os "$(uname -s) $(uname -r)"
m_field arch "$(uname -m)"
m_field cpus "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c '^processor' /proc/cpuinfo)"
while read -r m_x m_c m_f; do [ "$m_x" != MemTotal: ] || m_field memory "$m_c"; done </proc/meminfo
while IFS=: read -r m_x m_c m_f; do
  m_field cgroup "$m_f"
  case ,$m_c, in
  ,,)
    m_climb /sys/fs/cgroup "$m_f" quota cpu.max ''
    m_climb /sys/fs/cgroup "$m_f" limit memory.max ''
    ;;
  *,cpu,*) m_climb /sys/fs/cgroup/cpu "$m_f" quota cpu.cfs_quota_us cpu.cfs_period_us ;;
  *,memory,*) m_climb /sys/fs/cgroup/memory "$m_f" limit memory.limit_in_bytes '' ;;
  esac
done 2>/dev/null </proc/self/cgroup
m_field disk "$(df -Pk . 2>/dev/null | tail -n 1)"
m_field inodes "$(df -Pi . 2>/dev/null | tail -n 1)"
m_field git "$(git --version 2>/dev/null)"
m_field shell "$(readlink -f /bin/sh)"
m_field boot "$m_boot"
m_me=$(id -un 2>/dev/null || id -u)
m_field user "$m_me"
m_field hostname "$(uname -n)"
[ ! -e "/var/lib/systemd/linger/$m_me" ] || m_field lingers yes
for m_f in /etc/systemd /run/systemd /usr/local/lib/systemd /usr/lib/systemd /lib/systemd; do
  for m_x in "$m_f"/logind.conf "$m_f"/logind.conf.d/*.conf; do
    [ ! -e "$m_x" ] || m_field logind "$m_x"
    [ ! -f "$m_x" ] || grep -E '^[[:space:]]*Kill(UserProcesses|OnlyUsers|ExcludeUsers)[[:space:]]*=' "$m_x" /dev/null 2>/dev/null |
      while read -r m_c; do m_field logindsays "$m_c"; done
  done
done
if [ -d /run/systemd/system ]; then
  [ ! -S /run/dbus/system_bus_socket ] ||
    busctl --timeout=2 get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager \
      KillUserProcesses KillOnlyUsers KillExcludeUsers 2>/dev/null | while read -r m_x; do m_field bus "$m_x"; done
  systemd-tmpfiles --cat-config 2>/dev/null | while read -r m_t m_p m_x m_x m_x m_age m_x; do
    case $m_t$m_age in [dDeqQvC]*[0-9]*) case $PWD in $m_p/*) m_field cleaner "$m_age $m_p systemd-tmpfiles" ;; esac ;; esac
  done
fi
case $PWD in /tmp/* | /var/tmp/*)
  for m_x in tmpreaper tmpwatch; do [ ! -e "/etc/cron.daily/$m_x" ] || m_field cleaner "- \${PWD%%/tmp/*}/tmp $m_x"; done ;;
esac
if command -v nvidia-smi >/dev/null; then
  nvidia-smi --query-gpu=uuid,name,memory.total,memory.used --format=csv,noheader,nounits 2>/dev/null |
    while read -r m_x; do m_field gpu "$m_x"; done
  nvidia-smi --query-compute-apps=gpu_uuid,pid --format=csv,noheader 2>/dev/null |
    while IFS=', ' read -r m_g m_x; do
      read -r m_l 2>/dev/null <"/proc/$m_x/cgroup"
      m_c=
      m_c=$(grep '^Max file locks' "/proc/$m_x/limits" 2>/dev/null)
      set -- $m_c
      m_field app "$m_g $m_x \${4:-unlimited}"
    done
fi
for m_f in */key; do
  m_rec= m_tok= m_mark=
  read -r m_rec m_tok m_mark m_x 2>/dev/null <"$m_f" && m_field mark "$m_mark"
done
exit 0
`
