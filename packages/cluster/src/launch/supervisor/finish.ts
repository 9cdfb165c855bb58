/**
 * sh: the log of an attempt and its end. The log passes through `dd`, which stops at the cap while the job writes on into
 * nothing. It counts short reads as whole ones, so it is asked again until the cap is reached or the writers are gone.
 * The end: kill what the command left behind, drain the log, write the exit record, tell whoever follows `events`, sync it. What a
 * controller hears it makes durable itself; the sync is for those that are not there to hear.
 */
import { sh } from './sh.js'

export const FINISH = sh`
# A pipe without a process: a here-document is one in dash and ash. Elsewhere a FIFO.
m_log_open() {
  exec 7<<M_END
M_END
  if [ -p /proc/self/fd/7 ]; then exec 8>/proc/self/fd/7
  else mkfifo pipe; exec 7<>pipe 8>pipe 7<pipe; rm -f pipe; fi
  ( exec 3>&- 8>&-; trap '' TERM HUP INT QUIT; m_log_write ) <&7 & m_logger=$!
  exec 7<&-
  m_helpers="$m_helpers $m_logger"
}

m_log_write() {
  m_left=$((m_cap - 100)) m_first=1
  while [ $m_left -gt 0 ]; do
    m_bs=65536
    [ $m_left -gt 1048576 ] || m_bs=512
    dd bs=$m_bs count=$m_left iflag=count_bytes 2>said >>log || break
    m_said
    if [ $(($m_n)) -lt $(((m_left + m_bs - 1) / m_bs)) ]; then
      # The writers are gone. GNU dd says how much it was; where it does not, the log is measured.
      case $m_first$m_b in 1 | 1*[!0-9]*) ;; 1*) printf '%s\n' "$m_b" >logged ;; esac
      return 0
    fi
    m_first= m_n=$(wc -c <log) m_left=$((m_cap - 100 - $m_n))
  done
  case $(exec dd bs=1 count=1 2>&1 >/dev/null) in 1+0*) ;; *) return 0 ;; esac
  printf '\n[muster: the log reached its limit of %s bytes; what follows was dropped]\n' "$m_cap" >>log
  exec cat >/dev/null
}

# What dd said at its end -> m_n, records as in 3+1; m_b, bytes
m_said() {
  m_n=0 m_b=
  while read -r m_x m_c m_f; do
    case "$m_c $m_f" in 'records in') m_n=$m_x ;; byte*) m_b=$m_x ;; esac
  done 2>/dev/null <said
}

m_finish() {
  trap : TERM
  m_asked=
  [ -z "$m_watch" ] || kill -TERM "$m_watch" 2>/dev/null
  # A step that wrote no code did not end by itself.
  [ -n "$m_stopped" ] || [ ! -e stop ] || [ -e code.$m_step ] || read -r m_stopped m_x <stop
  [ "$m_stuck" != - ] || m_none || m_kill "$m_grace"
  exec 8>&-
  trap m_let_go TERM
  if [ "$m_stuck" != - ]; then m_let_go; fi
  while wait $m_logger; m_lives $m_logger && [ "$m_ppid" = $$ ]; do :; done
  trap : TERM
  m_verdict
  m_size=-1 m_logged=
  read -r m_logged 2>/dev/null <logged || { m_logged=$(wc -c <log) m_logged=$(($m_logged)); }
  if [ -f result ] && [ ! -L result ]; then m_size=$(wc -c <result) m_size=$(($m_size)); fi
  m_left=files
  if [ "$m_size $m_stuck $m_logged" = '-1 - 0' ] && m_nothing; then m_left=-; fi
  m_now
  m_ended="$m_outcome $m_rc $m_signal \${m_maybe:-0} $((m_at0 + (m_up - m_up0) * 10)) $m_size $m_stuck $m_logged $m_left"
  while ! printf '%s\n%s\nend\n' "$m_ended" "$m_detail" >exit
  do m_pause 1; done 2>/dev/null
  m_gpus_release
  # One line says all there is to know of a plain end, and by the mark whose it is; any other is looked up.
  case $m_size$m_stuck$m_detail in
  -1-) [ -s progress ] || m_key="$m_key $m_mark $m_at0 $m_kind $m_ended end" ;;
  esac
  printf '%s\n' "$m_key" >>../../events
  sync exit . 2>/dev/null || sync
}

# Nobody needs to fetch: no output, result or artifact.
m_nothing() {
  [ ! -s log ] && [ ! -e result ] && [ ! -L result ] && [ ! -s globs ] && [ ! -L artifacts ] && m_empty artifacts
}

# Asked to stop, perhaps again and again, when only the log is left. Half a second after the first time it is held by somebody we
# cannot see.
m_let_go() {
  m_now
  [ -n "$m_asked" ] || m_asked=$m_up
  while [ $((m_up - m_asked)) -lt 50 ]; do
    m_lives $m_logger && [ "$m_ppid" = $$ ] || return 0
    m_pause 0.02
    m_now
  done
  m_helpers= m_found=
  m_below "$m_logger"
  kill -KILL $m_found $m_logger 2>/dev/null
}

m_verdict() {
  if [ -n "$m_stopped" ]; then m_outcome=$m_stopped
  elif [ "$m_rc" = 0 ]; then m_outcome=succeeded
  elif [ "$m_step" != command ] || [ -e refused ]; then m_outcome=setup-failed m_detail="$m_step ended with $m_rc"
  elif [ "$m_rc" = 137 ] && m_oom_count && [ "$m_oom" -gt "$m_oom0" ]; then m_outcome=oom m_detail="$m_oomfile: oom_kill $m_oom0 -> $m_oom"
  elif [ "$m_signal" -gt 0 ]; then m_outcome=signal
    [ "$m_signal" != 9 ] || m_detail='possibly out of memory'
  else m_outcome=exit; fi
  for m_f in refused refused.$m_rc; do [ ! -s $m_f ] || read -r m_detail <$m_f; done
}

# What survived KILL may still hold the GPU: the claim on it then names the survivor.
m_gpus_release() {
  [ -n "$m_gpulist" ] || return 0
  for m_g in $m_gpulist; do
    if [ "$m_stuck" = - ]; then rm -f ../../gpus/$m_g.$m_key.$$
    else m_lives "\${m_stuck%%,*}" && printf '%s\n' "\${m_stuck%%,*} $m_start $m_boot $m_record end" >../../gpus/$m_g.$m_key.$$; fi
  done
}
`
