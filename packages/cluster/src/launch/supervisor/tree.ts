/**
 * sh: finding and ending all processes of an attempt. Found are: descendants (where the supervisor is a subreaper, orphans
 * come back to it), and bearers of the marker: a limit that means nothing to Linux, inherited through fork, exec, setsid
 * and `env -i`, and a variable. Helpers of the supervisor (log writer, alarm) and their children are left out.
 */
import { sh } from './sh.js'

export const TREE = sh`
# pid: its descendants -> appended to m_found
m_below() {
  for m_f in /proc/$1/task/*/children; do
    m_k=
    read -r m_k 2>/dev/null <"$m_f"
    for m_c in $m_k; do
      case " $m_helpers " in *" $m_c "*) continue ;; esac
      m_found="$m_found $m_c"
      m_below "$m_c"
    done
  done
}

# All live processes of the attempt but the supervisor itself -> m_pids
m_tree() {
  m_found= m_pids=
  [ "$m_kind" = subreaper ] && m_below $$
  if [ "$1" = all ] || [ "$m_kind" != subreaper ]; then m_bearers "$m_mark" && m_found="$m_found $m_marked"; fi
  for m_c in $m_found; do
    case " $m_pids $m_helpers $$ " in *" $m_c "*) continue ;; esac
    m_lives "$m_c" || continue
    case " $m_helpers " in *" $m_ppid "*) continue ;; esac
    m_pids="$m_pids $m_c"
  done
  [ -n "$m_pids" ]
}

m_pause() { sleep "$1" 2>/dev/null || sleep 1; }

# GRACE in hundredths of a second: TERM, grace, KILL until nothing is left -> m_stuck, the pids that survive (comma list) or -
m_kill() {
  m_stuck=-
  m_tree all || return 0
  kill -TERM $m_pids 2>/dev/null
  kill -CONT $m_pids 2>/dev/null
  m_now
  m_until=$((m_up + $1)) m_wait=0.02
  while m_now; [ "$m_up" -lt "$m_until" ]; do
    m_pause $m_wait
    m_tree all || return 0
    case $m_wait in 0.02) m_wait=0.05 ;; *) m_wait=0.1 ;; esac
  done
  m_now
  m_until=$((m_up + 80))
  while m_tree all; do
    kill -KILL $m_pids 2>/dev/null
    m_now
    [ "$m_up" -lt "$m_until" ] || break
    m_pause 0.02
  done
  m_tree all || return 0
  m_stuck=
  for m_c in $m_pids; do m_stuck=$m_stuck,$m_c; done
  m_stuck=\${m_stuck#,}
}

# MARK GRACE KEY: ends what a dead supervisor left.
m_reap() {
  m_mark=$1 m_kind=none m_helpers=
  m_kill "$2"
  printf '%s\n' "$3" >>../events
}
`
