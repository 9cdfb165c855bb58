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

# Nobody alive is no proof while pids come and go (a storm of forks). With descent it counts when nobody was seen, or the same
# dead twice. With the marker it counts when hardly a pid was given out during the look, or thrice while no new one turned up.
m_none() {
  m_before=- m_n=0
  while ! m_tree "$1"; do
    m_n=$((m_n + 1))
    if [ "$m_kind" = subreaper ]; then
      if [ -z "$m_found" ] || [ "$m_found" = "$m_before" ]; then return 0; fi
      m_before=$m_found
      [ $m_n -lt 4 ] || { m_pids=$m_found; return 1; }
    else
      m_meet $m_ghosts
      case $m_born in [0-4]) return 0 ;; esac
      [ $m_n -lt 3 ] || { [ -z "$m_moving" ]; return; }
    fi
  done
  m_meet $m_pids
  return 1
}

# Pids that were seen: new ones after the first look mean that the tree grows under our hands.
m_meet() {
  m_new=
  for m_c in "$@"; do
    case " $m_known " in *" $m_c "*) ;; *) m_new="$m_new $m_c" ;; esac
  done
  [ -n "$m_new" ] || return 0
  [ -z "$m_known" ] || m_moving=1
  m_known="$m_known$m_new" m_last=$m_new
}

# Kills whatever has come back to us, faster than most can fork.
m_swat() {
  m_n=0 m_hit=-
  while [ -n "$m_hit" ] && [ $m_n -lt 200 ]; do
    m_k= m_hit= m_n=$((m_n + 1))
    read -r m_k 2>/dev/null </proc/$$/task/$$/children
    for m_c in $m_k; do
      case " $m_helpers " in *" $m_c "*) ;; *) m_hit="$m_hit $m_c" ;; esac
    done
    [ -z "$m_hit" ] || kill -KILL $m_hit 2>/dev/null
  done
}

# Where sleep knows no fractions, a second. Its status says nothing: a signal in the meantime changes that.
m_pause() {
  [ -n "$m_naps" ] || { m_naps=$(sleep 0.01 2>&1); m_naps=\${m_naps:-fine}; }
  case $m_naps in fine) sleep "$1" ;; *) sleep 1 ;; esac
}

# GRACE in hundredths of a second: TERM, grace, KILL until nothing is left -> m_stuck, the pids that survive (comma list) or -
m_kill() {
  m_stuck=- m_known= m_moving=
  m_none all && return 0
  kill -TERM $m_pids 2>/dev/null
  kill -CONT $m_pids 2>/dev/null
  m_now
  m_until=$((m_up + $1)) m_wait=0.02
  while m_now; [ "$m_up" -lt "$m_until" ]; do
    m_pause $m_wait
    m_none all && return 0
    case $m_wait in 0.02) m_wait=0.05 ;; *) m_wait=0.1 ;; esac
  done
  m_now
  m_until=$((m_up + 80)) m_last=
  while :; do
    kill -KILL $m_pids 2>/dev/null
    [ "$m_kind" != subreaper ] || m_swat
    m_none all && return 0
    m_now
    [ "$m_up" -lt "$m_until" ] || break
    m_pause 0.02
  done
  m_stuck=
  [ -n "$m_pids" ] || [ -z "$m_moving" ] || m_pids=$m_last
  for m_c in $m_pids; do m_stuck=$m_stuck,$m_c; done
  m_stuck=\${m_stuck#,}
  m_stuck=\${m_stuck:--}
}

# MARK GRACE KEY: ends what a dead supervisor left.
m_reap() {
  m_mark=$1 m_kind=marker m_helpers=
  m_kill "$2"
  printf '%s\n' "$3" >>../events
}
`
